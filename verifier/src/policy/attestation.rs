//! What an attestation must be: its type, its signers, its age, and what its predicate says.

use std::fmt;

use super::requirement::SignedBy;
use super::text::TextMatcher;

/// `attested`: attestations of one type by a quorum of signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The type.
    pub kind: AttestationType,
    /// Who must have attested.
    pub by: SignedBy,
    /// What the predicate must say, all of it.
    pub conditions: Vec<Condition>,
    /// Seconds that the attestation may be old.
    pub max_age: Option<i64>,
}

/// A type of attestation: the predicate types that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationType {
    /// As the policy writes it: a short name or a URI.
    written: String,
    /// Predicate types that count.
    exact: Vec<&'static str>,
    /// Predicate types that count with `/v…` behind them.
    versioned: Option<&'static str>,
}

/// A short name, its predicate types, and that which counts with any version behind it.
type Short = (&'static str, &'static [&'static str], Option<&'static str>);

/// cosign's short names (sigstore/cosign, pkg/cosign/attestation and options/predicate.go), and `vulns`, in-toto's own
/// (in-toto/attestation, spec/predicates).
const SHORT: [Short; 11] = [
    ("slsaprovenance", &["https://slsa.dev/provenance/v0.2"], None),
    ("slsaprovenance02", &["https://slsa.dev/provenance/v0.2"], None),
    ("slsaprovenance1", &["https://slsa.dev/provenance/v1"], None),
    ("vuln", &["https://cosign.sigstore.dev/attestation/vuln/v1"], None),
    ("vulns", &["https://in-toto.io/attestation/vulns/v0.1", "https://in-toto.io/attestation/vulns/v0.2"], None),
    ("spdx", &["https://spdx.dev/Document"], Some("https://spdx.dev/Document")),
    ("spdxjson", &["https://spdx.dev/Document"], Some("https://spdx.dev/Document")),
    ("cyclonedx", &["https://cyclonedx.org/bom"], Some("https://cyclonedx.org/bom")),
    ("openvex", &["https://openvex.dev/ns"], Some("https://openvex.dev/ns")),
    ("link", &["https://in-toto.io/Link/v1"], None),
    ("custom", &["https://cosign.sigstore.dev/attestation/v1"], None),
];

impl AttestationType {
    /// A short name, or a URI, which counts exactly. `None` when it is neither, and for the predicate type of signatures: signing is
    /// what `signed-by` is about.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((name, exact, versioned)) = SHORT.iter().find(|(name, ..)| *name == text) {
            return Some(Self { written: (*name).to_owned(), exact: exact.to_vec(), versioned: *versioned });
        }
        let is_uri = text.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty() && !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        });
        let plain = text.len() <= crate::limits::IDENTITY_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
        (is_uri && plain && text != crate::media_type::COSIGN_SIGN_PREDICATE).then(|| Self {
            written: text.to_owned(),
            exact: Vec::new(),
            versioned: None,
        })
    }

    /// The short names.
    pub fn short_names() -> impl Iterator<Item = &'static str> {
        SHORT.iter().map(|(name, ..)| *name)
    }

    /// The predicate type that a new attestation of this type gets: of several the newest.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        self.exact.last().copied().unwrap_or(&self.written)
    }

    /// Whether a statement with this predicate type counts.
    #[must_use]
    pub fn matches(&self, predicate_type: &str) -> bool {
        if self.exact.is_empty() {
            return predicate_type == self.written;
        }
        let version = |prefix: &str| predicate_type.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("/v"));
        self.exact.contains(&predicate_type)
            || self
                .versioned
                .and_then(version)
                .is_some_and(|version| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
    }
}

impl fmt::Display for AttestationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// What one place of a predicate must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The place.
    pub pointer: Pointer,
    /// The text that must stand there; of numbers, `true` and `false` their spelling.
    pub expected: TextMatcher,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.pointer, self.expected)
    }
}

/// A JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    written: String,
    tokens: Vec<String>,
}

impl Pointer {
    /// Reads a pointer to a place inside a document; the document itself is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let tokens: Option<Vec<String>> = rest.split('/').map(unescape).collect();
        let tokens = tokens?;
        (tokens.len() <= crate::limits::JSON_DEPTH).then(|| Self { written: text.to_owned(), tokens })
    }

    /// The keys and indexes on the way, unescaped.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }
}

/// RFC 6901 §4: `~1` is `/`, `~0` is `~`, and nothing else may follow a `~`.
fn unescape(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(c) = characters.next() {
        match (c, c == '~') {
            (_, true) => out.push(match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            }),
            (c, false) => out.push(c),
        }
    }
    Some(out)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_counts_for_its_own_predicate_types_only() {
        // V6, C2
        for (kind, yes, no) in [
            ("slsaprovenance", "https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1"),
            ("slsaprovenance1", "https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v1.0"),
            ("vulns", "https://in-toto.io/attestation/vulns/v0.2", "https://cosign.sigstore.dev/attestation/vuln/v1"),
            ("cyclonedx", "https://cyclonedx.org/bom/v1.6", "https://cyclonedx.org/bom/evil"),
            ("cyclonedx", "https://cyclonedx.org/bom", "https://cyclonedx.org/bom/v"),
            ("openvex", "https://openvex.dev/ns/v0.2.0", "https://openvex.dev/nsx"),
            ("https://acme.example/review/v1", "https://acme.example/review/v1", "https://acme.example/review/v1/v2"),
        ] {
            let kind = AttestationType::parse(kind).expect(kind);
            assert!(kind.matches(yes) && !kind.matches(no), "{kind}");
            assert!(kind.matches(kind.predicate_type()), "{kind}");
        }
        for bad in ["", "slsa", "https:", ":x", "a b:c", "https://sigstore.dev/cosign/sign/v1"] {
            assert!(AttestationType::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn pointers_are_those_of_rfc_6901() {
        assert_eq!(Pointer::parse("/a~1b/m~0n/0/").expect("a pointer").tokens(), ["a/b", "m~n", "0", ""]);
        for bad in ["", "a", "/~", "/~2", "/a~"] {
            assert!(Pointer::parse(bad).is_none(), "{bad}");
        }
    }
}
