//! Ways round the gate that pushing could have opened.

use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::push::{CI, HOSTED, PASSWORD, Pusher, SIGNER, with_users};
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
