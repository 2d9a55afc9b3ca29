//! Trusted identities (trust-store-trust-policy.md, "Trusted Identities Constraints").

use std::fmt;
use std::str::FromStr;

use super::name::{Name, NameError};
use crate::message::quote;

/// The prefix of an identity that is a certificate subject.
const SUBJECT: &str = "x509.subject:";

/// Whose certificates count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityPattern {
    /// `*`: every certificate that leads to the trust store.
    Any,
    /// `x509.subject: C=…, ST=…, O=…`: certificates whose subject has all of these attributes.
    Subject(Name),
}

/// Why a text is no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Neither form.
    #[error("identity {found:?}: expected \"x509.subject: C=…, ST=…, O=…\" or \"*\"")]
    Form {
        /// The text, shortened.
        found: String,
    },
    /// The name after the prefix is none.
    #[error("identity: {0}")]
    Name(#[from] NameError),
}

impl FromStr for IdentityPattern {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let name = text.strip_prefix(SUBJECT).ok_or_else(|| IdentityError::Form { found: quote(text) })?;
        Ok(Self::Subject(name.parse()?))
    }
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Subject(name) => write!(f, "{SUBJECT} {name}"),
        }
    }
}
