//! What `sealgate` signs, cosign verifies; what cosign signs, `sealgate` verifies; their keys open in both.

use std::path::{Path, PathBuf};

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{self, KeyPair, Layout, PASSWORD};
use sealgate_tests::gate::{Setup, sealgate};
use sealgate_tests::image::{Image, Index};
use sealgate_tests::program::Outcome;
use sealgate_tests::registry::Registry;
use tempfile::TempDir;

/// A key pair made by `sealgate generate-key-pair`.
struct OwnKeys {
    folder: TempDir,
}

impl OwnKeys {
    fn generate() -> Self {
        let folder = tempfile::tempdir().expect("a folder for keys");
        let prefix = folder.path().join("own");
        let _ = sealgate(["generate-key-pair", "--output-key-prefix"]).arg(prefix).run().expect_success();
        Self { folder }
    }

    fn private(&self) -> PathBuf {
        self.folder.path().join("own.key")
    }

    fn public(&self) -> PathBuf {
        self.folder.path().join("own.pub")
    }
}

fn sign(key: &Path, reference: &str) -> Outcome {
    sealgate(["sign", "--yes", "--key"]).arg(key).arg(reference).run()
}

fn verify(key: &Path, reference: &str) -> Outcome {
    sealgate(["verify", "--key"]).arg(key).arg(reference).run()
}

/// A registry with one image, and its reference by digest.
fn registry_with_image() -> (Registry, Image, String) {
    let (registry, image) = (Registry::start(), Image::small());
    registry.push("team/app", "1", &image);
    let reference = registry.reference(&format!("team/app@{}", image.digest()));
    (registry, image, reference)
}

#[test]
fn cosign_verifies_what_sealgate_signed() {
    let (_registry, _, reference) = registry_with_image();
    let (keys, other) = (OwnKeys::generate(), OwnKeys::generate());
    let signed = sign(&keys.private(), &reference).expect_success();
    assert!(signed.stdout.contains(&reference), "{}", signed.text());
    let _ = cosign::verify(&keys.public(), Layout::Bundle, &reference).expect_success();
    let _ = cosign::verify(&other.public(), Layout::Bundle, &reference).expect_failure();
}

#[test]
fn cosign_verifies_what_sealgate_signed_with_a_key_of_cosign() {
    let (_registry, _, reference) = registry_with_image();
    let keys = KeyPair::generate();
    let _ = sign(&keys.private(), &reference).expect_success();
    let _ = cosign::verify(&keys.public(), Layout::Bundle, &reference).expect_success();
    let _ = verify(&keys.public(), &reference).expect_success();
}

#[test]
fn cosign_signs_with_a_key_of_sealgate() {
    let keys = OwnKeys::generate();
    for layout in [Layout::Bundle, Layout::Legacy] {
        let (_registry, _, reference) = registry_with_image();
        let _ = cosign::sign(&keys.private(), layout, &reference).expect_success();
        let _ = cosign::verify(&keys.public(), layout, &reference).expect_success();
        let _ = verify(&keys.public(), &reference).expect_success();
    }
}

#[test]
fn signatures_of_cosign_and_sealgate_live_side_by_side() {
    let (_registry, _, reference) = registry_with_image();
    let (own, theirs) = (OwnKeys::generate(), KeyPair::generate());
    let _ = cosign::sign(&theirs.private(), Layout::Bundle, &reference).expect_success();
    let _ = sign(&own.private(), &reference).expect_success();
    let _ = cosign::sign(&theirs.private(), Layout::Legacy, &reference).expect_success();
    for key in [own.public(), theirs.public()] {
        let _ = verify(&key, &reference).expect_success();
        let _ = cosign::verify(&key, Layout::Bundle, &reference).expect_success();
    }
    let _ = cosign::verify(&theirs.public(), Layout::Legacy, &reference).expect_success();
}

#[test]
fn an_index_is_signed_and_verified_as_a_whole() {
    let (registry, index, keys) = (Registry::start(), Index::small(), OwnKeys::generate());
    registry.push_index("team/app", "1", &index);
    let _ = sealgate(["sign", "--no-children", "--key"]).arg(keys.private()).arg(registry.reference("team/app:1")).run().expect_success();
    let reference = registry.reference(&format!("team/app@{}", index.digest()));
    let _ = cosign::verify(&keys.public(), Layout::Bundle, &reference).expect_success();
    let child = registry.reference(&format!("team/app@{}", index.images[0].digest()));
    let _ = cosign::verify(&keys.public(), Layout::Bundle, &child).expect_failure();
}

#[test]
fn the_gate_admits_what_sealgate_signed() {
    let (registry, image, reference) = registry_with_image();
    let keys = OwnKeys::generate();
    let public = std::fs::read_to_string(keys.public()).expect("the public key");
    let gate = Setup::new().lab_without_memory(&registry.url()).signed_by(&public).start();
    let _ = Client::Docker.pull(&gate.reference("team/app:1")).expect_refusal();
    let _ = sign(&keys.private(), &reference).expect_success();
    assert_eq!(Client::Docker.pull(&gate.reference("team/app:1")).expect_digest(), image.digest());
}

#[test]
fn a_tag_is_resolved_and_its_digest_is_printed() {
    let (registry, image, _) = registry_with_image();
    let keys = OwnKeys::generate();
    let signed = sign(&keys.private(), &registry.reference("team/app:1")).expect_success();
    assert!(signed.stdout.contains(image.digest()), "{}", signed.text());
}

#[test]
fn verify_exits_with_the_reason() {
    let (registry, _, reference) = registry_with_image();
    let (keys, other) = (KeyPair::generate(), KeyPair::generate());
    assert_eq!(verify(&keys.public(), &reference).code, Some(10), "unsigned");
    assert_eq!(verify(&keys.public(), &registry.reference("team/app:none")).code, Some(11), "no such tag");
    let _ = cosign::sign(&other.private(), Layout::Bundle, &reference).expect_success();
    assert_eq!(verify(&keys.public(), &reference).code, Some(12), "signed by another key");
    let mut arguments = sealgate(["verify"]);
    arguments = arguments.arg(&reference);
    assert_eq!(arguments.run().code, Some(2), "no key");
}

// D8
#[test]
fn a_wrong_password_signs_nothing_and_no_output_holds_it() {
    let (registry, image, reference) = registry_with_image();
    let keys = OwnKeys::generate();
    let wrong = "not the password";
    let refused = sealgate(["sign", "--key"]).arg(keys.private()).arg(&reference).env("COSIGN_PASSWORD", wrong).run().expect_failure();
    assert!(!refused.text().contains(wrong) && !refused.text().contains(PASSWORD), "{}", refused.text());
    let tag = image.digest().replace(':', "-");
    let listed = sealgate_tests::wire::get(registry.address(), "/v2/team/app/tags/list").expect(200).text();
    assert!(!listed.contains(&tag), "{listed}");
    let private = std::fs::read_to_string(keys.private()).expect("the private key");
    assert!(private.contains("ENCRYPTED"), "{private}");
}
