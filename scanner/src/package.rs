//! One installed package, with what a package URL says of it (purl-spec 1.0) and where it was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The kind of package, by purl-spec's name of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageType {
    /// Debian and its derivatives.
    Deb,
    /// Alpine and its derivatives.
    Apk,
    /// Red Hat's, SUSE's and other RPM distributions.
    Rpm,
    /// Node.js.
    Npm,
    /// Python.
    Pypi,
    /// Rust.
    Cargo,
    /// Go modules; the standard library is the package `stdlib`.
    Golang,
    /// Java.
    Maven,
}

/// The source package that a binary package was built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Name.
    pub name: String,
    /// Version, with the epoch where there is one.
    pub version: String,
}

/// Where a package was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// Path in the image, without a leading slash: of the package database, lock file, metadata file or binary. What lies
    /// in an archive follows after `!/`.
    pub path: String,
    /// The layer that brought this version of the package, counted from 0 for the lowest.
    pub layer: usize,
}

/// One package of an image. Names and versions are the ecosystem's own spelling: they are compared by its own rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Kind.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// What stands before the name: the distribution (`debian`), an npm scope (`@babel`), a Maven group, the folder of a Go
    /// module path. Empty where the kind has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name. Of a deb, apk or rpm it is the binary package's.
    pub name: String,
    /// Version. Of a deb with its epoch (`1:2.3-4`); of an rpm `version-release`, its epoch being a qualifier; of a Go
    /// module with its `v`; of the Go standard library without `go`.
    pub version: String,
    /// purl qualifiers: `arch`, `distro` (`debian-12`), `epoch`, `rpmmod`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub qualifiers: BTreeMap<String, String>,
    /// Its source package, where the database names one or the source has the binary's own name. Advisories of
    /// distributions speak of source packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// Where it was found.
    pub location: Location,
    /// The distribution's package that brought this file, where its database says so: a Python, Node.js, Go, Rust or Java
    /// package that the distribution patches under its own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl PackageType {
    /// purl-spec's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Cargo => "cargo",
            Self::Golang => "golang",
            Self::Maven => "maven",
        }
    }

    /// Whether a distribution makes these packages, under versions of its own.
    #[must_use]
    pub const fn is_distribution(self) -> bool {
        match self {
            Self::Deb | Self::Apk | Self::Rpm => true,
            Self::Npm | Self::Pypi | Self::Cargo | Self::Golang | Self::Maven => false,
        }
    }
}

impl Package {
    /// A package with a name and a version only.
    #[must_use]
    pub fn new(kind: PackageType, namespace: impl Into<String>, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
            version: version.into(),
            qualifiers: BTreeMap::new(),
            source: None,
            location: Location::default(),
            owner: None,
        }
    }

    /// The name as its own ecosystem and OSV write it: `@babel/core`, `org.slf4j:slf4j-api`, `golang.org/x/net`, `openssl`.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self.kind {
            PackageType::Npm | PackageType::Golang if !self.namespace.is_empty() => format!("{}/{}", self.namespace, self.name),
            PackageType::Maven if !self.namespace.is_empty() => format!("{}:{}", self.namespace, self.name),
            PackageType::Deb
            | PackageType::Apk
            | PackageType::Rpm
            | PackageType::Npm
            | PackageType::Pypi
            | PackageType::Cargo
            | PackageType::Golang
            | PackageType::Maven => self.name.clone(),
        }
    }

    /// The package URL (purl-spec, "Rules for each purl component").
    #[must_use]
    pub fn purl(&self) -> String {
        let mut text = format!("pkg:{}/", self.kind.name());
        let segments = self.namespace.split('/').filter(|segment| !segment.is_empty());
        for segment in segments {
            encode(&mut text, segment);
            text.push('/');
        }
        encode(&mut text, &self.purl_name());
        if !self.version.is_empty() {
            text.push('@');
            encode(&mut text, &self.version);
        }
        let given = self.qualifiers.iter().filter(|(_, value)| !value.is_empty());
        for (index, (key, value)) in given.enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            encode(&mut text, key);
            text.push('=');
            encode(&mut text, value);
        }
        text
    }

    /// purl-types: names of deb, apk and rpm stay as they are written in lower case by their databases; PyPI's are lower case
    /// with `-` for `_` and `.` (PEP 503).
    fn purl_name(&self) -> String {
        match self.kind {
            PackageType::Pypi => normalized_python_name(&self.name),
            PackageType::Deb | PackageType::Apk => self.name.to_ascii_lowercase(),
            PackageType::Rpm | PackageType::Npm | PackageType::Cargo | PackageType::Golang | PackageType::Maven => self.name.clone(),
        }
    }
}

/// A Python project's name in the form in which names are compared (PEP 503, "Normalized Names").
#[must_use]
pub fn normalized_python_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '-' | '_' | '.' if text.ends_with('-') => {}
            '-' | '_' | '.' => text.push('-'),
            other => text.push(other.to_ascii_lowercase()),
        }
    }
    text
}

/// purl-spec, "Character encoding": everything but unreserved characters and the colon is percent-encoded.
fn encode(text: &mut String, part: &str) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_those_of_the_specification() {
        let mut curl = Package::new(PackageType::Deb, "debian", "curl", "7.50.3-1+b1");
        curl.qualifiers.insert("distro".to_owned(), "debian-12".to_owned());
        curl.qualifiers.insert("arch".to_owned(), "i386".to_owned());
        for (package, expected) in [
            (curl, "pkg:deb/debian/curl@7.50.3-1%2Bb1?arch=i386&distro=debian-12"),
            (Package::new(PackageType::Npm, "@angular", "animation", "12.3.1"), "pkg:npm/%40angular/animation@12.3.1"),
            (
                Package::new(PackageType::Golang, "google.golang.org", "genproto", "v0.0.0-2023"),
                "pkg:golang/google.golang.org/genproto@v0.0.0-2023",
            ),
            (Package::new(PackageType::Pypi, "", "Django_All.Auth", "12.23"), "pkg:pypi/django-all-auth@12.23"),
            (Package::new(PackageType::Deb, "debian", "bsdutils", "1:2.38.1-5"), "pkg:deb/debian/bsdutils@1:2.38.1-5"),
        ] {
            assert_eq!(package.purl(), expected);
        }
    }

    #[test]
    fn full_names_are_those_of_the_ecosystem() {
        assert_eq!(Package::new(PackageType::Npm, "@babel", "core", "7").full_name(), "@babel/core");
        assert_eq!(Package::new(PackageType::Maven, "org.slf4j", "slf4j-api", "2").full_name(), "org.slf4j:slf4j-api");
        assert_eq!(Package::new(PackageType::Golang, "golang.org/x", "net", "v0.1.0").full_name(), "golang.org/x/net");
        assert_eq!(Package::new(PackageType::Golang, "", "stdlib", "1.22.1").full_name(), "stdlib");
        assert_eq!(Package::new(PackageType::Deb, "debian", "openssl", "3").full_name(), "openssl");
    }
}
