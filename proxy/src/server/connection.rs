//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower::{Service, ServiceExt};

use super::activity::Activity;
use super::client_certificate::ClientCertificate;
use super::guard::Guard;
use super::layers::is_push;
use super::options::ServerOptions;
use super::request::check;
use super::tls::Tls;
use crate::body::Body;
use crate::metrics::Phase;

/// Who is at the other end; an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Tcp {
        /// The other end.
        address: SocketAddr,
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// Over the control socket.
    Unix {
        /// User id of the other end, where the system tells.
        user: Option<u32>,
    },
}

/// What a server asks of its connections. Later stages include earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Serving,
    /// End after the requests under way.
    Draining,
    /// End now.
    Cut,
}

/// h2's own bound on streams that were reset before they were accepted (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// Streams that we reset because of the client's errors, before the connection ends (CVE-2024-2758 and its kin).
const LOCAL_RESETS: usize = 256;
/// Requests at once on one connection (D14).
const STREAMS: u32 = 128;
/// Bytes that a stream may hold beyond the client's window: one piece.
const STREAM_BUFFER: usize = 64 * 1024;
/// Most bytes that hyper gathers before it writes, so that it never asks for a second piece while one waits. At least the head limit.
const BUFFER: usize = 64 * 1024;

/// Everything that the connections of one listener share.
pub(super) struct Connector<S> {
    options: Arc<ServerOptions>,
    service: S,
    stage: watch::Receiver<Stage>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl<S: Clone> Clone for Connector<S> {
    fn clone(&self) -> Self {
        Self {
            options: Arc::clone(&self.options),
            service: self.service.clone(),
            stage: self.stage.clone(),
            http1: self.http1.clone(),
            http2: self.http2.clone(),
        }
    }
}

impl<S> Connector<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    pub(super) fn new(options: Arc<ServerOptions>, service: S, stage: watch::Receiver<Stage>) -> Self {
        let (http1, http2) = (http1_builder(&options), http2_builder(&options));
        Self { options, service, stage, http1, http2 }
    }

    /// Serves a connection to its end. How many requests were cut.
    pub(super) async fn run<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: T, peer: Peer) -> usize {
        let Some(tls) = self.options.tls.clone() else { return self.run_http1(stream, peer, None).await };
        let Some(stream) = handshake(&self.options, &tls, self.stage.clone(), stream).await else { return 0 };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(|found| ClientCertificate::read(found));
        if http2 { self.run_http2(stream, peer, certificate).await } else { self.run_http1(stream, peer, certificate).await }
    }

    async fn run_http1<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        mut self,
        stream: T,
        peer: Peer,
        certificate: Option<ClientCertificate>,
    ) -> usize {
        let activity = Activity::new(false);
        let guard = Guard::new(stream, Arc::clone(&activity), Arc::clone(&self.options));
        let service = exchanges(self.service, peer, certificate, Arc::clone(&activity), Arc::clone(&self.options));
        let mut connection = pin!(self.http1.serve_connection(TokioIo::new(guard), service));
        let mut draining = false;
        loop {
            let next = if draining { Stage::Cut } else { Stage::Draining };
            tokio::select! {
                biased;
                result = connection.as_mut() => return ended(result),
                _ = self.stage.wait_for(|stage| *stage >= next) => {}
            }
            if draining {
                return activity.in_flight();
            }
            draining = true;
            connection.as_mut().graceful_shutdown();
        }
    }

    async fn run_http2<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        mut self,
        stream: T,
        peer: Peer,
        certificate: Option<ClientCertificate>,
    ) -> usize {
        let activity = Activity::new(true);
        let guard = Guard::new(stream, Arc::clone(&activity), Arc::clone(&self.options));
        let service = exchanges(self.service, peer, certificate, Arc::clone(&activity), Arc::clone(&self.options));
        let mut connection = pin!(self.http2.serve_connection(TokioIo::new(guard), service));
        let mut watch = IdleWatch::new(&self.options);
        let mut draining = false;
        loop {
            let next = if draining { Stage::Cut } else { Stage::Draining };
            tokio::select! {
                biased;
                result = connection.as_mut() => return ended(result),
                _ = self.stage.wait_for(|stage| *stage >= next) => {
                    if draining {
                        return activity.in_flight();
                    }
                    draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = watch.ticks.tick() => match watch.look(&activity, &self.options) {
                    Look::Well => {}
                    Look::Idle => connection.as_mut().graceful_shutdown(),
                    Look::Stalled => {
                        self.options.metrics.connections(self.options.listener).reaped(Phase::Write).inc();
                        return 0;
                    }
                    Look::Over => return 0,
                },
            }
        }
    }
}

