//! Reads single places of a predicate, whose bytes have been verified and whose shape is its author's own.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::json::folds_to;
use crate::policy::Pointer;
use crate::time::Timestamp;

/// What stands in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A text, or the spelling of a number, `true`, `false` or `null`.
    Scalar(String),
    /// A list or an object.
    Compound,
    /// Nothing.
    Missing,
    /// More than one thing: two keys that some readers take for the same.
    Ambiguous,
}

/// What stands at `pointer` (RFC 6901 §4). Each object on the way must hold the key once, as Go readers compare keys too (V36).
pub(crate) fn lookup(predicate: &RawValue, pointer: &Pointer) -> Found {
    let mut here = predicate;
    for token in pointer.tokens() {
        match step(here, token) {
            Ok(Some(next)) => here = next,
            Ok(None) => return Found::Missing,
            Err(Ambiguous) => return Found::Ambiguous,
        }
    }
    scalar(here)
}

struct Ambiguous;

fn step<'a>(value: &'a RawValue, token: &str) -> Result<Option<&'a RawValue>, Ambiguous> {
    match value.get().as_bytes().first() {
        Some(b'{') => {
            let Ok(Entries(entries)) = serde_json::from_str(value.get()) else { return Ok(None) };
            let mut alike = entries.into_iter().filter(|(key, _)| folds_to(key, token));
            match (alike.next(), alike.next()) {
                (None, _) => Ok(None),
                (Some((key, value)), None) => Ok((key == token).then_some(value)),
                (Some(_), Some(_)) => Err(Ambiguous),
            }
        }
        Some(b'[') => {
            let Ok(Items(items)) = serde_json::from_str(value.get()) else { return Ok(None) };
            // RFC 6901 §4: digits without leading zeros.
            let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|b| b.is_ascii_digit()));
            let index = token.parse::<usize>().ok().filter(|_| plain);
            Ok(index.and_then(|index| items.get(index).copied()))
        }
        Some(_) | None => Ok(None),
    }
}

fn scalar(value: &RawValue) -> Found {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'{' | b'[') => Found::Compound,
        Some(b'"') => serde_json::from_str(text).map_or(Found::Missing, Found::Scalar),
        Some(_) => Found::Scalar(text.to_owned()),
        None => Found::Missing,
    }
}

struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Map)
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sequence;
        impl<'de> Visitor<'de> for Sequence {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = sequence.next_element()? {
                    items.push(item);
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(Sequence)
    }
}

/// Where types say when their content is from. The signer says so, who is trusted with the content as well.
const DATES: [(&str, &str); 7] = [
    ("https://cosign.sigstore.dev/attestation/vuln/", "/metadata/scanFinishedOn"),
    ("https://in-toto.io/attestation/vulns/", "/metadata/scanFinishedOn"),
    ("https://slsa.dev/provenance/v0.2", "/metadata/buildFinishedOn"),
    ("https://slsa.dev/provenance/v1", "/runDetails/metadata/finishedOn"),
    ("https://spdx.dev/Document", "/creationInfo/created"),
    ("https://cyclonedx.org/bom", "/metadata/timestamp"),
    ("https://openvex.dev/ns", "/timestamp"),
];

/// When the predicate says that its content is from.
pub(crate) fn date(predicate_type: &str, predicate: &RawValue) -> Option<Timestamp> {
    let (_, pointer) = DATES.iter().find(|(prefix, _)| predicate_type.starts_with(prefix))?;
    match lookup(predicate, &Pointer::parse(pointer)?) {
        Found::Scalar(text) => Timestamp::from_rfc_3339(&text),
        Found::Compound | Found::Missing | Found::Ambiguous => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(json: &str, pointer: &str) -> Found {
        let raw: Box<RawValue> = serde_json::from_str(json).expect("JSON");
        lookup(&raw, &Pointer::parse(pointer).expect("a pointer"))
    }

    #[test]
    fn a_place_is_found_by_its_pointer_only() {
        let json = r#"{"a":{"b/c":[1,{"d":"x\ny"}],"e":true,"n":null,"\u0066":1.50},"A1":0}"#;
        let text = |text: &str| Found::Scalar(text.to_owned());
        for (pointer, expected) in [
            ("/a/b~1c/0", text("1")),
            ("/a/b~1c/1/d", text("x\ny")),
            ("/a/e", text("true")),
            ("/a/n", text("null")),
            ("/a/f", text("1.50")),
            ("/a", Found::Compound),
            ("/a/b~1c/2", Found::Missing),
            ("/a/b~1c/00", Found::Missing),
            ("/a/b~1c/-", Found::Missing),
            ("/a/e/x", Found::Missing),
            ("/a1", Found::Missing),
            ("/x", Found::Missing),
        ] {
            assert_eq!(at(json, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn keys_that_readers_may_confuse_hide_nothing() {
        // V36
        for json in [r#"{"a":{"k":1},"a":{"k":2}}"#, r#"{"a":{"k":1,"K":2}}"#, r#"{"a":{"k":1},"A":{}}"#, r#"{"a":{"k":1,"\u212a":2}}"#] {
            assert_eq!(at(json, "/a/k"), Found::Ambiguous, "{json}");
        }
        assert_eq!(at(r#"{"a":{"k":1},"b":1,"b":2}"#, "/a/k"), Found::Scalar("1".to_owned()), "elsewhere is nobody's business");
    }

    #[test]
    fn a_date_is_read_where_its_type_has_one() {
        let raw: Box<RawValue> = serde_json::from_str(r#"{"metadata":{"scanFinishedOn":"2026-11-23T23:59:59.5+00:00"}}"#).expect("JSON");
        assert_eq!(date("https://cosign.sigstore.dev/attestation/vuln/v1", &raw), Some(Timestamp(1_795_478_399)));
        assert_eq!(date("https://slsa.dev/provenance/v1", &raw), None);
        assert_eq!(date("https://acme.example/x", &raw), None);
    }
}
