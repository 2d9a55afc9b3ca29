//! in-toto statements (in-toto/attestation, spec v0.1 and v1).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::json::{self, JsonError, Keys, Object};

/// `_type` of the versions that are read.
pub const TYPES: [&str; 2] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];

/// The outermost object; the predicate is free and is checked by whoever reads it.
const OUTER: Keys = Keys { known: &["_type", "subject", "predicateType", "predicate"], maps: &[], compared: 1 };
const SUBJECT: Keys = Keys { known: &["name", "digest"], maps: &["digest", "annotations"], compared: usize::MAX };

/// Why bytes are no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// Not one JSON object with the fields of a statement.
    #[error("in-toto statement: {0}")]
    Json(#[from] JsonError),
    /// An unknown `_type`.
    #[error("in-toto statement of an unknown type: expected https://in-toto.io/Statement/v0.1 or v1")]
    Type,
    /// No subject.
    #[error("in-toto statement without a subject")]
    NoSubject,
}

/// What somebody states about some artifacts.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The artifacts. Never empty.
    pub subjects: Vec<StatementSubject>,
    /// Type of the predicate, a URI.
    pub predicate_type: String,
    /// The predicate as it stands; `None` where there is none. Its keys have not been compared.
    pub predicate: Option<Box<RawValue>>,
}

/// One artifact of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatementSubject {
    /// Its digests: algorithm → lower-case hex.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStatement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Option<Box<RawValue>>,
    predicate_type: String,
    predicate: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Subjects {
    subject: Vec<Object<StatementSubject>>,
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// When it is none, of another version, or without a subject.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let wire: WireStatement = json::read(bytes, &OUTER)?;
        if !TYPES.contains(&&*wire.kind) {
            return Err(StatementError::Type);
        }
        let listed = wire.subject.ok_or(StatementError::NoSubject)?;
        let Subjects { subject } = json::read(format!(r#"{{"subject":{listed}}}"#).as_bytes(), &SUBJECT)?;
        if subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        let subjects = subject.into_iter().map(|Object(subject)| subject).collect();
        Ok(Self { subjects, predicate_type: wire.predicate_type, predicate: wire.predicate })
    }

    /// Whether one of the subjects is `digest`.
    #[must_use]
    pub fn names(&self, digest: &Digest) -> bool {
        let (algorithm, hex) = (digest.algorithm().name(), digest.hex());
        self.subjects.iter().any(|subject| subject.digest.get(algorithm) == Some(&hex))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(subject: &str) -> String {
        format!(r#"{{"_type":"https://in-toto.io/Statement/v1","subject":{subject},"predicateType":"p","predicate":{{"a":1,"A":2}}}}"#)
    }

    #[test]
    fn subjects_are_matched_by_their_digest() {
        let digest = Digest::sha256(b"x");
        let text = statement(&format!(r#"[{{"digest":{{"sha1":"00"}}}},{{"name":"n","digest":{{"sha256":"{}"}}}}]"#, digest.hex()));
        let statement = Statement::parse(text.as_bytes()).expect("a statement");
        assert!(statement.names(&digest));
        assert!(!statement.names(&Digest::sha256(b"y")));
        assert_eq!(statement.predicate.expect("a predicate").get(), r#"{"a":1,"A":2}"#);
        let upper = self::statement(&format!(r#"[{{"digest":{{"sha256":"{}"}}}}]"#, digest.hex().to_uppercase()));
        assert!(!Statement::parse(upper.as_bytes()).expect("a statement").names(&digest));
    }

    #[test]
    fn malformed_statements_are_refused() {
        // V36, C5
        for bad in [
            statement("[]"),
            statement("null"),
            statement(r#"[{"digest":{},"Digest":{}}]"#),
            statement(r#"[{"digest":{"sha256":"a","sha256":"b"}}]"#),
            statement(r#"[[{}]]"#),
            statement(r#"[{"digest":{}}],"subject":[]"#),
            statement(r#"[{"digest":{}}],"Subject":[]"#),
            statement(r#"[{"digest":{}}]"#).replace("Statement/v1", "Statement/v2"),
            statement(r#"[{"digest":{}}]"#).replace("predicateType", "predicatetype"),
            String::new(),
        ] {
            assert!(Statement::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
