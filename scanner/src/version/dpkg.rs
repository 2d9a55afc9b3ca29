//! Debian's order: deb-version(7), "Sorting algorithm".

use std::cmp::Ordering;

use super::Number;
use super::number::digits;

/// `[epoch:]upstream[-revision]`.
#[derive(Debug, Clone)]
pub(super) struct Version {
    epoch: u32,
    upstream: Box<str>,
    revision: Box<str>,
}

impl Version {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (epoch, rest) = match text.split_once(':') {
            None => (0, text),
            // dpkg keeps the epoch in an int.
            Some((epoch, rest)) if !epoch.is_empty() && digits(epoch).1.is_empty() => {
                let epoch = epoch.parse::<u32>().ok().filter(|epoch| *epoch <= i32::MAX.unsigned_abs());
                (epoch.ok_or("an epoch of at most 2147483647")?, rest)
            }
            Some(_) => return Err("digits before the colon"),
        };
        let (upstream, revision) = match rest.rsplit_once('-') {
            Some((_, "")) => return Err("a revision after the last hyphen"),
            Some(parts) => parts,
            None => (rest, ""),
        };
        if upstream.is_empty() {
            return Err("an upstream version");
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+~-:_".contains(&byte);
        if !rest.bytes().all(allowed) {
            return Err("letters, digits and . + ~ - :");
        }
        Ok(Self { epoch, upstream: upstream.into(), revision: revision.into() })
    }
}

/// Where a byte sorts outside of numbers: `~` before the end, the end before letters, letters before the rest.
fn weight(byte: Option<u8>) -> i16 {
    match byte {
        None | Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(letter) if letter.is_ascii_alphabetic() => i16::from(letter),
        Some(other) => i16::from(other) + 256,
    }
}

/// Compares alternately a run of non-digits, byte by byte, and a number.
fn compare(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let plain = |text: &str| text.bytes().take_while(|byte| !byte.is_ascii_digit()).count();
        let (left_plain, left_rest) = left.split_at(plain(left));
        let (right_plain, right_rest) = right.split_at(plain(right));
        for at in 0..left_plain.len().max(right_plain.len()) {
            let byte = |text: &str| weight(text.as_bytes().get(at).copied());
            let order = byte(left_plain).cmp(&byte(right_plain));
            if order.is_ne() {
                return order;
            }
        }
        let (left_number, left_rest) = digits(left_rest);
        let (right_number, right_rest) = digits(right_rest);
        let order = Number::of(left_number).cmp(&Number::of(right_number));
        if order.is_ne() {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let epoch = self.epoch.cmp(&other.epoch);
        epoch.then_with(|| compare(&self.upstream, &other.upstream)).then_with(|| compare(&self.revision, &other.revision))
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
    fn epoch_tilde_and_revision_decide_in_that_order() {
        let ordered = [
            "1.0~~",
            "1.0~~a",
            "1.0~",
            "1.0~rc1-1",
            "1.0",
            "1.0-0.1",
            "1.0-1~bpo12+1",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0-1+deb12u2",
            "1.0-2",
            "1.0a",
            "1.0+dfsg-1",
            "1.0.1-1",
            "1.9-1",
            "1.10-1",
            "1:0.1",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                let found = Version::parse(left).expect(left).cmp(&Version::parse(right).expect(right));
                assert_eq!(found, at.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn zeros_and_missing_revisions_are_equal() {
        for (left, right) in [("1.0", "1.0-0"), ("0:1", "1"), ("1.00", "1.0"), ("1.", "1.0"), ("1-0", "1-00")] {
            assert_eq!(Version::parse(left), Version::parse(right), "{left} {right}");
        }
    }

    #[test]
    fn what_dpkg_cannot_read_is_refused() {
        for bad in ["", ":1", "a:1", "1:", "1-", "-1", "1 0", "1é", "2147483648:1", "1/2"] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }
}
