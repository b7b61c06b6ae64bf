//! Ways through the proxy that must lead nowhere.

mod raw;
mod upgrades;
mod walls;

use std::sync::Arc;

use super::gateway::{Gateway, Handshake, Heard};
use super::reply::Reply;
use super::request::Request;
use crate::check::{Check, Verdict};
use crate::run::Attempt;
use crate::settings::Settings;
use crate::system::System;

/// Ports that are not the web's: SSH, mail, the Kubernetes API, git.
const PORTS: [u16; 4] = [22, 25, 6443, 9418];

/// What is sent, and where.
#[derive(Clone, Debug)]
enum Way {
    /// A request for `http://AUTHORITY/…` to the proxy.
    Absolute(String, Request),
    /// A tunnel, perhaps TLS in it, and requests in that.
    Tunnel(String, Handshake, Vec<Vec<u8>>),
    /// A tunnel and bytes in it that are no HTTP.
    Raw(String, Vec<u8>),
}

impl Way {
    /// `GET http://AUTHORITY/` to the proxy.
    fn get(authority: &str) -> Self {
        Self::Absolute(authority.to_owned(), Request::get("/"))
    }

    async fn go(&self, gateway: &Gateway) -> Heard {
        match self {
            Self::Absolute(authority, request) => gateway.absolute(authority, request).await,
            Self::Tunnel(connect, handshake, requests) => gateway.tunnelled(connect, handshake, requests).await,
            Self::Raw(connect, bytes) => gateway.raw(connect, bytes).await,
        }
    }
}

/// What is tried, on what, and how.
type Trick = (Check, String, Way);

/// How it is judged.
type Judge = fn(Heard) -> Verdict;

/// All ways.
pub(super) fn attempts(gateway: &Arc<Gateway>, settings: &Settings, system: &System) -> Vec<Attempt> {
    let sink = &settings.sink;
    let judged: [(Vec<Trick>, Judge); 5] = [
        (walls::walls(settings, system), |heard| Reply::of(heard).wall()),
        (raw::tunnels(sink), raw::of_raw_bytes),
        (upgrades::upgrades(settings), upgrades::of_an_upgrade),
        (upgrades::h2c(sink), upgrades::of_h2c),
        (upgrades::http3(sink), upgrades::of_http3),
    ];
    let mut attempts = Vec::new();
    for (tricks, judge) in judged {
        for (check, target, way) in tricks {
            let gateway = Arc::clone(gateway);
            attempts.push(Attempt::new(check, target, async move { judge(way.go(&gateway).await) }));
        }
    }
    attempts
}

#[cfg(test)]
mod tests {
    use super::super::wire::Response;
    use super::Heard;

    /// Somebody's answer.
    pub(super) fn answer(status: u16, headers: &[(&str, &str)]) -> Heard {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Heard::Answer(Response { status, headers, body: b"x".to_vec() })
    }
}
