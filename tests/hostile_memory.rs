//! What an upstream can make large stays small in the gate (A8): peak resident memory before and after.

use std::sync::Arc;
use std::thread;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Rule, Tokens, Upstream};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::scale;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire;
use serde_json::json;

/// A8's bound for one endless answer.
const ONE: u64 = 16 * 1024;
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Peak resident memory grows by no more than `limit` KiB while `attack` runs.
fn assert_grows_less(gate: &mut Gate, limit: u64, what: &str, attack: impl FnOnce(&Gate)) {
    let before = gate.process().peak_rss_kib();
    attack(gate);
    let grown = gate.process().peak_rss_kib() - before;
    println!("{what}: {grown} KiB");
    assert!(grown <= limit, "{what}: {grown} KiB more, over the limit of {limit}");
}

/// A gate that has pulled once, so that its own tables are there.
fn warm(upstream: &Upstream, signer: &Signer) -> Gate {
    let image = Image::small();
    upstream.push("team/warm", "1", &image);
    upstream.put_signature("team/warm", &signer.sign(&image.manifest));
    let gate = Setup::new().lab(&upstream.url()).signed_by(&signer.public_pem()).start();
    let _ = wire::get(gate.address(), &Gate::target("team/warm", "manifests/1")).expect(200);
    for blob in image.blobs() {
        let _ = wire::get(gate.address(), &Gate::target("team/warm", &format!("blobs/{}", blob.digest))).expect(200);
    }
    gate
}

#[test]
fn an_endless_answer_is_cut_off_and_costs_little_memory() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let mut gate = warm(&upstream, &signer);
    let endless = |part: &str, media_type: &str| {
        let rule = Rule::any(part).fault(Fault::Status(200)).fault(Fault::Header("content-type", media_type.to_owned()));
        upstream.rule(rule.fault(Fault::Endless(" ".into())));
    };
    endless("team/manifest/manifests/", OCI_MANIFEST);
    assert_grows_less(&mut gate, ONE, "endless manifest", |gate| {
        let digest = sealgate_tests::sha256(b"any");
        let _ = wire::get(gate.address(), &Gate::target("team/manifest", &format!("manifests/{digest}"))).expect(502);
        let _ = wire::get(gate.address(), &Gate::target("team/manifest", "manifests/1")).expect(502);
    });
    let image = Image::small();
    upstream.push("team/referrers", "1", &image);
    endless("team/referrers/referrers/", "application/vnd.oci.image.index.v1+json");
    assert_grows_less(&mut gate, ONE, "endless referrers", |gate| {
        let denied = wire::get(gate.address(), &Gate::target("team/referrers", "manifests/1")).expect(403);
        assert!(denied.reason.contains("referrers API") && denied.reason.contains("could not be seen"), "{}", denied.reason);
    });
    endless("team/tags/tags/list", "application/json");
    assert_grows_less(&mut gate, ONE, "endless tag list", |gate| {
        let _ = wire::get(gate.address(), &Gate::target("team/tags", "tags/list")).expect(502);
    });
    let signed = Image::small();
    upstream.push("team/layer", "1", &signed);
    let signature = signer.sign(&signed.manifest);
    upstream.put_signature("team/layer", &signature);
    endless(&format!("team/layer/blobs/{}", signature.bundle.digest), "application/octet-stream");
    assert_grows_less(&mut gate, ONE, "endless signature", |gate| {
        let _ = wire::get(gate.address(), &Gate::target("team/layer", "manifests/1")).expect(403);
    });
}

#[test]
fn an_endless_token_is_cut_off_and_costs_little_memory() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let mut gate = warm(&upstream, &signer);
    let tokens = Tokens::anonymous();
    upstream.issue_tokens(&tokens);
    upstream.require_tokens(&tokens, &format!("{}/token", upstream.url()));
    upstream.rule(Rule::on("GET", "/token").fault(Fault::Endless(b"{\"token\":\"".as_slice().into())));
    assert_grows_less(&mut gate, ONE, "endless token", |gate| {
        let _ = wire::get(gate.address(), &Gate::target("team/token", "manifests/1")).expect(502);
    });
    assert_eq!(tokens.issued(), 1);
}

// Many strangers at once, each with another name, and an upstream that answers each with the largest manifest there may be.
#[test]
fn many_large_manifests_at_once_share_a_bound() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let mut gate = warm(&upstream, &signer);
    let rule = Rule::any("/manifests/").fault(Fault::Status(200)).fault(Fault::Header("content-type", OCI_MANIFEST.to_owned()));
    upstream.rule(rule.fault(Fault::Endless(" ".into())));
    assert_grows_less(&mut gate, 160 * 1024, "100 endless manifests", |gate| {
        let address = gate.address();
        let client = |n: usize| thread::spawn(move || wire::get(address, &Gate::target("team/many", &format!("manifests/{n}"))).status);
        let clients: Vec<_> = (0..100).map(client).collect();
        for client in clients {
            assert_eq!(client.join().expect("a client"), 502);
        }
    });
}

// Small on the wire and large once parsed: kept manifests count as what they take.
#[test]
fn manifests_that_grow_when_parsed_are_bounded_too() {
    let upstream = Upstream::start();
    let mut gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::small();
    let mut names = vec![];
    for (kind, count) in [("urls", scale(2, 6)), ("annotations", scale(4, 60))] {
        for number in 0..count {
            let mut layer = image.layers[0].descriptor();
            if kind == "urls" {
                layer["urls"] = json!(vec![""; 1_300_000]);
            } else {
                // Nearly as many keys as may be, as short as may be.
                let annotations: serde_json::Map<_, _> = (0..60_000).map(|n| (format!("{n:x}"), json!(""))).collect();
                layer["annotations"] = annotations.into();
            }
            let manifest = json!({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": image.config.descriptor(), "layers": [layer],
                "annotations": { "number": number.to_string() },
            });
            let manifest = Content::json(OCI_MANIFEST, &manifest);
            upstream.put_manifest("team/grow", &manifest);
            names.push(manifest.digest);
        }
    }
    let names = Arc::new(names);
    assert_grows_less(&mut gate, 128 * 1024, "manifests that grow", |gate| {
        for name in &*names {
            let reply = wire::get(gate.address(), &Gate::target("team/grow", &format!("manifests/{name}")));
            assert!(matches!(reply.status, 200 | 502), "{}", reply.status);
        }
    });
}
