//! Clients that are slow on purpose (D17).

use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sealgate::body::Body;
use sealgate::metrics::{Listener, Phase};
use sealgate::server::{Limits, ServerOptions, layers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::blob::PatternBlob;
use crate::gate::{Gate, head, hello, options, rest};

fn short() -> ServerOptions {
    let mut options = options();
    options.head_timeout = Duration::from_millis(300);
    options.idle_timeout = Duration::from_millis(900);
    options.write_timeout = Duration::from_millis(600);
    options
}

/// Serves 24 MiB: more than the kernel's buffers take.
fn large()
-> impl tower::Service<Request<Incoming>, Response = Response<Body>, Error = std::convert::Infallible, Future: Send> + Clone + Send + 'static
{
    tower::service_fn(|_request: Request<Incoming>| async { Ok(Response::new(Body::stored(PatternBlob::warm(24 << 20), 0..24 << 20))) })
}

// D17
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_trickles_in_is_cut_off() {
    let gate = Gate::start(short(), tower::service_fn(hello)).await;
    let mut stream = gate.connect().await;
    for byte in b"GET / HTTP/1.1\r\nHost: gate\r\nX: ".iter().chain(std::iter::repeat_n(&b'a', 2000)) {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!rest(&mut stream).await.starts_with(b"HTTP/1.1 2"));
    gate.until(|metrics| metrics.connections(Listener::Gate).reaped(Phase::Head).get() == 1).await;
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 0).await;
}

// D17: the second head of a connection is timed from its own first byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_head_is_timed_like_the_first() {
    let gate = Gate::start(short(), tower::service_fn(hello)).await;
    let mut stream = gate.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    stream.read_exact(&mut [0; 5]).await.unwrap();
    // Longer than a head may take, shorter than a connection may idle.
    tokio::time::sleep(Duration::from_millis(500)).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
    assert!(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    stream.read_exact(&mut [0; 5]).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut stream).await, b"");
    assert_eq!(gate.metrics.connections(Listener::Gate).reaped(Phase::Head).get(), 1);
}

// D17
#[tokio::test(flavor = "multi_thread")]
async fn silent_and_idle_connections_end() {
    let gate = Gate::start(short(), tower::service_fn(hello)).await;
    let mut silent = gate.connect().await;
    assert_eq!(rest(&mut silent).await, b"");
    let mut idle = gate.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
    let answer = rest(&mut idle).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"\r\n\r\nhello"));
}

// D17
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_in_is_cut_off() {
    let service = tower::service_fn(|request: Request<Incoming>| async move {
        let _body = request.into_body().collect().await.is_ok();
        Ok(Response::new(Body::empty()))
    });
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let gate = Gate::start(short(), layers(service, limits)).await;
    let answer = gate.send(b"POST / HTTP/1.1\r\nHost: gate\r\nContent-Length: 100\r\n\r\n1").await;
    assert!(answer.starts_with("HTTP/1.1 504 "), "{answer}");
}

// D17
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_cut_off() {
    let gate = Gate::start(short(), large()).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = gate.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
        streams.push(stream);
    }
    gate.until(|metrics| metrics.connections(Listener::Gate).reaped(Phase::Write).get() == 3).await;
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 0).await;
    for mut stream in streams {
        assert!(rest(&mut stream).await.len() < 24 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_gets_everything() {
    let gate = Gate::start(short(), large()).await;
    let mut stream = gate.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await.unwrap();
    let _head = head(&mut stream).await;
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    // Twice as long as a client may take nothing, with pauses that are shorter.
    for _ in 0..12 {
        received += stream.read(&mut buffer).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    received += rest(&mut stream).await.len();
    assert_eq!(received, 24 << 20);
    assert_eq!(gate.metrics.connections(Listener::Gate).reaped(Phase::Write).get(), 0);
}

// An upstream that is slow is not the client's fault.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_waits_for_its_source_is_not_cut_off() {
    use sealgate::body::Progress;
    let (progress, watched) = tokio::sync::watch::channel(Progress::Visible(10));
    let service = tower::service_fn(move |_request: Request<Incoming>| {
        let body = Body::growing(PatternBlob::warm(1000), 1000, watched.clone());
        async { Ok(Response::new(body)) }
    });
    let gate = Gate::start(short(), service).await;
    let mut stream = gate.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await.unwrap();
    let _head = head(&mut stream).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    progress.send_replace(Progress::Complete);
    assert_eq!(rest(&mut stream).await.len(), 1000);
}
