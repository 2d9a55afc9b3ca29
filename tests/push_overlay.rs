//! Evidence beside images that live where we cannot write: pushed to the gate, joined to the upstream's own, judged with it.

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{self, KeyPair, Layout, cosign};
use sealgate_tests::gate::{Gate, LAB, Setup, sealgate};
use sealgate_tests::image::{Content, Image, Index};
use sealgate_tests::layer::fresh_bytes;
use sealgate_tests::push::{CI, HOSTED, PASSWORD, Pusher, SIGNER, login, referrer, with_users};
use sealgate_tests::registry::Registry;
use sealgate_tests::signature::Signer;

const APP: &str = "team/app";

/// A gate before `upstream` with the product's own lifetimes; both keys must have signed where there are two.
fn gate(upstream: &Registry, keys: &[&str]) -> Gate {
    let settings = format!("{{ default: true, upstream: {}, deletes: allowed }}", upstream.url());
    let mut setup = Setup::new().registry(LAB, &settings).registry(HOSTED, "{ hosted: true }");
    let mut policy = "version: 1\nsigners:\n".to_owned();
    for (number, key) in keys.iter().enumerate() {
        setup = setup.file(&format!("keys/{number}.pub"), key);
        policy += &format!("  signer-{number}: {{ key: keys/{number}.pub }}\n");
    }
    let all = (0..keys.len()).map(|number| format!("signer-{number}")).collect::<Vec<_>>().join(", ");
    policy += &format!("rules:\n  - images: [\"{LAB}/**\"]\n    require: [ {{ signed-by: {{ all: [{all}] }} }} ]\n");
    with_users(setup.policy(policy)).start()
}

fn stranger(gate: &Gate) -> Pusher {
    Pusher::new(gate.address(), &format!("{LAB}/{APP}"))
}

fn signer(gate: &Gate) -> Pusher {
    stranger(gate).login(SIGNER, PASSWORD)
}

#[test]
fn an_upstream_image_that_is_countersigned_here_is_admitted_until_the_signature_is_deleted() {
    let (registry, image, keys) = (Registry::start(), Image::small(), KeyPair::generate());
    registry.push(APP, "1", &image);
    let mut gate = gate(&registry, &[&keys.public_pem()]);
    let puller = stranger(&gate);
    assert_eq!(puller.get("manifests/1").status, 403);
    let written = ["PUT", "POST", "PATCH"].map(|method| registry.count(method, ""));
    let login = login(gate.address(), SIGNER);
    let sign = sealgate(["sign", "--yes", "--key"]).arg(keys.private()).arg(gate.reference(&format!("{APP}:1")));
    let _ = sign.env("DOCKER_CONFIG", login.path()).run().expect_success();
    // At once, though "no signature" was believed for 30 s.
    assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes);
    assert_eq!(Client::Docker.pull(&gate.reference(&format!("{APP}:1"))).expect_digest(), image.digest());
    assert_eq!(["PUT", "POST", "PATCH"].map(|method| registry.count(method, "")), written, "nothing was written upstream");
    let [signature] = puller.referrers(image.digest()).try_into().expect("one signature");
    gate.restart();
    assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes);
    let verify = cosign().arg("verify").arg("--key").arg(keys.public()).args(["--insecure-ignore-tlog=true", "--new-bundle-format=true"]);
    let _ = verify.arg(gate.reference(&format!("{APP}:1"))).env("DOCKER_CONFIG", gate.folder()).run().expect_success();
    let _ = signer(&gate).delete(&format!("manifests/{signature}")).expect(202);
    assert_eq!(puller.get("manifests/1").status, 403);
    gate.restart();
    assert_eq!(puller.get("manifests/1").status, 403);
}

#[test]
fn a_signed_index_admits_its_children_from_the_overlay() {
    let (registry, index, keys) = (Registry::start(), Index::small(), Signer::generate());
    registry.push_index(APP, "1", &index);
    let gate = gate(&registry, &[&keys.public_pem()]);
    let child = format!("manifests/{}", index.images[1].digest());
    assert_eq!((stranger(&gate).get("manifests/1").status, stranger(&gate).get(&child).status), (403, 403));
    let _ = signer(&gate).signature(&keys.sign(&index.manifest)).expect(201);
    assert_eq!(stranger(&gate).get("manifests/1").expect(200).body, index.manifest.bytes);
    assert_eq!(stranger(&gate).get(&child).expect(200).body, index.images[1].manifest.bytes);
}

