//! Referrers and tags.

mod support;

use sealgate_registry::{FetchError, Referrers, TagPage};
use sealgate_verifier::{Digest, limits, media_type};
use support::{Response, Server, answer, endless};

fn subject() -> Digest {
    Digest::sha256(b"subject")
}

fn page(names: &[usize], link: Option<&str>) -> Option<Response> {
    let entry = |name: &usize| format!(r#"{{"mediaType":"x","digest":"{}","size":{name}}}"#, Digest::sha256(&name.to_be_bytes()));
    let entries: Vec<String> = names.iter().map(entry).collect();
    let body = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#, media_type::OCI_INDEX, entries.join(","));
    let mut headers = vec![("content-type", media_type::OCI_INDEX)];
    headers.extend(link.map(|link| ("link", link)));
    answer(200, &headers, body)
}

fn sizes(answer: Result<Referrers, FetchError>) -> (Vec<u64>, bool) {
    match answer {
        Ok(Referrers::Listed { manifests, truncated }) => (manifests.into_iter().map(|(_, size)| size).collect(), truncated),
        other => panic!("expected a listing, found {other:?}"),
    }
}

#[tokio::test]
async fn all_pages_of_referrers_are_read() {
    let server = Server::start(|asked, _| match asked.target.split_once('?') {
        None => page(&[1, 2], Some("<?page=2>; rel=\"next\"")),
        Some((_, "page=2")) => page(&[3], Some(&format!("</v2/a/b/referrers/{}?page=3>; rel=next", subject()))),
        _ => page(&[4], None),
    })
    .await;
    assert_eq!(sizes(server.client().referrers("a/b", &subject()).await), (vec![1, 2, 3, 4], false));
    assert_eq!(server.asked()[0].line(), format!("GET /v2/a/b/referrers/{}", subject()));
}

#[tokio::test]
async fn endless_pages_of_referrers_end() {
    // A8, C1
    let server = Server::start(|_, before| page(&[before], Some(&format!("<?page={before}>; rel=next")))).await;
    let (found, truncated) = sizes(server.client().referrers("a", &subject()).await);
    assert_eq!((found.len(), truncated, server.asked().len()), (16, true, 16));
    let many: Vec<usize> = (0..5_000).collect();
    let server = Server::start(move |_, _| page(&many, None)).await;
    let (found, truncated) = sizes(server.client().referrers("a", &subject()).await);
    assert_eq!((found.len(), truncated), (1_024, true));
    let circle = Server::start(|_, _| page(&[1], Some("<?>; rel=next"))).await;
    let (found, truncated) = sizes(circle.client().referrers("a", &subject()).await);
    assert_eq!((found.len(), truncated, circle.asked().len()), (2, true, 2));
    let server = Server::start(|_, _| endless(&[("content-type", media_type::OCI_INDEX)])).await;
    assert_eq!(server.client().referrers("a", &subject()).await, Err(FetchError::TooLarge { limit: limits::REFERRERS_BYTES as u64 }));
}

#[tokio::test]
async fn a_next_page_elsewhere_is_refused() {
    let thief = Server::start(|_, _| page(&[9], None)).await;
    let foreign = format!("<{}/v2/a/referrers/{}>; rel=next", thief.url(), subject());
    for link in [foreign, "</v2/other/referrers/x>; rel=next".to_owned(), "</admin/delete>; rel=next".to_owned()] {
        let server = Server::start(move |_, _| page(&[1], Some(&link))).await;
        assert!(matches!(server.client().referrers("a", &subject()).await, Err(FetchError::Forbidden { .. })));
        assert_eq!(server.asked().len(), 1);
    }
    assert_eq!(thief.asked().len(), 0);
}

#[tokio::test]
async fn a_registry_without_referrers_is_told_from_one_that_fails() {
    // F28; 303 is GHCR's redirect to a truncated digest.
    for status in [404, 303, 400, 405, 501] {
        let server = Server::start(move |_, _| answer(status, &[("location", "/v2/a/referrers/sha256:44")], "")).await;
        assert_eq!(server.client().referrers("a", &subject()).await, Ok(Referrers::Unsupported), "{status}");
        assert_eq!(server.asked().len(), 1, "{status}");
    }
    for (status, error) in [
        (429, FetchError::RateLimited { retry_after: None }),
        (403, FetchError::Denied { status: 403 }),
        (500, FetchError::Unavailable { status: 500 }),
        (503, FetchError::Unavailable { status: 503 }),
    ] {
        let server = Server::start(move |_, _| answer(status, &[], "")).await;
        assert_eq!(server.client().referrers("a", &subject()).await, Err(error));
    }
}

#[tokio::test]
async fn what_is_no_index_is_malformed() {
    // F30, A9
    let deep = format!("{}{}", r#"{"manifests":"#, "[".repeat(10_000));
    for (content_type, body) in [
        ("text/html", r#"{"manifests":[]}"#),
        ("application/json", "<html>"),
        ("application/json", "[]x"),
        ("application/json", r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#),
        ("application/json", r#"{"manifests":[{"digest":"sha256:../../etc","size":1}]}"#),
        ("application/json", r#"{"manifests":[],"manifests":[]}"#),
        ("application/json", r#"{"manifests":{}}"#),
        ("application/json", &deep),
    ] {
        let body = body.to_owned();
        let server = Server::start(move |_, _| answer(200, &[("content-type", content_type)], body.clone())).await;
        let found = server.client().referrers("a", &subject()).await;
        assert!(matches!(found, Err(FetchError::Malformed { .. })), "{content_type}: {found:?}");
    }
    let server = Server::start(|_, _| answer(200, &[], r#"{"schemaVersion":2,"manifests":null}"#)).await;
    assert_eq!(sizes(server.client().referrers("a", &subject()).await), (vec![], false));
}

#[tokio::test]
async fn tags_come_in_pages() {
    let server = Server::start(|asked, _| match asked.target.contains("last=") {
        false => answer(200, &[("link", "<https://evil.example/>; rel=\"next\"")], r#"{"name":"a","tags":["1","bad tag","2"]}"#),
        true => answer(200, &[], r#"{"tags":null}"#),
    })
    .await;
    let client = server.client();
    assert_eq!(client.tags("a", 3, None).await, Ok(TagPage { tags: vec!["1".to_owned(), "2".to_owned()], more: true }));
    assert_eq!(client.tags("a", 3, Some("2&x")).await, Ok(TagPage { tags: vec![], more: false }));
    assert_eq!(client.tags("a", 1, None).await, Ok(TagPage { tags: vec!["1".to_owned()], more: true }));
    assert_eq!(server.lines(), ["GET /v2/a/tags/list?n=3", "GET /v2/a/tags/list?n=3&last=2%26x", "GET /v2/a/tags/list?n=1"]);
}
