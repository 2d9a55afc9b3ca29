//! Names of images: registry, repository, tag, digest (distribution-spec 1.1, "Pulling manifests"; Docker Hub's
//! normalisation as its clients do it).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::{Digest, DigestError};
use crate::limits;

/// Docker Hub's canonical name.
pub const DOCKER_HUB: &str = "docker.io";

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The registry's host or port is malformed.
    #[error("invalid registry name: expected host or host:port in lower case")]
    Registry,
    /// The repository breaks the grammar `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/…)*`.
    #[error("invalid repository name: expected lower-case letters, digits and single . _ - between them, parts separated by /")]
    Repository,
    /// The tag breaks the grammar `[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}}`.
    #[error("invalid tag: expected up to 128 letters, digits, . _ - and no leading . or -")]
    Tag,
    /// The digest is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// A repository under its canonical name, for example `docker.io/library/nginx`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    full: Box<str>,
    /// Length of the registry part in `full`.
    split: usize,
}

impl Repository {
    /// The repository `path` of `registry`, with Docker Hub's names normalised (`nginx` → `library/nginx`).
    ///
    /// # Errors
    /// When either part breaks its grammar or both together are longer than [`limits::REPOSITORY_BYTES`].
    pub fn new(registry: &str, path: &str) -> Result<Self, ReferenceError> {
        let registry = match registry {
            "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB,
            other => other,
        };
        if !is_registry(registry) {
            return Err(ReferenceError::Registry);
        }
        if !is_path(path) {
            return Err(ReferenceError::Repository);
        }
        let full =
            if registry == DOCKER_HUB && !path.contains('/') { format!("{registry}/library/{path}") } else { format!("{registry}/{path}") };
        // The canonical name is what must fit: it is stored, and read back by the same rule.
        if full.len() > limits::REPOSITORY_BYTES {
            return Err(ReferenceError::Repository);
        }
        Ok(Self { full: full.into(), split: registry.len() })
    }

    /// Registry host, with its port where it has one: `docker.io`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.full[..self.split]
    }

    /// Path inside the registry: `library/nginx`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.full[self.split + 1..]
    }

    /// The whole canonical name: `docker.io/library/nginx`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.full
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    /// Reads a name as docker does: a first part with a dot or colon, or `localhost`, is a registry; else it is Docker Hub's.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => Self::new(first, rest),
            _ => Self::new(DOCKER_HUB, text),
        }
    }
}

impl Serialize for Repository {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.full)
    }
}

impl<'de> Deserialize<'de> for Repository {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Tag(Box<str>);

impl Tag {
    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(word);
        if first && text.len() <= limits::TAG_BYTES && bytes.all(|b| word(b) || b == b'.' || b == b'-') {
            Ok(Self(text.into()))
        } else {
            Err(ReferenceError::Tag)
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What stands after `/manifests/`: a tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ManifestReference {
    /// A mutable name.
    Tag(Tag),
    /// A content address.
    Digest(Digest),
}

impl FromStr for ManifestReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { text.parse().map(Self::Tag) }
    }
}

impl fmt::Display for ManifestReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// An image as people write it: `nginx`, `ghcr.io/acme/app:1.2`, `host:5000/app@sha256:…`, `app:1.2@sha256:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Canonical repository.
    pub repository: Repository,
    /// Tag, where one is written.
    pub tag: Option<Tag>,
    /// Digest, where one is written. It wins over the tag.
    pub digest: Option<Digest>,
}

impl Reference {
    /// What to ask a registry for: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn target(&self) -> ManifestReference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => ManifestReference::Digest(*digest),
            (None, Some(tag)) => ManifestReference::Tag(tag.clone()),
            (None, None) => ManifestReference::Tag(Tag("latest".into())),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let last_part = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last_part..].find(':') {
            Some(colon) => (&rest[..last_part + colon], Some(rest[last_part + colon + 1..].parse()?)),
            None => (rest, None),
        };
        Ok(Self { repository: name.parse()?, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether `text` is a registry: host name, IPv4 or `[IPv6]`, with an optional port.
#[must_use]
pub fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, after)) => {
            if v6.parse::<std::net::Ipv6Addr>().is_err() || v6.bytes().any(|b| b.is_ascii_uppercase()) {
                return false;
            }
            (None, after)
        }
        None => match text.find(':') {
            Some(colon) => (Some(&text[..colon]), &text[colon..]),
            None => (Some(text), ""),
        },
    };
    let port_ok = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|p| p.len() <= 5 && p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|n| n > 0));
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    port_ok && host.is_none_or(|h| h.len() <= 253 && h.split('.').all(label))
}

/// Whether `text` is a repository path of the distribution-spec grammar.
#[must_use]
pub fn is_path(text: &str) -> bool {
    !text.is_empty() && text.len() <= limits::REPOSITORY_BYTES && text.split('/').all(is_path_component)
}

fn is_path_component(component: &str) -> bool {
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !alnum(first) || !alnum(last) {
        return false;
    }
    // Separators between runs of letters: one ".", one "_", two "__", or any number of "-".
    bytes
        .split(alnum)
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_normalise_as_docker_does() {
        for (text, canonical) in [
            ("nginx", "docker.io/library/nginx"),
            ("acme/app", "docker.io/acme/app"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx"),
            ("localhost/app", "localhost/app"),
            ("localhost:5000/app", "localhost:5000/app"),
            ("[::1]:5000/app", "[::1]:5000/app"),
            ("ghcr.io/a/b__c/d.e-f--g", "ghcr.io/a/b__c/d.e-f--g"),
        ] {
            assert_eq!(text.parse::<Repository>().map(|r| r.to_string()), Ok(canonical.to_owned()), "{text}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        // A7
        let long = "a/".repeat(5_000) + "a";
        for bad in [
            "",
            "/",
            "a//b",
            "../a",
            "a/..",
            "a/./b",
            "A",
            "Foo/bar",
            "a\0b",
            "a%2Fb",
            "a___b",
            "a..b",
            "a._b",
            "-a",
            "a-",
            "ghcr.io",
            "ghcr.io/",
            "UP.io/a",
            "a.io:0/b",
            "a.io:99999/b",
            "a.io:80:80/b",
            "[::zz]/a",
            &long,
        ] {
            let parsed = bad.parse::<Repository>();
            // "ghcr.io" alone is a legal Docker Hub name, as docker reads it.
            assert!(parsed.is_err() || bad == "ghcr.io", "{bad}: {parsed:?}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_once_it_is_canonical_is_refused() {
        let room = limits::REPOSITORY_BYTES - "docker.io/library/".len();
        let longest: Repository = "a".repeat(room).parse().expect("a name");
        assert_eq!(longest.as_str().parse(), Ok(longest));
        assert!("a".repeat(room + 1).parse::<Repository>().is_err());
    }

    #[test]
    fn references_split_into_their_parts() {
        let hex = "a".repeat(64);
        let text = format!("host.example:5000/team/app:1.2@sha256:{hex}");
        let reference: Reference = text.parse().expect("a reference");
        assert_eq!(reference.to_string(), text);
        assert_eq!(reference.repository.registry(), "host.example:5000");
        assert_eq!("nginx".parse::<Reference>().expect("a reference").target().to_string(), "latest");
        assert!("nginx:".parse::<Reference>().is_err());
        assert!("nginx@sha256:zz".parse::<Reference>().is_err());
        assert!(format!("nginx:{}", "t".repeat(129)).parse::<Reference>().is_err());
    }
}
