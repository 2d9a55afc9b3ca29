//! Tags: asked for again when they are due and not before, each move on record, and the closure of one resolution stays its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::{Referrers, Upstream};
use sealgate_tests::image::{Content, Format, Image, Index};
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::pull;
use sealgate_tests::registry::Registry;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, Reply};
use serde_json::Value;

const TAG: &str = "manifests/1";

fn get(gate: &Gate, rest: &str) -> Reply {
    wire::get(gate.address(), &Gate::target("team/app", rest))
}

fn lab_with(upstream: &Upstream, ttl: &str) -> Setup {
    Setup::new().registry(LAB, &format!("{{ upstream: {}, tag-ttl: {ttl} }}", upstream.url()))
}

/// The tag moves on record: when, from where, to where. The ledger holds a line of JSON for each transition (DESIGN §10).
fn recorded_moves(gate: &Gate) -> Vec<(u64, Option<String>, String)> {
    let mut segments: Vec<_> = walk(&gate.folder().join("data/ledger"));
    segments.sort();
    let text: String = segments.iter().map(|path| std::fs::read_to_string(path).expect("a segment")).collect();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    let moves = records.filter(|record| record["event"]["type"] == "tag-moved" && record["event"]["tag"] == "1");
    let digest = |value: &Value| value.as_str().map(str::to_owned);
    moves
        .map(|record| {
            let event = &record["event"];
            (record["time"].as_u64().expect("a time"), digest(&event["from"]), digest(&event["to"]).expect("a digest"))
        })
        .collect()
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).expect("the ledger").map(|entry| entry.expect("an entry").path()).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

// F9
#[test]
fn an_unchanged_tag_that_is_pulled_250_times_costs_no_counted_get() {
    let (upstream, signer, image) = (Upstream::start(), Signer::generate(), Image::small());
    let gate = lab_with(&upstream, "0s").signed_by(&signer.public_pem()).start();
    upstream.push("team/app", "1", &image);
    upstream.put_signature("team/app", &signer.sign(&image.manifest));
    let _ = pull(gate.address(), "team/app", "1").expect_whole();
    upstream.forget();
    for _ in 0..250 {
        let reply = get(&gate, TAG).expect(200);
        assert_eq!(reply.body, image.manifest.bytes);
    }
    assert_eq!(upstream.count("GET", ""), 0, "Docker Hub counts GETs of manifests");
    assert_eq!(upstream.count("HEAD", TAG), 250, "with a tag-ttl of 0 each pull asks whether the tag has moved");
}

// F9: evidence that has run out is looked for again, and what has not changed is not fetched again.
#[test]
fn evidence_that_is_looked_for_again_is_not_fetched_again() {
    let (upstream, signer, image) = (Upstream::start(), Signer::generate(), Image::small());
    let gate = Setup::new().lab_without_memory(&upstream.url()).signed_by(&signer.public_pem()).start();
    upstream.push("team/app", "1", &image);
    upstream.set_referrers(Referrers::Missing);
    let signature = signer.sign(&image.manifest);
    upstream.put_signature("team/app", &signature);
    let listing = signature.listing();
    upstream.put_manifest("team/app", &listing);
    upstream.put_tag("team/app", &image.digest().replace(':', "-"), &listing.digest);
    let _ = get(&gate, TAG).expect(200);
    upstream.forget();
    for _ in 0..20 {
        let _ = get(&gate, TAG).expect(200);
    }
    assert!(upstream.count("HEAD", "/manifests/sha256-") >= 20, "each pull looks for evidence again");
    assert_eq!(upstream.count("GET", "/manifests/sha256:"), 0, "manifests by digest are known");
    assert_eq!(upstream.count("GET", "/blobs/"), 0, "bundles are known");
    let listing = format!("/manifests/{}", image.digest().replace(':', "-"));
    let fetched = upstream.seen().iter().filter(|seen| seen.method == "GET" && seen.target.ends_with(&listing)).count();
    assert_eq!(fetched, 0, "the listing has not moved");
}

// F16
#[test]
fn a_tag_is_asked_for_again_when_its_time_is_over_and_its_moves_are_on_record() {
    let upstream = Upstream::start();
    let gate = lab_with(&upstream, "2s").allow_all().start();
    let (old, new) = (Image::small(), Image::small());
    upstream.push("team/app", "1", &old);
    let began = now();
    assert_eq!(get(&gate, TAG).expect(200).body, old.manifest.bytes);
    upstream.push("team/app", "1", &new);
    assert_eq!(get(&gate, TAG).expect(200).body, old.manifest.bytes, "the resolution is fresh");
    assert!(wait_until(Duration::from_secs(10), || get(&gate, TAG).expect(200).body == new.manifest.bytes), "tag-ttl is ignored");
    let _ = get(&gate, TAG).expect(200);
    let ended = now();
    let moves = recorded_moves(&gate);
    let steps: Vec<_> = moves.iter().map(|(_, from, to)| (from.as_deref(), to.as_str())).collect();
    assert_eq!(steps, [(None, old.digest()), (Some(old.digest()), new.digest())]);
    assert!(moves.iter().all(|(time, ..)| (began..=ended).contains(time)) && moves[1].0 >= moves[0].0 + 2, "{moves:?}");
    assert_eq!(gate.metric("sealgate_tag_moves_total"), 2.0);
}

