//! A key pair on disk: `PREFIX.key`, encrypted and readable by its owner only, and `PREFIX.pub`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use sealgate_verifier::Digest;

use crate::cosign_key;
use crate::key::{KeyLoadError, SigningKey};

/// The files that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFiles {
    /// The encrypted private key, mode 0600.
    pub private: PathBuf,
    /// The public key.
    pub public: PathBuf,
    /// SHA-256 of the public key's DER.
    pub fingerprint: Digest,
}

/// Why no key pair was written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A file is in the way.
    #[error("{} exists already: move it away, choose another prefix, or pass --force to replace it for good", file.display())]
    Exists {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {error}", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] KeyLoadError),
}

/// The paths of the pair with `prefix`: `PREFIX.key` and `PREFIX.pub`.
#[must_use]
pub fn paths(prefix: &Path) -> (PathBuf, PathBuf) {
    let with = |suffix: &str| {
        let mut name = prefix.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    (with(".key"), with(".pub"))
}

/// Refuses when a file of the pair exists, so that nobody is asked for a password in vain.
///
/// # Errors
/// [`KeyFileError::Exists`].
pub fn check_absent(prefix: &Path) -> Result<(), KeyFileError> {
    let (private, public) = paths(prefix);
    match [private, public].into_iter().find(|file| file.symlink_metadata().is_ok()) {
        Some(file) => Err(KeyFileError::Exists { file }),
        None => Ok(()),
    }
}

/// Generates a P-256 key pair and writes both files; `replace` allows what stands there to be lost.
///
/// # Errors
/// See [`KeyFileError`]. Without `replace`, a failed call leaves no file behind.
pub fn write_key_pair(prefix: &Path, password: &str, replace: bool) -> Result<KeyFiles, KeyFileError> {
    if !replace {
        check_absent(prefix)?;
    }
    let (private, public) = paths(prefix);
    let (key, der) = SigningKey::generate()?;
    let encrypted = cosign_key::encrypt(&der, password.as_bytes(), &SystemRandom::new()).map_err(KeyLoadError::from)?;
    write_file(&private, encrypted.as_bytes(), 0o600, replace)?;
    if let Err(error) = write_file(&public, key.public_key_pem().as_bytes(), 0o644, replace) {
        // A private key whose public half is nowhere is of no use.
        let _ = std::fs::remove_file(&private);
        return Err(error);
    }
    Ok(KeyFiles { private, public, fingerprint: key.fingerprint() })
}

/// Writes a new file durably with `mode`. Without `replace` an existing file is an error; with it the old one is exchanged at once.
///
/// # Errors
/// [`KeyFileError::Exists`] or [`KeyFileError::Write`].
pub fn write_file(file: &Path, bytes: &[u8], mode: u32, replace: bool) -> Result<(), KeyFileError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => KeyFileError::Exists { file: file.to_owned() },
        _ => KeyFileError::Write { file: file.to_owned(), error },
    };
    if !replace {
        return create(file, bytes, mode).map_err(failed);
    }
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(name);
    create(&temporary, bytes, mode).map_err(failed)?;
    std::fs::rename(&temporary, file).map_err(|error| {
        let _ = std::fs::remove_file(&temporary);
        failed(error)
    })
}

/// `create_new` (O_EXCL) follows no symbolic link and loses no race; a half-written file is taken away again.
fn create(file: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut opened: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    let written = opened.write_all(bytes).and_then(|()| opened.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(file);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn a_pair_is_private_and_is_never_overwritten_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let prefix = folder.path().join("team.prod");
        let files = write_key_pair(&prefix, "pass", false).expect("written");
        assert_eq!(files.private, folder.path().join("team.prod.key"));
        let mode = |file: &Path| std::fs::metadata(file).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode(&files.private), 0o600);
        let text = std::fs::read_to_string(&files.private).expect("text");
        let key = SigningKey::from_pem(&text, || Ok(Zeroizing::new("pass".to_owned()))).expect("opens");
        assert_eq!(key.fingerprint(), files.fingerprint);
        assert_eq!(std::fs::read_to_string(&files.public).expect("text"), key.public_key_pem());

        let refused = write_key_pair(&prefix, "pass", false).expect_err("exists").to_string();
        assert!(refused.contains("exists already: move it away"), "{refused}");
        assert_eq!(std::fs::read_to_string(&files.private).expect("text"), text);

        let replaced = write_key_pair(&prefix, "pass", true).expect("replaced");
        assert_ne!(replaced.fingerprint, files.fingerprint);
        assert_eq!(mode(&replaced.private), 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 2);
    }

    #[test]
    fn a_dangling_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&target, folder.path().join("k.key")).expect("a link");
        assert!(matches!(write_key_pair(&folder.path().join("k"), "p", false), Err(KeyFileError::Exists { .. })));
        assert!(!target.exists());
    }
}
