//! HTTP/2 over TLS, where it is configured (D14).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sealgate::body::{Body, Progress};
use sealgate::metrics::{Listener, Phase};
use sealgate::server::ServerOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::blob::PatternBlob;
use crate::gate::{Gate, options, rest};
use crate::tls::Pair;

/// Length, type, flags, stream: RFC 9113 §4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:method GET`, `:scheme https`, `:path /`, `:authority gate` (RFC 7541 §6.1, §6.2.2).
const HEAD: &[u8] = b"\x82\x87\x84\x01\x04gate";

fn short() -> ServerOptions {
    let mut options = options();
    options.head_timeout = Duration::from_millis(500);
    options.idle_timeout = Duration::from_millis(700);
    options.write_timeout = Duration::from_millis(700);
    options
}

/// A server over TLS with HTTP/2, and how often its service was called.
async fn start(pair: &Pair, mut options: ServerOptions, body: impl Fn() -> Body + Clone + Send + 'static) -> (Gate, Arc<AtomicUsize>) {
    options.tls = Some(pair.load(true, &options.metrics));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = tower::service_fn(move |request: Request<Incoming>| {
        counted.fetch_add(1, Ordering::Relaxed);
        assert_eq!(request.uri().authority(), None);
        assert_eq!(request.headers()["host"], "gate");
        let body = body();
        async { Ok(Response::new(body)) }
    });
    (Gate::start(options, service).await, calls)
}

async fn client(pair: &Pair, gate: &Gate) -> SendRequest<Empty<bytes::Bytes>> {
    let stream = pair.connect(gate, &["h2"]).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move { connection.await.is_ok() });
    sender
}

fn get() -> Request<Empty<bytes::Bytes>> {
    Request::get("https://gate/v2/").body(Empty::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_arrives_whole_on_each_of_many_streams() {
    let pair = Pair::new();
    let (gate, _calls) = start(&pair, options(), || Body::stored(PatternBlob::warm(1_000_000), 0..1_000_000)).await;
    let mut sender = client(&pair, &gate).await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        sender.ready().await.unwrap();
        let answer = sender.send_request(get());
        answers.push(tokio::spawn(async move { answer.await.unwrap().into_body().collect().await.unwrap().to_bytes().len() }));
    }
    let mut whole = 0;
    for answer in answers {
        whole += usize::from(answer.await.unwrap() == 1_000_000);
    }
    assert_eq!(whole, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_body_resets_its_stream_and_no_other() {
    let pair = Pair::new();
    let (progress, watched) = tokio::sync::watch::channel(Progress::Visible(1000));
    let (gate, _calls) = start(&pair, options(), move || Body::growing(PatternBlob::warm(5000), 5000, watched.clone())).await;
    let mut sender = client(&pair, &gate).await;
    let mut body = sender.send_request(get()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), 1000);
    progress.send_replace(Progress::Failed);
    assert!(body.frame().await.unwrap().is_err());
    progress.send_replace(Progress::Complete);
    assert_eq!(sender.send_request(get()).await.unwrap().into_body().collect().await.unwrap().to_bytes().len(), 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_differs_from_the_authority_is_a_bad_request() {
    let pair = Pair::new();
    let (gate, calls) = start(&pair, options(), Body::empty).await;
    let mut sender = client(&pair, &gate).await;
    let request = Request::get("https://gate/v2/").header("host", "other").body(Empty::new()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

// D14
#[tokio::test(flavor = "multi_thread")]
async fn a_rapid_reset_ends_the_connection() {
    let pair = Pair::new();
    let (gate, calls) = start(&pair, options(), Body::empty).await;
    let mut stream = pair.connect(&gate, &["h2"]).await.unwrap();
    let mut attack = [PREFACE, &frame(4, 0, 0, b"")].concat();
    for stream in (1..40_001).step_by(2) {
        attack.extend(frame(1, 0x5, stream, HEAD));
        attack.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    // The server closes in the middle.
    let _closed = stream.write_all(&attack).await.is_err();
    let _closed = stream.flush().await.is_err();
    let answer = rest(&mut stream).await;
    // GOAWAY with ENHANCE_YOUR_CALM is the last word, where it still arrived.
    if !answer.is_empty() {
        assert!(calls.load(Ordering::Relaxed) < 20_000, "{calls:?}");
    }
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 0).await;
    assert!(calls.load(Ordering::Relaxed) < 20_000, "{calls:?}");
}

// D14
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_continuations_ends_the_connection() {
    let pair = Pair::new();
    let (gate, calls) = start(&pair, options(), Body::empty).await;
    let mut stream = pair.connect(&gate, &["h2"]).await.unwrap();
    stream.write_all(&[PREFACE, &frame(4, 0, 0, b""), &frame(1, 0x1, 1, HEAD)].concat()).await.unwrap();
    // Literal header `a: b` without indexing, again and again, never END_HEADERS.
    let flood = frame(9, 0, 1, &b"\x00\x01a\x01b".repeat(3000));
    let mut sent = 0;
    while sent < 100_000 && stream.write_all(&flood).await.is_ok() && stream.flush().await.is_ok() {
        sent += 1;
    }
    assert!(sent < 100_000, "the server took it all");
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 0).await;
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

// D17
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_window_stays_shut_is_cut_off() {
    let pair = Pair::new();
    let (gate, calls) = start(&pair, short(), || Body::stored(PatternBlob::warm(1 << 20), 0..1 << 20)).await;
    let mut stream = pair.connect(&gate, &["h2"]).await.unwrap();
    stream.write_all(&[PREFACE, &frame(4, 0, 0, b""), &frame(1, 0x5, 1, HEAD)].concat()).await.unwrap();
    // It reads what comes, and never sends WINDOW_UPDATE.
    let received = rest(&mut stream).await;
    assert!(received.len() < 100_000, "{}", received.len());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(gate.metrics.connections(Listener::Gate).reaped(Phase::Write).get(), 1);
}

// D17: a connection that keeps answering pings but never asks for anything, and one that never ends its head.
#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_request_end() {
    let pair = Pair::new();
    let (gate, calls) = start(&pair, short(), Body::empty).await;
    for opening in [&b""[..], &frame(1, 0x1, 1, HEAD)] {
        let mut stream = pair.connect(&gate, &["h2"]).await.unwrap();
        stream.write_all(&[PREFACE, &frame(4, 0, 0, b""), opening].concat()).await.unwrap();
        let mut buffer = [0; 1024];
        let talk = async {
            loop {
                tokio::select! {
                    read = stream.read(&mut buffer) => if !matches!(read, Ok(1..)) { break },
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
                if opening.is_empty() && stream.write_all(&frame(6, 0, 0, b"12345678")).await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(crate::gate::PATIENCE, talk).await.expect("the connection stays open");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shutdown_lets_streams_finish() {
    let pair = Pair::new();
    let (progress, watched) = tokio::sync::watch::channel(Progress::Visible(1000));
    let (gate, _calls) = start(&pair, options(), move || Body::growing(PatternBlob::warm(5000), 5000, watched.clone())).await;
    let mut sender = client(&pair, &gate).await;
    let body = sender.send_request(get()).await.unwrap().into_body();
    gate.trigger.fire();
    tokio::time::sleep(Duration::from_millis(100)).await;
    progress.send_replace(Progress::Complete);
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 5000);
    assert_eq!(gate.stop().await.cut, 0);
}
