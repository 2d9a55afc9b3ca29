//! The entries of `rules:`.

use sealgate_verifier::reference::DOCKER_HUB;
use sealgate_verifier::{Mode, Pattern, Reference, Repository, Requirement, Rule};

use super::fields;
use super::origin::{Origin, RuleOrigin};
use super::requirement::Required;
use super::scan::ScanPolicies;
use crate::limits;
use crate::node::{Node, Place};
use crate::problems::Problems;

/// Under which name the baseline's errors are reported.
const BASELINE: &str = "baseline";

/// Reads one entry; a rule with several images becomes several rules.
pub(crate) fn read(node: &Node, (mode, scans): (Mode, &ScanPolicies), origin: &mut Origin, problems: &mut Problems<'_>) -> Vec<Rule> {
    let Some(members) = problems.members(node, &fields::RULE) else { return Vec::new() };
    let patterns = members.get("images").map(|node| patterns(node, problems)).unwrap_or_default();
    let mode = members.get("mode").and_then(|node| self::mode(node, problems)).unwrap_or(mode);
    let signed_as = members.get("signed-as").map(|node| self::patterns(node, problems)).unwrap_or_default();
    let signed_as: Vec<Pattern> = signed_as.into_iter().map(|(pattern, _)| pattern).collect();
    let signatures_from = members.get("signatures-from").map(|node| repositories(node, problems)).unwrap_or_default();
    let required = Required::of(members.get("require"), scans, problems);
    let mut rules = Vec::new();
    for (pattern, place) in patterns {
        let name = pattern.to_string();
        origin.patterns.entry(name).or_default().push((place, origin.rules.len()));
        let (requirements, signed_as, signatures_from) = (required.requirements.clone(), signed_as.clone(), signatures_from.clone());
        rules.push(Rule { pattern, mode, requirements, signed_as, signatures_from });
    }
    origin.rules.push(RuleOrigin { require: required.place, broken: required.broken, named: required.named });
    rules
}

/// Reads `baseline:`.
pub(crate) fn baseline(node: &Node, scans: &ScanPolicies, origin: &mut Origin, problems: &mut Problems<'_>) -> Vec<Requirement> {
    let Some(members) = problems.members(node, &fields::BASELINE) else { return Vec::new() };
    let required = Required::of(members.get("require"), scans, problems);
    origin.patterns.entry(BASELINE.to_owned()).or_default().push((required.place, origin.rules.len()));
    origin.rules.push(RuleOrigin { require: required.place, broken: required.broken, named: required.named });
    required.requirements
}

/// Other repositories, each by its canonical name.
fn repositories(node: &Node, problems: &mut Problems<'_>) -> Vec<Repository> {
    let Some(items) = problems.list(node) else { return Vec::new() };
    if items.len() > limits::SIGNATURES_FROM {
        let mend = "name fewer: each costs requests for every image of the rule";
        problems.node(node, format!("more than {} repositories in one list", limits::SIGNATURES_FROM), mend);
        return Vec::new();
    }
    let canonical = |text: &str| {
        let reference = text.parse::<Reference>().ok().filter(|reference| reference.tag.is_none() && reference.digest.is_none())?;
        (reference.repository.as_str() == text).then_some(reference.repository)
    };
    let expected = format!("a repository by its canonical name, such as {DOCKER_HUB}/kong/notary");
    items.iter().filter_map(|item| problems.parsed(item, &expected, canonical)).collect()
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
