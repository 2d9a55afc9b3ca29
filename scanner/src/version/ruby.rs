//! Ruby's order: `Gem::Version` of RubyGems.

use std::cmp::Ordering;

use super::Number;
use super::number::digits;

/// Segments; a version is followed by zeros without end.
#[derive(Debug, Clone)]
pub(super) struct Version(Vec<Segment>);

/// A word makes a pre-release: it is below every number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Word(Box<str>),
    Number(Number),
}

const ZERO: Segment = Segment::Number(Number::ZERO);

impl Version {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let (plain, before) = text.split_once('-').map_or((text, None), |(plain, before)| (plain, Some(before)));
        let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let sound = plain.split('.').all(word) && before.is_none_or(|before| before.split('.').all(word));
        if !sound || !plain.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("a number, then words and numbers separated by dots");
        }
        // A hyphen is read as `.pre.`.
        let mut rest = text.replace('-', ".pre.");
        let mut segments: Vec<Segment> = Vec::new();
        while let Some(first) = rest.bytes().next() {
            let length =
                if first.is_ascii_digit() { digits(&rest).0.len() } else { rest.bytes().take_while(u8::is_ascii_alphabetic).count() };
            let after = rest.split_off(length.max(1));
            if first.is_ascii_digit() {
                segments.push(Segment::Number(Number::of(&rest)));
            } else if length > 0 {
                // Zeros before the first word do not count: 1.0.a is 1.a.
                if !segments.iter().any(|segment| matches!(segment, Segment::Word(_))) {
                    trim(&mut segments);
                }
                segments.push(Segment::Word(rest.as_str().into()));
            }
            rest = after;
        }
        trim(&mut segments);
        Ok(Self(segments))
    }
}

fn trim(segments: &mut Vec<Segment>) {
    while segments.last() == Some(&ZERO) {
        segments.pop();
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let segment = |version: &Self, at: usize| version.0.get(at).cloned().unwrap_or(ZERO);
        let longest = self.0.len().max(other.0.len());
        (0..longest).map(|at| segment(self, at).cmp(&segment(other, at))).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_before_the_release() {
        let ordered = ["0.9", "1.0.a", "1.0.a1", "1.0.a.2", "1.0.b1", "1.0-1", "1.0.rc1", "1.0", "1.0.1", "1.9", "1.10", "1.10.0.1"];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                let found = Version::parse(left).expect(left).cmp(&Version::parse(right).expect(right));
                assert_eq!(found, at.cmp(&other), "{left} {right}");
            }
        }
        for (left, right) in [("1", "1.0.0"), ("1.0.a", "1.a"), ("1.a.0", "1.a")] {
            assert_eq!(Version::parse(left), Version::parse(right), "{left} {right}");
        }
        for bad in ["", "a", "1..2", "1.é", "1-", "1 2"] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }
}