#[test]
fn of_two_signatures_under_one_tag_both_are_judged_and_the_overlays_is_served() {
    let (registry, image) = (Registry::start(), Image::small());
    registry.push(APP, "1", &image);
    let (theirs, ours) = (KeyPair::generate(), KeyPair::generate());
    let upstream = registry.reference(&format!("{APP}@{}", image.digest()));
    let _ = cosign::sign(&theirs.private(), Layout::Legacy, &upstream).expect_success();
    let gate = gate(&registry, &[&theirs.public_pem(), &ours.public_pem()]);
    assert_eq!(stranger(&gate).get("manifests/1").status, 403);
    // A second registry holds what our signer alone wrote under the same tag.
    let scratch = Registry::start();
    scratch.push(APP, "1", &image);
    let _ = cosign::sign(&ours.private(), Layout::Legacy, &scratch.reference(&format!("{APP}@{}", image.digest()))).expect_success();
    let tag = format!("{}.sig", image.digest().replace(':', "-"));
    let signature = sealgate_tests::wire::get(scratch.address(), &format!("/v2/{APP}/manifests/{tag}")).expect(200);
    let manifest = Content::new("application/vnd.oci.image.manifest.v1+json", signature.body.clone());
    let listed = signature.json();
    for blob in listed["layers"].as_array().expect("layers").iter().chain([&listed["config"]]) {
        let digest = blob["digest"].as_str().expect("a digest");
        let bytes = sealgate_tests::wire::get(scratch.address(), &format!("/v2/{APP}/blobs/{digest}")).expect(200).body;
        let _ = signer(&gate).blob(digest, &bytes).expect(201);
    }
    let _ = signer(&gate).manifest(&tag, &manifest).expect(201);
    assert_eq!(stranger(&gate).get("manifests/1").expect(200).body, image.manifest.bytes);
    assert_eq!(stranger(&gate).get(&format!("manifests/{tag}")).expect(200).body, manifest.bytes, "the overlay's, byte for byte");
    assert_eq!(stranger(&gate).get("tags/list").expect(200).json()["tags"], serde_json::json!(["1", tag]));
    let _ = signer(&gate).delete(&format!("manifests/{tag}")).expect(202);
    assert_eq!(stranger(&gate).get("manifests/1").status, 403, "without the tag the signature counts no more");
}

#[test]
fn referrers_of_upstream_and_overlay_are_listed_together() {
    let (registry, image, theirs, ours) = (Registry::start(), Image::small(), Signer::generate(), Signer::generate());
    registry.push(APP, "1", &image);
    let upstream = theirs.sign(&image.manifest);
    registry.put_blob(APP, &upstream.bundle);
    registry.put_blob(APP, &Content::new("application/vnd.oci.empty.v1+json", "{}"));
    registry.put_manifest(APP, &upstream.manifest.digest, &upstream.manifest);
    registry.put_manifest(APP, &image.digest().replace(':', "-"), &upstream.listing());
    let gate = gate(&registry, &[&theirs.public_pem(), &ours.public_pem()]);
    assert_eq!(stranger(&gate).get("manifests/1").status, 403);
    let overlay = ours.sign(&image.manifest);
    let _ = signer(&gate).signature(&overlay).expect(201);
    let _ = stranger(&gate).get("manifests/1").expect(200);
    let mut listed = stranger(&gate).referrers(image.digest());
    listed.sort();
    let mut expected = [upstream.manifest.digest.clone(), overlay.manifest.digest.clone()];
    expected.sort();
    assert_eq!(listed, expected);
    for signature in [&upstream, &overlay] {
        let manifest = format!("manifests/{}", signature.manifest.digest);
        assert_eq!(stranger(&gate).get(&manifest).expect(200).body, signature.manifest.bytes);
        assert_eq!(stranger(&gate).get(&format!("blobs/{}", signature.bundle.digest)).expect(200).body, signature.bundle.bytes);
    }
}

