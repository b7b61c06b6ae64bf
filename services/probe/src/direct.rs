//! What is tried without the proxy: all of it must meet a wall.

mod dns;
mod icmp;
mod message;
mod places;
mod tcp;
mod udp;

use std::net::SocketAddr;

pub(crate) use places::{API_SERVER, METADATA, METADATA_NAME};

use crate::run::Attempt;
use crate::settings::Settings;
use crate::system::System;

/// All attempts of the direct classes. The proxy's own addresses, with port, are no escape.
pub(crate) fn attempts(settings: &Settings, system: &System, proxy: &[SocketAddr]) -> Vec<Attempt> {
    let mut attempts = tcp::attempts(settings);
    attempts.extend(udp::attempts(settings));
    attempts.extend(dns::attempts(settings, system));
    attempts.extend(icmp::attempts(settings));
    attempts.extend(places::attempts(settings, system, proxy));
    attempts
}
