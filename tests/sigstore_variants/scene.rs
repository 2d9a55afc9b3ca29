//! An instance, and two judges of what it signs.

use std::fs;
use std::path::PathBuf;

use sealgate_tests::cosign::cosign;
use sealgate_tests::sigstore::{Identity, Key, Sigstore};
use sealgate_verifier::PublicKey;
use sealgate_verifier::sigstore::{self, Artifact, Keyless, Logged, TrustRoot, VerifyError};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What is signed, or what a statement is about.
pub const MESSAGE: &[u8] = b"an artifact";

pub fn identity() -> Identity {
    Identity::github("acme/builders/.github/workflows/release.yml@refs/tags/v1", "acme/app")
}

/// A statement of this `_type` about [`MESSAGE`].
pub fn statement_of(kind: &str, predicate: &Value) -> String {
    let digest = sealgate_tests::sha256(MESSAGE);
    let subject = json!([{ "name": "message", "digest": { "sha256": digest.trim_start_matches("sha256:") } }]);
    json!({ "_type": kind, "subject": subject, "predicateType": "https://slsa.dev/provenance/v1", "predicate": predicate }).to_string()
}

pub fn statement(predicate: &Value) -> String {
    statement_of("https://in-toto.io/Statement/v1", predicate)
}

pub struct Scene {
    pub instance: Sigstore,
    /// Its trust root, good until changed.
    pub root: Value,
    folder: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        let instance = Sigstore::new();
        Self { root: instance.trusted_root(), instance, folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn trust_root(&self) -> TrustRoot {
        TrustRoot::from_json(self.root.to_string().as_bytes()).expect("a trust root")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    }

    pub fn keyless(&self, bundle: &Value) -> Result<Keyless, VerifyError> {
        let bytes = bundle.to_string();
        let found = sigstore::verify_certificate(bytes.as_bytes(), Artifact::Bytes(MESSAGE), &self.trust_root());
        let digest = Artifact::Digest(sealgate_verifier::Digest::sha256(MESSAGE));
        let by_digest = sigstore::verify_certificate(bytes.as_bytes(), digest, &self.trust_root());
        assert_eq!(found, by_digest, "the digest stands for the bytes");
        found
    }

    pub fn keyed(&self, bundle: &Value, key: &Key) -> Result<Logged, VerifyError> {
        let key = PublicKey::from_pem(&key.public_pem()).expect("a key");
        sigstore::verify_key_logged(bundle.to_string().as_bytes(), Artifact::Bytes(MESSAGE), &key, &self.trust_root())
    }

    /// cosign's verdict; `by` are its arguments for who may have signed.
    fn theirs(&self, bundle: &Value, by: &[&str]) -> bool {
        let attested = bundle["dsseEnvelope"].is_object();
        let stamped = bundle.pointer("/verificationMaterial/timestampVerificationData").is_some();
        let (command, kind): (_, &[&str]) =
            if attested { ("verify-blob-attestation", &["--type", "slsaprovenance1"]) } else { ("verify-blob", &[]) };
        let stamps: &[&str] = if stamped { &["--use-signed-timestamps"] } else { &[] };
        let (file, root) =
            (self.file("bundle.json", bundle.to_string().as_bytes()), self.file("root.json", self.root.to_string().as_bytes()));
        let program = cosign().arg(command).arg("--bundle").arg(file).arg("--trusted-root").arg(root).args(by).args(kind).args(stamps);
        program.arg(self.file("message", MESSAGE)).run().succeeded()
    }

    pub fn cosign_keyless(&self, bundle: &Value) -> bool {
        let Identity { subject, issuer, .. } = identity();
        self.theirs(bundle, &["--certificate-identity", &subject, "--certificate-oidc-issuer", &issuer])
    }

    pub fn cosign_keyed(&self, bundle: &Value, key: &Key) -> bool {
        let file = self.file("key.pub", key.public_pem().as_bytes());
        self.theirs(bundle, &["--key", &file.to_string_lossy()])
    }

    /// Our verdict, after checking that cosign's is the same.
    #[track_caller]
    pub fn agreed(&self, bundle: &Value) -> Result<Keyless, VerifyError> {
        let ours = self.keyless(bundle);
        assert_eq!(self.cosign_keyless(bundle), ours.is_ok(), "cosign disagrees with {ours:?}");
        ours
    }

    /// The step at which a bundle fails that cosign refuses as well.
    #[track_caller]
    pub fn refused(&self, bundle: &Value) -> String {
        self.agreed(bundle).expect_err("it is refused").to_string()
    }
}

/// The one log entry of a bundle.
pub fn entry(bundle: &mut Value) -> &mut Value {
    bundle.pointer_mut("/verificationMaterial/tlogEntries/0").expect("an entry")
}
