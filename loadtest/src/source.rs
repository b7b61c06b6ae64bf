//! Requests of a scenario, in order of their numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, Uri, Version};

use crate::bodies::{Bodies, Kind};
use crate::origin;
use crate::payload::Payload;
use crate::scenario::{Call, Protocol, Scenario};

/// Bodies depend on this and on the request's number.
const SEED: u64 = 20_26;

/// A host, and how it is spoken to: what a connection is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) protocol: Protocol,
}

/// Where requests come from. Numbers are given once in the life of a source: no body is sent twice.
#[derive(Debug)]
pub(crate) struct Source {
    parts: Vec<Part>,
    endpoints: Vec<Endpoint>,
    weights: u64,
    next: AtomicU64,
}

#[derive(Debug)]
struct Part {
    /// The sum of the weights up to this part, itself included.
    up_to: u64,
    endpoint: usize,
    method: Method,
    uri: Uri,
    host: HeaderValue,
    content_type: Option<HeaderValue>,
    grpc: bool,
    bodies: Bodies,
    /// Bodies of this part so far: a conversation counts its own.
    next: AtomicU64,
}

/// A request, ready to be sent.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) endpoint: usize,
    pub(crate) request: Request<Payload>,
}

impl Source {
    /// The source of a scenario's requests.
    ///
    /// # Errors
    /// The scenario names no method, path or header.
    pub(crate) fn new(scenario: &Scenario) -> Result<Self> {
        let (mut parts, mut endpoints, mut weights) = (Vec::new(), Vec::new(), 0);
        for (weight, call) in &scenario.parts {
            let endpoint = Endpoint { host: call.host.clone(), protocol: call.protocol };
            let place = endpoints.iter().position(|known| *known == endpoint).unwrap_or_else(|| {
                endpoints.push(endpoint);
                endpoints.len() - 1
            });
            weights += u64::from(*weight);
            parts.push(part(call, place, weights).with_context(|| format!("scenario {}", scenario.name))?);
        }
        Ok(Self { parts, endpoints, weights, next: AtomicU64::new(0) })
    }

    /// All that connections are needed to.
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The next request.
    ///
    /// # Errors
    /// None that happens: all was checked before.
    pub(crate) fn next(&self) -> Result<Ready> {
        // Not in turn: a mix in which every hundredth is long would have a beat.
        let place = scatter(self.next.fetch_add(1, Ordering::Relaxed)) % self.weights;
        let part = self.parts.iter().find(|part| place < part.up_to).context("a scenario without requests")?;
        let body = part.bodies.body(part.next.fetch_add(1, Ordering::Relaxed))?;
        let mut request = Request::new(body);
        *request.method_mut() = part.method.clone();
        let http2 = self.endpoints[part.endpoint].protocol == Protocol::Http2;
        if http2 {
            *request.version_mut() = Version::HTTP_2;
            *request.uri_mut() = part.uri.clone();
        } else {
            *request.uri_mut() = part.uri.path_and_query().context("a scenario without a path")?.clone().into();
            request.headers_mut().insert(HOST, part.host.clone());
        }
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("portcullis-loadtest"));
        if let Some(kind) = &part.content_type {
            request.headers_mut().insert(CONTENT_TYPE, kind.clone());
            let length = request.body().len();
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if part.grpc {
            request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        }
        Ok(Ready { endpoint: part.endpoint, request })
    }
}

fn part(call: &Call, endpoint: usize, up_to: u64) -> Result<Part> {
    let path = origin::with_answer(&call.path, call.response_bytes, call.delay_ms);
    let content_type = (call.body.kind != Kind::None).then(|| HeaderValue::from_str(&call.body.content_type)).transpose()?;
    Ok(Part {
        up_to,
        endpoint,
        method: Method::from_bytes(call.method.as_bytes())?,
        uri: format!("https://{}{path}", call.host).parse()?,
        host: HeaderValue::from_str(&call.host)?,
        content_type,
        grpc: call.body.kind == Kind::Grpc,
        bodies: Bodies::new(call.body.kind, call.body.bytes, call.body.turns, SEED),
        next: AtomicU64::new(0),
    })
}

/// Splitmix64: numbers in a row become numbers that look made by chance, the same each time.
fn scatter(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn every_scenario_makes_requests_with_the_length_they_say() {
        for name in scenario::names() {
            let scenario = scenario::named(name).unwrap();
            let source = Source::new(&scenario).unwrap();
            for _ in 0..100 {
                let ready = source.next().unwrap();
                let said = ready.request.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().parse::<u64>().unwrap());
                assert_eq!(said.unwrap_or(0), ready.request.body().len(), "{name}");
                assert!(ready.endpoint < source.endpoints().len());
            }
        }
    }

    #[test]
    fn a_mix_has_its_parts_by_weight() {
        let scenario = scenario::named("mixed").unwrap();
        let source = Source::new(&scenario).unwrap();
        let gets = (0..2000).filter(|_| source.next().unwrap().request.method() == Method::GET).count();
        let share = scenario.parts[0].0 as usize * 2000 / scenario.parts.iter().map(|(weight, _)| *weight as usize).sum::<usize>();
        assert!(gets.abs_diff(share) < 100, "{gets} of 2000, not about {share}");
    }
}
