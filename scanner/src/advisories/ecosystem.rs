//! OSV's ecosystems that installed packages are looked up in (OSV schema, "affected[].package field").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::package::{PackageType, normalized_python_name};
use crate::version::Scheme;

/// An ecosystem, without its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ecosystem {
    /// `Debian:12`
    Debian,
    /// `Ubuntu:22.04:LTS`
    Ubuntu,
    /// `Alpine:v3.19`
    Alpine,
    /// `Wolfi`, a rolling release.
    Wolfi,
    /// `Chainguard`, a rolling release.
    Chainguard,
    /// `Red Hat:enterprise_linux:9::baseos`
    #[serde(rename = "Red Hat")]
    RedHat,
    /// `Rocky Linux:9`
    #[serde(rename = "Rocky Linux")]
    RockyLinux,
    /// `AlmaLinux:9`
    AlmaLinux,
    /// `SUSE:Linux Enterprise Server 15 SP5`
    #[serde(rename = "SUSE")]
    Suse,
    /// `openSUSE:Leap 15.6`
    #[serde(rename = "openSUSE")]
    OpenSuse,
    /// Node.js.
    #[serde(rename = "npm")]
    Npm,
    /// Python.
    PyPI,
    /// Rust.
    #[serde(rename = "crates.io")]
    CratesIo,
    /// Go modules, with `stdlib` and `toolchain`.
    Go,
    /// Java.
    Maven,
    /// Ruby.
    RubyGems,
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Debian,
        Self::Ubuntu,
        Self::Alpine,
        Self::Wolfi,
        Self::Chainguard,
        Self::RedHat,
        Self::RockyLinux,
        Self::AlmaLinux,
        Self::Suse,
        Self::OpenSuse,
        Self::Npm,
        Self::PyPI,
        Self::CratesIo,
        Self::Go,
        Self::Maven,
        Self::RubyGems,
    ];

    /// OSV's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debian => "Debian",
            Self::Ubuntu => "Ubuntu",
            Self::Alpine => "Alpine",
            Self::Wolfi => "Wolfi",
            Self::Chainguard => "Chainguard",
            Self::RedHat => "Red Hat",
            Self::RockyLinux => "Rocky Linux",
            Self::AlmaLinux => "AlmaLinux",
            Self::Suse => "SUSE",
            Self::OpenSuse => "openSUSE",
            Self::Npm => "npm",
            Self::PyPI => "PyPI",
            Self::CratesIo => "crates.io",
            Self::Go => "Go",
            Self::Maven => "Maven",
            Self::RubyGems => "RubyGems",
        }
    }

    /// The ecosystem that OSV calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ecosystem| ecosystem.name() == name)
    }

    /// How its versions compare.
    #[must_use]
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Debian | Self::Ubuntu => Scheme::Dpkg,
            Self::Alpine | Self::Wolfi | Self::Chainguard => Scheme::Apk,
            Self::RedHat | Self::RockyLinux | Self::AlmaLinux | Self::Suse | Self::OpenSuse => Scheme::Rpm,
            Self::Npm | Self::CratesIo | Self::Go => Scheme::Semver,
            Self::PyPI => Scheme::Pep440,
            Self::Maven => Scheme::Maven,
            Self::RubyGems => Scheme::RubyGems,
        }
    }

    /// The distribution packages that it is about; none for the packages of a language.
    #[must_use]
    pub const fn distribution(self) -> Option<PackageType> {
        match self.scheme() {
            Scheme::Dpkg => Some(PackageType::Deb),
            Scheme::Apk => Some(PackageType::Apk),
            Scheme::Rpm => Some(PackageType::Rpm),
            Scheme::Semver | Scheme::Pep440 | Scheme::Maven | Scheme::RubyGems => None,
        }
    }

    /// The ecosystem of a language's packages; none for a distribution's, which the release decides.
    #[must_use]
    pub const fn of_language(kind: PackageType) -> Option<Self> {
        match kind {
            PackageType::Npm => Some(Self::Npm),
            PackageType::Pypi => Some(Self::PyPI),
            PackageType::Cargo => Some(Self::CratesIo),
            PackageType::Golang => Some(Self::Go),
            PackageType::Maven => Some(Self::Maven),
            PackageType::Deb | PackageType::Apk | PackageType::Rpm => None,
        }
    }

    /// The name under which advisories about a package are kept.
    #[must_use]
    pub fn key(self, name: &str) -> String {
        match self {
            Self::PyPI => normalized_python_name(name),
            Self::Debian
            | Self::Ubuntu
            | Self::Alpine
            | Self::Wolfi
            | Self::Chainguard
            | Self::RedHat
            | Self::RockyLinux
            | Self::AlmaLinux
            | Self::Suse
            | Self::OpenSuse
            | Self::Npm
            | Self::CratesIo
            | Self::Go
            | Self::Maven
            | Self::RubyGems => name.to_owned(),
        }
    }
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_osv_both_ways() {
        for ecosystem in Ecosystem::ALL {
            assert_eq!(Ecosystem::named(ecosystem.name()), Some(ecosystem));
            let json = serde_json::to_string(&ecosystem).expect("json");
            assert_eq!(json, format!("\"{ecosystem}\""));
        }
        assert_eq!(Ecosystem::named("debian"), None);
        assert_eq!(Ecosystem::PyPI.key("Zope.Interface"), "zope-interface");
    }
}
