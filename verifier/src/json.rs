//! A strict look at JSON bytes before any parser reads them for good.
//!
//! Two readers of one document must see the same thing (CVE-2021-41190): Go's `encoding/json`, which every other client is
//! built on, takes the last of several equal keys and matches keys to fields without regard to case. So a document is
//! refused when it is not exactly one JSON value (RFC 8259), when an object holds a key twice, also in another case, and
//! when a key that this crate reads stands there in another spelling (`Layers`).

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};

/// Characters of a key that an error repeats.
const SHOWN: usize = 40;
/// Keys of an object that are compared one by one; more are hashed.
const FEW: usize = 16;
/// Characters of serde's words that an error repeats; they may quote the document.
const PROBLEM: usize = 160;

/// Why bytes are not one JSON value with one meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8 (RFC 8259, section 8.1).
    #[error("not JSON: byte {at} is not UTF-8")]
    Utf8 {
        /// Offset in bytes.
        at: usize,
    },
    /// Breaks the grammar of RFC 8259.
    #[error("not JSON: expected {expected} at byte {at}")]
    Syntax {
        /// What should stand there.
        expected: &'static str,
        /// Offset in bytes.
        at: usize,
    },
    /// Arrays and objects inside each other over the limit.
    #[error("JSON deeper than {limit} levels")]
    Depth {
        /// [`crate::limits::JSON_DEPTH`].
        limit: usize,
    },
    /// A key that stands twice in one object, as clients compare keys.
    #[error("JSON object with the key {key:?} twice (keys are compared without case, as Go clients do)")]
    DuplicateKey {
        /// The key, shortened.
        key: String,
    },
    /// More keys than the limit.
    #[error("JSON with over {limit} keys")]
    Keys {
        /// [`crate::limits::JSON_KEYS`].
        limit: usize,
    },
    /// A known key in another spelling, which some clients read and others do not.
    #[error("JSON key {found:?}: expected the spelling {expected:?}")]
    Spelling {
        /// The key that has a meaning.
        expected: &'static str,
        /// The key that stands there, shortened.
        found: String,
    },
    /// Right JSON, wrong fields.
    #[error("{problem}")]
    Fields {
        /// serde's words, which name the field and what was expected.
        problem: String,
    },
}

/// How strictly keys are compared.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    /// Keys with a meaning, none of which may stand in another spelling.
    pub known: &'static [&'static str],
    /// Keys whose value is a free map (`annotations`): inside, any spelling is allowed.
    pub maps: &'static [&'static str],
    /// Objects down to this depth (the outermost is 1) are compared; of deeper ones only the grammar is checked.
    pub compared: usize,
}

impl Keys {
    /// The grammar only: for documents of which nothing is read.
    pub const GRAMMAR: Self = Self { known: &[], maps: &[], compared: 0 };
}

/// Whether `bytes` are exactly one JSON value, at most [`crate::limits::JSON_DEPTH`] deep, with unambiguous keys. Linear in the
/// length of `bytes`.
///
/// # Errors
/// The first problem.
pub fn check(bytes: &[u8], keys: &Keys) -> Result<(), JsonError> {
    checked(bytes, keys).map(drop)
}

fn checked<'a>(bytes: &'a [u8], keys: &Keys) -> Result<&'a str, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|e| JsonError::Utf8 { at: e.valid_up_to() })?;
    scan::document(text, keys)?;
    Ok(text)
}

/// [`check`]s `bytes`, then reads them as an object of type `T`.
///
/// # Errors
/// The first problem.
pub fn read<T: DeserializeOwned>(bytes: &[u8], keys: &Keys) -> Result<T, JsonError> {
    match serde_json::from_str::<Object<T>>(checked(bytes, keys)?) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(JsonError::Fields { problem: error.to_string().chars().take(PROBLEM).collect() }),
    }
}

/// A value that must stand there as a JSON object: serde's derived structs would take an array of their fields as well,
/// which no other reader does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(OnlyMap(PhantomData))
    }
}

/// Folds a character as Go's `encoding/json` does for ASCII field names (`fold.go`): ASCII case, and the two characters
/// outside ASCII whose Unicode simple folding is an ASCII letter.
const fn fold(c: char) -> char {
    match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

/// Whether Go clients take the two keys for the same.
pub(crate) fn folds_to(key: &str, other: &str) -> bool {
    if key.is_ascii() && other.is_ascii() {
        return key.eq_ignore_ascii_case(other);
    }
    key.chars().map(fold).eq(other.chars().map(fold))
}

fn shown(key: &str) -> String {
    key.chars().take(SHOWN).collect()
}

/// A key; equal to another when a client would take it for the same.
struct Key<'a>(Cow<'a, str>);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Folded characters in chunks: the hasher is far slower byte by byte.
        let (mut chunk, mut filled) = ([0; 32], 0);
        for c in self.0.chars() {
            if filled + 4 > chunk.len() {
                state.write(&chunk[..filled]);
                filled = 0;
            }
            filled += fold(c).encode_utf8(&mut chunk[filled..]).len();
        }
        state.write(&chunk[..filled]);
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        folds_to(&self.0, &other.0)
    }
}

impl Eq for Key<'_> {}

mod scan;
#[cfg(test)]
mod tests;
