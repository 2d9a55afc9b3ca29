//! What a client may hold open: numbers, sizes and times.

use std::sync::Arc;
use std::time::Duration;

use super::tls::Tls;
use crate::metrics::{Listener, Metrics};

/// Limits of one listener. [`ServerOptions::new`] sets the defaults.
#[derive(Clone)]
pub struct ServerOptions {
    /// Which listener this is, for metrics and logs.
    pub listener: Listener,
    /// Where connections are counted.
    pub metrics: Arc<Metrics>,
    /// TLS, and with it perhaps HTTP/2. None: plaintext HTTP/1.1.
    pub tls: Option<Arc<Tls>>,
    /// Most connections at once; one more is accepted and closed. 10 000.
    pub max_connections: usize,
    /// Largest request head, bytes, and largest header list of HTTP/2. 16 KiB. Beyond it: 431.
    pub max_head: usize,
    /// Largest request body, bytes, refused by its declared length: 413, and 411 if none is declared. None: no limit.
    /// 64 KiB: pulls have no bodies.
    pub max_request_body: Option<u64>,
    /// Whether the bodies of POST, PUT and PATCH below `/v2/` are left to the service to bound. false.
    pub pushes: bool,
    /// A TLS handshake takes no longer. 10 s.
    pub handshake_timeout: Duration,
    /// From its first byte, or from the connection's start, a request head takes no longer. 10 s.
    pub head_timeout: Duration,
    /// A connection without a request under way is kept this long. 75 s.
    pub idle_timeout: Duration,
    /// A client that takes less than 16 KiB of what is ready for it in this time is cut off. 60 s.
    pub write_timeout: Duration,
    /// How long requests under way may go on after a shutdown was requested. 25 s.
    pub grace: Duration,
}

impl ServerOptions {
    /// The defaults.
    #[must_use]
    pub const fn new(listener: Listener, metrics: Arc<Metrics>) -> Self {
        Self {
            listener,
            metrics,
            tls: None,
            max_connections: 10_000,
            max_head: 16 * 1024,
            max_request_body: Some(64 * 1024),
            pushes: false,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(25),
        }
    }
}

impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerOptions").field("listener", &self.listener).field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}
