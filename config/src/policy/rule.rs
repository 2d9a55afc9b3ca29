//! The entries of `rules:`.

use std::collections::{BTreeMap, BTreeSet};

use sealgate_verifier::{Digest, Mode, Pattern, Quorum, Requirement, Rule, SignedBy, SignerName};

use super::fields;
use super::origin::{Origin, RuleOrigin};
use crate::limits;
use crate::node::{Node, Place, Value};
use crate::problems::Problems;

/// Reads one entry; a rule with several images becomes several rules.
pub(crate) fn read(node: &Node, mode: Mode, origin: &mut Origin, problems: &mut Problems<'_>) -> Vec<Rule> {
    let Some(members) = problems.members(node, &fields::RULE) else { return Vec::new() };
    let patterns = members.get("images").map(|node| patterns(node, problems)).unwrap_or_default();
    let mode = members.get("mode").and_then(|node| self::mode(node, problems)).unwrap_or(mode);
    let signed_as = members.get("signed-as").map(|node| self::patterns(node, problems)).unwrap_or_default();
    let signed_as: Vec<Pattern> = signed_as.into_iter().map(|(pattern, _)| pattern).collect();
    let mut required = Required::default();
    if let Some(node) = members.get("require") {
        required.read(node, problems);
    } else {
        required.broken = true;
    }
    let mut rules = Vec::new();
    for (pattern, place) in patterns {
        let name = pattern.to_string();
        origin.patterns.entry(name).or_default().push((place, origin.rules.len()));
        rules.push(Rule { pattern, mode, requirements: required.requirements.clone(), signed_as: signed_as.clone() });
    }
    origin.rules.push(RuleOrigin { require: required.place, broken: required.broken, named: required.named });
    rules
}

/// `enforce` or `audit`.
pub(crate) fn mode(node: &Node, problems: &mut Problems<'_>) -> Option<Mode> {
    problems.parsed(node, "`enforce` or `audit`", |text| match text {
        "enforce" => Some(Mode::Enforce),
        "audit" => Some(Mode::Audit),
        _ => None,
    })
}

/// A list of patterns, not empty, each with its place.
pub(crate) fn patterns(node: &Node, problems: &mut Problems<'_>) -> Vec<(Pattern, Place)> {
    let Some(items) = problems.list(node) else { return Vec::new() };
    if items.len() > limits::PATTERNS {
        problems.node(
            node,
            format!("more than {} images in one list", limits::PATTERNS),
            "write a pattern with /* or /**, or several rules",
        );
        return Vec::new();
    }
    if items.is_empty() {
        problems.node(node, "the list of images is empty", "name at least one, such as docker.io/library/nginx or ghcr.io/acme/**");
    }
    let mut found = Vec::new();
    for item in items {
        let Some(text) = problems.text(item) else { continue };
        match text.parse() {
            Ok(pattern) => found.push((pattern, item.place)),
            Err(_) => problems.node(item, format!("{} is no image pattern", problems.quote(text)), mend(text)),
        }
    }
    found
}

fn mend(text: &str) -> String {
    let expected = "write a canonical name such as docker.io/library/nginx; `*` and `**` may stand only as the whole last part";
    if text.contains(['@', ' ']) || text.rsplit('/').next().is_some_and(|last| last.contains(':')) {
        return format!("{expected}; tags and digests do not belong here");
    }
    let short = text.split('/').next().is_some_and(|first| !first.contains(['.', ':']));
    let full = if text.contains('/') { format!("docker.io/{text}") } else { format!("docker.io/library/{text}") };
    if short && full.parse::<Pattern>().is_ok() {
        return format!("did you mean {full}? A pattern names the registry too");
    }
    expected.to_owned()
}

/// The requirements of one rule.
#[derive(Debug, Default)]
struct Required {
    requirements: Vec<Requirement>,
    /// Where the list stands.
    place: Place,
    /// Where each signer is named.
    named: BTreeMap<SignerName, Vec<Place>>,
    /// Whether a requirement could not be read.
    broken: bool,
}

impl Required {
    fn read(&mut self, node: &Node, problems: &mut Problems<'_>) {
        self.place = node.place;
        let Some(items) = problems.list(node) else {
            self.broken = true;
            return;
        };
        if items.len() > limits::REQUIREMENTS {
            let mend = "put digests and signers into one list each";
            problems.node(node, format!("more than {} requirements in one rule", limits::REQUIREMENTS), mend);
            self.broken = true;
            return;
        }
        for item in items {
            match self.one(item, problems) {
                Some(requirement) => self.requirements.push(requirement),
                None => self.broken = true,
            }
        }
    }

    fn one(&mut self, node: &Node, problems: &mut Problems<'_>) -> Option<Requirement> {
        if matches!(node.value, Value::Text(_)) {
            let expected = "`allow`, `deny`, `digests: [...]` or `signed-by: { any: [...] }`";
            return problems.parsed(node, expected, |text| match text {
                "allow" => Some(Requirement::Allow),
                "deny" => Some(Requirement::Deny),
                _ => None,
            });
        }
        let members = problems.members(node, &fields::REQUIREMENT)?;
        match (members.get("digests"), members.get("signed-by")) {
            (Some(node), None) => digests(node, problems),
            (None, Some(node)) => self.signed_by(node, problems),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    fn signed_by(&mut self, node: &Node, problems: &mut Problems<'_>) -> Option<Requirement> {
        let members = problems.members(node, &fields::SIGNED_BY)?;
        let threshold = members.get("threshold").and_then(|node| problems.count(node, 1, 1_000)).and_then(|n| usize::try_from(n).ok());
        let (quorum, node) = match (members.get("any"), members.get("all"), members.get("of")) {
            (Some(any), None, None) => (Quorum::Any, any),
            (None, Some(all), None) => (Quorum::All, all),
            (None, None, Some(of)) => (Quorum::Threshold(threshold?), of),
            _ => return None,
        };
        let items = problems.list(node)?;
        if items.len() > limits::SIGNERS {
            problems.node(
                node,
                format!("more than {} signers in one list", limits::SIGNERS),
                "name fewer, or give one signer several `keys`",
            );
            return None;
        }
        let mut signers = Vec::new();
        for item in items {
            let Some(name) = problems.text(item) else { continue };
            signers.push(name.to_owned());
            self.named.entry(name.to_owned()).or_default().push(item.place);
        }
        (signers.len() == items.len()).then_some(Requirement::SignedBy(SignedBy { quorum, signers }))
    }
}

fn digests(node: &Node, problems: &mut Problems<'_>) -> Option<Requirement> {
    let items = problems.list(node)?;
    let mut digests = BTreeSet::new();
    let mut whole = true;
    for item in items {
        let Some(text) = problems.text(item) else {
            whole = false;
            continue;
        };
        match text.parse::<Digest>() {
            Ok(digest) => {
                digests.insert(digest);
            }
            Err(error) => {
                problems.node(item, error.to_string(), "write sha256: and 64 hex digits, as `docker buildx imagetools inspect` shows them");
                whole = false;
            }
        }
    }
    whole.then_some(Requirement::Digests(digests))
}
