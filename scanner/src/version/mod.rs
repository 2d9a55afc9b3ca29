//! Version orders: one file for each scheme that packages are numbered by.
//!
//! Every order is total on what its scheme accepts. What it does not accept is an error that the caller must turn into a gap: a version
//! that cannot be compared is not a version that is safe.

use std::cmp::Ordering;
use std::fmt;

mod apk;
mod dpkg;
mod maven;
mod number;
mod pep440;
mod rpm;
mod ruby;
mod semver;

#[cfg(test)]
mod properties;

use number::Number;

pub use semver::of_go_toolchain;

/// Bytes of the longest version that is read. Origin: none of the formats has a limit; the longest version in Debian 12's index has
/// 66 bytes and the longest Go pseudo-version in the Go vulnerability database 56.
pub const MAX_VERSION_BYTES: usize = 512;

/// A scheme of numbering releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Debian and Ubuntu: deb-version(7).
    Dpkg,
    /// Alpine, Wolfi and Chainguard: the "Package versions" section of apk-package(5).
    Apk,
    /// Red Hat, SUSE and their kin: rpm-version(7).
    Rpm,
    /// npm, Cargo and Go, pseudo-versions included: Semantic Versioning 2.0.0 §11.
    Semver,
    /// Python: the version specifiers specification, first PEP 440.
    Pep440,
    /// Maven: "Version Order Specification" of the POM reference.
    Maven,
    /// Ruby: `Gem::Version`.
    RubyGems,
}

impl Scheme {
    /// The scheme's name as messages write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Semver => "semver",
            Self::Pep440 => "PEP 440",
            Self::Maven => "Maven",
            Self::RubyGems => "RubyGems",
        }
    }

    /// Reads a version of this scheme.
    ///
    /// # Errors
    /// The text is no version of this scheme.
    pub fn parse(self, text: &str) -> Result<Version, VersionError> {
        let wrong = |expected| VersionError { scheme: self, found: text.chars().take(80).collect(), expected };
        if text.len() > MAX_VERSION_BYTES {
            return Err(wrong("at most 512 bytes"));
        }
        let key = match self {
            Self::Dpkg => dpkg::Version::parse(text).map(Key::Dpkg),
            Self::Apk => apk::Version::parse(text).map(Key::Apk),
            Self::Rpm => rpm::Version::parse(text).map(Key::Rpm),
            Self::Semver => semver::Version::parse(text).map(Key::Semver),
            Self::Pep440 => pep440::Version::parse(text).map(Key::Pep440),
            Self::Maven => maven::Version::parse(text).map(Key::Maven),
            Self::RubyGems => ruby::Version::parse(text).map(Key::RubyGems),
        };
        key.map(Version).map_err(wrong)
    }

    /// How `left` stands to `right`.
    ///
    /// # Errors
    /// One of them is no version of this scheme.
    pub fn compare(self, left: &str, right: &str) -> Result<Ordering, VersionError> {
        Ok(self.parse(left)?.0.cmp(&self.parse(right)?.0))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A version, read and ready to be compared with others of its scheme; versions of different schemes have no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Key);

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (std::mem::discriminant(&self.0) == std::mem::discriminant(&other.0)).then(|| self.0.cmp(&other.0))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Dpkg(dpkg::Version),
    Apk(apk::Version),
    Rpm(rpm::Version),
    Semver(semver::Version),
    Pep440(pep440::Version),
    Maven(maven::Version),
    RubyGems(ruby::Version),
}

/// A text that is no version of its scheme.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no {scheme} version: expected {expected}")]
pub struct VersionError {
    /// The scheme that was asked.
    pub scheme: Scheme,
    /// The text, cut at 80 characters.
    pub found: String,
    /// What the scheme wants.
    pub expected: &'static str,
}
