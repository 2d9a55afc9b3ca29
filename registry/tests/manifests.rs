//! Manifests: whose word counts, and what is refused.

mod support;

use sealgate_registry::{ClientConfig, FetchError};
use sealgate_verifier::{Digest, limits, media_type};
use support::{Server, answer, breaking, certificate, endless, stalling};

const MANIFEST: &str = r#"{"schemaVersion":2}"#;
const TYPE: (&str, &str) = ("content-type", media_type::OCI_MANIFEST);

fn tag() -> sealgate_verifier::ManifestReference {
    "latest".parse().expect("a tag")
}

fn by_digest(digest: &Digest) -> sealgate_verifier::ManifestReference {
    sealgate_verifier::ManifestReference::Digest(*digest)
}

#[tokio::test]
async fn a_manifest_arrives_with_our_own_hash() {
    let lie = Digest::sha256(b"other").to_string();
    let server = Server::start(move |_, _| {
        let typed = format!("{}; charset=utf-8", media_type::OCI_MANIFEST);
        answer(200, &[("content-type", &typed), ("docker-content-digest", &lie)], MANIFEST)
    })
    .await;
    let client = server.client();
    // A3: the header lies, the hash counts.
    for reference in [tag(), by_digest(&Digest::sha256(MANIFEST.as_bytes()))] {
        let fetched = client.get_manifest("library/nginx", &reference).await.expect("a manifest");
        assert_eq!(fetched.digest, Digest::sha256(MANIFEST.as_bytes()));
        assert_eq!(fetched.media_type.as_deref(), Some(media_type::OCI_MANIFEST));
    }
    let asked = server.asked();
    assert_eq!(asked[0].line(), "GET /v2/library/nginx/manifests/latest");
    assert!(media_type::MANIFESTS.iter().all(|wanted| asked[0].header("accept").is_some_and(|accept| accept.contains(wanted))));
    assert_eq!((asked[0].header("user-agent"), asked[0].header("authorization")), (Some("sealgate/test"), None));
    assert_eq!(asked[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn other_bytes_than_the_digest_asked_for_are_refused() {
    // A3
    let asked_for = Digest::sha256(b"what was asked for");
    let header = asked_for.to_string();
    let server = Server::start(move |_, _| answer(200, &[TYPE, ("docker-content-digest", &header)], MANIFEST)).await;
    let error = server.client().get_manifest("a/b", &by_digest(&asked_for)).await.expect_err("other bytes");
    assert!(matches!(&error, FetchError::Malformed { problem } if problem.contains(&asked_for.to_string())), "{error}");
}

#[tokio::test]
async fn a_head_that_names_another_digest_is_refused() {
    // A3
    let asked_for = Digest::sha256(b"what was asked for");
    let server = Server::start(|_, _| answer(200, &[TYPE, ("docker-content-digest", &Digest::sha256(b"x").to_string())], MANIFEST)).await;
    let client = server.client();
    assert!(matches!(client.head_manifest("a/b", &by_digest(&asked_for)).await, Err(FetchError::Malformed { .. })));
    let head = client.head_manifest("a/b", &tag()).await.expect("a head");
    assert_eq!((head.digest, head.size), (Some(Digest::sha256(b"x")), Some(MANIFEST.len() as u64)));
}

#[tokio::test]
async fn a_web_page_is_no_manifest() {
    // F30
    let server = Server::start(|_, _| answer(200, &[("content-type", "text/html; charset=utf-8")], "<html>Sign in</html>")).await;
    let client = server.client();
    assert!(matches!(client.get_manifest("a/b", &tag()).await, Err(FetchError::Malformed { .. })));
    assert!(matches!(client.head_manifest("a/b", &tag()).await, Err(FetchError::Malformed { .. })));
}

#[tokio::test]
async fn a_compressed_manifest_is_refused() {
    let server = Server::start(|_, _| answer(200, &[TYPE, ("content-encoding", "gzip")], MANIFEST)).await;
    assert!(matches!(server.client().get_manifest("a/b", &tag()).await, Err(FetchError::Malformed { .. })));
}

#[tokio::test]
async fn an_endless_manifest_is_cut_off() {
    // A8: without a length, and with one that lies small or tells large.
    let server = Server::start(|asked, _| match asked.target.as_str() {
        "/v2/a/manifests/latest" => endless(&[TYPE]),
        _ => answer(200, &[TYPE], vec![b' '; limits::MANIFEST_BYTES + 1]),
    })
    .await;
    let client = server.client();
    let too_large = FetchError::TooLarge { limit: limits::MANIFEST_BYTES as u64 };
    assert_eq!(client.get_manifest("a", &tag()).await, Err(too_large.clone()));
    assert_eq!(client.get_manifest("b", &tag()).await, Err(too_large));
}

#[tokio::test]
async fn a_manifest_that_ends_early_is_truncated() {
    // F2
    let server = Server::start(|_, _| breaking(&[TYPE, ("content-length", "100")], b"{\"schema")).await;
    let answer = server.client().get_manifest("a/b", &tag()).await;
    assert_eq!(answer, Err(FetchError::Truncated { expected: 100, found: 8 }));
}

#[tokio::test]
async fn a_manifest_that_stalls_times_out() {
    // F3, in the body and before the head.
    let server = Server::start(|_, _| stalling(&[TYPE], b"{")).await;
    let client = server.client_with(|config| config.idle_timeout = std::time::Duration::from_millis(200));
    assert_eq!(client.get_manifest("a/b", &tag()).await, Err(FetchError::Timeout));
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut config = ClientConfig::anonymous(&format!("http://{}", silent.local_addr().expect("an address")), "t");
    config.addresses.unrestricted = true;
    config.idle_timeout = std::time::Duration::from_millis(200);
    let client = sealgate_registry::Client::new(config).expect("a client");
    assert_eq!(client.get_manifest("a/b", &tag()).await, Err(FetchError::Timeout));
}

#[tokio::test]
async fn statuses_keep_their_meaning() {
    // F8, F10
    for (status, expected, requests) in [
        (404, FetchError::NotFound, 1),
        (403, FetchError::Denied { status: 403 }, 1),
        (401, FetchError::Denied { status: 401 }, 1),
        (429, FetchError::RateLimited { retry_after: Some(std::time::Duration::from_secs(7)) }, 1),
        (500, FetchError::Unavailable { status: 500 }, 1),
        // One retry, no more.
        (502, FetchError::Unavailable { status: 502 }, 2),
        (503, FetchError::Unavailable { status: 503 }, 2),
        (400, FetchError::Unavailable { status: 400 }, 1),
        (303, FetchError::Unavailable { status: 303 }, 1),
    ] {
        let server = Server::start(move |_, _| answer(status, &[("retry-after", "7")], "x")).await;
        assert_eq!(server.client().get_manifest("a/b", &tag()).await, Err(expected), "{status}");
        assert_eq!(server.asked().len(), requests, "{status}");
    }
}

#[tokio::test]
async fn a_broken_connection_is_retried_once() {
    let server = Server::start(|_, before| if before == 0 { None } else { answer(200, &[TYPE], MANIFEST) }).await;
    assert!(server.client().get_manifest("a/b", &tag()).await.is_ok());
    assert_eq!(server.asked().len(), 2);
    let server = Server::start(|_, _| None).await;
    assert!(matches!(server.client().get_manifest("a/b", &tag()).await, Err(FetchError::Unreachable { .. })));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    // F10
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let mut config = ClientConfig::anonymous(&url, "t");
    config.addresses.unrestricted = true;
    let error = sealgate_registry::Client::new(config).expect("a client").get_manifest("a/b", &tag()).await.expect_err("nobody");
    assert_eq!(error, FetchError::Unreachable { detail: "connection refused".to_owned() });
}

#[tokio::test]
async fn an_unknown_certificate_is_not_spoken_to() {
    // B7 for the registry itself
    let (tls, pem) = certificate();
    let server = Server::start_tls(tls, |_, _| answer(200, &[TYPE], MANIFEST)).await;
    let error = server.client().get_manifest("a/b", &tag()).await.expect_err("a stranger");
    assert!(matches!(&error, FetchError::Unreachable { detail } if detail.starts_with("TLS: ")), "{error}");
    assert_eq!(server.asked().len(), 0);
    let folder = tempfile::tempdir().expect("a folder");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).expect("a file");
    let client = server.client_with(|config| config.ca = Some(ca));
    assert!(client.get_manifest("a/b", &tag()).await.is_ok());
}

#[tokio::test]
async fn a_hostile_repository_path_asks_nobody() {
    // A7
    let server = Server::start(|_, _| answer(200, &[TYPE], MANIFEST)).await;
    for path in ["", "../x", "a/../b", "a//b", "A", "a?b", "a%2fb", "a\0"] {
        assert!(matches!(server.client().get_manifest(path, &tag()).await, Err(FetchError::Malformed { .. })), "{path}");
    }
    assert_eq!(server.asked().len(), 0);
}
