//! Package URLs (package-url/purl-spec), as far as one must be told from another.

use std::collections::BTreeMap;

use crate::limits;

/// A package URL, taken apart and decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purl {
    /// The type, lower case.
    pub(crate) kind: String,
    /// Namespace and name.
    pub(crate) path: Vec<String>,
    pub(crate) version: Option<String>,
    qualifiers: BTreeMap<String, String>,
}

impl Purl {
    /// `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("pkg:").filter(|_| text.len() <= limits::FACT_TEXT_BYTES)?;
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (rest, version) = match rest.rsplit_once('@') {
            // An npm scope may stand there with its @ not encoded.
            Some((rest, version)) if !version.contains('/') => (rest, Some(decode(version)?)),
            Some(_) | None => (rest, None),
        };
        let (kind, path) = rest.trim_start_matches('/').split_once('/')?;
        let path: Option<Vec<String>> = path.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let path = path.filter(|path| !path.is_empty() && !kind.is_empty())?;
        let pairs = qualifiers.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_ascii_lowercase(), decode(value)?))
        });
        Some(Self { kind: kind.to_ascii_lowercase(), path, version, qualifiers: pairs.collect::<Option<_>>()? })
    }

    /// Whether `found` is what this one speaks of: one without a version speaks of all, and every qualifier that it has must be there.
    pub(crate) fn covers(&self, found: &Self) -> bool {
        let version = self.version.is_none() || self.version == found.version;
        let qualifiers = self.qualifiers.iter().all(|(key, value)| found.qualifiers.get(key) == Some(value));
        self.kind == found.kind && self.path == found.path && version && qualifiers
    }
}

/// Percent-decodes; `None` where that gives no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(one: &str, other: &str) -> bool {
        Purl::parse(one).expect(one).covers(&Purl::parse(other).expect(other))
    }

    #[test]
    fn a_package_url_covers_what_it_names_and_no_more() {
        let found = "pkg:deb/debian/libssl3@3.0.1-1%2Bdeb12u1?arch=amd64&distro=debian-12";
        for yes in [found, "pkg:deb/debian/libssl3", "pkg:DEB/debian/libssl3@3.0.1-1+deb12u1", "pkg:deb/debian/libssl3?arch=amd64#x"] {
            assert!(covers(yes, found), "{yes}");
        }
        for no in [
            "pkg:deb/debian/libssl",
            "pkg:deb/libssl3",
            "pkg:rpm/debian/libssl3",
            "pkg:deb/debian/libssl3@3.0.1-1",
            "pkg:deb/debian/libssl3?arch=arm64",
            "pkg:deb/debian/libssl3?epoch=1",
        ] {
            assert!(!covers(no, found), "{no}");
        }
        assert!(covers("pkg:npm/%40babel/core", "pkg:npm/@babel/core@7.0.0"));
        assert!(covers("pkg:npm/@babel/core", "pkg:npm/%40babel/core@7.0.0"));
        for bad in ["", "pkg:", "pkg:deb", "pkg:deb/", "openssl", "pkg:deb/a@%zz", "pkg:deb/a@%f", "pkg:deb/a?x", "pkg:deb/%ff"] {
            assert!(Purl::parse(bad).is_none(), "{bad}");
        }
    }
}
