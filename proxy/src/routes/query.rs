//! The query parameters that the registry API knows. Others are ignored; these may stand once.

use std::borrow::Cow;

use sealgate_verifier::{Algorithm, Digest, Tag, reference};

use crate::routes::error::Refusal;

/// Most tags in one answer (D5), and how many there are when the client names no number.
pub const PAGE: usize = 1_000;
/// Bytes of a media type (RFC 6838 §4.2: 127 on each side of the slash).
const MEDIA_TYPE_BYTES: usize = 255;

/// What stands behind the question mark.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `ns`: the registry that containerd, BuildKit and dockerd mean when they use the gate as a mirror.
    pub ns: Option<Cow<'a, str>>,
    /// `n`, at most [`PAGE`].
    pub count: Option<usize>,
    /// `last`: the tag after which a page begins.
    pub last: Option<Tag>,
    /// `artifactType` of referrers.
    pub artifact_type: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads the query of a request's URI.
    ///
    /// # Errors
    /// 400 for a parameter that stands twice, or whose value is none.
    pub fn parse(query: Option<&'a str>) -> Result<Self, Refusal> {
        let mut parsed = Query::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match decode(key).as_deref() {
                Some("ns") => once(&mut parsed.ns, registry(value)?, "ns")?,
                Some("n") => once(&mut parsed.count, count(value)?, "n")?,
                Some("last") => once(&mut parsed.last, last(value)?, "last")?,
                Some("artifactType") => once(&mut parsed.artifact_type, media_type(value)?, "artifactType")?,
                Some(_) | None => {}
            }
        }
        Ok(parsed)
    }
}

/// What stands behind the question mark of a push (distribution-spec 1.1, "Pushing blobs").
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PushQuery<'a> {
    /// `digest`: what the blob is.
    pub digest: Option<Digest>,
    /// `mount`: the blob to take over from another repository.
    pub mount: Option<Digest>,
    /// `from`: that repository.
    pub from: Option<Cow<'a, str>>,
    /// `digest-algorithm`: under which the upload will end.
    pub algorithm: Option<Algorithm>,
}

impl<'a> PushQuery<'a> {
    /// Reads the query of a push's URI.
    ///
    /// # Errors
    /// 400 for a parameter that stands twice, or whose value is none.
    pub fn parse(query: Option<&'a str>) -> Result<Self, Refusal> {
        let mut parsed = PushQuery::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match decode(key).as_deref() {
                Some("digest") => once(&mut parsed.digest, digest(value)?, "digest")?,
                Some("mount") => once(&mut parsed.mount, digest(value)?, "mount")?,
                Some("from") => once(&mut parsed.from, decode(value).ok_or_else(Refusal::name_invalid)?, "from")?,
                Some("digest-algorithm") => once(&mut parsed.algorithm, algorithm(value)?, "digest-algorithm")?,
                Some(_) | None => {}
            }
        }
        Ok(parsed)
    }
}

fn digest(value: &str) -> Result<Digest, Refusal> {
    decode(value).unwrap_or_default().parse().map_err(|error| Refusal::digest_invalid(&error))
}

fn algorithm(value: &str) -> Result<Algorithm, Refusal> {
    match value {
        "sha256" => Ok(Algorithm::Sha256),
        "sha512" => Ok(Algorithm::Sha512),
        _ => Err(Refusal::query_invalid("the query parameter digest-algorithm must be sha256 or sha512".to_owned())),
    }
}

fn once<T>(slot: &mut Option<T>, value: T, key: &str) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::query_invalid(format!("the query parameter {key} stands twice"))),
    }
}

fn registry(value: &str) -> Result<Cow<'_, str>, Refusal> {
    let text = decode(value).filter(|text| reference::is_registry(text));
    text.ok_or_else(|| Refusal::query_invalid("the query parameter ns must be one registry, host or host:port, in lower case".to_owned()))
}

fn count(value: &str) -> Result<usize, Refusal> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    // A number beyond the type's range is over the cap as well.
    let number = || value.parse().unwrap_or(usize::MAX).min(PAGE);
    digits.then(number).ok_or_else(|| Refusal::query_invalid("the query parameter n must be a number".to_owned()))
}

fn last(value: &str) -> Result<Tag, Refusal> {
    let tag = decode(value).and_then(|text| text.parse().ok());
    tag.ok_or_else(|| Refusal::query_invalid("the query parameter last must be a tag".to_owned()))
}

fn media_type(value: &str) -> Result<Cow<'_, str>, Refusal> {
    let allowed = |text: &Cow<'_, str>| (1..=MEDIA_TYPE_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = decode(value).filter(allowed);
    text.ok_or_else(|| Refusal::query_invalid("the query parameter artifactType must be a media type".to_owned()))
}

/// Percent-decoding (RFC 3986 §2.1), strict: a `%` without two hex digits is none. A `+` stands for itself.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (hex(bytes.next()?)?, hex(bytes.next()?)?);
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_decoded_and_others_ignored() {
        let query = Query::parse(Some("x=%zz&ns=registry.example%3A5000&n=5&last=v1.0&artifactType=application%2Fvnd.x%2Bjson&y")).unwrap();
        let expected = Query {
            ns: Some("registry.example:5000".into()),
            count: Some(5),
            last: Some("v1.0".parse().unwrap()),
            artifact_type: Some("application/vnd.x+json".into()),
        };
        assert_eq!(query, expected);
        assert_eq!(Query::parse(Some("artifactType=a/b+c")).unwrap().artifact_type.as_deref(), Some("a/b+c"));
        assert_eq!(Query::parse(None).unwrap(), Query::default());
    }

    #[test]
    fn the_parameters_of_a_push_are_read() {
        let blob = Digest::sha256(b"blob");
        let escaped = blob.to_string().replace(':', "%3A");
        let query = format!("mount={escaped}&from=hosted.local%2Fteam%2Fapp&digest={blob}&digest-algorithm=sha512&x=%zz");
        let parsed = PushQuery::parse(Some(&query)).unwrap();
        let expected = PushQuery {
            digest: Some(blob),
            mount: Some(blob),
            from: Some("hosted.local/team/app".into()),
            algorithm: Some(Algorithm::Sha512),
        };
        assert_eq!(parsed, expected);
        for query in
            ["digest=sha256:abc", "digest=", "mount=sha256:..%2f..", "digest-algorithm=md5", &format!("digest={blob}&digest={blob}")]
        {
            assert!(PushQuery::parse(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn a_page_is_capped() {
        // D5
        for (query, expected) in [("n=1000000000", PAGE), ("n=99999999999999999999999999", PAGE), ("n=0", 0), ("n=7", 7)] {
            assert_eq!(Query::parse(Some(query)).unwrap().count, Some(expected), "{query}");
        }
    }

    #[test]
    fn malformed_values_and_repeated_keys_are_400() {
        for query in [
            "ns=docker.io&ns=docker.io",
            "ns=docker.io&%6es=ghcr.io",
            "ns=",
            "ns",
            "ns=Docker.io",
            "ns=docker.io/library",
            "ns=docker.io%00",
            "ns=a%2",
            "ns=docker.io,ghcr.io",
            "n=",
            "n=-1",
            "n=+1",
            "n=1&n=1",
            "last=",
            "last=%2F",
            "artifactType=",
            "artifactType=a%0d%0ab",
            "artifactType=a%20b",
        ] {
            assert!(Query::parse(Some(query)).is_err(), "{query}");
        }
    }
}