#[test]
fn nothing_but_evidence_is_pushed_to_an_upstreams_name() {
    let (registry, image, keys) = (Registry::start(), Image::small(), Signer::generate());
    registry.push(APP, "1", &image);
    let gate = gate(&registry, &[&keys.public_pem()]);
    let signer = signer(&gate);
    let other = Image::small();
    other.blobs().for_each(|blob| {
        let _ = signer.blob(&blob.digest, &blob.bytes).expect(201);
    });
    signer.put_blob(b"{}");
    let tar = Content::new("application/json", other.layers[0].bytes.clone());
    let disguised = referrer("application/x", &image.manifest, &tar);
    let labelled = Content::new("application/vnd.dsse.envelope.v1+json", other.layers[0].bytes.clone());
    let labelled = referrer("application/x", &image.manifest, &labelled);
    let signature = keys.sign(&image.manifest);
    let _ = signer.blob(&signature.bundle.digest, &signature.bundle.bytes).expect(201);
    for (reference, manifest, reason) in [
        (other.digest(), &other.manifest, "names no `subject`"),
        ("1", &other.manifest, "a tag here must be"),
        ("new", &signature.manifest, "a tag here must be"),
        (&other.digest().replace(':', "-"), &other.manifest, "is about itself"),
        (&image.digest().replace(':', "-"), &other.manifest, "no signatures, attestations or SBOMs"),
        (&disguised.digest, &disguised, "no signatures, attestations or SBOMs"),
        (&labelled.digest, &labelled, "no signatures, attestations or SBOMs"),
    ] {
        let refused = signer.manifest(reference, manifest).expect(403);
        assert_eq!(refused.error().0, "DENIED", "{reference}");
        assert!(refused.error().1.contains(reason), "{reference}: {}", refused.error().1);
    }
    let large = fresh_bytes(9 * 1024 * 1024);
    assert_eq!(signer.blob(&sealgate_tests::sha256(&large), &large).expect(413).error().0, "SIZE_INVALID");
    // Who may push elsewhere may nothing here.
    let ci = stranger(&gate).login(CI, PASSWORD);
    assert_eq!(ci.manifest(&signature.manifest.digest, &signature.manifest).status, 403);
    assert_eq!(stranger(&gate).manifest(&signature.manifest.digest, &signature.manifest).status, 401);
    assert_eq!(stranger(&gate).get("manifests/1").status, 403);
    // A blob that somebody uploaded is no layer of the upstream's images.
    assert!(matches!(stranger(&gate).get(&format!("blobs/{}", other.layers[0].digest)).status, 403 | 404));
}

#[test]
fn an_official_image_is_admitted_by_a_signature_kept_here_and_refused_when_that_is_deleted() {
    // Issue 4, "Proven" 3: Docker Hub's official images take no signature of ours, and have names without a registry.
    let (hub, keys) = (Registry::start(), KeyPair::generate());
    let policy = "version: 1\nsigners: { security: { key: security.pub } }\nrules:\n  - images: [\"docker.io/library/*\"]\n    \
                  require: [ { signed-by: { any: [security] } } ]\n";
    let settings = format!("{{ default: true, upstream: {}, deletes: allowed }}", hub.url());
    let setup = Setup::new().registry("docker.io", &settings).registry(HOSTED, "{ hosted: true }").policy(policy);
    let setup = setup.file("security.pub", &keys.public_pem());
    let mut gate = with_users(setup).start();
    let login = login(gate.address(), SIGNER);
    for (name, layout) in [("nginx", None), ("redis", Some("--new-bundle-format=true")), ("mysql", Some("--new-bundle-format=false"))] {
        let image = Image::small();
        hub.push(&format!("library/{name}"), "1", &image);
        let full = format!("{}/docker.io/library/{name}@{}", gate.address(), image.digest());
        let names = [format!("{}/{name}:1", gate.address()), format!("{}/library/{name}:1", gate.address()), full.clone()];
        let refused = |gate: &Gate| {
            for client in Client::ALL {
                let text = client.pull(&names[0]).expect_refusal();
                assert!(text.contains("DENIED by policy rule docker.io/library/*"), "{client:?}: {text}");
            }
            // What containerd asks a mirror.
            let mirrored = Pusher::new(gate.address(), &format!("library/{name}"));
            assert_eq!(mirrored.get("manifests/1?ns=docker.io").status, 403);
        };
        refused(&gate);
        let sign = match layout {
            None => sealgate(["sign", "--yes", "--key"]).arg(keys.private()),
            Some(layout) => {
                let offline = ["--yes", "--use-signing-config=false", "--tlog-upload=false", layout];
                cosign().arg("sign").arg("--key").arg(keys.private()).args(offline)
            }
        };
        let _ = sign.arg(&full).env("DOCKER_CONFIG", login.path()).run().expect_success();
        for client in Client::ALL {
            for name in &names {
                assert_eq!(client.pull(name).expect_digest(), image.digest(), "{client:?} {name}");
            }
        }
        gate.restart();
        let puller = Pusher::new(gate.address(), &format!("docker.io/library/{name}"));
        assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes);
        let signer = puller.clone().login(SIGNER, PASSWORD);
        // A referrer by its digest, cosign's older layout by its tag.
        let signatures = match puller.referrers(image.digest()) {
            listed if listed.is_empty() => vec![format!("{}.sig", image.digest().replace(':', "-"))],
            listed => listed,
        };
        assert_eq!(signatures.len(), 1, "{signatures:?}");
        for signature in signatures {
            let _ = signer.delete(&format!("manifests/{signature}")).expect(202);
        }
        refused(&gate);
        gate.restart();
        refused(&gate);
    }
    let written = ["PUT", "POST", "PATCH", "DELETE"].map(|method| hub.count(method, "/manifests/sha256") + hub.count(method, ".sig"));
    assert_eq!(written, [0; 4], "nothing but what the test itself pushed was written upstream");
}
