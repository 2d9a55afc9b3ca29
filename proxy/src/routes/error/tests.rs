use std::sync::Arc;

use http_body_util::BodyExt;
use sealgate_verifier::{Denial, Digest, Manifest, Mode, Reason, Timestamp};

use super::*;
use crate::gate::Outcome;
use crate::gate::decided::{Decided, DecidedParts, Edition};

/// Words that stand for what no client may see.
const INNER: &str = "10.1.2.3 s3cr3t /var/lib/sealgate";

fn denied() -> GateError {
    let manifest = concat!(
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
        r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","#,
        r#""digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":3},"layers":[]}"#
    );
    let denial = Denial {
        repository: "docker.io/library/nginx".parse().unwrap(),
        digest: Digest::sha256(manifest.as_bytes()),
        rule: None,
        mode: Mode::Enforce,
        reasons: vec![Reason::NoRule],
        findings: Vec::new(),
        valid_until: None,
    };
    GateError::Denied(Arc::new(Decided::new(DecidedParts {
        repository: "docker.io/library/nginx".parse().unwrap(),
        digest: Digest::sha256(manifest.as_bytes()),
        manifest: Manifest::parse(manifest.as_bytes(), None).unwrap(),
        outcome: Outcome::Denied(denial),
        edition: Edition::default(),
        valid_until: Timestamp(0),
        id: "01J".to_owned(),
        line: "DENIED by policy rule docker.io/library/*: no signature by ci".to_owned(),
        bytes: Bytes::from_static(manifest.as_bytes()),
    })))
}

fn upstream_errors() -> Vec<(FetchError, u16, &'static str, Option<&'static str>)> {
    let inner = || INNER.to_owned();
    vec![
        (FetchError::NotFound, 404, "MANIFEST_UNKNOWN", None),
        (FetchError::Denied { status: 401 }, 404, "MANIFEST_UNKNOWN", None),
        (FetchError::RateLimited { retry_after: Some(Duration::from_millis(2_500)) }, 429, "TOOMANYREQUESTS", Some("3")),
        (FetchError::RateLimited { retry_after: Some(Duration::ZERO) }, 429, "TOOMANYREQUESTS", Some("1")),
        (FetchError::RateLimited { retry_after: None }, 429, "TOOMANYREQUESTS", Some("10")),
        (FetchError::Unavailable { status: 500 }, 502, "UNKNOWN", None),
        (FetchError::Unreachable { detail: inner() }, 502, "UNKNOWN", None),
        (FetchError::Timeout, 504, "UNKNOWN", None),
        (FetchError::Truncated { expected: 2, found: 1 }, 502, "UNKNOWN", None),
        (FetchError::Malformed { problem: inner() }, 502, "UNKNOWN", None),
        (FetchError::TooLarge { limit: 1 }, 502, "UNKNOWN", None),
        (FetchError::Forbidden { problem: inner() }, 502, "UNKNOWN", None),
    ]
}

/// Every way in which the gate serves nothing, and what the client sees of it.
fn table() -> Vec<(GateError, u16, &'static str, Option<&'static str>)> {
    let mut table = vec![
        (denied(), 403, "DENIED", None),
        (GateError::DeniedUnseen { line: "DENIED: no rule".into() }, 403, "DENIED", None),
        (GateError::ManifestUnknown, 404, "MANIFEST_UNKNOWN", None),
        (GateError::BlobUnknown, 404, "BLOB_UNKNOWN", None),
        (GateError::BadManifest { problem: "both manifests and layers".into() }, 502, "MANIFEST_INVALID", None),
        (GateError::Store { detail: INNER.into() }, 503, "UNAVAILABLE", Some("5")),
        (GateError::Internal, 503, "UNAVAILABLE", Some("5")),
    ];
    let errors = upstream_errors().into_iter().map(|(error, status, code, retry)| (GateError::Upstream(error), status, code, retry));
    table.extend(errors);
    table
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn every_error_has_its_status_code_and_sentence_and_no_inner_detail() {
    for (error, status, code, retry) in table() {
        let shown = format!("{error:?}");
        let response = Refusal::from(error).into_response(false);
        assert_eq!(response.status().as_u16(), status, "{shown}");
        assert_eq!(response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap()), retry, "{shown}");
        let reason = response.extensions().get::<ReasonPhrase>().unwrap().as_bytes().to_vec();
        let length: usize = response.headers()[CONTENT_LENGTH].to_str().unwrap().parse().unwrap();
        let text = text(response).await;
        assert_eq!(text.len(), length, "{shown}");
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["errors"][0]["code"], code, "{shown}");
        assert_eq!(body["errors"][0]["message"].as_str().unwrap().as_bytes(), reason, "{shown}");
        // D8
        for word in INNER.split(' ') {
            assert!(!text.contains(word), "{text}");
        }
    }
}

#[tokio::test]
async fn a_denial_shows_its_line_and_its_decision() {
    let line = "DENIED by policy rule docker.io/library/*: no signature by ci";
    let response = Refusal::from(denied()).into_response(false);
    assert_eq!(response.extensions().get::<ReasonPhrase>().unwrap().as_bytes(), line.as_bytes());
    let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(body, serde_json::json!({ "errors": [{ "code": "DENIED", "message": line, "detail": { "decision": "01J" } }] }));
}

#[tokio::test]
async fn a_denied_head_has_the_line_and_no_body() {
    let get = Refusal::from(denied()).into_response(false);
    let head = Refusal::from(denied()).into_response(true);
    assert_eq!(get.headers(), head.headers());
    assert!(head.extensions().get::<ReasonPhrase>().is_some());
    assert_eq!(text(head).await, "");
}

#[test]
fn a_sentence_is_printable_capped_and_the_reason_phrase() {
    let refusal = |message: &str| Refusal::query_invalid(message.to_owned());
    let reason = |message: &str| refusal(message).into_response(false).extensions().get::<ReasonPhrase>().unwrap().as_bytes().to_vec();
    for (message, expected) in [
        ("a\r\nX-Injected: 1\0é\u{7f}z", "a  X-Injected: 1???z".to_owned()),
        (&"x".repeat(10_000), "x".repeat(SENTENCE)),
        (&"é".repeat(SENTENCE), "?".repeat(SENTENCE)),
        (&"x".repeat(SENTENCE), "x".repeat(SENTENCE)),
    ] {
        assert_eq!((refusal(message).message(), reason(message)), (expected.as_str(), expected.clone().into_bytes()));
    }
}
