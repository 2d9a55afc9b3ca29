//! The cases of sigstore-conformance (`test_verify`), read in place: a folder per case, named for what must happen.

use std::fs;
use std::path::{Path, PathBuf};

use sealgate_verifier::sigstore::{self, Artifact, TrustRoot, VerifyError};
use sealgate_verifier::{Digest, PublicKey};

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures")
}

/// One case.
pub struct Case {
    pub name: String,
    pub bundle: Vec<u8>,
    pub artifact: Vec<u8>,
    identity: String,
    issuer: String,
    key: Option<String>,
    pub root: Vec<u8>,
}

/// What a case ended with.
#[derive(Debug, PartialEq)]
pub enum Failure {
    Root(String),
    Key(String),
    Verify(VerifyError),
    Identity,
}

impl Case {
    /// Whether it must not verify.
    pub fn must_fail(&self) -> bool {
        self.name.ends_with("_fail")
    }

    pub fn root(&self) -> Result<TrustRoot, Failure> {
        TrustRoot::from_json(&self.root).map_err(|error| Failure::Root(error.to_string()))
    }

    /// Verifies `bundle` in the place of the case's own.
    pub fn verify(&self, bundle: &[u8], artifact: Artifact<'_>, root: &TrustRoot) -> Result<(), Failure> {
        if let Some(pem) = &self.key {
            let key = PublicKey::from_pem(pem).map_err(|error| Failure::Key(error.to_string()))?;
            return sigstore::verify_key_logged(bundle, artifact, &key, root).map(drop).map_err(Failure::Verify);
        }
        let identity = sigstore::verify_certificate(bundle, artifact, root).map_err(Failure::Verify)?.identity;
        if (identity.issuer, identity.subject) == (self.issuer.clone(), self.identity.clone()) { Ok(()) } else { Err(Failure::Identity) }
    }

    pub fn as_bytes(&self) -> Artifact<'_> {
        Artifact::Bytes(&self.artifact)
    }

    pub fn as_digest(&self) -> Artifact<'static> {
        Artifact::Digest(Digest::sha256(&self.artifact))
    }
}

/// All cases; none where the folder is absent, which CI does not allow.
pub fn cases() -> Vec<Case> {
    let folder = fixtures().join("sigstore-bundles");
    let Ok(entries) = fs::read_dir(&folder) else {
        assert!(std::env::var_os("CI").is_none(), "{} is required in CI", folder.display());
        eprintln!("skipped: {} is absent", folder.display());
        return Vec::new();
    };
    let default = |name: &str| fs::read(fixtures().join(name)).expect("a fixture");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(|path| {
            let read = |name: &str| fs::read(path.join(name)).ok();
            let text = |name: &str| read(name).map(|bytes| String::from_utf8(bytes).expect("text").trim().to_owned());
            Case {
                name: path.file_name().expect("a name").to_string_lossy().into_owned(),
                bundle: read("bundle.sigstore.json").expect("a bundle"),
                artifact: read("artifact").unwrap_or_else(|| default("sigstore-bundles/a.txt")),
                identity: text("identity").unwrap_or_else(|| IDENTITY.to_owned()),
                issuer: text("issuer").unwrap_or_else(|| ISSUER.to_owned()),
                key: text("key.pub"),
                root: read("trusted_root.json").unwrap_or_else(|| default("public-good.trusted_root.json")),
            }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}
