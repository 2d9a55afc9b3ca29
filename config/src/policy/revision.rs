//! The hash over a policy file and every file that it names.

use std::path::{Path, PathBuf};

use sealgate_verifier::sigstore::TrustRoot;
use sealgate_verifier::{Algorithm, Hasher, Revision};

use crate::file;
use crate::limits;

/// The files that a policy names, each read once, and the hash over them.
pub(crate) struct Files {
    hasher: Hasher,
    /// Every file that was read, the policy first.
    read: Vec<(PathBuf, Vec<u8>)>,
}

impl Files {
    /// Begins with the policy's own bytes.
    pub fn new(policy: &Path, bytes: &[u8]) -> Self {
        let mut files = Self { hasher: Hasher::new(Algorithm::Sha256), read: Vec::new() };
        // The policy's own name is not hashed: the same rules in another folder are the same rules.
        files.add("sealgate trust policy, version 1", bytes);
        // These trust roots are there for every policy, without a file.
        files.add("public trust root", TrustRoot::PUBLIC_DATE.as_bytes());
        files.add("github trust root", TrustRoot::GITHUB_DATE.as_bytes());
        files.read.push((policy.to_owned(), Vec::new()));
        files
    }

    /// The text of `path`, which the policy calls `name`.
    pub fn text(&mut self, path: PathBuf, name: &str) -> Result<String, String> {
        String::from_utf8(self.bytes(path, name, limits::KEY_FILE_BYTES)?).map_err(|_| "is not UTF-8".to_owned())
    }

    /// The bytes of `path`, at most `limit`, which the policy calls `name`.
    pub fn bytes(&mut self, path: PathBuf, name: &str, limit: usize) -> Result<Vec<u8>, String> {
        if let Some((_, bytes)) = self.read.iter().skip(1).find(|(known, _)| *known == path) {
            return Ok(bytes.clone());
        }
        let bytes = file::read(&path, limit)?;
        self.add(name, &bytes);
        self.read.push((path, bytes.clone()));
        Ok(bytes)
    }

    /// Every file that was read, and the hash.
    pub fn finish(self) -> (Vec<PathBuf>, Revision) {
        (self.read.into_iter().map(|(path, _)| path).collect(), Revision(self.hasher.finish()))
    }

    /// Lengths go before both parts, so that no bytes can move from one to the other.
    fn add(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            self.hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            self.hasher.update(part);
        }
    }
}
