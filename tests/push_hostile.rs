//! Ways round the gate that pushing could have opened.

use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Image, Index};
use sealgate_tests::process::wait_until;
use sealgate_tests::push::{CI, HOSTED, OTHER, PASSWORD, Pusher, SIGNER, with_users};
use sealgate_tests::signature::Signer;

const APP: &str = "team/app";
const LIMIT: Duration = Duration::from_secs(15);

fn policy(settings: &str) -> String {
    format!(
        "version: 1\nsigners:\n  ci: {{ key: keys/ci.pub }}\nrules:\n  - images: [\"{HOSTED}/**\"]\n{settings}    require: [ {{ signed-by: {{ any: [ci] }} }} ]\n"
    )
}

fn gate(key: &str, registry: &str, rule: &str) -> Gate {
    with_users(Setup::new().registry(HOSTED, registry).file("keys/ci.pub", key).policy(policy(rule))).start()
}

fn at(gate: &Gate, path: &str) -> Pusher {
    Pusher::new(gate.address(), &format!("{HOSTED}/{path}"))
}

// A decision counts pushes to its repository and to those of `signatures-from`: with one less of these, the sum of loads and pushes
// stood still.
#[test]
fn a_policy_that_no_longer_takes_signatures_from_elsewhere_counts_at_the_next_request() {
    let (keys, image) = (Signer::generate(), Image::small());
    let elsewhere = "team/signatures";
    let gate = gate(&keys.public_pem(), "{ hosted: true }", &format!("    signatures-from: [{HOSTED}/{elsewhere}]\n"));
    let puller = at(&gate, APP);
    puller.clone().login(CI, PASSWORD).image("1", &image);
    let _ = at(&gate, elsewhere).login(SIGNER, PASSWORD).signature(&keys.sign(&image.manifest)).expect(201);
    assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes);
    gate.write("trust-policy.yaml", &policy(""));
    gate.reload();
    assert!(wait_until(LIMIT, || puller.get("manifests/1").status == 403), "a decision of the last policy counts");
}

// DESIGN §1.4: what strangers push belongs to no one of them, so that having uploaded it opens nothing once an image lists it.
#[test]
fn a_stranger_cannot_mount_a_layer_of_a_denied_image_to_where_no_image_lists_it() {
    let (keys, image) = (Signer::generate(), Image::small());
    let gate = gate(&keys.public_pem(), "{ hosted: true, push: anonymous }", "");
    let (here, there) = (at(&gate, APP), at(&gate, "else/where"));
    here.image("1", &image);
    let layer = format!("blobs/{}", image.layers[0].digest);
    let mount = format!("blobs/uploads/?mount={}&from={HOSTED}/{APP}", image.layers[0].digest);
    assert_eq!(here.get(&layer).status, 403);
    assert_eq!(there.send(there.request("POST", &mount)).status, 202, "it must be uploaded");
    assert_eq!(there.get(&layer).status, 404);
    let _ = here.clone().login(SIGNER, PASSWORD).signature(&keys.sign(&image.manifest)).expect(201);
    assert_eq!(here.get(&layer).expect(200).body, image.layers[0].bytes);
    assert_eq!(there.send(there.request("POST", &mount)).status, 201, "an admitted image lists it");
}

// The same where the image that lists it was deleted: the policy never admitted it.
#[test]
fn a_layer_of_a_denied_image_is_not_opened_by_deleting_the_image() {
    let image = Image::small();
    let gate = gate(&Signer::generate().public_pem(), "{ hosted: true, push: anonymous, deletes: allowed }", "");
    let here = at(&gate, APP);
    here.image("1", &image);
    let layer = format!("blobs/{}", image.layers[0].digest);
    assert_eq!(here.get(&layer).status, 403);
    let _ = here.delete(&format!("manifests/{}", image.digest())).expect(202);
    assert_eq!(here.get(&layer).status, 404);
}

