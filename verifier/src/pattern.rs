//! Image patterns of policy rules: a literal, a literal prefix ending in `/*` or `/**`, or `**` alone.

use std::fmt;
use std::str::FromStr;

use crate::reference::Repository;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A `*` elsewhere than as the whole last part.
    #[error("invalid image pattern: `*` and `**` may stand only as the whole last part, as in docker.io/library/* or ghcr.io/acme/**")]
    Star,
    /// The literal part is no canonical repository name.
    #[error("invalid image pattern: expected a canonical name such as docker.io/library/nginx, found {found:?}")]
    Name {
        /// What stands there.
        found: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Reach {
    /// This repository only.
    Exact,
    /// One more part below the prefix.
    Children,
    /// Any number of parts below the prefix.
    Descendants,
}

/// Which repositories a rule speaks of. Canonical names only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    /// The literal part, without the slash before a star. Empty for `**`.
    literal: Box<str>,
    reach: Reach,
}

impl Pattern {
    /// Whether `repository` is meant.
    #[must_use]
    pub fn matches(&self, repository: &Repository) -> bool {
        self.matches_name(repository.as_str())
    }

    /// Whether the canonical `name` is meant.
    #[must_use]
    pub fn matches_name(&self, name: &str) -> bool {
        let below = || {
            if self.literal.is_empty() {
                return Some(name);
            }
            name.strip_prefix(&*self.literal).and_then(|rest| rest.strip_prefix('/'))
        };
        match self.reach {
            Reach::Exact => *self.literal == *name,
            Reach::Children => below().is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
            Reach::Descendants => below().is_some_and(|rest| !rest.is_empty()),
        }
    }

    /// The order in which patterns win: longer literal first; at equal length the narrower reach first.
    #[must_use]
    pub fn precedence(&self) -> (usize, u8) {
        let narrow = match self.reach {
            Reach::Exact => 2,
            Reach::Children => 1,
            Reach::Descendants => 0,
        };
        (self.literal.len(), narrow)
    }

    /// The literal part, without the slash before a star.
    #[must_use]
    pub fn literal(&self) -> &str {
        &self.literal
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (literal, reach) = if text == "**" {
            return Ok(Self { literal: "".into(), reach: Reach::Descendants });
        } else if let Some(prefix) = text.strip_suffix("/**") {
            (prefix, Reach::Descendants)
        } else if let Some(prefix) = text.strip_suffix("/*") {
            (prefix, Reach::Children)
        } else {
            (text, Reach::Exact)
        };
        if literal.contains('*') {
            return Err(PatternError::Star);
        }
        let name = || PatternError::Name { found: text.to_owned() };
        let registry = literal.split('/').next().unwrap_or_default();
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(name());
        }
        if registry == literal {
            if reach == Reach::Exact || !crate::reference::is_registry(registry) {
                return Err(name());
            }
        } else {
            let canonical = literal.parse::<Repository>().map_err(|_| name())?;
            if reach == Reach::Exact && canonical.as_str() != literal {
                return Err(name());
            }
        }
        Ok(Self { literal: literal.into(), reach })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.literal.is_empty(), self.reach) {
            (true, _) => f.write_str("**"),
            (false, Reach::Exact) => f.write_str(&self.literal),
            (false, Reach::Children) => write!(f, "{}/*", self.literal),
            (false, Reach::Descendants) => write!(f, "{}/**", self.literal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_reach_as_far_as_they_say() {
        let cases = [
            ("docker.io/library/nginx", "docker.io/library/nginx", true),
            ("docker.io/library/nginx", "docker.io/library/nginx2", false),
            ("docker.io/library/*", "docker.io/library/nginx", true),
            ("docker.io/library/*", "docker.io/library/a/b", false),
            ("docker.io/library/*", "docker.io/libraryx/a", false),
            ("ghcr.io/**", "ghcr.io/a/b", true),
            ("ghcr.io/a/**", "ghcr.io/a", false),
            ("**", "ghcr.io/a/b", true),
            ("gcr.io/distroless/**", "gcr.io/distrolessx/static", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(pattern.parse::<Pattern>().expect(pattern).matches_name(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn ambiguous_patterns_are_refused() {
        for bad in [
            "*",
            "",
            "docker.io/*/nginx",
            "docker.io/lib*",
            "nginx",
            "library/nginx",
            "docker.io/nginx",
            "docker.io",
            "Docker.io/library/*",
            "index.docker.io/library/nginx",
            "a.io//**",
            "***",
        ] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