async fn handshake<T>(
    options: &ServerOptions,
    tls: &Tls,
    mut stage: watch::Receiver<Stage>,
    stream: T,
) -> Option<tokio_rustls::server::TlsStream<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(options.handshake_timeout, tls.acceptor().accept(stream)) => accepted,
        _ = stage.wait_for(|stage| *stage >= Stage::Draining) => return None,
    };
    match accepted {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "TLS handshake failed");
            None
        }
        Err(_elapsed) => {
            options.metrics.connections(options.listener).reaped(Phase::Handshake).inc();
            None
        }
    }
}

/// Times what hyper does not time on HTTP/2: streams that stall behind their window, and connections without requests.
struct IdleWatch {
    ticks: tokio::time::Interval,
    /// Looks since the connection was asked to end for idleness.
    idle_since: Option<tokio::time::Instant>,
}

enum Look {
    Well,
    /// Ask the connection to end.
    Idle,
    /// A stream's client takes nothing.
    Stalled,
    /// It was asked to end, and did not.
    Over,
}

impl IdleWatch {
    fn new(options: &ServerOptions) -> Self {
        let every = (options.write_timeout.min(options.idle_timeout) / 4).max(Duration::from_millis(10));
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { ticks, idle_since: None }
    }

    fn look(&mut self, activity: &Activity, options: &ServerOptions) -> Look {
        if activity.has_stalled_stream(options.write_timeout) {
            return Look::Stalled;
        }
        // A connection starts with a head: that is timed as one.
        let limit = if activity.begun() == 0 { options.head_timeout } else { options.idle_timeout };
        if activity.idle() < limit {
            return Look::Well;
        }
        match self.idle_since {
            None => {
                self.idle_since = Some(tokio::time::Instant::now());
                Look::Idle
            }
            Some(since) if since.elapsed() < options.write_timeout => Look::Well,
            Some(_) => Look::Over,
        }
    }
}

/// The service of one connection: checks each request, and ties the answer's body to the connection.
fn exchanges<S>(
    service: S,
    peer: Peer,
    certificate: Option<ClientCertificate>,
    activity: Arc<Activity>,
    options: Arc<ServerOptions>,
) -> impl hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    service_fn(move |request: Request<Incoming>| {
        let (flight, service, certificate) = (activity.begin(), service.clone(), certificate.clone());
        let max_body = options.max_request_body.filter(|_| !(options.pushes && is_push(&request)));
        async move {
            let version = request.version();
            let response = match check(request, max_body) {
                Ok(mut request) => {
                    request.extensions_mut().insert(peer);
                    if let Some(certificate) = certificate {
                        request.extensions_mut().insert(certificate);
                    }
                    service.oneshot(request).await?
                }
                Err(problem) => {
                    tracing::debug!(?problem, ?peer, "request refused");
                    problem.response(version)
                }
            };
            Ok(response.map(|body| body.on_flight(flight)))
        }
    })
}

fn ended(result: hyper::Result<()>) -> usize {
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
    0
}

fn http1_builder(options: &ServerOptions) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.idle_timeout)
        .max_header_size(options.max_head)
        .max_buf_size(BUFFER.max(options.max_head))
        .half_close(false)
        .keep_alive(true);
    builder
}

fn http2_builder(options: &ServerOptions) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS)
        .max_header_list_size(u32::try_from(options.max_head).unwrap_or(u32::MAX))
        .max_send_buf_size(STREAM_BUFFER)
        .keep_alive_interval(options.idle_timeout / 2)
        .keep_alive_timeout(options.write_timeout);
    builder
}

#[cfg(test)]
mod tests;
