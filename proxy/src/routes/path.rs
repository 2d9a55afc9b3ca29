//! The addresses of the registry API (distribution-spec 1.1, "Endpoints"), read by hand because repository names contain slashes.
//!
//! Nothing in a path is percent-decoded: no character that the grammar allows needs it, and a decoded name would be a second spelling
//! of the same repository (A7: `%2F`, `..`, `//`, NUL).

use sealgate_verifier::{Digest, ManifestReference, reference};

use crate::gate::push::UploadId;
use crate::routes::error::Refusal;

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// `/v2/`
    Ping,
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest {
        /// As the client wrote it, its grammar checked.
        name: &'a str,
        /// Tag or digest.
        reference: ManifestReference,
    },
    /// `/v2/NAME/blobs/DIGEST`
    Blob {
        /// As the client wrote it, its grammar checked.
        name: &'a str,
        /// Which.
        digest: Digest,
    },
    /// `/v2/NAME/blobs/uploads/`
    Uploads {
        /// As the client wrote it, its grammar checked.
        name: &'a str,
    },
    /// `/v2/NAME/blobs/uploads/ID`
    Upload {
        /// As the client wrote it, its grammar checked.
        name: &'a str,
        /// Which.
        id: UploadId,
    },
    /// `/v2/NAME/tags/list`
    Tags {
        /// As the client wrote it, its grammar checked.
        name: &'a str,
    },
    /// `/v2/NAME/referrers/DIGEST`
    Referrers {
        /// As the client wrote it, its grammar checked.
        name: &'a str,
        /// The subject.
        digest: Digest,
    },
    /// `/v2/_catalog`
    Catalog,
    /// `/token`
    Token,
    /// `/decisions/ID`
    Decision {
        /// As the client wrote it, unchecked.
        id: &'a str,
    },
    /// Anything else.
    Unknown,
}

/// The kinds of thing that a repository has.
#[derive(Clone, Copy)]
enum Kind {
    Manifests,
    Blobs,
    Tags,
    Referrers,
}

impl Kind {
    const ALL: [(&'static str, Self); 4] =
        [("manifests", Self::Manifests), ("blobs", Self::Blobs), ("tags", Self::Tags), ("referrers", Self::Referrers)];

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(name, kind)| (name == word).then_some(kind))
    }
}

impl<'a> Endpoint<'a> {
    /// Reads the path of a request's URI.
    ///
    /// # Errors
    /// 400 with `NAME_INVALID`, `DIGEST_INVALID` or `TAG_INVALID`.
    pub fn parse(path: &'a str) -> Result<Self, Refusal> {
        if let Some(id) = path.strip_prefix("/decisions/") {
            return Ok(Self::Decision { id });
        }
        if path == "/token" {
            return Ok(Self::Token);
        }
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Ping),
            Some("/_catalog") => return Ok(Self::Catalog),
            Some(rest) if rest.starts_with('/') => rest.get(1..).unwrap_or_default(),
            Some(_) | None => return Ok(Self::Unknown),
        };
        if let Some((name, id)) = upload(rest) {
            if !is_name(name) {
                return Err(Refusal::name_invalid());
            }
            return match id {
                "" => Ok(Self::Uploads { name }),
                id => UploadId::parse(id).map(|id| Self::Upload { name, id }).ok_or_else(Refusal::upload_unknown),
            };
        }
        match split(rest) {
            Some((name, kind, tail)) => Self::of(name, kind, tail),
            // Not a resource, but a hostile spelling of something: it is worth a clear answer (A7).
            None if rest.starts_with('/') || rest.contains(['%', '\\']) || rest.contains("//") || rest.contains("..") => {
                Err(Refusal::name_invalid())
            }
            None => Ok(Self::Unknown),
        }
    }

    fn of(name: &'a str, kind: Kind, tail: &str) -> Result<Self, Refusal> {
        if !is_name(name) {
            return Err(Refusal::name_invalid());
        }
        let digest = || tail.parse::<Digest>().map_err(|error| Refusal::digest_invalid(&error));
        Ok(match kind {
            Kind::Manifests if tail.contains(':') => Self::Manifest { name, reference: ManifestReference::Digest(digest()?) },
            Kind::Manifests => {
                let tag = tail.parse().map_err(|_| Refusal::tag_invalid())?;
                Self::Manifest { name, reference: ManifestReference::Tag(tag) }
            }
            Kind::Blobs => Self::Blob { name, digest: digest()? },
            Kind::Tags if tail == "list" => Self::Tags { name },
            Kind::Tags => Self::Unknown,
            Kind::Referrers => Self::Referrers { name, digest: digest()? },
        })
    }
}

/// Splits `NAME/blobs/uploads/ID`; docker writes the collection with a slash behind it, others without.
fn upload(rest: &str) -> Option<(&str, &str)> {
    const MARK: &str = "/blobs/uploads";
    if let Some(name) = rest.strip_suffix(MARK) {
        return Some((name, ""));
    }
    let (head, id) = rest.rsplit_once('/')?;
    Some((head.strip_suffix(MARK)?, id))
}

