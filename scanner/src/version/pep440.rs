//! Python's order: "Version specifiers" of the Python packaging specifications (first PEP 440), with its normalisation.

use super::Number;
use super::number::digits;

/// The parts in the order in which they count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    epoch: Number,
    /// Without trailing zeros: `1.0` is `1`.
    release: Vec<Number>,
    before: Before,
    post: Option<Number>,
    development: Development,
    local: Option<Vec<Local>>,
}

/// A development release of a plain release is below its pre-releases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Before {
    OnlyDevelopment,
    Alpha(Number),
    Beta(Number),
    Candidate(Number),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Development {
    Of(Number),
    Nothing,
}

/// Words are below numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Local {
    Word(Box<str>),
    Number(Number),
}

struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn eat(&mut self, word: &str) -> bool {
        let rest = self.0.strip_prefix(word);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn separator(&mut self) -> bool {
        self.eat(".") || self.eat("-") || self.eat("_")
    }

    fn number(&mut self) -> Option<Number> {
        let (number, rest) = digits(self.0);
        self.0 = rest;
        (!number.is_empty()).then(|| Number::of(number))
    }

    /// `[separator]word[separator][number]`; nothing is taken where none of the words stands here.
    fn part(&mut self, words: &[&'static str]) -> Option<(&'static str, Number)> {
        let start = self.0;
        self.separator();
        let Some(word) = words.iter().find(|word| self.eat(word)) else {
            self.0 = start;
            return None;
        };
        self.separator();
        Some((word, self.number().unwrap_or(Number::ZERO)))
    }

    /// `-N`, or a word and a number.
    fn post(&mut self) -> Option<Number> {
        let start = self.0;
        if self.eat("-")
            && let Some(number) = self.number()
        {
            return Some(number);
        }
        self.0 = start;
        self.part(&["post", "rev", "r"]).map(|(_, number)| number)
    }

    fn release(&mut self) -> Option<(Number, Vec<Number>)> {
        let mut first = self.number()?;
        let epoch = if self.eat("!") { std::mem::replace(&mut first, self.number()?) } else { Number::ZERO };
        let mut release = vec![first];
        while let Some(rest) = self.0.strip_prefix('.').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.0 = rest;
            release.extend(self.number());
        }
        while release.last().is_some_and(Number::is_zero) {
            release.pop();
        }
        Some((epoch, release))
    }

    fn local(&mut self) -> Option<Vec<Local>> {
        let words: Vec<&'a str> = self.0.split(['.', '-', '_']).collect();
        let local = |word: &&str| match digits(word) {
            (number, "") => Local::Number(Number::of(number)),
            _ => Local::Word((*word).into()),
        };
        let sound = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        self.0 = "";
        words.iter().all(sound).then(|| words.iter().map(local).collect())
    }
}

impl Version {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().to_ascii_lowercase();
        let mut cursor = Cursor(&text);
        cursor.eat("v");
        let (epoch, release) = cursor.release().ok_or("a release number")?;
        // Long words first: `a` begins `alpha`, `pre` begins `preview`.
        let before = cursor.part(&["alpha", "beta", "preview", "pre", "rc", "a", "b", "c"]);
        let post = cursor.post();
        let development = cursor.part(&["dev"]).map(|(_, number)| number);
        let local = if cursor.eat("+") { Some(cursor.local().ok_or("a local label of letters and digits")?) } else { None };
        if !cursor.0.is_empty() {
            return Err("[N!]N(.N)*[{a|b|rc}N][.postN][.devN][+local]");
        }
        let before = match before {
            Some(("alpha" | "a", number)) => Before::Alpha(number),
            Some(("beta" | "b", number)) => Before::Beta(number),
            Some((_, number)) => Before::Candidate(number),
            None if post.is_none() && development.is_some() => Before::OnlyDevelopment,
            None => Before::Nothing,
        };
        let development = development.map_or(Development::Nothing, Development::Of);
        Ok(Self { epoch, release, before, post, development, local })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_pre_release_release_post_release_in_that_order() {
        let ordered = [
            "1.0.dev1",
            "1.0a1.dev1",
            "1.0a1",
            "1.0a1.post1.dev2",
            "1.0a1.post1",
            "1.0b2",
            "1.0rc1",
            "1.0",
            "1.0+abc",
            "1.0+abc.1",
            "1.0+1",
            "1.0.post1.dev1",
            "1.0.post1",
            "1.0.1",
            "1.9",
            "1.10",
            "1!0.1",
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
            ("1.0", "v1"),
            ("1.0alpha1", "1.0-a.1"),
            ("1.0c1", "1.0PREVIEW_1"),
            ("1.0-1", "1.0.post1"),
            ("1.0rev3", "1.0-r3"),
            ("1.0a", "1.0a0"),
            ("1.0.dev", " 1.0-dev0 "),
            ("1+a-b", "1+A_b"),
        ] {
            assert_eq!(Version::parse(left), Version::parse(right), "{left} {right}");
        }
        for bad in ["", "v", "1.0x", "1.0+", "1.0+a..b", "!1", "1!", "1.0-", "1..0", "1.0+é", "one"] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }
}
