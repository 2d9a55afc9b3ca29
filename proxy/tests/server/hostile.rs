//! Requests that try to be two, or none (D13).

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use hyper::body::Incoming;
use sealgate::body::Body;
use sealgate::metrics::Listener;
use sealgate::server::{Limits, layers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gate::{Gate, head, hello, options, rest};

/// A server that records which paths it was asked for.
async fn recording() -> (Gate, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<Incoming>| {
        shared.lock().unwrap().push(request.uri().to_string());
        async { Ok(Response::new(Body::full("hello".into()))) }
    });
    (Gate::start(options(), service).await, seen)
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: gate\r\n\r\n";

// D13
#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_doubtful_length_carries_no_other() {
    let chunk = "0\r\n\r\n";
    for head in [
        "Content-Length: 5\r\nContent-Length: 6".to_owned(),
        format!("Content-Length: 5\r\nContent-Length: {}", SMUGGLED.len()),
        "Content-Length: 5, 6".to_owned(),
        "Content-Length: +5".to_owned(),
        "Content-Length: 0x5".to_owned(),
        "Content-Length: -1".to_owned(),
        "Content-Length: 18446744073709551617".to_owned(),
        "Content-Length : 5".to_owned(),
        "Content-Length: 5\r\nTransfer-Encoding: chunked".to_owned(),
        "Transfer-Encoding: chunked\r\nContent-Length: 5".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked, identity".to_owned(),
        "Transfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding:\x0bchunked".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        "X: y\r\n Transfer-Encoding: chunked".to_owned(),
        "X: y\rTransfer-Encoding: chunked".to_owned(),
        "X: y\0".to_owned(),
    ] {
        let (gate, seen) = recording().await;
        let answer = gate.send(format!("POST /first HTTP/1.1\r\nHost: gate\r\n{head}\r\n\r\n{chunk}{SMUGGLED}").as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{head:?}: {answer}");
        assert!(seen.lock().unwrap().is_empty(), "{head:?}: {seen:?}");
    }
}

// D13
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_host_or_target_is_a_bad_request() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a?x=1\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET http://other/v2/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        "GET http://user@gate/v2/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        "GET http:///v2/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        "CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: gate\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: gate\r\n\r\n",
        "GET v2/ HTTP/1.1\r\nHost: gate\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: gate\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: gate\r\n\r\n",
        "G@T / HTTP/1.1\r\nHo st: gate\r\n\r\n",
    ] {
        let (gate, seen) = recording().await;
        let answer = gate.send(request.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.0 400 "), "{request:?}: {answer}");
        assert!(seen.lock().unwrap().is_empty(), "{request:?}: {seen:?}");
    }
}

// D13
#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_target_of_the_same_host_is_seen_as_a_path() {
    let (gate, seen) = recording().await;
    let answer = gate.send(b"GET http://gate/v2/?n=1 HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(*seen.lock().unwrap(), ["/v2/?n=1"]);
}

// D14: prior knowledge of HTTP/2 in cleartext.
#[tokio::test(flavor = "multi_thread")]
async fn cleartext_http2_is_not_spoken() {
    let (gate, seen) = recording().await;
    let answer = gate.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_beyond_the_limit_is_refused() {
    let gate = Gate::start(options(), tower::service_fn(hello)).await;
    let long = format!("GET / HTTP/1.1\r\nHost: gate\r\nX: {}\r\n\r\n", "a".repeat(17 * 1024));
    let many = format!("GET / HTTP/1.1\r\nHost: gate\r\n{}\r\n", "X: y\r\n".repeat(200));
    let target = format!("GET /{} HTTP/1.1\r\nHost: gate\r\n\r\n", "a".repeat(17 * 1024));
    for request in [long, many, target] {
        let answer = gate.send(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 ") || answer.starts_with("HTTP/1.1 414 "), "{answer}");
    }
    let fits = format!("GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nX: {}\r\n\r\n", "a".repeat(15 * 1024));
    assert!(gate.send(fits.as_bytes()).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_limit_ends_the_connection() {
    let (gate, seen) = recording().await;
    let answer = gate.send(b"POST / HTTP/1.1\r\nHost: gate\r\nContent-Length: 65537\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close"), "{answer}");
    let answer = gate.send(b"POST / HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 411 ") && answer.contains("connection: close"), "{answer}");
    assert!(seen.lock().unwrap().is_empty());
}

// A body that nobody reads must not become the next request.
#[tokio::test(flavor = "multi_thread")]
async fn an_unread_body_is_never_taken_for_a_request() {
    let (gate, seen) = recording().await;
    let first = format!("POST /first HTTP/1.1\r\nHost: gate\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len());
    let answer = gate.send(format!("{first}GET /second HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!seen.lock().unwrap().iter().any(|path| path == "/smuggled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_closed_at_once() {
    let mut options = options();
    options.max_connections = 2;
    let gate = Gate::start(options, tower::service_fn(hello)).await;
    let mut first = gate.connect().await;
    let second = gate.connect().await;
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 2).await;
    assert_eq!(gate.send(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await, "");
    assert_eq!(gate.metrics.connections(Listener::Gate).refused.get(), 1);
    drop(second);
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 1).await;
    assert!(gate.send(b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    first.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut first).await.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_panics_costs_one_connection() {
    let service = tower::service_fn(|request: Request<Incoming>| async move {
        assert_ne!(request.uri().path(), "/panic");
        Ok(Response::new(Body::empty()))
    });
    let gate = Gate::start(options(), service).await;
    assert_eq!(gate.send(b"GET /panic HTTP/1.1\r\nHost: gate\r\n\r\n").await, "");
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 0).await;
    assert!(gate.send(b"GET / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_the_limit_are_told_to_come_back() {
    let (release, wait) = tokio::sync::watch::channel(false);
    let service = tower::service_fn(move |_request: Request<Incoming>| {
        let mut wait = wait.clone();
        async move {
            let _released = wait.wait_for(|released| *released).await.is_ok();
            Ok(Response::new(Body::full("hello".into())))
        }
    });
    let limits = Limits { requests: 2, ..Limits::default() };
    let gate = Gate::start(options(), layers(service, limits)).await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut stream = gate.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
        waiting.push(stream);
    }
    let mut shed = 0;
    while shed == 0 {
        let mut stream = gate.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        let early = tokio::time::timeout(std::time::Duration::from_millis(200), stream.read_exact(&mut first)).await;
        match early {
            Ok(read) => {
                read.unwrap();
                assert_eq!(&first, b"HTTP/1.1 503");
                let head = head(&mut stream).await;
                assert!(head.contains("retry-after: 2\r\n"), "{head}");
                shed += 1;
            }
            // It came before one of the two.
            Err(_elapsed) => waiting.push(stream),
        }
    }
    release.send_replace(true);
    let mut answered = 0;
    for mut stream in waiting {
        answered += usize::from(head(&mut stream).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(answered, 2);
}
