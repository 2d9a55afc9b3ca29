//! Bodies of blobs: whole, in part, cut and growing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Response;
use http_body::Body as _;
use http_body_util::BodyExt;
use prometheus_client::metrics::counter::Counter;
use sealgate::body::{Body, Progress};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::blob::{PatternBlob, pattern};
use crate::gate::{Gate, options, rest};

async fn next(body: &mut Body) -> Option<std::io::Result<Bytes>> {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
}

/// Polls once; None if it would wait.
fn now(body: &mut Body) -> Option<Option<std::io::Result<Bytes>>> {
    match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => Some(frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_range_of_a_blob_arrives_whole_from_cache_and_from_disk() {
    for size in [0, 1, 16 * 1024, 64 * 1024, 64 * 1024 + 1, 256 * 1024, 3 * 1024 * 1024 + 7] {
        for range in [0..size, size / 3..size, 0..size / 2, size..size] {
            for blob in [PatternBlob::warm(size), PatternBlob::cold(size)] {
                let served = Counter::default();
                let body = Body::stored(blob, range.clone()).counted(served.clone());
                assert_eq!(body.size_hint().exact(), Some(range.end - range.start));
                let bytes = body.collect().await.unwrap().to_bytes();
                assert!(bytes.iter().copied().eq(range.clone().map(pattern)), "{range:?} of {size}");
                assert_eq!(served.get(), range.end - range.start);
            }
        }
    }
}

#[tokio::test]
async fn the_size_hint_stays_exact() {
    let mut body = Body::stored(PatternBlob::warm(600 * 1024), 0..600 * 1024);
    for left in [600, 344, 88, 0] {
        assert_eq!(body.size_hint().exact(), Some(left * 1024));
        assert_eq!(body.is_end_stream(), left == 0);
        let _piece = next(&mut body).await;
    }
}

#[tokio::test]
async fn a_long_body_lets_others_run_each_mebibyte() {
    let mut body = Body::stored(PatternBlob::warm(4 * 1024 * 1024), 0..4 * 1024 * 1024);
    let (mut pieces, mut pauses) = (0, 0);
    loop {
        match now(&mut body) {
            None => pauses += 1,
            Some(Some(Ok(_))) => pieces += 1,
            Some(Some(Err(error))) => panic!("{error}"),
            Some(None) => break,
        }
    }
    assert_eq!((pieces, pauses), (16, 3));
}

// F18: the file shrank under us.
#[tokio::test]
async fn a_blob_that_is_too_short_is_an_error_and_stays_one() {
    for blob in [PatternBlob::warm(1000), PatternBlob::cold(1000)] {
        let mut body = Body::stored(blob, 0..1001);
        assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 1000);
        assert_eq!(next(&mut body).await.unwrap().unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(next(&mut body).await.unwrap().is_err());
        assert!(!body.is_end_stream());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_cut_body_sees_fewer_bytes_than_promised() {
    let service = tower::service_fn(|_request| async { Ok(Response::new(Body::stored(PatternBlob::warm(100_000), 0..200_000))) });
    let gate = Gate::start(options(), service).await;
    let answer = gate.send(b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n").await;
    assert!(answer.contains("content-length: 200000\r\n"), "{answer:.200}");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(body.chars().count() <= 100_000);
    assert_eq!(gate.stop().await.cut, 0);
}

#[tokio::test]
async fn a_growing_blob_is_sent_as_far_as_it_is_visible() {
    let blob = PatternBlob::warm(1000);
    let (progress, watched) = watch::channel(Progress::Visible(0));
    let mut body = Body::growing(blob, 1000, watched);
    assert_eq!(body.size_hint().exact(), Some(1000));
    assert!(now(&mut body).is_none());
    progress.send_replace(Progress::Visible(300));
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 300);
    assert!(now(&mut body).is_none());
    progress.send_replace(Progress::Visible(999));
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 699);
    assert!(now(&mut body).is_none());
    progress.send_replace(Progress::Complete);
    drop(progress);
    assert_eq!(next(&mut body).await.unwrap().unwrap(), vec![pattern(999)]);
    assert!(next(&mut body).await.is_none());
}

#[tokio::test]
async fn the_last_byte_waits_for_the_digest_even_if_it_is_said_to_be_visible() {
    let (progress, watched) = watch::channel(Progress::Visible(1000));
    let mut body = Body::growing(PatternBlob::warm(1000), 1000, watched);
    assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 999);
    assert!(now(&mut body).is_none());
    progress.send_replace(Progress::Failed);
    assert!(next(&mut body).await.unwrap().is_err());
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn a_growing_blob_fails_with_its_fetch() {
    // Failed while bytes are still to be sent, failed with all of them sent, and a fetch task that is gone.
    for (visible, failure) in [(10, Some(Progress::Failed)), (0, Some(Progress::Failed)), (10, None)] {
        let (progress, watched) = watch::channel(Progress::Visible(visible));
        let mut body = Body::growing(PatternBlob::warm(1000), 1000, watched);
        match failure {
            Some(failure) => drop(progress.send_replace(failure)),
            None => {
                assert_eq!(next(&mut body).await.unwrap().unwrap().len(), 10);
                drop(progress);
            }
        }
        assert!(next(&mut body).await.unwrap().is_err(), "{visible} {failure:?}");
        assert!(next(&mut body).await.unwrap().is_err());
    }
}

#[tokio::test]
async fn followers_of_one_fetch_all_get_everything() {
    let (progress, watched) = watch::channel(Progress::Visible(0));
    let followers: Vec<_> = (0..16)
        .map(|number| {
            let blob = if number % 2 == 0 { PatternBlob::warm(2_000_000) } else { PatternBlob::cold(2_000_000) };
            tokio::spawn(Body::growing(blob, 2_000_000, watched.clone()).collect())
        })
        .collect();
    for visible in (0..2_000_000).step_by(77_777) {
        progress.send_replace(Progress::Visible(visible));
        tokio::task::yield_now().await;
    }
    progress.send_replace(Progress::Complete);
    for follower in followers {
        let bytes = follower.await.unwrap().unwrap().to_bytes();
        assert!(bytes.iter().copied().eq((0..2_000_000).map(pattern)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_reads_nothing_of_the_blob() {
    let blob = PatternBlob::warm(1_000_000);
    let shared = Arc::clone(&blob);
    let service = tower::service_fn(move |_request| {
        let blob = Arc::clone(&shared);
        async move { Ok(Response::new(Body::stored(blob, 0..1_000_000))) }
    });
    let gate = Gate::start(options(), service).await;
    let mut stream = gate.connect().await;
    stream.write_all(b"HEAD / HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(rest(&mut stream).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("content-length: 1000000\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"));
    assert_eq!(blob.reads.load(Ordering::Relaxed), 0);
}
