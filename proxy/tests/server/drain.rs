//! Shutdown while clients pull (F31).

use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use sealgate::body::{Body, Progress};
use sealgate::metrics::Listener;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::blob::PatternBlob;
use crate::gate::{Gate, head, hello, options, rest};

/// A server whose bodies wait for `progress`.
async fn waiting(grace: Duration) -> (Gate, watch::Sender<Progress>) {
    let (progress, watched) = watch::channel(Progress::Visible(10));
    let service = tower::service_fn(move |_request: Request<Incoming>| {
        let body = Body::growing(PatternBlob::warm(1_000_000), 1_000_000, watched.clone());
        async { Ok(Response::new(body)) }
    });
    let mut options = options();
    options.grace = grace;
    (Gate::start(options, service).await, progress)
}

async fn pull(gate: &Gate) -> TcpStream {
    let mut stream = gate.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
    let _head = head(&mut stream).await;
    stream
}

// F31
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_pulls_finish_after_the_shutdown_was_requested() {
    let (gate, progress) = waiting(Duration::from_secs(25)).await;
    let mut pulls = Vec::new();
    for _ in 0..100 {
        pulls.push(pull(&gate).await);
    }
    gate.trigger.fire();
    let refused = async {
        while TcpStream::connect(gate.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::gate::PATIENCE, refused).await.expect("new connections are still accepted");
    progress.send_replace(Progress::Complete);
    let mut whole = 0;
    for mut stream in pulls {
        whole += usize::from(rest(&mut stream).await.len() == 1_000_000);
    }
    assert_eq!(whole, 100);
    assert_eq!(gate.stop().await.cut, 0);
}

// F31
#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_is_cut_and_counted() {
    let (gate, _progress) = waiting(Duration::from_millis(200)).await;
    let mut pulls = Vec::new();
    for _ in 0..3 {
        pulls.push(pull(&gate).await);
    }
    let metrics = std::sync::Arc::clone(&gate.metrics);
    assert_eq!(gate.stop().await.cut, 3);
    assert_eq!(metrics.connections(Listener::Gate).open.get(), 0);
    for mut stream in pulls {
        assert!(rest(&mut stream).await.len() < 1_000_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_delay_the_shutdown() {
    let gate = Gate::start(options(), tower::service_fn(hello)).await;
    let fresh = gate.connect().await;
    let mut used = gate.connect().await;
    used.write_all(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await.unwrap();
    let _head = head(&mut used).await;
    gate.until(|metrics| metrics.connections(Listener::Gate).open.get() == 2).await;
    // The grace is as long as the patience: waiting for it would fail.
    gate.trigger.fire();
    let drained = tokio::time::timeout(Duration::from_secs(10), gate.task).await.expect("idle connections were waited for").unwrap();
    assert_eq!(drained.cut, 0);
    drop(fresh);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_trigger_is_gone_stops() {
    let Gate { trigger, task, .. } = Gate::start(options(), tower::service_fn(hello)).await;
    drop(trigger);
    assert_eq!(tokio::time::timeout(crate::gate::PATIENCE, task).await.expect("it goes on").unwrap().cut, 0);
}