// F14, V9, C13: the tag names another image at each request.
#[test]
fn a_tag_that_moves_during_a_pull_yields_one_image_or_the_other_and_never_a_mixture() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let gate = Setup::new().lab_without_memory(&upstream.url()).signed_by(&signer.public_pem()).start();
    let (good, bad) = (Index::small(), Index::small());
    for index in [&good, &bad] {
        upstream.push_index("team/app", "1", index);
    }
    upstream.put_signature("team/app", &signer.sign(&good.manifest));
    upstream.flip_tag("team/app", "1", &[good.digest(), bad.digest()]);
    let mut seen = [0, 0];
    for _ in 0..10 {
        let reply = get(&gate, TAG);
        match reply.status {
            200 => assert_eq!((&reply.body, reply.header("docker-content-digest")), (&good.manifest.bytes.to_vec(), Some(good.digest()))),
            status => assert_eq!((status, reply.error().0.as_str()), (403, "DENIED")),
        }
        seen[usize::from(reply.status == 200)] += 1;
        for image in &good.images {
            let _ = pull(gate.address(), "team/app", image.digest()).expect_whole();
        }
        for image in &bad.images {
            assert_eq!(get(&gate, &format!("manifests/{}", image.digest())).status, 403);
            assert!(matches!(get(&gate, &format!("blobs/{}", image.layers[0].digest)).status, 403 | 404));
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "the tag did not flip: {seen:?}");
}

// F14: index first, then the tag moves, then the child by the digest that the client has.
#[test]
fn a_pull_goes_on_with_the_closure_that_was_approved_after_its_tag_has_moved() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let gate = lab_with(&upstream, "0s").signed_by(&signer.public_pem()).start();
    let (old, new) = (Index::small(), Index::small());
    upstream.push_index("team/app", "1", &old);
    upstream.put_signature("team/app", &signer.sign(&old.manifest));
    let _ = get(&gate, TAG).expect(200);
    upstream.push_index("team/app", "1", &new);
    let _ = pull(gate.address(), "team/app", old.images[0].digest()).expect_whole();
    assert_eq!(get(&gate, TAG).status, 403, "what the tag names now is not signed");
    assert_eq!(get(&gate, &format!("manifests/{}", new.images[0].digest())).status, 403);
}

// F15
#[test]
fn an_index_is_byte_exact_and_a_child_that_was_never_asked_for_is_fetched() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let gate = lab_with(&upstream, "5m").signed_by(&signer.public_pem()).start();
    let images: Vec<_> = ["amd64", "arm64", "riscv64"].map(|architecture| Image::build(Format::Oci, architecture, &[1_000])).to_vec();
    let mut index = Index::of(Format::Oci, images);
    // Spaces, an unknown field and an entry for nobody's platform: a proxy that writes the index anew loses them.
    let text = String::from_utf8(index.manifest.bytes.to_vec()).expect("JSON");
    let text = text.replacen('{', "{ \"x-unknown\": [1, 2.50],\n\t", 1);
    index.manifest = Content::new(&index.manifest.media_type, text);
    upstream.push_index("team/app", "1", &index);
    upstream.put_signature("team/app", &signer.sign(&index.manifest));
    let reply = get(&gate, TAG).expect(200);
    assert_eq!((&reply.body, reply.header("content-type")), (&index.manifest.bytes.to_vec(), Some(index.manifest.media_type.as_str())));
    assert_eq!(get(&gate, &format!("manifests/{}", index.digest())).expect(200).body, index.manifest.bytes);
    for image in &index.images {
        assert_eq!(upstream.count("GET", image.digest()), 0, "nobody asked for it yet");
        let _ = pull(gate.address(), "team/app", image.digest()).expect_whole();
        assert_eq!(upstream.count("GET", image.digest()), 1);
    }
}

// F15: a client that has index and child already asks for the blob first.
#[test]
fn a_blob_of_a_child_that_was_never_asked_for_is_served() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let gate = lab_with(&upstream, "5m").signed_by(&signer.public_pem()).start();
    let index = Index::small();
    upstream.push_index("team/app", "1", &index);
    upstream.put_signature("team/app", &signer.sign(&index.manifest));
    let _ = get(&gate, TAG).expect(200);
    let layer = &index.images[1].layers[0];
    assert_eq!(get(&gate, &format!("blobs/{}", layer.digest)).expect(200).body, layer.bytes);
}

// F29
#[test]
fn docker_schema_2_passes_through_byte_for_byte() {
    let registry = Registry::start();
    let gate = Setup::new().lab(&registry.url()).allow_all().start();
    let index = Index::of(Format::Docker, vec![Image::build(Format::Docker, "amd64", &[1_000])]);
    registry.push_index("team/app", "1", &index);
    let image = &index.images[0];
    for (rest, content) in [(TAG.to_owned(), &index.manifest), (format!("manifests/{}", image.digest()), &image.manifest)] {
        let reply = get(&gate, &rest).expect(200);
        assert_eq!((&reply.body, reply.header("content-type")), (&content.bytes.to_vec(), Some(content.media_type.as_str())));
        assert_eq!(reply.header("docker-content-digest"), Some(content.digest.as_str()));
    }
    let _ = pull(gate.address(), "team/app", image.digest()).expect_whole();
}
