//! rpm's order: rpm-version(7), with the tilde (rpm 4.10) and the caret (rpm 4.15).

use std::cmp::Ordering;

use super::Number;
use super::number::digits;

/// `[epoch:]version[-release]`.
#[derive(Debug, Clone)]
pub(super) struct Version {
    epoch: Number,
    version: Box<str>,
    release: Option<Box<str>>,
}

impl Version {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if digits(epoch).1.is_empty() => (Number::of(epoch), rest),
            Some(_) => return Err("digits before the colon"),
            None => (Number::ZERO, text),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release.into())),
            None => (rest, None),
        };
        if !version.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            return Err("a version with a letter or digit");
        }
        if rest.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b':') {
            return Err("printable ASCII without a second colon");
        }
        Ok(Self { epoch, version: version.into(), release })
    }
}

/// A letter or digit, or one of the two marks; all other bytes only separate.
fn counts(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'~' || byte == b'^'
}

fn segment(text: &str) -> (&str, &str) {
    match text.as_bytes().first() {
        Some(first) if first.is_ascii_digit() => digits(text),
        _ => text.split_at(text.bytes().take_while(u8::is_ascii_alphabetic).count()),
    }
}

/// Segment by segment. The tilde sorts before the end, the caret after the end and before every other segment.
fn compare(mut left: &str, mut right: &str) -> Ordering {
    loop {
        left = left.trim_start_matches(|c: char| !c.is_ascii() || !counts(c as u8));
        right = right.trim_start_matches(|c: char| !c.is_ascii() || !counts(c as u8));
        match (left.as_bytes().first(), right.as_bytes().first()) {
            (None, None) => return Ordering::Equal,
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (left, right) = (left.split_at(1).1, right.split_at(1).1);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (Some(one), Some(two)) if one.is_ascii_digit() != two.is_ascii_digit() => {
                // A number is newer than letters.
                return one.is_ascii_digit().cmp(&two.is_ascii_digit());
            }
            (Some(one), Some(_)) => {
                let number = one.is_ascii_digit();
                let ((one, left_rest), (two, right_rest)) = (segment(left), segment(right));
                let order = if number { Number::of(one).cmp(&Number::of(two)) } else { one.cmp(two) };
                if order.is_ne() {
                    return order;
                }
                (left, right) = (left_rest, right_rest);
            }
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let release = || match (&self.release, &other.release) {
            (Some(left), Some(right)) => compare(left, right),
            // As rpm's own comparison of version strings has it: no release is the lowest.
            (left, right) => left.is_some().cmp(&right.is_some()),
        };
        self.epoch.cmp(&other.epoch).then_with(|| compare(&self.version, &other.version)).then_with(release)
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
    fn tilde_is_before_and_caret_after_the_end() {
        let ordered = [
            "1.0~beta-1",
            "1.0~beta2-1",
            "1.0~rc1^git1-1",
            "1.0",
            "1.0-1.el9",
            "1.0-1.el9_2",
            "1.0-2.el9",
            "1.0^git1-1",
            "1.0^20240501-1",
            "1.0.a-1",
            "1.0.1-1",
            "1.9-1",
            "1.10-1",
            "1:0.5-1",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                let found = Version::parse(left).expect(left).cmp(&Version::parse(right).expect(right));
                assert_eq!(found, at.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn separators_and_leading_zeros_do_not_count() {
        for (left, right) in [("1.05-1", "1.5-1"), ("1_0-1", "1.0-1"), ("0:1.0-1", "1.0-1"), ("1..0-1", "1.0-1"), ("1.0.-1", "1.0-1")] {
            assert_eq!(Version::parse(left), Version::parse(right), "{left} {right}");
        }
        for bad in ["", "-1", "...", "x:1", "1:2:3", "1 0-1"] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }
}
