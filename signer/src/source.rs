//! Where a signing key is read from: a file, an environment variable as `env://VARIABLE`, or standard input as `-`.

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
    /// Standard input, to its end.
    Stdin,
}

/// Places that cosign knows and this version does not, as cosign writes them.
const NOT_YET: [(&str, &str, &str); 7] = [
    ("pkcs11:", "a PKCS #11 token", ""),
    ("awskms://", "AWS KMS", ""),
    ("gcpkms://", "Google Cloud KMS", ""),
    ("azurekms://", "Azure Key Vault", ""),
    ("hashivault://", "HashiCorp Vault", ""),
    (
        "k8s://",
        "a Kubernetes secret",
        "; of a secret: `kubectl get secret NAME -o jsonpath='{.data.cosign\\.key}' | base64 -d | sealgate sign --key - …`",
    ),
    ("gitlab://", "a GitLab variable", "; in a GitLab job the variable itself: --key env://COSIGN_PRIVATE_KEY"),
];

/// Why a key cannot be had from where it was said to be.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// A place that cosign knows and this version does not.
    #[error(
        "keys from {place} ({scheme}) are not supported yet: sign with `cosign sign --key {scheme}…`, which Sealgate verifies, or keylessly, or name a file, env://VARIABLE or - (standard input){mend}"
    )]
    NotSupportedYet {
        /// The scheme, for example `awskms://`.
        scheme: &'static str,
        /// What it is.
        place: &'static str,
        /// What else helps there.
        mend: &'static str,
    },
    /// The key's text in place of where it is. It is not repeated: arguments and logs show to others.
    #[error(
        "that is a key, not where one is: put it into a file or a variable, and name that (FILE, env://VARIABLE, or - for standard input)"
    )]
    KeyItself,
    /// A scheme that nobody knows.
    #[error("unknown place {scheme}: name a file, env://VARIABLE or - (standard input)")]
    Unknown {
        /// The scheme.
        scheme: String,
    },
    /// Standard input cannot be read.
    #[error("cannot read the key from standard input: {error}")]
    Stdin {
        /// What the system said.
        error: std::io::Error,
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
                read(std::fs::File::open(file).map_err(failed)?, failed)
            }
            Self::Stdin => read(std::io::stdin().lock(), |error| KeySourceError::Stdin { error }),
        }
    }
}

fn read(from: impl Read, failed: impl Fn(std::io::Error) -> KeySourceError) -> Result<Zeroizing<String>, KeySourceError> {
    // The whole buffer at once: growing it would leave copies of the key in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES + 1));
    from.take(KEY_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > KEY_FILE_BYTES {
        return Err(KeySourceError::TooLarge);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| KeySourceError::NotText)?;
    Ok(Zeroizing::new(text.to_owned()))
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
            return Ok(Self::Stdin);
        }
        if text.contains("-----BEGIN ") || text.contains('\n') {
            return Err(KeySourceError::KeyItself);
        }
        if let Some((scheme, place, mend)) = NOT_YET.iter().find(|(scheme, ..)| text.starts_with(scheme)) {
            return Err(KeySourceError::NotSupportedYet { scheme, place, mend });
        }
        match text.split_once("://") {
            Some((scheme, _)) => Err(KeySourceError::Unknown { scheme: format!("{scheme:.40}://") }),
            None => Ok(Self::File(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Environment(name) => write!(f, "env://{name}"),
            Self::Stdin => f.write_str("standard input"),
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
        assert_eq!("-".parse::<KeySource>().ok(), Some(KeySource::Stdin));
        for text in ["awskms://x", "gcpkms://x", "azurekms://x", "hashivault://x", "k8s://ns/key", "pkcs11:slot-id=1", "gitlab://1"] {
            let error = text.parse::<KeySource>().expect_err(text).to_string();
            assert!(error.contains("not supported yet: sign with `cosign sign --key "), "{error}");
        }
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0".parse::<KeySource>().expect_err("a key").to_string();
        assert!(key.contains("not where one is") && !key.contains("c2VjcmV0"), "{key}");
        assert!(matches!("ftp://x".parse::<KeySource>(), Err(KeySourceError::Unknown { .. })));
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
