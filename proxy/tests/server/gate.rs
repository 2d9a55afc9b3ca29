//! A server under test and a raw client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use sealgate::body::Body;
use sealgate::metrics::{Listener, Metrics};
use sealgate::server::{Drained, ServerOptions, ShutdownTrigger, serve, shutdown};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::Service;

/// What no step of a test takes on a machine that works.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Gate {
    pub address: SocketAddr,
    pub metrics: Arc<Metrics>,
    pub trigger: ShutdownTrigger,
    pub task: JoinHandle<Drained>,
}

/// Options with their defaults, and metrics of their own.
pub fn options() -> ServerOptions {
    ServerOptions::new(Listener::Gate, Metrics::new([]))
}

impl Gate {
    pub async fn start<S>(options: ServerOptions, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::clone(&options.metrics);
        let (trigger, requested) = shutdown();
        let task = tokio::spawn(serve(options, listener, service, requested));
        Self { address, metrics, trigger, task }
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` and reads until the server closes.
    pub async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may close before it has read everything.
        let _closed_early = stream.write_all(bytes).await.is_err();
        String::from_utf8_lossy(&rest(&mut stream).await).into_owned()
    }

    /// Waits until a condition of the metrics holds.
    pub async fn until(&self, condition: impl Fn(&Metrics) -> bool) {
        let wait = async {
            while !condition(&self.metrics) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("the metrics never show it");
    }

    pub async fn stop(self) -> Drained {
        self.trigger.fire();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the server does not stop").unwrap()
    }
}

/// What comes until the other side closes or resets.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut received = Vec::new();
    let read = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            received.extend_from_slice(&buffer[..count]);
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the connection stays open");
    received
}

/// Reads up to the end of a response's head.
pub async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut received = Vec::new();
    let read = async {
        while !received.ends_with(b"\r\n\r\n") {
            received.push(stream.read_u8().await.expect("a response head"));
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("no response head");
    String::from_utf8(received).unwrap()
}

/// Answers everything with `hello`.
pub async fn hello(_request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::full("hello".into())))
}
