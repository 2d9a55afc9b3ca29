//! A decimal number of any length, as versions have them (dates, hashes and build counters exceed 64 bits).

/// Compares by value: a number that fits in 64 bits is below every one that does not, and those compare by length, then by digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Number {
    Small(u64),
    Large(usize, Box<str>),
}

impl Number {
    pub(super) const ZERO: Self = Self::Small(0);

    /// Reads ASCII digits; no digits are zero, other bytes are not expected.
    pub(super) fn of(digits: &str) -> Self {
        let digits = digits.trim_start_matches('0');
        match digits {
            "" => Self::ZERO,
            _ => digits.parse().map_or_else(|_| Self::Large(digits.len(), digits.into()), Self::Small),
        }
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

/// The longest prefix of ASCII digits, and what follows it.
pub(super) fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value_at_any_length() {
        let ordered =
            ["", "1", "9", "010", "18446744073709551615", "18446744073709551616", "0099999999999999999999", "100000000000000000000"];
        assert!(ordered.windows(2).all(|pair| Number::of(pair[0]) < Number::of(pair[1])));
        assert_eq!(Number::of("000"), Number::ZERO);
        assert_eq!(digits("12ab"), ("12", "ab"));
        assert_eq!(digits("é1"), ("", "é1"));
    }
}
