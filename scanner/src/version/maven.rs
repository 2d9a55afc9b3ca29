//! Maven's order: "Version Order Specification" of the POM reference (maven.apache.org/pom.html), as of Maven 3.9, where `1.RC` and `1-RC`
//! are one version and `release` is a word for the release.

use super::Number;

/// The tokens after trimming, and [`Token::End`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Vec<Token>);

/// In the order in which tokens stand at one place. The end stands where the empty qualifier does; that the specification pads with
/// zeros as well changes nothing, for after trimming a zero is followed by a higher number of its own run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Alpha,
    Beta,
    Milestone,
    Candidate,
    Snapshot,
    End,
    ServicePack,
    Word(Box<str>),
    AfterHyphen(Number),
    AfterDot(Number),
}

impl Token {
    fn word(word: &str, number_follows: bool) -> Self {
        match (word, number_follows) {
            ("alpha", _) | ("a", true) => Self::Alpha,
            ("beta", _) | ("b", true) => Self::Beta,
            ("milestone", _) | ("m", true) => Self::Milestone,
            ("rc" | "cr", _) => Self::Candidate,
            ("snapshot", _) => Self::Snapshot,
            ("" | "ga" | "final" | "release", _) => Self::End,
            ("sp", _) => Self::ServicePack,
            (other, _) => Self::Word(other.into()),
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::End => true,
            Self::AfterHyphen(number) | Self::AfterDot(number) => number.is_zero(),
            Self::Alpha | Self::Beta | Self::Milestone | Self::Candidate | Self::Snapshot | Self::ServicePack | Self::Word(_) => false,
        }
    }
}

/// "Trailing null values are trimmed … at each remaining hyphen from end to start"; a qualifier counts as after a hyphen.
fn push(tokens: &mut Vec<Token>, token: Token) {
    if !matches!(token, Token::AfterDot(_)) {
        while tokens.last().is_some_and(Token::is_null) {
            tokens.pop();
        }
    }
    tokens.push(token);
}

impl Version {
    /// Any text has a place in the order.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.trim().is_empty() {
            return Err("a version");
        }
        let text = text.trim().to_ascii_lowercase();
        let mut tokens = Vec::new();
        let mut rest = text.as_str();
        let mut hyphen = false;
        loop {
            let number = rest.starts_with(|c: char| c.is_ascii_digit());
            let end = rest.find(|c: char| c == '.' || c == '-' || c.is_ascii_digit() != number).unwrap_or(rest.len());
            let (token, after) = rest.split_at(end);
            let transition = after.starts_with(|c: char| c != '.' && c != '-');
            push(
                &mut tokens,
                match (number || token.is_empty(), hyphen) {
                    (true, true) => Token::AfterHyphen(Number::of(token)),
                    (true, false) => Token::AfterDot(Number::of(token)),
                    (false, _) => Token::word(token, transition),
                },
            );
            match after.chars().next() {
                None => break,
                Some(separator) => {
                    hyphen = transition || separator == '-';
                    rest = if transition { after } else { after.split_at(1).1 };
                }
            }
        }
        push(&mut tokens, Token::End);
        Ok(Self(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualifiers_stand_where_the_specification_puts_them() {
        let ordered = [
            "1-alpha",
            "1-alpha2",
            "1-alpha-10",
            "1-beta-1",
            "1-m3",
            "1-rc",
            "1-rc1",
            "1-SNAPSHOT",
            "1",
            "1-sp",
            "1-foo",
            "1-foo2",
            "1-jre",
            "1-1",
            "1-2",
            "1.0.1-alpha",
            "1.0.1",
            "1.1",
            "1.9",
            "1.10",
            "2.0.0.M1",
            "2.0.0.RC1",
            "2.0.0.RELEASE",
            "2.0.0.SP1",
            "31.0-android",
            "31.0-jre",
            "31.1-android",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                let found = Version::parse(left).expect(left).cmp(&Version::parse(right).expect(right));
                assert_eq!(found, at.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        for (left, right) in [
            ("1", "1.0.0"),
            ("1", "1-ga"),
            ("1", "1.0.Final"),
            ("1-a1", "1-alpha-1"),
            ("1.0-rc1", "1-cr-1"),
            ("1.0.0-foo.0.0", "1-foo"),
            ("1.0.0-0.0.0", "1"),
            ("1.RC2", "1-rc2"),
            ("1-ALPHA", "1-alpha"),
        ] {
            assert_eq!(Version::parse(left), Version::parse(right), "{left} {right}");
        }
        assert!(Version::parse(" ").is_err());
    }
}
