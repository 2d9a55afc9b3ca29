//! Where a signing key is read from: a file, or an environment variable as `env://VARIABLE`.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::cosign_key::KEY_FILE_BYTES;

/// A place that holds a private key in PEM. Key management services become further variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// An environment variable, by name.
    Environment(String),
}

/// Why a key cannot be had from where it was said to be.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// A place that cosign knows and this version does not.
    #[error("keys from {scheme} are not supported yet: name a file, or env://VARIABLE")]
    NotSupportedYet {
        /// The scheme, for example `awskms://`.
        scheme: String,
    },
    /// `env://` without a name that an environment variable can have.
    #[error("not the name of an environment variable: expected env://VARIABLE with letters, digits and _")]
    VariableName,
    /// The variable is not set.
    #[error("the environment variable {name} is not set: put the PEM text of the private key into it")]
    VariableUnset {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read the key {}: {error}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Over [`KEY_FILE_BYTES`].
    #[error("the key is over the limit of {KEY_FILE_BYTES} bytes: this is no key file")]
    TooLarge,
    /// The bytes are no text.
    #[error("the key is not PEM text")]
    NotText,
}

impl KeySource {
    /// Reads the PEM text. `environment` looks a variable up.
    ///
    /// # Errors
    /// See [`KeySourceError`].
    pub fn read(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Zeroizing<String>, KeySourceError> {
        match self {
            Self::Environment(name) => {
                let text = environment(name).ok_or_else(|| KeySourceError::VariableUnset { name: name.clone() })?;
                let text = Zeroizing::new(text);
                if text.len() > KEY_FILE_BYTES { Err(KeySourceError::TooLarge) } else { Ok(text) }
            }
            Self::File(file) => {
                let failed = |error| KeySourceError::File { file: file.clone(), error };
                let opened = std::fs::File::open(file).map_err(failed)?;
                // The whole buffer at once: growing it would leave copies of the key in freed memory.
                let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES + 1));
                opened.take(KEY_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
                if bytes.len() > KEY_FILE_BYTES {
                    return Err(KeySourceError::TooLarge);
                }
                let text = std::str::from_utf8(&bytes).map_err(|_| KeySourceError::NotText)?;
                Ok(Zeroizing::new(text.to_owned()))
            }
        }
    }
}

impl FromStr for KeySource {
    type Err = KeySourceError;

    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        if let Some(name) = text.strip_prefix("env://") {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            return if !name.is_empty() && name.bytes().all(word) {
                Ok(Self::Environment(name.to_owned()))
            } else {
                Err(KeySourceError::VariableName)
            };
        }
        if text == "-" {
            return Err(KeySourceError::NotSupportedYet { scheme: "standard input".to_owned() });
        }
        let scheme = text.split_once("://").map(|(scheme, _)| format!("{scheme}://"));
        // PKCS #11 URIs (RFC 7512) have no authority.
        let scheme = scheme.or_else(|| text.starts_with("pkcs11:").then(|| "pkcs11:".to_owned()));
        match scheme {
            Some(scheme) => Err(KeySourceError::NotSupportedYet { scheme }),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Environment(name) => write!(f, "env://{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart() {
        assert_eq!("keys/ci.key".parse::<KeySource>().ok(), Some(KeySource::File("keys/ci.key".into())));
        assert_eq!("env://KEY_1".parse::<KeySource>().ok(), Some(KeySource::Environment("KEY_1".into())));
        for scheme in ["awskms://x", "gcpkms://x", "azurekms://x", "hashivault://x", "k8s://ns/key", "pkcs11:slot-id=1", "-"] {
            let error = scheme.parse::<KeySource>().expect_err(scheme).to_string();
            assert!(error.contains("not supported yet"), "{error}");
        }
        for bad in ["env://", "env://a=b", "env://a b"] {
            assert!(matches!(bad.parse::<KeySource>(), Err(KeySourceError::VariableName)), "{bad}");
        }
    }

    #[test]
    fn an_unset_variable_and_an_oversized_file_say_what_to_do() {
        let unset = KeySource::Environment("NOT_THERE".into()).read(&|_| None).expect_err("unset").to_string();
        assert!(unset.contains("NOT_THERE is not set"), "{unset}");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("big");
        std::fs::write(&file, vec![b'a'; KEY_FILE_BYTES + 1]).expect("written");
        assert!(matches!(KeySource::File(file).read(&|_| None), Err(KeySourceError::TooLarge)));
        let missing = KeySource::File(folder.path().join("none")).read(&|_| None).expect_err("missing").to_string();
        assert!(missing.starts_with("cannot read the key "), "{missing}");
    }
}