// DESIGN §6: who signs reads evidence, by its bytes and not by what a manifest calls it.
#[test]
fn a_layer_that_a_manifest_calls_evidence_is_not_read_by_those_who_sign() {
    let (image, keys) = (Image::small(), Signer::generate());
    let gate = gate(&keys.public_pem(), "{ hosted: true }", "");
    let (ci, signer) = (at(&gate, APP).login(CI, PASSWORD), at(&gate, APP).login(SIGNER, PASSWORD));
    ci.image("1", &image);
    ci.put_blob(b"{}");
    let layer = &image.layers[0];
    let called = Content::new("application/spdx+json", layer.bytes.clone());
    let manifest = ci.referrer("application/spdx+json", &image.manifest, &called);
    let _ = ci.manifest(&manifest.digest, &manifest).expect(201);
    assert_eq!(signer.get(&format!("manifests/{}", manifest.digest)).expect(200).body, manifest.bytes);
    assert_eq!(signer.get(&format!("blobs/{}", layer.digest)).status, 403);
}

/// Manifests that list the layers of `image` and whose digests come before its own.
fn claims(image: &Image, count: usize) -> Vec<Content> {
    let document: serde_json::Value = serde_json::from_slice(&image.manifest.bytes).expect("a manifest");
    let claim = |number: usize| {
        let mut document = document.clone();
        document["annotations"] = serde_json::json!({ "org.example.number": number.to_string() });
        Content::json(&image.manifest.media_type, &document)
    };
    (0..).map(claim).filter(|claim| *claim.digest < *image.digest()).take(count).collect()
}

/// An image before whose digest there is room for others.
fn image_with_room() -> Image {
    std::iter::repeat_with(Image::small).find(|image| image.digest() > "sha256:2").expect("an image")
}

// Whoever may push claims the layers of an admitted image for many others, so that it is not among the first that are looked at.
#[test]
fn many_manifests_that_claim_a_layer_do_not_keep_it_from_the_image_that_is_admitted() {
    let (keys, image) = (Signer::generate(), image_with_room());
    let mut gate = gate(&keys.public_pem(), "{ hosted: true }", "");
    let (puller, ci, other) = (at(&gate, APP), at(&gate, APP).login(CI, PASSWORD), at(&gate, APP).login(OTHER, PASSWORD));
    ci.image("1", &image);
    let _ = at(&gate, APP).login(SIGNER, PASSWORD).signature(&keys.sign(&image.manifest)).expect(201);
    assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes);
    for claim in claims(&image, 40) {
        let _ = other.manifest(&claim.digest, &claim).expect(201);
    }
    gate.restart();
    for layer in &image.layers {
        assert_eq!(puller.get(&format!("blobs/{}", layer.digest)).expect(200).body, layer.bytes);
    }
}

// The same with a child and the indexes that list it.
#[test]
fn many_indexes_that_claim_a_child_do_not_keep_it_from_the_index_that_is_admitted() {
    let keys = Signer::generate();
    let mut gate = gate(&keys.public_pem(), "{ hosted: true }", "");
    let (puller, ci, other) = (at(&gate, APP), at(&gate, APP).login(CI, PASSWORD), at(&gate, APP).login(OTHER, PASSWORD));
    let index = std::iter::repeat_with(Index::small).find(|index| index.digest() > "sha256:2").expect("an index");
    ci.index("1", &index);
    let _ = at(&gate, APP).login(SIGNER, PASSWORD).signature(&keys.sign(&index.manifest)).expect(201);
    assert_eq!(puller.get("manifests/1").expect(200).body, index.manifest.bytes);
    let document: serde_json::Value = serde_json::from_slice(&index.manifest.bytes).expect("an index");
    let claim = |number: usize| {
        let mut document = document.clone();
        document["annotations"] = serde_json::json!({ "org.example.number": number.to_string() });
        Content::json(&index.manifest.media_type, &document)
    };
    for claim in (0..).map(claim).filter(|claim| *claim.digest < *index.digest()).take(12) {
        let _ = other.manifest(&claim.digest, &claim).expect(201);
    }
    gate.restart();
    let child = &index.images[0];
    assert_eq!(puller.get(&format!("manifests/{}", child.digest())).expect(200).body, child.manifest.bytes);
}

