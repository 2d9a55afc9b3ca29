//! The pass over the bytes: RFC 8259's grammar, the depth, and the keys of each object.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{FEW, JsonError, Key, Keys, folds_to, shown};
use crate::limits;

/// Whether `text` is exactly one value with unambiguous keys.
pub(super) fn document(text: &str, keys: &Keys) -> Result<(), JsonError> {
    let mut scan = Scan { text, at: 0, keys, compared: 0, siblings: Vec::new() };
    scan.space();
    scan.value(0, false)?;
    scan.space();
    if scan.at == text.len() { Ok(()) } else { Err(scan.expected("the end")) }
}

/// One pass over a document.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    keys: &'a Keys,
    /// Keys that were compared so far.
    compared: usize,
    /// The keys of the objects around `at`, outermost first, of each those that were read; large objects keep theirs apart.
    siblings: Vec<Key<'a>>,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { expected, at: self.at }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    /// One value; `depth` counts the arrays and objects around it, `map` says that an object here is a free map.
    fn value(&mut self, depth: usize, map: bool) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.object(deeper(depth)?, map),
            Some(b'[') => self.array(deeper(depth)?),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.expected(word))
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.expected("a value")) }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.value(depth, false)?;
            self.space();
            if self.peek() != Some(b',') {
                return self.take(b']', "`,` or `]`");
            }
            self.at += 1;
        }
    }

    fn object(&mut self, depth: usize, map: bool) -> Result<(), JsonError> {
        self.at += 1;
        let compared = depth <= self.keys.compared;
        let (start, mut many) = (self.siblings.len(), HashSet::new());
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let text = self.string()?;
            let inner_map = compared && self.keys.maps.contains(&&*text);
            if compared {
                self.check_spelling(&text, map)?;
                self.check_duplicate(Key(text), start, &mut many)?;
            }
            self.space();
            self.take(b':', "`:`")?;
            self.space();
            self.value(depth, inner_map)?;
            self.space();
            if self.peek() != Some(b',') {
                self.siblings.truncate(start);
                return self.take(b'}', "`,` or `}`");
            }
            self.at += 1;
        }
    }

    /// Refuses a known key in another spelling, except as a name in a free map.
    fn check_spelling(&self, text: &str, map: bool) -> Result<(), JsonError> {
        let ascii = text.is_ascii();
        let other_spelling = |known: &&str| (!ascii || known.len() == text.len()) && *known != text && folds_to(known, text);
        match self.keys.known.iter().copied().find(other_spelling) {
            Some(expected) if !map => Err(JsonError::Spelling { expected, found: shown(text) }),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a key that its object holds already. The object's keys are `siblings` from `start` on or, once there are
    /// [`FEW`], `many`.
    fn check_duplicate(&mut self, key: Key<'a>, start: usize, many: &mut HashSet<Key<'a>>) -> Result<(), JsonError> {
        self.compared += 1;
        if self.compared > limits::JSON_KEYS {
            return Err(JsonError::Keys { limit: limits::JSON_KEYS });
        }
        let here = self.siblings.get(start..).unwrap_or_default();
        if here.contains(&key) || many.contains(&key) {
            return Err(JsonError::DuplicateKey { key: shown(&key.0) });
        }
        if !many.is_empty() {
            many.insert(key);
        } else if here.len() < FEW {
            self.siblings.push(key);
        } else {
            many.extend(self.siblings.drain(start..));
            many.insert(key);
        }
        Ok(())
    }

    /// A string, with its escapes resolved where it has any.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.take(b'"', "a string")?;
        let mut start = self.at;
        let mut resolved = String::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    let rest = &self.text[start..self.at];
                    self.at += 1;
                    if resolved.is_empty() {
                        return Ok(Cow::Borrowed(rest));
                    }
                    resolved.push_str(rest);
                    return Ok(Cow::Owned(resolved));
                }
                Some(b'\\') => {
                    resolved.push_str(&self.text[start..self.at]);
                    self.at += 1;
                    resolved.push(self.escape()?);
                    start = self.at;
                }
                Some(0..=0x1f) | None => return Err(self.expected("a character of a string, or its closing quote")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let escaped = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.expected("an escape of RFC 8259, section 7")),
        };
        self.at += 1;
        Ok(escaped)
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        // A lone surrogate has no character: Go puts U+FFFD in its place, others refuse it.
        let code = if (0xd800..0xdc00).contains(&first) {
            self.take(b'\\', "the second half of a surrogate pair")?;
            let second = self.hex4()?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(self.expected("the second half of a surrogate pair"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        char::from_u32(code).ok_or_else(|| self.expected("a character, not half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        self.take(b'u', "\\u")?;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16)).ok_or_else(|| self.expected("four hex digits"))?;
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}

const fn deeper(depth: usize) -> Result<usize, JsonError> {
    if depth >= limits::JSON_DEPTH { Err(JsonError::Depth { limit: limits::JSON_DEPTH }) } else { Ok(depth + 1) }
}
