//! Evidence collection: every place, honest gaps, counted requests.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sealgate_registry::{Lifetimes, collect};
use sealgate_verifier::{
    Attachment, Collected, Digest, EvidenceSource, Failure, Location, Needs, Repository, Timestamp, limits, media_type,
};
use support::{Response, Server, answer};

const PAYLOAD: &str = r#"{"critical":{}}"#;

fn subject() -> Digest {
    Digest::sha256(b"subject")
}

fn descriptor(media_type: &str, bytes: &str) -> String {
    sized(media_type, bytes, bytes.len())
}

fn sized(media_type: &str, bytes: &str, size: usize) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{size}}}"#, Digest::sha256(bytes.as_bytes()))
}

fn image(layers: &[String]) -> String {
    let config = descriptor(media_type::OCI_EMPTY, "{}");
    let (kind, layers) = (media_type::OCI_MANIFEST, layers.join(","));
    format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{config},"layers":[{layers}]}}"#)
}

fn index(manifests: &[String]) -> String {
    let entries: Vec<String> = manifests.iter().map(|manifest| descriptor(media_type::OCI_MANIFEST, manifest)).collect();
    format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#, media_type::OCI_INDEX, entries.join(","))
}

fn bundle(content: &str) -> (String, String) {
    (image(&[descriptor(media_type::BUNDLE_V03, content)]), content.to_owned())
}

/// A registry by target below `/v2/team/app/`; what is missing is 404.
#[derive(Default, Clone)]
struct Shelf(HashMap<String, (u16, String, String)>);

impl Shelf {
    fn manifest(mut self, reference: impl ToString, body: &str) -> Self {
        let media_type = if body.contains("\"manifests\"") { media_type::OCI_INDEX } else { media_type::OCI_MANIFEST };
        for reference in [reference.to_string(), Digest::sha256(body.as_bytes()).to_string()] {
            self.0.insert(format!("manifests/{reference}"), (200, media_type.to_owned(), body.to_owned()));
        }
        self
    }

    fn blob(mut self, body: &str) -> Self {
        let key = format!("blobs/{}", Digest::sha256(body.as_bytes()));
        self.0.insert(key, (200, "application/octet-stream".to_owned(), body.to_owned()));
        self
    }

    fn signed(self, (manifest, bundle): &(String, String)) -> Self {
        self.manifest(Digest::sha256(manifest.as_bytes()), manifest).blob(bundle)
    }

    fn referrers(mut self, listing: String) -> Self {
        self.0.insert(format!("referrers/{}", subject()), (200, media_type::OCI_INDEX.to_owned(), listing));
        self
    }

    fn status(mut self, target: impl ToString, status: u16) -> Self {
        self.0.insert(target.to_string(), (status, "text/plain".to_owned(), String::new()));
        self
    }

