//! Real images with real provenance: cosign `.att` attestations by SLSA's generator on GitHub Actions, read in place.
#![allow(clippy::disallowed_methods, missing_docs, reason = "tests read fixtures and their environment")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sealgate_verifier::sigstore::{self, Annotations, Artifact, Keyless, TrustRoot, VerifyError};
use sealgate_verifier::{Digest, Manifest, media_type};

/// One attestation of one image.
struct Attestation {
    subject: Digest,
    envelope: Vec<u8>,
    annotations: BTreeMap<String, String>,
}

fn layouts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.join("index.json").is_file() {
            found.push(path);
        } else if path.is_dir() {
            layouts(&path, found);
        }
    }
}

/// Those of every layout; none where the folder is absent, which CI does not allow.
fn attestations() -> Vec<Attestation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/real-images");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is required in CI", folder.display());
        eprintln!("skipped: {} is absent", folder.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    layouts(&folder, &mut found);
    let mut attestations = Vec::new();
    for layout in found {
        let subject = fs::read_to_string(layout.with_extension("digest")).expect("a digest");
        let subject: Digest = subject.trim().rsplit('@').next().expect("a digest").parse().expect("a digest");
        for file in fs::read_dir(layout.join("blobs/sha256")).expect("blobs") {
            let bytes = fs::read(file.expect("a blob").path()).expect("a blob");
            let Ok(Manifest::Image(image)) = Manifest::parse(&bytes, None) else {
                continue;
            };
            for layer in image.layers.iter().filter(|layer| layer.media_type == media_type::DSSE) {
                let envelope = fs::read(layout.join("blobs/sha256").join(layer.digest.hex())).expect("a layer");
                attestations.push(Attestation { subject, envelope, annotations: layer.annotations.clone() });
            }
        }
    }
    assert!(!attestations.is_empty());
    attestations
}

impl Attestation {
    fn verify(&self, annotations: &BTreeMap<String, String>, subject: Digest) -> Result<Keyless, VerifyError> {
        let root = TrustRoot::public().expect("the embedded root");
        sigstore::verify_legacy_attestation_certificate(&self.envelope, Annotations::of(annotations), Artifact::Digest(subject), &root)
    }
}

#[test]
fn real_provenance_verifies_and_names_its_builder_and_its_source() {
    for attestation in attestations() {
        let found = attestation.verify(&attestation.annotations, attestation.subject).expect("it verifies");
        assert_eq!(found.identity.issuer, "https://token.actions.githubusercontent.com");
        let builder = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v";
        assert!(found.identity.subject.starts_with(builder), "{:?}", found.identity);
        assert_eq!(found.identity.claims.source_repository.as_deref(), Some("https://github.com/slsa-framework/example-package"));
        assert!(found.statement.is_some());
    }
}

#[test]
fn real_provenance_of_another_image_or_without_its_evidence_is_denied() {
    // C3, V2, V3
    for attestation in attestations() {
        let denied = |change: &dyn Fn(&mut BTreeMap<String, String>)| {
            let mut annotations = attestation.annotations.clone();
            change(&mut annotations);
            attestation.verify(&annotations, attestation.subject).expect_err("it is denied")
        };
        let other = attestation.verify(&attestation.annotations, Digest::sha256(b"another")).expect_err("it is denied");
        assert!(matches!(other, VerifyError::Artifact { .. }), "{other:?}");
        assert!(matches!(denied(&|annotations| drop(annotations.remove(sigstore::BUNDLE))), VerifyError::NoTime));
        assert!(matches!(denied(&|annotations| drop(annotations.remove("dev.sigstore.cosign/certificate"))), VerifyError::Shape { .. }));
        let key = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwr\nkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==\n-----END PUBLIC KEY-----\n";
        let bare = denied(&|annotations| drop(annotations.insert("dev.sigstore.cosign/certificate".to_owned(), key.to_owned())));
        assert!(matches!(bare, VerifyError::Shape { .. }), "{bare:?}");
    }
}
