//! cosign 3, without a network: key pairs, signatures in both layouts, and verification.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::program::{Outcome, Program};

/// The password of every key that tests make.
pub const PASSWORD: &str = "only for tests";

/// Which layout a signature is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A Sigstore bundle v0.3 as a referrer (under the fallback tag `sha256-<hex>` where the registry has no referrers API).
    Bundle,
    /// Simple signing under the tag `sha256-<hex>.sig`.
    Legacy,
}

/// A key pair made by `cosign generate-key-pair`, in a folder of its own.
#[derive(Debug)]
pub struct KeyPair {
    folder: TempDir,
}

impl KeyPair {
    /// Makes a new one.
    #[must_use]
    pub fn generate() -> Self {
        let folder = tempfile::tempdir().expect("a folder for keys");
        let _ = cosign().arg("generate-key-pair").folder(folder.path()).run().expect_success();
        Self { folder }
    }

    /// The encrypted private key's file.
    #[must_use]
    pub fn private(&self) -> PathBuf {
        self.folder.path().join("cosign.key")
    }

    /// The public key's file.
    #[must_use]
    pub fn public(&self) -> PathBuf {
        self.folder.path().join("cosign.pub")
    }

    /// The public key as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        std::fs::read_to_string(self.public()).expect("the public key")
    }
}

/// `cosign` with the tests' password.
#[must_use]
pub fn cosign() -> Program {
    Program::new("cosign").env("COSIGN_PASSWORD", PASSWORD)
}

/// Signs `reference` (`HOST/REPOSITORY@DIGEST`) with the key in `key`, without a transparency log.
#[must_use]
pub fn sign(key: &Path, layout: Layout, reference: &str) -> Outcome {
    let format = match layout {
        Layout::Bundle => "--new-bundle-format=true",
        Layout::Legacy => "--new-bundle-format=false",
    };
    let offline = ["--yes", "--use-signing-config=false", "--tlog-upload=false", format];
    cosign().arg("sign").arg("--key").arg(key).args(offline).arg(reference).run()
}

/// Verifies `reference` with the public key in `key`, without a transparency log.
#[must_use]
pub fn verify(key: &Path, layout: Layout, reference: &str) -> Outcome {
    let format = match layout {
        Layout::Bundle => "--new-bundle-format=true",
        Layout::Legacy => "--new-bundle-format=false",
    };
    cosign().arg("verify").arg("--key").arg(key).args(["--insecure-ignore-tlog=true", format]).arg(reference).run()
}

/// Attests `predicate` (a file) of type `kind` about `reference` with the key in `key`, without a transparency log.
#[must_use]
pub fn attest(key: &Path, layout: Layout, kind: &str, predicate: &Path, reference: &str) -> Outcome {
    let format = match layout {
        Layout::Bundle => "--new-bundle-format=true",
        Layout::Legacy => "--new-bundle-format=false",
    };
    let offline = ["--yes", "--use-signing-config=false", "--tlog-upload=false", format];
    cosign().arg("attest").arg("--key").arg(key).args(["--type", kind, "--predicate"]).arg(predicate).args(offline).arg(reference).run()
}