    async fn serve(self) -> Server {
        Server::start(move |asked, _| -> Option<Response> {
            match asked.target.strip_prefix("/v2/team/app/").and_then(|target| self.0.get(target)) {
                Some((status, media_type, body)) => answer(*status, &[("content-type", media_type)], body.clone()),
                None => answer(404, &[], r#"{"errors":[]}"#),
            }
        })
        .await
    }
}

fn sig_tag() -> String {
    format!("{}.sig", subject().fallback_tag())
}

async fn collected(server: &Server) -> Collected<Attachment> {
    collected_for(server, Needs { signatures: true, ..Needs::default() }).await
}

async fn collected_for(server: &Server, needs: Needs) -> Collected<Attachment> {
    let repository: Repository = "registry.example/team/app".parse().expect("a repository");
    let lifetimes = Lifetimes { max_stale: Duration::from_secs(60) };
    collect(&server.client(), &repository, &subject(), needs, Timestamp(1_000), lifetimes).await
}

fn places(found: &Collected<Attachment>) -> Vec<(Location, usize)> {
    found.items.iter().map(|item| (item.location, item.layers.len())).collect()
}

fn gaps(found: &Collected<Attachment>) -> Vec<(&str, Failure)> {
    assert!(found.unseen().all(|gap| gap.source == EvidenceSource::Signatures && gap.detail.len() <= 800 && !gap.detail.contains('\n')));
    found.unseen().map(|gap| (gap.place.as_str(), gap.failure)).collect()
}

#[tokio::test]
async fn nothing_attached_costs_three_requests() {
    let server = Shelf::default().serve().await;
    let found = collected(&server).await;
    assert_eq!((found.items.len(), gaps(&found)), (0, vec![]));
    assert_eq!((found.collected_at, found.stale_at), (Timestamp(1_000), Timestamp(1_060)));
    let mut lines = server.lines();
    lines.sort();
    let tag = subject().fallback_tag();
    let expected = [format!("manifests/{tag}"), format!("manifests/{tag}.sig"), format!("referrers/{}", subject())]
        .map(|rest| format!("GET /v2/team/app/{rest}"));
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn every_place_is_asked_and_each_manifest_opened_once() {
    let (one, two, three) = (bundle(r#"{"n":1}"#), bundle(r#"{"n":2}"#), bundle(r#"{"n":3}"#));
    let legacy = image(&[descriptor(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    let tag = subject().fallback_tag();
    let server = Shelf::default()
        .referrers(index(&[one.0.clone(), two.0.clone()]))
        .manifest(&tag, &index(&[two.0.clone(), three.0.clone()]))
        .manifest(sig_tag(), &legacy)
        .signed(&one)
        .signed(&two)
        .signed(&three)
        .blob(PAYLOAD)
        .serve()
        .await;
    let found = collected(&server).await;
    assert_eq!(gaps(&found), []);
    let expected = [(Location::Referrers, 1), (Location::Referrers, 1), (Location::FallbackTag, 1), (Location::SignatureTag, 1)];
    assert_eq!(places(&found), expected);
    assert_eq!(found.items[2].layers, [three.1.as_str()]);
    // 3 places, 3 listed manifests, 4 layers.
    assert_eq!(server.asked().len(), 10);
    assert_eq!(collected(&server).await, found);
}

#[tokio::test]
async fn only_what_the_rule_reads_is_collected_and_the_rest_is_a_gap_of_its_own_kind() {
    let attestations = Needs { attestations: true, ..Needs::default() };
    let both = Needs { signatures: true, ..attestations };
    let att_tag = format!("{}.att", subject().fallback_tag());
    let statement = image(&[descriptor(media_type::DSSE, "{}")]);
    let legacy = image(&[descriptor(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    let shelf = Shelf::default().manifest(sig_tag(), &legacy).blob(PAYLOAD).manifest(&att_tag, &statement).blob("{}");
    for (needs, expected, requests) in [
        (attestations, vec![(Location::AttestationTag, 1)], 4),
        (both, vec![(Location::SignatureTag, 1), (Location::AttestationTag, 1)], 6),
    ] {
        let server = shelf.clone().serve().await;
        let found = collected_for(&server, needs).await;
        assert_eq!((places(&found), found.unseen().count(), server.asked().len()), (expected, 0, requests));
        assert!(found.covers(attestations));
        assert_eq!(found.covers(both), needs == both, "{:?}", found.gaps);
    }
    let server = shelf.status(format!("manifests/{att_tag}"), 429).serve().await;
    let found = collected_for(&server, both).await;
    let gaps: Vec<_> = found.gaps.iter().map(|gap| (gap.source, &*gap.place, gap.failure)).collect();
    assert_eq!(gaps, [(EvidenceSource::Attestations, ".att tag", Failure::RateLimited)]);
}

#[tokio::test]
async fn a_bundle_under_the_fallback_tag_itself_is_found() {
    let one = bundle("{}");
    let server = Shelf::default().referrers(index(&[])).manifest(subject().fallback_tag(), &one.0).blob(&one.1).serve().await;
    let found = collected(&server).await;
    assert_eq!((places(&found), gaps(&found)), (vec![(Location::FallbackTag, 1)], vec![]));
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn layers_of_what_cannot_be_evidence_are_not_fetched() {
    let layer = image(&[descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "layer")]);
    let other = index(&[]);
    let server =
        Shelf::default().referrers(index(&[layer.clone(), other.clone()])).manifest("x", &layer).manifest("y", &other).serve().await;
    let found = collected(&server).await;
    assert_eq!((places(&found), gaps(&found)), (vec![], vec![]));
    assert!(server.lines().iter().all(|line| !line.contains("/blobs/")));
}

#[tokio::test]
async fn a_place_that_fails_is_a_gap_of_its_own_kind() {
    // F28 and the fail-closed grid: 429 and 5xx are not "unsigned".
    let referrers = format!("referrers/{}", subject());
    let fallback = format!("manifests/{}", subject().fallback_tag());
    let signature = format!("manifests/{}", sig_tag());
    for (target, place) in [(referrers, "referrers API"), (fallback, "fallback tag"), (signature, ".sig tag")] {
        for (status, failure) in
            [(429, Failure::RateLimited), (500, Failure::Unavailable), (403, Failure::Refused), (200, Failure::Malformed)]
        {
            let server = Shelf::default().status(&target, status).serve().await;
            let found = collected(&server).await;
            assert_eq!((gaps(&found), found.items.len()), (vec![(place, failure)], 0), "{status}");
        }
    }
}

#[tokio::test]
async fn a_listed_manifest_or_layer_that_cannot_be_had_is_a_gap() {
    let (one, two) = (bundle(r#"{"n":1}"#), bundle(r#"{"n":2}"#));
    let blob = format!("blobs/{}", Digest::sha256(two.1.as_bytes()));
    let server = Shelf::default().referrers(index(&[one.0.clone(), two.0.clone()])).signed(&two).status(blob, 503).serve().await;
    let found = collected(&server).await;
    assert_eq!(gaps(&found), [("referrers API", Failure::Refused), ("referrers API", Failure::Unavailable)]);
    assert_eq!(places(&found), [(Location::Referrers, 0)]);
}

#[tokio::test]
async fn ten_thousand_signatures_do_not_crowd_out_the_tag() {
    // C1, V16
    let junk: Vec<String> = (0..500).map(|n| image(&[descriptor("application/x-junk", &n.to_string())])).collect();
    let legacy = image(&[descriptor(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    let mut shelf = Shelf::default().referrers(index(&junk)).manifest(sig_tag(), &legacy).blob(PAYLOAD);
    for manifest in &junk {
        shelf = shelf.manifest("junk", manifest);
    }
    let server = shelf.serve().await;
    let found = collected(&server).await;
    assert_eq!((places(&found), gaps(&found)), (vec![(Location::SignatureTag, 1)], vec![("referrers API", Failure::Oversized)]));
    assert_eq!(server.asked().len(), 3 + (limits::ATTACHMENTS - 1) + 1);
}

#[tokio::test]
async fn oversized_evidence_is_a_gap_and_not_fetched() {
    // V17, C1
    let large = image(&[sized(media_type::BUNDLE_V03, "x", limits::EVIDENCE_LAYER_BYTES + 1)]);
    let many: Vec<String> = (0..=limits::SIGNATURES).map(|n| descriptor(media_type::SIMPLE_SIGNING, &n.to_string())).collect();
    let server = Shelf::default().manifest(subject().fallback_tag(), &large).manifest(sig_tag(), &image(&many)).serve().await;
    let found = collected(&server).await;
    assert_eq!(gaps(&found), [("fallback tag", Failure::Oversized), (".sig tag", Failure::Oversized)]);
    assert_eq!((found.items.len(), server.asked().len()), (0, 3));
    // 5 x 8 MiB together are over 32 MiB: the fifth is not fetched.
    let big: Vec<String> = (0..5).map(|n| image(&[sized(media_type::BUNDLE_V03, &n.to_string(), limits::EVIDENCE_LAYER_BYTES)])).collect();
    let mut shelf = Shelf::default().referrers(index(&big));
    for manifest in &big {
        shelf = shelf.manifest("big", manifest);
    }
    let server = shelf.serve().await;
    let found = collected(&server).await;
    assert_eq!(server.lines().iter().filter(|line| line.contains("/blobs/")).count(), 3);
    assert!(gaps(&found).contains(&("referrers API", Failure::Oversized)));
}

#[tokio::test]
async fn a_layer_larger_than_its_descriptor_says_is_a_gap() {
    // A13
    let lying = image(&[sized(media_type::SIMPLE_SIGNING, PAYLOAD, 3)]);
    let server = Shelf::default().manifest(sig_tag(), &lying).blob(PAYLOAD).serve().await;
    let found = collected(&server).await;
    assert_eq!((places(&found), gaps(&found)), (vec![(Location::SignatureTag, 0)], vec![(".sig tag", Failure::Oversized)]));
}

#[tokio::test]
async fn many_manifests_with_one_layer_fetch_it_once() {
    let shared: Vec<String> = (0..20)
        .map(|n| image(&[descriptor(media_type::BUNDLE_V03, PAYLOAD), descriptor(media_type::BUNDLE_V03, &format!("{{\"n\":{n}}}"))]))
        .collect();
    let mut shelf = Shelf::default().referrers(index(&shared)).blob(PAYLOAD);
    for (n, manifest) in shared.iter().enumerate() {
        shelf = shelf.manifest("shared", manifest).blob(&format!("{{\"n\":{n}}}"));
    }
    let server = Arc::new(shelf.serve().await);
    let found = collected(&server).await;
    assert_eq!(places(&found), [(Location::Referrers, 2); 20]);
    assert_eq!(server.lines().iter().filter(|line| line.contains("/blobs/")).count(), 21);
}
