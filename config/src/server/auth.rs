//! `auth:`: how clients say who they are, and what they may do then.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sealgate_verifier::Pattern;

use super::action::{Action, Actions};
use super::{Oidc, Registry, fields, oidc};
use crate::htpasswd::load_htpasswd;
use crate::node::{Node, Value};
use crate::problems::Problems;

/// How clients authenticate. At least one way is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// File of users with bcrypt hashes; see [`crate::load_htpasswd`].
    pub htpasswd: Option<PathBuf>,
    /// Whether tokens of `sealgate token create` are accepted.
    pub tokens: bool,
    /// CI services whose identity tokens are accepted.
    pub oidc: Vec<Oidc>,
    /// What authenticated clients may do. None is written: users of the htpasswd file may pull, push and sign everywhere. Tokens carry
    /// their own rights.
    pub grants: Option<Vec<Grant>>,
}

/// Actions for some clients in some repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom. Never empty.
    pub who: Vec<Who>,
    /// Where, by canonical name. Never empty.
    pub repositories: Vec<Pattern>,
    /// What.
    pub actions: Actions,
}

/// To whom a grant speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// `*`: everybody who authenticated.
    Authenticated,
    /// `anonymous`: everybody. To pull only.
    Anonymous,
    /// `alice`, `ci-*`, `user:alice`: users of the htpasswd file.
    User(NamePattern),
    /// `certificate:build-*`: holders of client certificates.
    Certificate(NamePattern),
    /// `oidc:release`: an entry of `oidc`.
    Workload(NamePattern),
}

/// A name, or the start of one followed by `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern {
    literal: String,
    open: bool,
}

impl NamePattern {
    /// Reads a pattern.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (literal, open) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        let plain = !literal.contains(['*', '#']) && (open || !literal.is_empty());
        plain.then(|| Self { literal: literal.to_owned(), open })
    }

    /// Whether `name` is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.open { name.starts_with(&self.literal) } else { name == self.literal }
    }
}

impl Who {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("user", name)) => NamePattern::parse(name).map(Self::User),
            Some(("certificate", name)) => NamePattern::parse(name).map(Self::Certificate),
            Some(("oidc", name)) => NamePattern::parse(name).map(Self::Workload),
            Some(_) => None,
            None if text == "*" => Some(Self::Authenticated),
            None if text == "anonymous" => Some(Self::Anonymous),
            None => NamePattern::parse(text).map(Self::User),
        }
    }
}

const WHO: &str = "a user's name such as alice or ci-*, certificate:NAME, oidc:NAME, `*` for everybody who authenticated, or `anonymous`";

/// What else than `auth:` a grant depends on.
struct Known<'a> {
    registries: &'a BTreeMap<String, Registry>,
    users: bool,
    certificates: bool,
    oidc: &'a [Oidc],
}

/// Reads `auth:`.
pub(crate) fn read(node: &Node, certificates: bool, registries: &BTreeMap<String, Registry>, problems: &mut Problems<'_>) -> Option<Auth> {
    let members = problems.members(node, &fields::AUTH)?;
    let htpasswd = members.get("htpasswd").and_then(|node| {
        let path = problems.path(node)?;
        if let Err(errors) = load_htpasswd(&path) {
            problems.of_another_file(errors);
        }
        Some(path)
    });
    let tokens = members.get("tokens").and_then(|node| problems.boolean(node)).unwrap_or(false);
    let oidc = oidc::read(members.get("oidc"), problems);
    let known = Known { registries, users: htpasswd.is_some(), certificates, oidc: &oidc };
    let grants: Option<Vec<Grant>> = members.get("grants").and_then(|node| {
        let items = problems.list(node)?;
        Some(items.iter().filter_map(|item| grant(item, &known, problems)).collect())
    });
    if members.get("htpasswd").is_none() && members.get("oidc").is_none() && !tokens && !certificates {
        let mend = "add `htpasswd: FILE`, `tokens: true` or `oidc`, or `client-ca` to `tls`, or remove `auth`";
        problems.node(node, "`auth` names no way to authenticate", mend);
    }
    if grants.is_none() && (certificates || !oidc.is_empty()) {
        problems.node(node, "client certificates and identity tokens give no right by themselves", "add `grants` that name them");
    }
    Some(Auth { htpasswd, tokens, oidc, grants })
}

