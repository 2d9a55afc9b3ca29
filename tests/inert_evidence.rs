//! Evidence is read and nothing more: no address in it is asked, nothing in it is decompressed.

use std::collections::BTreeMap;

use sealgate_tests::evidence::{attachment, publish};
use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::Upstream;
use sealgate_tests::image::{Content, Image};
use sealgate_tests::program::Program;
use sealgate_tests::registry::Registry;
use sealgate_tests::sigstore::{Key, Sigstore};
use sealgate_tests::wire::Request;
use sealgate_verifier::{Location, media_type};
use serde_json::{Value, json};

fn gate(registry: &Registry, key: &Key, requirement: &str) -> Gate {
    let policy =
        format!("version: 1\nsigners:\n  ci: {{ key: ci.pub }}\nrules:\n  - images: [\"{LAB}/**\"]\n    require: [ {requirement} ]\n");
    Setup::new().lab_without_memory(&registry.url()).file("ci.pub", &key.public_pem()).policy(policy).start()
}

fn pull(gate: &Gate, image: &Image) -> u16 {
    Request::new("GET", &Gate::target("team/app", &format!("manifests/{}", image.digest()))).send(gate.address()).status
}

// B9: in the predicate, the statement, a key's hint, a certificate's place, annotations, and the envelope itself (CVE-2026-24117).
#[test]
fn no_address_inside_of_evidence_is_asked() {
    let (bait, registry, image) = (Upstream::start(), Registry::start(), Image::small());
    let (instance, key) = (Sigstore::new(), Key::generate());
    registry.push("team/app", "1", &image);
    let url = bait.url();
    let subject =
        json!([{ "name": url, "uri": url, "downloadLocation": url, "digest": { "sha256": image.digest().trim_start_matches("sha256:") } }]);
    let predicate = json!({
        "buildDefinition": { "buildType": url, "externalParameters": { "$ref": url }, "resolvedDependencies": [{ "uri": url, "downloadLocation": url }] },
        "runDetails": { "builder": { "id": url }, "metadata": { "invocationId": url } },
    });
    let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "$schema": url, "subject": subject, "predicateType": "https://slsa.dev/provenance/v1", "predicate": predicate });
    let (made, envelope) = instance.attest_with(&key, &statement.to_string(), instance.making());
    let mut bundle = made.bundle_with(&envelope);
    bundle["verificationMaterial"]["publicKey"]["hint"] = json!(url);
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = json!(url);
    bundle["verificationMaterial"]["tlogEntries"][0]["baseUrl"] = json!(url);
    let annotations = BTreeMap::from(
        ["org.opencontainers.image.source", "dev.sigstore.cosign/key", "dev.sigstore.cosign/chain"]
            .map(|name| (name.to_owned(), url.clone())),
    );
    let good = Content::new(media_type::BUNDLE_V03, bundle.to_string());
    let mut bare = bundle.clone();
    bare["verificationMaterial"]["publicKey"] = Value::Null;
    bare["verificationMaterial"]["certificate"] = json!({ "rawBytes": url });
    let bad = Content::new(media_type::BUNDLE_V03, bare.to_string());
    let items: Vec<_> = [&good, &bad].map(|layer| attachment(Location::Referrers, layer, &annotations, Some(&image.manifest))).into();
    publish(&registry, "team/app", &image, &items);
    for (requirement, status) in [
        ("{ attested: { type: slsaprovenance1, by: { any: [ci] } } }".to_owned(), 200),
        (
            format!("{{ attested: {{ type: slsaprovenance1, by: {{ any: [ci] }}, where: {{ /buildDefinition/buildType: \"{url}\" }} }} }}"),
            200,
        ),
        ("{ signed-by: { any: [ci] } }".to_owned(), 403),
    ] {
        let gate = gate(&registry, &key, &requirement);
        assert_eq!(pull(&gate, &image), status, "{requirement}: {}", gate.log());
        let _ = gate.command("explain", [gate.reference("team/app:1")]).run().expect_success();
    }
    assert!(bait.seen().is_empty(), "{:?}", bait.seen());
}

/// 512 MiB of zeros, by `program`.
fn bomb(program: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bomb");
    let command = format!("head -c 512M /dev/zero | {program} > {}", file.display());
    let _ = Program::new("sh").args(["-c", &command]).run().expect_success();
    std::fs::read(file).expect("the bomb")
}

// A11: what is compressed is no evidence, whatever it is called; it stays as small as it came.
#[test]
fn a_bomb_among_the_evidence_is_denied_and_stays_small() {
    let (registry, image, key) = (Registry::start(), Image::small(), Key::generate());
    registry.push("team/app", "1", &image);
    let types = [
        media_type::BUNDLE_V03,
        media_type::DSSE,
        media_type::SIMPLE_SIGNING,
        media_type::JOSE,
        media_type::COSE,
        "application/vnd.in-toto+json+gzip",
        "application/spdx+json",
    ];
    let mut items = Vec::new();
    for bytes in [bomb("gzip -9"), bomb("zstd -q -19")] {
        assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
        let layer = |kind: &&str| Content::new(kind, bytes.clone());
        items.extend(types.iter().map(|kind| attachment(Location::Referrers, &layer(kind), &BTreeMap::new(), Some(&image.manifest))));
    }
    publish(&registry, "team/app", &image, &items);
    for requirement in ["{ signed-by: { any: [ci] } }", "{ attested: { type: spdx, by: { any: [ci] } } }"] {
        let mut gate = gate(&registry, &key, requirement);
        let before = gate.process().peak_rss_kib();
        assert_eq!(pull(&gate, &image), 403, "{requirement}");
        let grown = gate.process().peak_rss_kib() - before;
        assert!(grown < 16 * 1024, "{requirement}: {grown} KiB more");
    }
}
