//! An image in a registry that an instance of Sigstore vouches for.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::image::{Content, Image};
use crate::registry::Registry;
use crate::signature::Signature;
use crate::sigstore::{Identity, Making, Sigstore};

/// The predicate type with which cosign 3 signs.
pub const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
/// The predicate type of SLSA provenance 1.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The identity that signs in here, unless a test says otherwise.
#[must_use]
pub fn identity() -> Identity {
    Identity::github("acme/builders/.github/workflows/release.yml@refs/tags/v1", "acme/app")
}

/// An instance, a registry, and a folder for files.
#[derive(Debug)]
pub struct Keyless {
    /// The instance.
    pub sigstore: Sigstore,
    /// The registry.
    pub registry: Registry,
    folder: TempDir,
}

impl Keyless {
    /// With nothing in the registry.
    #[must_use]
    pub fn start() -> Self {
        let scene = Self { sigstore: Sigstore::new(), registry: Registry::start(), folder: tempfile::tempdir().expect("a folder") };
        let _ = scene.file("root.json", &scene.root());
        scene
    }

    /// The instance's `trusted_root.json`.
    #[must_use]
    pub fn root(&self) -> String {
        self.sigstore.trusted_root().to_string()
    }

    /// Its file.
    #[must_use]
    pub fn root_file(&self) -> PathBuf {
        self.folder.path().join("root.json")
    }

    /// A file beside it.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A new image as `repository:1`, about which `identity` states `predicate` as cosign 3 does: a bundle under the fallback tag.
    #[must_use]
    pub fn push(&self, repository: &str, identity: &Identity, (kind, predicate): (&str, Value), making: Making<'_>) -> Image {
        let image = Image::small();
        self.registry.push(repository, "1", &image);
        let digest = image.digest().trim_start_matches("sha256:");
        let subject = json!([{ "name": "", "digest": { "sha256": digest } }]);
        let statement =
            json!({ "_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": kind, "predicate": predicate });
        let (made, envelope) = self.sigstore.attest(identity, &statement.to_string(), making);
        let signature = Signature::of(made.bundle_with(&envelope).to_string(), &image.manifest);
        self.registry.put_blob(repository, &Content::new("application/vnd.oci.empty.v1+json", "{}"));
        self.registry.put_blob(repository, &signature.bundle);
        self.registry.put_manifest(repository, &signature.manifest.digest, &signature.manifest);
        self.registry.put_manifest(repository, &format!("sha256-{digest}"), &signature.listing());
        image
    }

    /// The same with a signature.
    #[must_use]
    pub fn push_signed(&self, repository: &str, identity: &Identity, making: Making<'_>) -> Image {
        self.push(repository, identity, (SIGN, json!({})), making)
    }
}