fn grant(node: &Node, known: &Known<'_>, problems: &mut Problems<'_>) -> Option<Grant> {
    let members = problems.members(node, &fields::GRANT)?;
    let actions: Option<Actions> = members.get("actions").and_then(|node| {
        let items = one_or_more(node, problems)?;
        let action = |item| problems.parsed(item, "pull, push, sign or delete", Action::named);
        Some(items.iter().filter_map(action).collect())
    });
    let who = members.get("who").and_then(|node| one_or_more(node, problems)).map(|items| {
        let mut all = Vec::new();
        for item in items {
            let Some(who) = problems.parsed(item, WHO, Who::parse) else { continue };
            match &who {
                Who::Anonymous if actions.is_some_and(|actions| actions != Action::Pull.into()) => {
                    problems.node(item, "anonymous clients may be granted `pull` only", "name who may do more");
                }
                Who::User(_) if !known.users => problems.node(item, "there are no users", "add `htpasswd: FILE` to `auth`"),
                Who::Certificate(_) if !known.certificates => {
                    problems.node(item, "no client is asked for a certificate", "add `client-ca: FILE` to `tls`");
                }
                Who::Workload(pattern) if !known.oidc.iter().any(|entry| pattern.matches(&entry.name)) => {
                    problems.node(item, "no entry of `oidc` has this name", "write the `name` of one");
                }
                Who::Authenticated | Who::Anonymous | Who::User(_) | Who::Certificate(_) | Who::Workload(_) => {}
            }
            all.push(who);
        }
        all
    });
    let repositories = members.get("repositories").and_then(|node| one_or_more(node, problems)).map(|items| {
        let expected = "a canonical repository such as hosted.local/team/app, or the start of one with /* or /**, or **";
        let pattern = |item| {
            let pattern = problems.parsed::<Pattern>(item, expected, |text| text.parse().ok())?;
            let registry = pattern.literal().split('/').next().unwrap_or_default();
            if !registry.is_empty() && !known.registries.contains_key(registry) {
                problems.node(
                    item,
                    format!("{registry} is no registry of this gate"),
                    "write the canonical name of one under `registries`",
                );
            }
            Some(pattern)
        };
        items.iter().filter_map(pattern).collect()
    });
    Some(Grant { who: who?, repositories: repositories?, actions: actions? })
}

/// The members of a list that is not empty, or a single value as one.
pub(crate) fn one_or_more<'n>(node: &'n Node, problems: &mut Problems<'_>) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) if items.is_empty() => {
            problems.node(node, "the list is empty", "write at least one");
            None
        }
        Value::List(items) => Some(items),
        Value::Text(_) | Value::Map(_) | Value::Empty => Some(std::slice::from_ref(node)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_pattern_matches_whole_names() {
        for (pattern, name, matches) in
            [("ci-*", "ci-1", true), ("ci-*", "ci", false), ("ci", "ci", true), ("ci", "ci-1", false), ("*", "anything", true)]
        {
            assert_eq!(NamePattern::parse(pattern).expect(pattern).matches(name), matches, "{pattern} {name}");
        }
        for bad in ["", "a*b", "**", "a#b"] {
            assert_eq!(NamePattern::parse(bad), None, "{bad}");
        }
        assert_eq!(Who::parse("*"), Some(Who::Authenticated));
        assert_eq!(Who::parse("user:*"), Some(Who::User(NamePattern::parse("*").expect("a pattern"))));
        assert_eq!(Who::parse("usr:a"), None);
    }
}
