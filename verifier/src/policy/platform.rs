//! The platforms whose images must pass before a tag is admitted (`platforms`).

use std::fmt;
use std::str::FromStr;

use crate::manifest::Platform;

/// An operating system and an architecture, for example `linux/arm64`, with a variant where only one is meant: `linux/arm/v7`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlatformName {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// Not of the form `os/architecture` or `os/architecture/variant`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a platform: expected os/architecture, such as linux/amd64")]
pub struct PlatformNameError;

impl PlatformName {
    /// The platforms of a policy that names none.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        let linux = |architecture: &str| Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None };
        vec![linux("amd64"), linux("arm64")]
    }

    /// Whether an index's `platform` is meant.
    #[must_use]
    pub fn matches(&self, platform: &Platform) -> bool {
        let variant = self.variant.is_none() || self.variant == platform.variant;
        self.os == platform.os && self.architecture == platform.architecture && variant
    }
}

impl FromStr for PlatformName {
    type Err = PlatformNameError;

    fn from_str(text: &str) -> Result<Self, PlatformNameError> {
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(PlatformNameError),
        };
        if !parts.into_iter().all(plain) {
            return Err(PlatformNameError);
        }
        Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned) })
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}
