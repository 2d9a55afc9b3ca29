//! Who is behind a signature, whatever names a policy has for them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::key::KeyId;
use crate::message::quote;

/// The one who counts once, however often and in however many forms they sign (C7, V10).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Principal {
    /// The holder of a key.
    Key {
        /// SHA-256 of its SubjectPublicKeyInfo.
        key: KeyId,
    },
    /// The subject of a short-lived certificate.
    Keyless {
        /// Who vouched for the subject.
        issuer: String,
        /// The subject alternative name.
        identity: String,
    },
    /// The subject of a certificate under a trust store's root.
    Notation {
        /// SHA-256 of the root certificate.
        root: Digest,
        /// The distinguished name.
        subject: String,
    },
}

impl fmt::Display for Principal {
    /// In printable ASCII, shortened: parts of it were chosen by strangers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { key } => write!(f, "key {}", key.short()),
            Self::Keyless { issuer, identity } => write!(f, "identity {} of {}", long(identity), quote(issuer)),
            Self::Notation { subject, .. } => write!(f, "subject {}", long(subject)),
        }
    }
}

/// GitHub's identities tell the workflow and the ref at their end.
fn long(text: &str) -> String {
    crate::message::ascii(text, 2 * crate::limits::QUOTED)
}
