//! notation 1.3, without a network: its keys, trust stores and trust policy in a folder of its own, signatures and
//! verification.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::image::Image;
use crate::pki::Identity;
use crate::program::{Outcome, Program};
use crate::registry::Registry;
use crate::wire;

/// An envelope format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/jose+json`.
    Jws,
    /// `application/cose`.
    Cose,
}

impl Format {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Jws, Self::Cose];

    /// What `--signature-format` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jws => "jws",
            Self::Cose => "cose",
        }
    }
}

/// A signature envelope as a registry holds it.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A configuration of notation.
#[derive(Debug)]
pub struct Notation {
    home: TempDir,
    /// A folder with docker's `config.json`.
    login: Option<PathBuf>,
}

impl Notation {
    /// An empty one, which trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a folder for notation"), login: None }
    }

    /// The same with the login in `folder`.
    #[must_use]
    pub fn login(mut self, folder: &Path) -> Self {
        self.login = Some(folder.to_owned());
        self
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("notation")
    }

    fn write(&self, path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    /// Writes a file of its own, and tells where.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        self.write(&path, text);
        path
    }

    /// The path of a file of its own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Puts a certificate into the trust store `kind:store`.
    pub fn trust(&self, kind: &str, store: &str, pem: &str) {
        self.write(&self.folder().join(format!("truststore/x509/{kind}/{store}/root.pem")), pem);
    }

    /// Sets the one trust policy, for all images.
    pub fn policy(&self, level: &str, stores: &[&str], identities: &[&str]) {
        let policy = json!({ "version": "1.0", "trustPolicies": [{
            "name": "tests", "registryScopes": ["*"], "signatureVerification": { "level": level },
            "trustStores": stores, "trustedIdentities": identities,
        }] });
        self.write(&self.folder().join("trustpolicy.json"), &policy.to_string());
    }

    /// Signs `reference` (`HOST/REPOSITORY@DIGEST`) as `identity`.
    #[must_use]
    pub fn sign(&self, identity: &Identity, format: Format, reference: &str, arguments: &[&str]) -> Outcome {
        let key = self.file("key.pem", &identity.key_pem);
        let chain = self.file("chain.pem", &identity.chain_pem);
        let keys = json!({ "default": "key", "keys": [{ "name": "key", "keyPath": key, "certPath": chain }] });
        self.write(&self.folder().join("signingkeys.json"), &keys.to_string());
        let program = self.notation().args(["sign", "--insecure-registry", "--signature-format", format.name()]);
        program.args(arguments).arg(reference).run()
    }

    /// Verifies `reference` under its trust policy.
    #[must_use]
    pub fn verify(&self, reference: &str) -> Outcome {
        self.notation().args(["verify", "--insecure-registry"]).arg(reference).run()
    }

    fn notation(&self) -> Program {
        let login = self.login.as_deref().unwrap_or(self.home.path());
        Program::new("notation").env("XDG_CONFIG_HOME", self.home.path()).env("HOME", self.home.path()).env("DOCKER_CONFIG", login)
    }
}

impl Default for Notation {
    fn default() -> Self {
        Self::new()
    }
}

/// The envelopes that are attached to `digest` under the fallback tag (distribution-spec 1.1, "Referrers Tag Schema").
#[must_use]
pub fn envelopes(registry: &Registry, repository: &str, digest: &str) -> Vec<Envelope> {
    let fetch = |target: &str| wire::get(registry.address(), target).expect(200).body;
    let index = fetch(&format!("/v2/{repository}/manifests/{}", digest.replace(':', "-")));
    let index: Value = serde_json::from_slice(&index).expect("an index");
    let manifests = index["manifests"].as_array().expect("manifests");
    let envelope = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let manifest: Value = serde_json::from_slice(&fetch(&format!("/v2/{repository}/manifests/{digest}"))).expect("a manifest");
        let layer = &manifest["layers"][0];
        let media_type = layer["mediaType"].as_str().expect("a type").to_owned();
        let digest = layer["digest"].as_str().expect("a digest");
        Envelope { media_type, bytes: fetch(&format!("/v2/{repository}/blobs/{digest}")) }
    };
    manifests.iter().map(envelope).collect()
}

/// Puts `bytes` in the place of an envelope of `image`: what a registry may do that wants to be believed.
pub fn replace(registry: &Registry, repository: &str, image: &Image, media_type: &str, bytes: &[u8]) {
    use crate::image::Content;
    let (layer, empty) = (Content::new(media_type, bytes.to_vec()), Content::new("application/vnd.cncf.notary.signature", "{}"));
    registry.put_blob(repository, &layer);
    registry.put_blob(repository, &empty);
    let manifest = Content::json(
        "application/vnd.oci.image.manifest.v1+json",
        &json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": empty.descriptor(),
            "layers": [layer.descriptor()], "subject": image.manifest.descriptor(),
            "annotations": { "io.cncf.notary.x509chain.thumbprint#S256": "[]" },
        }),
    );
    registry.put_manifest(repository, &manifest.digest, &manifest);
    let mut descriptor = manifest.descriptor();
    descriptor["artifactType"] = json!("application/vnd.cncf.notary.signature");
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": index_type, "manifests": [descriptor] });
    registry.put_manifest(repository, &image.digest().replace(':', "-"), &Content::json(index_type, &index));
}
