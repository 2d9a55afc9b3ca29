//! The offending line with a caret below. In a file that may hold secrets only what the table knows to be none is shown.

use std::ops::Range;

use crate::limits;
use crate::node::{Node, Value};
use crate::shape::{Object, Shape};

/// What of a document may be shown.
#[derive(Debug)]
pub(crate) enum Shown {
    /// The file holds no secrets.
    All,
    /// These character ranges; everything else may be a secret.
    Only(Vec<Range<usize>>),
}

impl Shown {
    /// What may be shown of a document with this `root`, whose table is `object`.
    pub fn of(root: &Node, object: &'static Object) -> Self {
        let mut ranges = Vec::new();
        collect(root, &Shape::Object(object), &mut ranges);
        ranges.sort_by_key(|range| range.start);
        Self::Only(ranges)
    }

    /// What may be shown of a text that could not be parsed: keys that the table knows, each before its colon.
    pub fn of_unparsed(source: &[char], object: &'static Object) -> Self {
        let mut known = Vec::new();
        keys(object, &mut known);
        let mut ranges = Vec::new();
        let mut start = 0;
        for (index, character) in source.iter().enumerate() {
            if character.is_ascii_lowercase() || *character == '-' {
                continue;
            }
            let word: String = source.get(start..index).unwrap_or_default().iter().collect();
            if *character == ':' && known.contains(&word.as_str()) {
                ranges.push(start..index);
            }
            start = index + 1;
        }
        Self::Only(ranges)
    }
}

fn keys(object: &'static Object, known: &mut Vec<&'static str>) {
    for field in object.fields {
        known.push(field.key);
        inner_keys(&field.shape, known);
    }
}

fn inner_keys(shape: &Shape, known: &mut Vec<&'static str>) {
    match shape {
        Shape::Object(object) => keys(object, known),
        Shape::List(inner) | Shape::OneOrMore(inner) | Shape::Named(inner) => inner_keys(inner, known),
        Shape::Either(one, other) => {
            inner_keys(one, known);
            inner_keys(other, known);
        }
        Shape::Text
        | Shape::Scalar
        | Shape::Path
        | Shape::Key
        | Shape::Secret
        | Shape::Listen
        | Shape::Duration
        | Shape::Boolean
        | Shape::Count(..)
        | Shape::Choice(_)
        | Shape::Pattern
        | Shape::Digest
        | Shape::Time
        | Shape::Date
        | Shape::Size
        | Shape::Platform => {}
    }
}

fn collect(node: &Node, shape: &Shape, ranges: &mut Vec<Range<usize>>) {
    match (&node.value, shape) {
        (_, Shape::Secret) => {}
        (Value::Map(entries), Shape::Object(object)) => {
            for (key, value) in entries {
                if let Some(field) = object.field(&key.text) {
                    ranges.push(key.place.start..key.place.end);
                    collect(value, &field.shape, ranges);
                } else if object.quotes_unknown(&key.text) {
                    ranges.push(key.place.start..key.place.end);
                }
            }
        }
        (Value::Map(entries), Shape::Named(inner)) => {
            for (key, value) in entries {
                if !key.text.contains('@') {
                    ranges.push(key.place.start..key.place.end);
                }
                collect(value, inner, ranges);
            }
        }
        (Value::List(items), Shape::List(inner) | Shape::OneOrMore(inner)) => {
            for item in items {
                collect(item, inner, ranges);
            }
        }
        (_, Shape::OneOrMore(inner)) => collect(node, inner, ranges),
        (Value::Text(_), Shape::Object(_) | Shape::Named(_) | Shape::List(_) | Shape::Either(..)) => {}
        // `user:password@host` is how a password gets into a URL.
        (Value::Text(text), _) if !text.contains('@') => ranges.push(node.place.start..node.place.end),
        (Value::Text(_) | Value::Empty | Value::List(_) | Value::Map(_), _) => {}
    }
}

/// The line with this number, and a caret below the column.
pub(crate) fn at(source: &[char], shown: &Shown, line: usize, column: usize) -> Option<String> {
    let start = if line == 1 { 0 } else { source.iter().enumerate().filter(|(_, c)| **c == '\n').nth(line.checked_sub(2)?)?.0 + 1 };
    let length = source.get(start..)?.iter().take_while(|c| !matches!(c, '\n' | '\r')).count();
    let caret = start.saturating_add(column.checked_sub(1)?).min(start + length);
    let mut text = masked(source, shown, start..caret);
    let before = text.chars().count();
    text.push_str(&masked(source, shown, caret..start + length));
    let text = text.trim_end();
    // A long line is cut to a window around the caret.
    let first = before.saturating_sub(limits::SNIPPET_CHARACTERS / 2);
    let window: String = text.chars().skip(first).take(limits::SNIPPET_CHARACTERS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let margin = line.to_string();
    let pad = " ".repeat(margin.len());
    let cut = if first > 0 { "…" } else { "" };
    let indent = " ".repeat(before - first + cut.chars().count());
    Some(format!("{margin} | {cut}{window}\n{pad} | {indent}^"))
}

/// The characters of `range`, with each gap between shown ranges that holds more than YAML's own marks replaced by `…`.
fn masked(source: &[char], shown: &Shown, range: Range<usize>) -> String {
    let Shown::Only(ranges) = shown else {
        return source.get(range).unwrap_or_default().iter().collect();
    };
    let mut out = String::new();
    let mut position = range.start;
    let inside = ranges.iter().filter(|r| r.end > range.start && r.start < range.end);
    for part in inside {
        out.push_str(&gap(source, position..part.start.max(position)));
        let end = part.end.min(range.end);
        out.extend(source.get(part.start.max(position)..end).unwrap_or_default());
        position = end.max(position);
    }
    out.push_str(&gap(source, position..range.end));
    out
}

fn gap(source: &[char], range: Range<usize>) -> String {
    let characters = source.get(range).unwrap_or_default();
    if characters.iter().all(|c| c.is_whitespace() || matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '-')) {
        return characters.iter().collect();
    }
    // Nothing of the hidden text is kept, not even its length. No plain scalar begins with these marks (YAML 1.2 §7.3.3).
    let marks = |(index, c): (usize, &char)| c.is_whitespace() || matches!(c, '{' | '[' | ']' | '}' | ',') || (index == 0 && *c == ':');
    let kept = characters.iter().enumerate().take_while(|indexed| marks(*indexed)).count();
    let mut out: String = characters.iter().take(kept).collect();
    out.push('…');
    out
}
