//! Pushes.

mod support;

use bytes::Bytes;
use sealgate_registry::FetchError;
use sealgate_verifier::{Digest, ManifestReference, media_type};
use support::{Server, answer, everywhere, user};

const BLOB: &[u8] = b"payload";

async fn uploading(location: &'static str) -> Server {
    Server::start(move |asked, _| match asked.method.as_str() {
        "HEAD" => answer(404, &[], ""),
        "POST" => answer(202, &[("location", location)], ""),
        _ => answer(201, &[], ""),
    })
    .await
}

#[tokio::test]
async fn a_blob_is_uploaded_where_the_registry_says() {
    let server = uploading("/v2/a/b/blobs/uploads/1?_state=x%2By").await;
    let digest = Digest::sha256(BLOB);
    server.client().push_blob("a/b", &digest, Bytes::from_static(BLOB)).await.expect("pushed");
    let put = format!("PUT /v2/a/b/blobs/uploads/1?_state=x%2By&digest={}", digest.to_string().replace(':', "%3A"));
    assert_eq!(server.lines(), [format!("HEAD /v2/a/b/blobs/{digest}"), "POST /v2/a/b/blobs/uploads/".to_owned(), put]);
    assert_eq!(server.asked()[2].body, BLOB);
    assert_eq!(server.asked()[1].header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_blob_that_is_there_is_not_uploaded() {
    let server = Server::start(|_, _| answer(200, &[], BLOB)).await;
    assert_eq!(server.client().push_blob("a", &Digest::sha256(BLOB), Bytes::from_static(BLOB)).await, Ok(()));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_upload_location_on_another_host_is_refused() {
    // B6
    for location in ["http://evil.example/upload", "//evil.example/upload", "https://127.0.0.1/upload", "ftp://x/"] {
        let server = uploading(location).await;
        let pushed = server.client().push_blob("a", &Digest::sha256(BLOB), Bytes::from_static(BLOB)).await;
        assert!(matches!(pushed, Err(FetchError::Forbidden { .. })), "{location}: {pushed:?}");
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_write_is_neither_redirected_nor_repeated() {
    let server = Server::start(|asked, _| match asked.method.as_str() {
        "HEAD" => answer(404, &[], ""),
        _ => answer(307, &[("location", "/elsewhere")], ""),
    })
    .await;
    let pushed = server.client().push_blob("a", &Digest::sha256(BLOB), Bytes::from_static(BLOB)).await;
    assert!(matches!(pushed, Err(FetchError::Forbidden { .. })));
    assert_eq!(server.asked().len(), 2);
    let server = Server::start(|asked, _| if asked.method == "HEAD" { answer(404, &[], "") } else { answer(503, &[], "") }).await;
    let pushed = server.client().push_blob("a", &Digest::sha256(BLOB), Bytes::from_static(BLOB)).await;
    assert_eq!((pushed, server.asked().len()), (Err(FetchError::Unavailable { status: 503 }), 2));
}

#[tokio::test]
async fn a_manifest_tells_whether_its_subject_was_processed() {
    let subject = Digest::sha256(b"subject");
    let manifest = format!(r#"{{"schemaVersion":2,"subject":{{"mediaType":"x","digest":"{subject}","size":1}}}}"#);
    for (header, processed) in [(Some(subject.to_string()), true), (None, false), (Some(Digest::sha256(b"x").to_string()), false)] {
        let server = Server::start(move |_, _| {
            answer(201, &header.as_deref().map(|value| ("oci-subject", value)).into_iter().collect::<Vec<_>>(), "")
        })
        .await;
        let reference = ManifestReference::Digest(Digest::sha256(manifest.as_bytes()));
        let put = server.client().put_manifest("a", &reference, media_type::OCI_MANIFEST, Bytes::from(manifest.clone())).await;
        assert_eq!(put, Ok(processed));
        assert_eq!(server.asked()[0].header("content-type"), Some(media_type::OCI_MANIFEST));
    }
    let wrong = ManifestReference::Digest(Digest::sha256(b"other"));
    let server = uploading("/").await;
    assert!(server.client().put_manifest("a", &wrong, media_type::OCI_MANIFEST, Bytes::from(manifest)).await.is_err());
    assert_eq!(server.asked().len(), 0);
}

#[tokio::test]
async fn a_push_asks_for_the_right_to_push() {
    let server = Server::start(|asked, _| {
        if asked.target.starts_with("/token") {
            return answer(200, &[], r#"{"access_token":"t"}"#);
        }
        match asked.header("authorization") {
            Some("Bearer t") => answer(201, &[], ""),
            _ => answer(
                401,
                &[("www-authenticate", &format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap_or_default()))],
                "",
            ),
        }
    })
    .await;
    let client = server.client_with(|config| config.credentials = everywhere(user("u", "p")));
    let tag = "latest".parse().expect("a tag");
    assert_eq!(client.put_manifest("a/b", &tag, media_type::OCI_MANIFEST, Bytes::from_static(b"{}")).await, Ok(false));
    assert_eq!(server.asked()[1].line(), "GET /token?scope=repository%3Aa%2Fb%3Apull%2Cpush");
    // The body is sent again after the challenge.
    assert_eq!(server.asked()[2].body, "{}");
}
