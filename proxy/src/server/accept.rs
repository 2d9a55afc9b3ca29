//! Accepting connections until the shutdown.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tower::Service;

use super::connection::{Connector, Peer, Stage};
use super::options::ServerOptions;
use super::shutdown::Shutdown;
use super::unix::ControlSocket;
use crate::body::Body;
use crate::metrics::Metrics;

/// Pause after an accept that failed for want of files or memory, doubled up to the limit: trying at once would only spin.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_LIMIT: Duration = Duration::from_secs(1);
/// How long connections that were told to end at once may take.
const CUT_LIMIT: Duration = Duration::from_secs(1);

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests that were under way when the grace was over, and were cut.
    pub cut: usize,
}

/// Serves connections of a bound listener until the shutdown is requested and the requests under way are over or cut. Plaintext
/// HTTP/1.1, or with `options.tls` HTTP/1.1 and perhaps HTTP/2 over TLS, whose certificate is reloaded on the way.
pub async fn serve<S>(options: ServerOptions, listener: TcpListener, service: S, shutdown: Shutdown) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    accept_all(options, listener, service, shutdown).await
}

/// Serves connections of the control socket, as [`serve`] does, always in plaintext. The socket's file is gone afterwards.
pub async fn serve_unix<S>(mut options: ServerOptions, socket: ControlSocket, service: S, shutdown: Shutdown) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    options.tls = None;
    accept_all(options, socket, service, shutdown).await
}

/// A listener: TCP and the control socket.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    async fn accept(&self, tls: bool) -> io::Result<(Self::Stream, Peer)>;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self, tls: bool) -> io::Result<(TcpStream, Peer)> {
        let (stream, address) = Self::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok((stream, Peer::Tcp { address, tls }))
    }
}

impl Accept for ControlSocket {
    type Stream = UnixStream;

    async fn accept(&self, _tls: bool) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        let user = stream.peer_cred().ok().map(|credentials| credentials.uid());
        Ok((stream, Peer::Unix { user }))
    }
}

async fn accept_all<L, S>(options: ServerOptions, listener: L, service: S, shutdown: Shutdown) -> Drained
where
    L: Accept,
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let options = Arc::new(options);
    let (stage, watched) = watch::channel(Stage::Serving);
    let connector = Connector::new(Arc::clone(&options), service, watched);
    let places = Arc::new(Semaphore::new(options.max_connections));
    let mut watch = JoinSet::new();
    if let Some(tls) = &options.tls {
        watch.spawn(Arc::clone(tls).watch(shutdown.clone()));
    }
    let mut connections = JoinSet::new();
    let mut pause = PAUSE;
    loop {
        let accepted = tokio::select! {
            () = shutdown.requested() => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept(options.tls.is_some()) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE;
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    options.metrics.connections(options.listener).refused.inc();
                    continue;
                };
                let (connector, open) = (connector.clone(), Open::new(&options));
                connections.spawn(async move {
                    let cut = connector.run(stream, peer).await;
                    drop((place, open));
                    cut
                });
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections for now");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LIMIT);
            }
        }
    }
    drop(listener);
    drain(connections, &stage, options.grace).await
}

/// Errors of accept(2) that say something of one connection only.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, InvalidInput, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | InvalidInput | NotConnected)
}

/// Lets requests under way finish within the grace, then cuts them.
async fn drain(mut connections: JoinSet<usize>, stage: &watch::Sender<Stage>, grace: Duration) -> Drained {
    stage.send_replace(Stage::Draining);
    let finished = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(grace, finished).await.is_ok() {
        return Drained { cut: 0 };
    }
    stage.send_replace(Stage::Cut);
    let mut cut = 0;
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            cut += report(ended);
        }
    };
    let in_time = tokio::time::timeout(CUT_LIMIT, ended).await.is_ok();
    if !in_time {
        cut += connections.len();
        connections.shutdown().await;
    }
    tracing::warn!(cut, "requests were cut at the end of the grace");
    Drained { cut }
}

/// How many requests a connection that ended had cut.
fn report(ended: Result<usize, JoinError>) -> usize {
    ended.unwrap_or_else(|error| {
        if error.is_panic() {
            tracing::error!(%error, "a connection's task panicked");
        }
        1
    })
}

/// Counts a connection as open until it is dropped.
struct Open {
    metrics: Arc<Metrics>,
    listener: crate::metrics::Listener,
}

impl Open {
    fn new(options: &ServerOptions) -> Self {
        options.metrics.connections(options.listener).open.inc();
        Self { metrics: Arc::clone(&options.metrics), listener: options.listener }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.connections(self.listener).open.dec();
    }
}