/// Splits `NAME/KIND/TAIL`. The last two parts decide, since a name may hold any of the words; a tail with slashes is none, and is
/// found so that its error can say so (A6: `sha256:../..`).
fn split(rest: &str) -> Option<(&str, Kind, &str)> {
    let mut parts = rest.rsplitn(3, '/');
    let (tail, kind, name) = (parts.next()?, parts.next()?, parts.next());
    if let (Some(kind), Some(name)) = (Kind::of(kind), name) {
        return Some((name, kind, tail));
    }
    let found = |word: &str| {
        let at = rest.match_indices(word).map(|(at, _)| at).find(|at| {
            let before = at.checked_sub(1).and_then(|before| rest.as_bytes().get(before));
            before == Some(&b'/') && rest.as_bytes().get(at + word.len()) == Some(&b'/')
        })?;
        Some((rest.get(..at - 1)?, rest.get(at + word.len() + 1..)?))
    };
    Kind::ALL.into_iter().find_map(|(word, kind)| found(word).map(|(name, tail)| (name, kind, tail)))
}

/// Whether `name` is a repository path, or a registry and one.
fn is_name(name: &str) -> bool {
    reference::is_path(name) || name.split_once('/').is_some_and(|(first, rest)| reference::is_registry(first) && reference::is_path(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn code(path: &str) -> &'static str {
        match Endpoint::parse(path) {
            Ok(endpoint) => panic!("{path} is {endpoint:?}"),
            Err(refusal) => refusal.code(),
        }
    }

    #[test]
    fn each_endpoint_has_its_path() {
        let digest = Digest::sha256(b"abc");
        let tag = |text: &str| ManifestReference::Tag(text.parse().unwrap());
        for (path, expected) in [
            ("/v2/".to_owned(), Endpoint::Ping),
            ("/v2".to_owned(), Endpoint::Ping),
            ("/v2/_catalog".to_owned(), Endpoint::Catalog),
            ("/v2/nginx/manifests/latest".to_owned(), Endpoint::Manifest { name: "nginx", reference: tag("latest") }),
            (
                format!("/v2/ghcr.io/acme/app/manifests/sha256:{HEX}"),
                Endpoint::Manifest { name: "ghcr.io/acme/app", reference: ManifestReference::Digest(digest) },
            ),
            (format!("/v2/a/b/c/blobs/sha256:{HEX}"), Endpoint::Blob { name: "a/b/c", digest }),
            ("/v2/a/tags/list".to_owned(), Endpoint::Tags { name: "a" }),
            (format!("/v2/a/referrers/sha256:{HEX}"), Endpoint::Referrers { name: "a", digest }),
            // A name may hold the words of the grammar.
            ("/v2/a/manifests/b/manifests/c".to_owned(), Endpoint::Manifest { name: "a/manifests/b", reference: tag("c") }),
            ("/v2/tags/list/tags/list".to_owned(), Endpoint::Tags { name: "tags/list" }),
            ("/v2/blobs/manifests/blobs".to_owned(), Endpoint::Manifest { name: "blobs", reference: tag("blobs") }),
            ("/v2/localhost:5000/app/manifests/1".to_owned(), Endpoint::Manifest { name: "localhost:5000/app", reference: tag("1") }),
            ("/decisions/01J".to_owned(), Endpoint::Decision { id: "01J" }),
            ("/token".to_owned(), Endpoint::Token),
            ("/token/".to_owned(), Endpoint::Unknown),
            ("/".to_owned(), Endpoint::Unknown),
            ("/v1/".to_owned(), Endpoint::Unknown),
            ("/v2x/a/tags/list".to_owned(), Endpoint::Unknown),
            ("/v2/a/tags/other".to_owned(), Endpoint::Unknown),
            ("/v2/a/blobs".to_owned(), Endpoint::Unknown),
            ("/v2/a/blobs2/x".to_owned(), Endpoint::Unknown),
        ] {
            assert_eq!(Endpoint::parse(&path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn hostile_digests_are_400() {
        // A6
        for tail in [
            "sha256:../..".to_owned(),
            "sha256:../../../../etc/passwd".to_owned(),
            format!("sha256:{}", HEX.to_uppercase()),
            format!("SHA256:{HEX}"),
            format!("sha256:{}", &HEX[..63]),
            format!("md5:{HEX}"),
            "sha256:".to_owned(),
        ] {
            for kind in ["manifests", "blobs", "referrers"] {
                assert_eq!(code(&format!("/v2/a/{kind}/{tail}")), "DIGEST_INVALID", "{kind} {tail}");
            }
        }
        assert_eq!(code("/v2/a/blobs/latest"), "DIGEST_INVALID");
        assert_eq!(code("/v2/a/blobs/"), "DIGEST_INVALID");
    }

    #[test]
    fn hostile_names_are_400() {
        // A7
        let long = "a".repeat(10_000);
        for name in ["..", "a/..", "../a", "a//b", "/a", "a/", "A", "a%2Fb", "a%00b", "a\\b", "a b", "é", ".a", "a/./b", "_a", &long, ""] {
            assert_eq!(code(&format!("/v2/{name}/manifests/latest")), "NAME_INVALID", "{name}");
            assert_eq!(code(&format!("/v2/{name}/blobs/sha256:{HEX}")), "NAME_INVALID", "{name}");
        }
        for path in ["/v2/%2e%2e/x", "/v2/a//b", "/v2/../etc/passwd", "/v2//"] {
            assert_eq!(code(path), "NAME_INVALID", "{path}");
        }
    }

    #[test]
    fn hostile_tags_are_400() {
        for tag in ["", ".a", "-a", "a%20b", "é", &"t".repeat(129), "a/b"] {
            assert_eq!(code(&format!("/v2/a/manifests/{tag}")), "TAG_INVALID", "{tag}");
        }
    }
}
