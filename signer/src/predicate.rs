//! Predicates of attestations: what a file holds, as its type wants it in a statement.

use sealgate_verifier::{AttestationType, Timestamp, limits};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Bytes of a predicate. Base64 in an envelope makes it a third larger, and the whole must stay under what verifiers read.
pub const PREDICATE_BYTES: usize = limits::EVIDENCE_LAYER_BYTES / 4 * 3 - 64 * 1024;

/// Why a file is no predicate of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredicateError {
    /// Over [`PREDICATE_BYTES`].
    #[error("the predicate has {found} bytes: the limit is {PREDICATE_BYTES}")]
    TooLarge {
        /// Bytes.
        found: usize,
    },
    /// Not what the type asks for.
    #[error("the predicate is not what --type {kind} asks for: expected {expected}")]
    Shape {
        /// The type.
        kind: String,
        /// What should stand there.
        expected: &'static str,
    },
}

/// A predicate and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    predicate_type: String,
    /// JSON.
    text: String,
}

impl Predicate {
    /// Reads the bytes of a file. `spdx` may be SPDX's tag-value text, which becomes a string; `custom` may be anything and is wrapped;
    /// both as cosign does it (sigstore/cosign, pkg/cosign/attestation). Every other type is a JSON object, kept byte for byte.
    ///
    /// # Errors
    /// See [`PredicateError`].
    pub fn read(kind: &AttestationType, bytes: &[u8], now: Timestamp) -> Result<Self, PredicateError> {
        if bytes.len() > PREDICATE_BYTES {
            return Err(PredicateError::TooLarge { found: bytes.len() });
        }
        let shape = |expected| PredicateError::Shape { kind: kind.to_string(), expected };
        let text = std::str::from_utf8(bytes).map_err(|_| shape("text"))?;
        let object = serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get).filter(|raw| raw.starts_with('{'));
        let text = match (kind.to_string().as_str(), object) {
            ("custom", _) => json!({ "Data": text, "Timestamp": now.to_string() }).to_string(),
            ("spdx", None) if !text.trim().is_empty() => Value::from(text).to_string(),
            (_, Some(object)) => object.to_owned(),
            (_, None) => return Err(shape("one JSON object")),
        };
        Ok(Self { predicate_type: kind.predicate_type().to_owned(), text })
    }

    /// Type, a URI.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `other` says the same: the same JSON, however it is spaced.
    #[must_use]
    pub fn says(&self, other: &str) -> bool {
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        self.text == other || (value(&self.text).is_some() && value(&self.text) == value(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: &str, text: &str) -> Result<Predicate, PredicateError> {
        Predicate::read(&AttestationType::parse(kind).expect(kind), text.as_bytes(), Timestamp(0))
    }

    #[test]
    fn a_predicate_is_what_its_type_asks_for() {
        assert_eq!(read("slsaprovenance1", " {\"a\":1} \n").expect("an object").text(), "{\"a\":1}");
        assert_eq!(read("spdx", "SPDXVersion: SPDX-2.3\n").expect("text").text(), "\"SPDXVersion: SPDX-2.3\\n\"");
        assert_eq!(read("spdx", "{}").expect("JSON").text(), "{}");
        assert_eq!(read("custom", "x").expect("anything").text(), r#"{"Data":"x","Timestamp":"1970-01-01T00:00:00Z"}"#);
        for (kind, text) in
            [("vuln", "[]"), ("vuln", "{"), ("vuln", "{} {}"), ("spdxjson", "SPDXVersion: x"), ("spdx", " "), ("cyclonedx", "")]
        {
            assert!(matches!(read(kind, text), Err(PredicateError::Shape { .. })), "{kind} {text}");
        }
        let large = "x".repeat(PREDICATE_BYTES + 1);
        assert!(matches!(read("custom", &large), Err(PredicateError::TooLarge { .. })));
    }

    #[test]
    fn the_same_json_says_the_same_however_it_is_spaced() {
        let predicate = read("vuln", r#"{"a":[1,2],"b":"x"}"#).expect("an object");
        assert!(predicate.says("{ \"b\": \"x\", \"a\": [1, 2] }") && !predicate.says(r#"{"a":[2,1],"b":"x"}"#) && !predicate.says("{"));
    }
}
