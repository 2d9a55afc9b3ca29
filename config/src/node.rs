//! A YAML document as a tree in which each key and value knows where it stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// Where something stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// Character offsets in the whole text.
    pub start: usize,
    /// One past the last character. For a list or mapping only its first token is sure to lie inside.
    pub end: usize,
}

/// A key of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub text: String,
    pub place: Place,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

/// What a YAML value can be. Scalars stay text: only the reader knows whether `0123` is a number or a password.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Empty,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// What stands here, for messages that must not quote it.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Empty => "nothing",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The members of a list; empty for everything else.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Empty | Value::Text(_) | Value::Map(_) => &[],
        }
    }
}

/// A node as the YAML library hands it over: what it took for a bool or number has lost its spelling.
#[derive(Debug)]
struct Raw(Value);

#[derive(Debug)]
pub(crate) struct RawNode(Spanned<Raw>);

/// Text of a scalar whose spelling must be read again from the source. A file can write this text itself as `"\0"`, and then
/// gets that spelling: nothing accepts either.
const RESPELL: &str = "\0";

impl RawNode {
    /// Puts the original spelling back from `source`, the characters of the whole file.
    pub fn resolve(self, source: &[char]) -> Node {
        resolve(self.0, source)
    }
}

fn resolve(spanned: Spanned<Raw>, source: &[char]) -> Node {
    let place = place(&spanned.referenced);
    Node { place, value: respell(spanned.value.0, place, source) }
}

fn respell(value: Value, place: Place, source: &[char]) -> Value {
    match value {
        Value::Text(text) if text == RESPELL => {
            Value::Text(source.get(place.start..place.end).unwrap_or_default().iter().collect::<String>().trim().to_owned())
        }
        Value::List(items) => Value::List(items.into_iter().map(|node| respell_node(node, source)).collect()),
        Value::Map(entries) => Value::Map(entries.into_iter().map(|(key, node)| (key, respell_node(node, source))).collect()),
        Value::Empty | Value::Text(_) => value,
    }
}

fn respell_node(node: Node, source: &[char]) -> Node {
    let Node { place, value } = node;
    Node { place, value: respell(value, place, source) }
}

/// Converts a location of the YAML library.
pub(crate) fn place(location: &Location) -> Place {
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let span = location.span();
    let start = size(span.offset());
    Place { line: size(location.line()), column: size(location.column()), start, end: start.saturating_add(size(span.len())) }
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }
    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw(Value::Text(text.to_owned())))
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw(Value::Empty))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw(Value::Text(RESPELL.to_owned())))
    }
    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw(Value::Text(RESPELL.to_owned())))
    }
    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw(Value::Text(RESPELL.to_owned())))
    }
    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw(Value::Text(RESPELL.to_owned())))
    }
    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw(Value::Text(RESPELL.to_owned())))
    }
    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw(Value::Text(RESPELL.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(RawNode(spanned)) = access.next_element()? {
            items.push(Node { place: place(&spanned.referenced), value: spanned.value.0 });
        }
        Ok(Raw(Value::List(items)))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let RawNode(spanned) = access.next_value()?;
            let key = Key { place: place(&key.referenced), text: key.value };
            entries.push((key, Node { place: place(&spanned.referenced), value: spanned.value.0 }));
        }
        Ok(Raw(Value::Map(entries)))
    }
}
