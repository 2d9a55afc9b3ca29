//! Semantic Versioning 2.0.0 §11, for npm, Cargo and Go. Go's pseudo-versions (`v0.0.0-20240102030405-0123456789ab`) are pre-releases of
//! it and need no rule of their own (go.dev/ref/mod#pseudo-versions).

use super::Number;
use super::number::digits;

/// The parts in the order in which they count. Build metadata does not count (§10).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    core: [Number; 3],
    /// A release is above its pre-releases.
    release: bool,
    before: Vec<Identifier>,
}

/// §11.4: numbers compare by value and are below words, which compare by their bytes; more identifiers are above fewer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Numeric(Number),
    Word(Box<str>),
}

impl Version {
    /// Reads a version, with or without `v`; missing minor and patch numbers are zero, as in Go's directives and OSV's events.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
        let (core, before) = text.split_once('-').map_or((text, None), |(core, before)| (core, Some(before)));
        let mut numbers = [Number::ZERO; 3];
        let mut parts = core.split('.');
        for (at, number) in numbers.iter_mut().enumerate() {
            match parts.next() {
                Some(part) if !part.is_empty() && digits(part).1.is_empty() => *number = Number::of(part),
                None if at > 0 => {}
                Some(_) | None => return Err("numbers separated by dots"),
            }
        }
        if parts.next().is_some() {
            return Err("at most three numbers");
        }
        let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !build.is_none_or(|build| build.split('.').all(word)) || !before.is_none_or(|before| before.split('.').all(word)) {
            return Err("identifiers of letters, digits and hyphens");
        }
        let identifier = |text: &str| match digits(text) {
            (number, "") => Identifier::Numeric(Number::of(number)),
            _ => Identifier::Word(text.into()),
        };
        let before: Vec<_> = before.map(|before| before.split('.').map(identifier).collect()).unwrap_or_default();
        Ok(Self { core: numbers, release: before.is_empty(), before })
    }
}

/// The version of Go's standard library as its advisories write it: `go1.21rc2` is `1.21.0-rc.2` (go.dev/doc/toolchain#version). What
/// follows a space or a hyphen names a vendor's build and does not count. None for development builds.
#[must_use]
pub fn of_go_toolchain(name: &str) -> Option<String> {
    let version = name.strip_prefix("go")?.split([' ', '-']).next()?;
    let at = version.find(|c: char| c.is_ascii_lowercase()).unwrap_or(version.len());
    let (core, before) = version.split_at(at);
    let numbers: Vec<&str> = core.split('.').collect();
    if numbers.len() > 3 || !numbers.iter().all(|number| !number.is_empty() && digits(number).1.is_empty()) {
        return None;
    }
    let part = |at| numbers.get(at).copied().unwrap_or("0");
    let core = format!("{}.{}.{}", part(0), part(1), part(2));
    if before.is_empty() {
        return Some(core);
    }
    let (kind, number) = before.split_at(before.find(|c: char| c.is_ascii_digit())?);
    (["beta", "rc"].contains(&kind) && digits(number).1.is_empty()).then(|| format!("{core}-{kind}.{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pre_releases_and_pseudo_versions_come_before_their_release() {
        let ordered = [
            "v0.0.0-20200101000000-000000000000",
            "v0.0.0-20240102030405-0123456789ab",
            "0.0.0",
            "1.0.0-0",
            "1.0.0-1",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0+build.5",
            "v1.0.1-0.20240102030405-0123456789ab",
            "1.0.1",
            "1.2.0",
            "1.10.0",
            "2.0.0+incompatible",
        ];
        for (at, left) in ordered.iter().enumerate() {
            for (other, right) in ordered.iter().enumerate() {
                let found = Version::parse(left).expect(left).cmp(&Version::parse(right).expect(right));
                assert_eq!(found, at.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(Version::parse("1"), Version::parse("v1.0.0+x"));
    }

    #[test]
    fn what_is_not_semver_is_refused() {
        for bad in ["", "v", "(devel)", "1.", "1.2.3.4", "1..2", "1.2.3-", "1.2.3-a..b", "1.2.3-é", "1.2.3+", "1.x", "-1"] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn toolchain_names_become_versions_of_the_standard_library() {
        for (name, expected) in [
            ("go1.22.3", Some("1.22.3")),
            ("go1.21", Some("1.21.0")),
            ("go1.21rc2", Some("1.21.0-rc.2")),
            ("go1.9beta1", Some("1.9.0-beta.1")),
            ("go1.22.3 X:boringcrypto", Some("1.22.3")),
            ("go1.19.8-fips", Some("1.19.8")),
            ("devel +abc", None),
            ("go1.2x3", None),
            ("go", None),
            ("go1.2.3.4", None),
            ("1.22", None),
        ] {
            assert_eq!(of_go_toolchain(name).as_deref(), expected, "{name}");
        }
    }
}
