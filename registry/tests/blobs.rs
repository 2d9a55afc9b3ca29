//! Blobs: redirects, ranges, bodies that do not end as announced.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use sealgate_registry::{AddressGuard, BlobStream, FetchError};
use sealgate_verifier::Digest;
use support::{Server, answer, breaking, certificate, everywhere, stalling, user};

const BLOB: &[u8] = b"0123456789";

fn digest() -> Digest {
    Digest::sha256(BLOB)
}

async fn read(mut blob: BlobStream) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = blob.body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

fn forbidden<T: std::fmt::Debug>(answer: Result<T, FetchError>) -> String {
    match answer {
        Err(FetchError::Forbidden { problem }) => problem,
        other => panic!("expected Forbidden, found {other:?}"),
    }
}

/// A registry that wants Basic credentials and redirects blobs to `target`.
async fn redirecting(target: String) -> Server {
    Server::start(move |asked, _| match asked.header("authorization") {
        None => answer(401, &[("www-authenticate", "Basic realm=\"r\"")], ""),
        Some(_) => answer(307, &[("location", &target), ("set-cookie", "session=secret")], ""),
    })
    .await
}

#[tokio::test]
async fn a_redirected_blob_is_fetched_as_a_stranger() {
    // B3
    let storage = Server::start(|_, _| answer(200, &[], BLOB)).await;
    let registry = redirecting(format!("{}/signed?sig=1#x", storage.url())).await;
    let client = registry.client_with(|config| config.credentials = everywhere(user("u", "hunter2")));
    let blob = client.get_blob("a/b", &digest(), 0).await.expect("a blob");
    assert_eq!((blob.size, blob.offset), (Some(10), 0));
    assert_eq!(read(blob).await.expect("bytes"), BLOB);
    assert_eq!(client.head_blob("a/b", &digest()).await, Ok(Some(10)));
    assert_eq!(storage.lines(), ["GET /signed?sig=1", "HEAD /signed?sig=1"]);
    for asked in storage.asked() {
        for header in ["authorization", "cookie", "referer", "proxy-authorization"] {
            assert_eq!(asked.header(header), None);
        }
    }
    assert!(registry.asked().last().is_some_and(|asked| asked.header("authorization").is_some() && asked.header("cookie").is_none()));
}

