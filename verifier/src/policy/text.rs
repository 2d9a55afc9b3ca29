//! How a policy says what a text must be: exactly, by its beginning, or by a regular expression over the whole of it.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::limits;

/// A text, or the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextMatcher {
    /// Exactly this.
    Exact(String),
    /// Anything that begins with this.
    Prefix(String),
    /// Anything at all, absence included: written to say that the matter was thought of.
    Any,
}

impl TextMatcher {
    /// A text as policies write it: one that ends in `*` is a beginning.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Whether `text` is what was asked for. What is absent is only [`TextMatcher::Any`].
    #[must_use]
    pub fn matches(&self, text: Option<&str>) -> bool {
        match self {
            Self::Exact(exact) => text == Some(exact),
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix.as_str())),
            Self::Any => true,
        }
    }
}

impl fmt::Display for TextMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// Why a text is no regular expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegexpError {
    /// Longer than the limit.
    #[error("a regular expression of {found} bytes: expected at most {limit}")]
    Length {
        /// Bytes.
        found: usize,
        /// [`limits::REGEXP_BYTES`].
        limit: usize,
    },
    /// Empty: it would match the empty text only.
    #[error("an empty regular expression")]
    Empty,
    /// Not a regular expression, or one that compiles to more than [`limits::REGEXP_COMPILED_BYTES`].
    #[error("not a regular expression that can be used: {problem}")]
    Syntax {
        /// The last line of the compiler's words.
        problem: String,
    },
}

/// What a certificate's subject, or its issuer, must be.
#[derive(Debug, Clone)]
pub enum IdentityMatcher {
    /// Exactly this.
    Exact(String),
    /// The whole subject matches; made by [`IdentityMatcher::regexp`] only.
    Regexp(Regexp),
}

/// A regular expression that is anchored on both sides, whatever it says itself (V31).
#[derive(Debug, Clone)]
pub struct Regexp {
    written: String,
    anchored: Regex,
}

impl IdentityMatcher {
    /// Compiles `text` as `\A(?:text)\z` (C11: anchored, and never ignored).
    ///
    /// # Errors
    /// When it is none by itself (so that no parenthesis of its own ends the anchored group), or over a limit.
    pub fn regexp(text: &str) -> Result<Self, RegexpError> {
        if text.is_empty() {
            return Err(RegexpError::Empty);
        }
        if text.len() > limits::REGEXP_BYTES {
            return Err(RegexpError::Length { found: text.len(), limit: limits::REGEXP_BYTES });
        }
        compile(text)?;
        Ok(Self::Regexp(Regexp { written: text.to_owned(), anchored: compile(&format!(r"\A(?:{text})\z"))? }))
    }

    /// Whether `subject` is meant.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        match self {
            Self::Exact(exact) => subject == exact,
            Self::Regexp(regexp) => subject.len() <= limits::IDENTITY_BYTES && regexp.anchored.is_match(subject),
        }
    }
}

fn compile(text: &str) -> Result<Regex, RegexpError> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(limits::REGEXP_COMPILED_BYTES).dfa_size_limit(limits::REGEXP_COMPILED_BYTES);
    let last_line = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    builder.build().map_err(|error| RegexpError::Syntax { problem: last_line(error) })
}

impl fmt::Display for IdentityMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Regexp(regexp) => write!(f, "/{}/", regexp.written),
        }
    }
}

impl PartialEq for IdentityMatcher {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Regexp(one), Self::Regexp(other)) => one.written == other.written,
            (Self::Exact(_), Self::Regexp(_)) | (Self::Regexp(_), Self::Exact(_)) => false,
        }
    }
}

impl Eq for IdentityMatcher {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regexp_matches_the_whole_subject_or_nothing() {
        // V8, V31, C11
        for (regexp, yes, no) in [
            ("x@gmail.com", &["x@gmail.com"][..], &["x@gmail.com.attacker.example", "ax@gmail.com", "x@gmail.com\n", ""][..]),
            ("a|b", &["a", "b"], &["ab", "ax", "xb"]),
            (
                r"https://github\.com/acme/.+@refs/tags/v[0-9.]+",
                &["https://github.com/acme/x@refs/tags/v1.2"],
                &["https://github.com/acme/x@refs/tags/v1.2-rc"],
            ),
            ("(?m)^a$", &["a"], &["b\na", "a\nb"]),
            (r"\d+", &["12"], &["1 2"]),
            ("(?x) a b # (", &[], &["ab"]),
        ] {
            let matcher = IdentityMatcher::regexp(regexp);
            assert!(yes.is_empty() || matcher.is_ok(), "{regexp}");
            for text in yes {
                assert!(matcher.as_ref().expect(regexp).matches(text), "{regexp} {text}");
            }
            for text in no {
                assert!(!matcher.as_ref().is_ok_and(|matcher| matcher.matches(text)), "{regexp} {text}");
            }
        }
    }

    #[test]
    fn what_escapes_the_anchors_or_the_limits_is_refused() {
        for bad in ["", "a)|(?:b", "(", "[", "a{1000}{1000}{1000}", &"a".repeat(limits::REGEXP_BYTES + 1)] {
            assert!(IdentityMatcher::regexp(bad).is_err(), "{bad:.20}");
        }
    }

    #[test]
    fn a_star_at_the_end_is_a_prefix_and_absence_matches_nothing() {
        let prefix = TextMatcher::parse("refs/tags/*");
        assert!(prefix.matches(Some("refs/tags/v1")) && prefix.matches(Some("refs/tags/")));
        assert!(!prefix.matches(Some("refs/heads/refs/tags/")) && !prefix.matches(None));
        assert!(!TextMatcher::parse("*").matches(None) && TextMatcher::Any.matches(None));
        assert!(TextMatcher::parse("a").matches(Some("a")) && !TextMatcher::parse("a").matches(Some("ab")));
    }
}