// More is attached to an image than anybody reads: by others, the signature among it is seen all the same.
#[test]
fn many_referrers_of_one_pusher_do_not_hide_the_signature_of_another() {
    let (keys, image) = (Signer::generate(), Image::small());
    let gate = gate(&keys.public_pem(), "{ hosted: true }", "");
    let (puller, ci) = (at(&gate, APP), at(&gate, APP).login(CI, PASSWORD));
    ci.image("1", &image);
    for number in 0..90 {
        let sbom = Content::new("application/spdx+json", format!("{{\"spdxVersion\":\"SPDX-2.3\",\"name\":\"{number}\"}}"));
        let _ = ci.referrer("application/spdx+json", &image.manifest, &sbom);
    }
    assert_eq!(puller.get("manifests/1").status, 403);
    let _ = at(&gate, APP).login(SIGNER, PASSWORD).signature(&keys.sign(&image.manifest)).expect(201);
    assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes);
}

/// Removes the file of a stored blob or manifest.
fn lose(gate: &Gate, digest: &str) {
    let hex = digest.strip_prefix("sha256:").expect("a sha256 digest");
    let path = gate.folder().join(format!("data/blobs/sha256/{}/{hex}", &hex[..2]));
    std::fs::remove_file(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

// F18: what a client pushed nobody else can bring again. That it is lost is no proof that there is nothing, and pushing it heals.
#[test]
fn a_signature_whose_bytes_are_lost_is_a_gap_and_not_an_absence() {
    for rebuilt in [false, true] {
        let (keys, image) = (Signer::generate(), Image::small());
        let mut gate = gate(&keys.public_pem(), "{ hosted: true }", "");
        let (puller, signer) = (at(&gate, APP), at(&gate, APP).login(SIGNER, PASSWORD));
        at(&gate, APP).login(CI, PASSWORD).image("1", &image);
        // Under the fallback tag alone: no listing says that it is there.
        let signature = keys.sign(&image.manifest);
        let _ = signer.signature(&signature).expect(201);
        let tag = image.digest().replace(':', "-");
        let listing = signature.listing();
        let _ = signer.manifest(&tag, &listing).expect(201);
        assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes);
        gate.kill();
        lose(&gate, &listing.digest);
        lose(&gate, &signature.manifest.digest);
        if rebuilt {
            std::fs::remove_dir_all(gate.folder().join("data/index")).expect("the index");
        }
        gate.restart();
        let denied = puller.get("manifests/1").expect(403);
        assert!(denied.reason.contains("could not be") || denied.reason.contains("cannot be"), "{}", denied.reason);
        let _ = signer.signature(&signature).expect(201);
        let _ = signer.manifest(&tag, &listing).expect(201);
        assert_eq!(puller.get("manifests/1").expect(200).body, image.manifest.bytes, "rebuilt: {rebuilt}");
    }
}

// F7, F18: a client that is told that a layer is there does not push it again.
#[test]
fn a_layer_whose_bytes_are_lost_is_unknown_to_head_and_get_and_pushing_it_heals() {
    let (keys, image) = (Signer::generate(), Image::small());
    let mut gate = gate(&keys.public_pem(), "{ hosted: true }", "");
    let (puller, ci) = (at(&gate, APP), at(&gate, APP).login(CI, PASSWORD));
    ci.image("1", &image);
    let _ = at(&gate, APP).login(SIGNER, PASSWORD).signature(&keys.sign(&image.manifest)).expect(201);
    let layer = &image.layers[0];
    let path = format!("blobs/{}", layer.digest);
    gate.kill();
    lose(&gate, &layer.digest);
    gate.restart();
    for client in [&puller, &ci] {
        assert_eq!((client.head(&path).status, client.get(&path).status), (404, 404));
    }
    assert_eq!(ci.manifest("2", &image.manifest).expect(400).error().0, "MANIFEST_BLOB_UNKNOWN");
    ci.image("2", &image);
    assert_eq!(puller.get(&path).expect(200).body, layer.bytes);
}