#[tokio::test]
async fn a_challenge_from_a_redirect_target_is_not_answered() {
    // B3, B8: another registry's 401 gets no credentials, nor does its realm.
    let realm = Server::start(|_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
    let challenge = format!("Bearer realm=\"{}/t\"", realm.url());
    let storage =
        Server::start(move |_, _| answer(401, &[("www-authenticate", "Basic realm=x"), ("www-authenticate", &challenge)], "")).await;
    let target = storage.url();
    let registry = Server::start(move |_, _| answer(307, &[("location", &target)], "")).await;
    let client = registry.client_with(|config| config.credentials = everywhere(user("u", "hunter2")));
    assert_eq!(client.get_blob("a/b", &digest(), 0).await.err(), Some(FetchError::Denied { status: 401 }));
    assert_eq!((registry.asked().len(), storage.asked().len(), realm.asked().len()), (1, 1, 0));
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_not_dialled() {
    // B2, B4: literal in all spellings, and by name after resolution.
    for target in [
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:1/x",
        "http://2852039166/",
        "http://0xa9.0xfe.43518/",
        "http://[::ffff:10.0.0.1]/",
    ] {
        let registry = redirecting(target.to_owned()).await;
        let client = registry.client_with(|config| config.credentials = everywhere(user("u", "p")));
        let problem = forbidden(client.get_blob("a/b", &digest(), 0).await);
        assert!(problem.contains("private or special address"), "{target}: {problem}");
    }
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_dialled() {
    // B2: judged after resolution.
    let secret = Server::start(|_, _| answer(200, &[], BLOB)).await;
    let url = format!("http://localhost:{}", secret.address.port());
    let guarded = |allowed: &[&str]| {
        let allowed = allowed.iter().map(|range| range.parse().expect("range")).collect();
        secret.client_with(|config| {
            config.url.clone_from(&url);
            config.addresses = AddressGuard { allowed, unrestricted: false };
        })
    };
    let problem = forbidden(guarded(&[]).get_blob("a/b", &digest(), 0).await);
    assert!(problem.contains("localhost"), "{problem}");
    assert_eq!(secret.asked().len(), 0);
    assert!(guarded(&["127.0.0.1", "::1"]).get_blob("a/b", &digest(), 0).await.is_ok());
}

#[tokio::test]
async fn https_is_never_left_for_http() {
    // B4
    let plain = Server::start(|_, _| answer(200, &[], BLOB)).await;
    let target = plain.url();
    let (tls, pem) = certificate();
    let registry = Server::start_tls(tls, move |_, _| answer(302, &[("location", &target)], "")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).expect("a file");
    let client = registry.client_with(|config| config.ca = Some(ca));
    assert!(forbidden(client.get_blob("a/b", &digest(), 0).await).contains("from https to http"));
    assert_eq!(plain.asked().len(), 0);
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    // B4
    let registry = Server::start(|_, _| answer(307, &[("location", "?again")], "")).await;
    assert!(forbidden(registry.client().get_blob("a/b", &digest(), 0).await).contains("loops"));
    assert_eq!(registry.asked().len(), 2);
    let registry = Server::start(|_, before| answer(307, &[("location", &format!("?{before}"))], "")).await;
    assert!(forbidden(registry.client().get_blob("a/b", &digest(), 0).await).contains("more than 5 redirects"));
    assert_eq!(registry.asked().len(), 6);
}

#[tokio::test]
async fn a_blob_goes_on_where_it_ended() {
    // F2
    let server = Server::start(|asked, _| match asked.header("range") {
        Some("bytes=4-") => answer(206, &[("content-range", "bytes 4-9/10")], &BLOB[4..]),
        _ => answer(200, &[], BLOB),
    })
    .await;
    let blob = server.client().get_blob("a/b", &digest(), 4).await.expect("a blob");
    assert_eq!((blob.size, blob.offset), (Some(10), 4));
    assert_eq!(read(blob).await.expect("bytes"), &BLOB[4..]);
    // A registry that ignores the range answers from 0 and says so.
    let blob = server.client().get_blob("a/b", &digest(), 5).await.expect("a blob");
    assert_eq!((blob.size, blob.offset), (Some(10), 0));
}

#[tokio::test]
async fn a_wrong_range_is_refused() {
    for (status, range, body) in [(206, "bytes 0-9/10", BLOB), (206, "bytes 4-9/10", &BLOB[..3]), (206, "", BLOB), (416, "bytes */4", b"")]
    {
        let server = Server::start(move |_, _| answer(status, &[("content-range", range)], body)).await;
        assert!(matches!(server.client().get_blob("a/b", &digest(), 4).await, Err(FetchError::Malformed { .. })), "{status} {range}");
    }
    let unasked = Server::start(|_, _| answer(206, &[("content-range", "bytes 0-9/10")], BLOB)).await;
    assert!(matches!(unasked.client().get_blob("a/b", &digest(), 0).await, Err(FetchError::Malformed { .. })));
}

#[tokio::test]
async fn an_expired_storage_url_is_asked_for_again() {
    // F13: each storage URL is good for one request.
    let issued = Arc::new(Mutex::new(0));
    let (count, good) = (Arc::clone(&issued), Arc::clone(&issued));
    let storage = Server::start(move |asked, _| {
        let newest = format!("/signed?{}", good.lock().expect("count"));
        if asked.target == newest { breaking(&[("content-length", "10")], b"0123") } else { answer(403, &[], "expired") }
    })
    .await;
    let base = storage.url();
    let registry = Server::start(move |_, _| {
        let mut count = count.lock().expect("count");
        *count += 1;
        answer(307, &[("location", &format!("{base}/signed?{count}"))], "")
    })
    .await;
    let client = registry.client();
    for offset in [0, 4] {
        let blob = client.get_blob("a/b", &digest(), offset).await.expect("a blob");
        assert_eq!(read(blob).await, Err(FetchError::Truncated { expected: 10, found: 4 }));
    }
    assert_eq!((registry.asked().len(), storage.asked().len()), (2, 2));
}

#[tokio::test]
async fn a_blob_that_stalls_or_ends_early_is_an_error() {
    // F1, F2, F3
    let server = Server::start(|asked, _| match asked.target.starts_with("/v2/stall") {
        true => stalling(&[("content-length", "10")], b"012"),
        false => breaking(&[], b"012"),
    })
    .await;
    let client = server.client_with(|config| config.idle_timeout = Duration::from_millis(300));
    let blob = client.get_blob("stall", &digest(), 0).await.expect("a head");
    assert_eq!(read(blob).await, Err(FetchError::Timeout));
    let chunked = client.get_blob("chunked", &digest(), 0).await.expect("a head");
    assert!(matches!(read(chunked).await, Err(FetchError::Unreachable { .. })));
}

#[tokio::test]
async fn a_small_blob_is_checked_and_bounded() {
    // A4, A8
    let server = Server::start(|_, _| answer(200, &[], BLOB)).await;
    let client = server.client();
    assert_eq!(client.get_small_blob("a/b", &digest(), 10).await.as_deref(), Ok(BLOB));
    assert_eq!(client.get_small_blob("a/b", &digest(), 9).await, Err(FetchError::TooLarge { limit: 9 }));
    assert!(matches!(client.get_small_blob("a/b", &Digest::sha256(b"x"), 10).await, Err(FetchError::Malformed { .. })));
}
