//! `/livez` and `/readyz`: what an orchestrator asks.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderValue, Response, StatusCode};

use crate::body::Body;
use crate::gate::Gate;

/// Whether new requests should come here.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
}

impl Readiness {
    /// From now on `/readyz` answers 503: the process is shutting down and finishes what it has begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the process is shutting down.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// 200 while the process runs.
pub(super) fn live(head: bool) -> Response<Body> {
    super::document("text/plain; charset=utf-8", "ok\n".into(), head)
}

/// 200 while requests can be answered. A store that takes no writes still serves what is recorded (DESIGN §10), so it is ready and says so.
pub(super) fn ready(gate: &Gate, readiness: &Readiness, head: bool) -> Response<Body> {
    let draining = readiness.is_draining();
    let mut text = String::new();
    let trouble = gate.store().trouble();
    let store =
        trouble.map_or_else(|| "writable".to_owned(), |trouble| format!("reads only, new decisions are answered with 503: {trouble}"));
    let rules = match gate.config().policy {
        Some(_) => "loaded",
        None => "none configured: every image is denied",
    };
    let state = if draining { "draining" } else { "ready" };
    // Writing to a String cannot fail.
    let _ = write!(text, "{state}\nstore: {store}\npolicy: {rules}, revision {}\n", gate.policy_revision());
    let mut response = super::document("text/plain; charset=utf-8", text.into(), head);
    if draining {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
