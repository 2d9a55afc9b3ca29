//! Alpine's order: `number{.number}…{letter}{_suffix{number}}…{~hash}{-r#}`, as apk-tools 3 compares it.

use super::Number;
use super::number::digits;

/// The tokens, and [`Token::End`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Vec<Token>);

/// In the order in which tokens stand at one place: `_rc` is before the end, `-r1`, `_p1`, `a` and `.1` are after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Before(usize),
    End,
    Revision(Number),
    Hash(Box<str>),
    SuffixNumber(Number),
    After(usize),
    Letter(u8),
    /// A number after a dot that begins with zero compares by its characters, with every other number.
    Fraction(Box<str>),
    Number(Number),
}

const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

/// A number that must be there, and what follows.
fn number(text: &str) -> Result<(&str, &str), &'static str> {
    let (number, rest) = digits(text);
    if number.is_empty() { Err("a number") } else { Ok((number, rest)) }
}

fn suffix(word: &str) -> Option<Token> {
    let before = BEFORE.iter().position(|known| *known == word).map(Token::Before);
    before.or_else(|| AFTER.iter().position(|known| *known == word).map(Token::After))
}

impl Version {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (first, mut rest) = number(text)?;
        let mut tokens = vec![Token::Number(Number::of(first))];
        while let Some(after) = rest.strip_prefix('.') {
            let (digits, after) = number(after)?;
            tokens.push(if digits.starts_with('0') { Token::Fraction(digits.into()) } else { Token::Number(Number::of(digits)) });
            rest = after;
        }
        if let Some(letter) = rest.bytes().next().filter(u8::is_ascii_lowercase) {
            tokens.push(Token::Letter(letter));
            rest = rest.split_at(1).1;
        }
        while let Some(after) = rest.strip_prefix('_') {
            let (word, after) = after.split_at(after.bytes().take_while(u8::is_ascii_lowercase).count());
            tokens.push(suffix(word).ok_or("a suffix of alpha, beta, pre, rc, cvs, svn, git, hg or p")?);
            let (number, after) = digits(after);
            if !number.is_empty() {
                tokens.push(Token::SuffixNumber(Number::of(number)));
            }
            rest = after;
        }
        if let Some(after) = rest.strip_prefix('~') {
            let (hash, after) = after.split_at(after.bytes().take_while(u8::is_ascii_hexdigit).count());
            if hash.is_empty() {
                return Err("a commit after the tilde");
            }
            tokens.push(Token::Hash(hash.into()));
            rest = after;
        }
        if let Some(after) = rest.strip_prefix("-r") {
            let (revision, after) = number(after)?;
            tokens.push(Token::Revision(Number::of(revision)));
            rest = after;
        }
        if !rest.is_empty() {
            return Err("number{.number}{letter}{_suffix{number}}{~hash}{-r#}");
        }
        tokens.push(Token::End);
        Ok(Self(tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written for this test; each line is one order, lowest first, from apk's rules.
    const ORDERS: &[&[&str]] = &[
        &[
            "1.0_alpha",
            "1.0_alpha1",
            "1.0_alpha2-r3",
            "1.0_beta",
            "1.0_pre1",
            "1.0_rc1",
            "1.0_rc1_p1",
            "1.0_rc2",
            "1.0",
            "1.0-r0",
            "1.0-r1",
            "1.0-r10",
            "1.0_cvs1",
            "1.0_git20240101",
            "1.0_p1",
            "1.0_p1-r1",
            "1.0_p2",
            "1.0a",
            "1.0b",
            "1.0.1",
        ],
        &["1.2.9", "1.2.10", "1.10", "2", "10"],
        &["1.0.005", "1.0.01", "1.0.1", "1.0.2"],
        &["3.3.0-r1", "3.3.0-r2", "3.3.1-r0"],
        &["20230506-r0", "20240226-r0", "20240705-r0"],
        &["1.36.1-r15", "1.36.1-r28", "1.36.1_git1-r0", "1.37.0-r0"],
        &["9.0_p1-r2", "9.0_p2-r0", "9.1_p1-r0"],
        &["1.0~abc", "1.0~abd"],
    ];

    #[test]
    fn suffixes_revisions_and_letters_stand_where_apk_puts_them() {
        for ordered in ORDERS {
            for (at, left) in ordered.iter().enumerate() {
                for (other, right) in ordered.iter().enumerate() {
                    let found = Version::parse(left).expect(left).cmp(&Version::parse(right).expect(right));
                    assert_eq!(found, at.cmp(&other), "{left} {right}");
                }
            }
        }
        assert_eq!(Version::parse("01.2-r01"), Version::parse("1.2-r1"));
    }

    #[test]
    fn what_apk_calls_invalid_is_refused() {
        for bad in
            ["", "a1", "1.", "1.a", "1_foo", "1_", "1-1", "1-r", "1-r1-r2", "1ab", "1a.1", "1~", "1~xyz", "1.0-r1_p1", "1.0é", ".1", "1A"]
        {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }
}
