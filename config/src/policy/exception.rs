//! The entries of `exceptions:`, and `platforms:`.

use std::collections::BTreeSet;

use sealgate_verifier::{Exception, PlatformName, Reference, Waived};

use super::contents::DAY;
use super::fields;
use super::origin::Origin;
use crate::limits;
use crate::node::{Node, Value};
use crate::problems::Problems;

/// What waives signatures.
const SIGNED_BY: &str = "signed-by";

/// Reads `exceptions:`.
pub(crate) fn read(node: &Node, origin: &mut Origin, problems: &mut Problems<'_>) -> Vec<Exception> {
    let Some(items) = problems.list(node) else { return Vec::new() };
    if items.len() > limits::EXCEPTIONS {
        problems.node(node, format!("more than {} exceptions", limits::EXCEPTIONS), "remove those that have ended");
        return Vec::new();
    }
    let mut found = Vec::new();
    for item in items {
        if let Some(exception) = exception(item, problems) {
            origin.exceptions.push(item.place);
            found.push(exception);
        }
    }
    found
}

fn exception(node: &Node, problems: &mut Problems<'_>) -> Option<Exception> {
    let members = problems.members(node, &fields::EXCEPTION)?;
    let image = members.get("image").and_then(|node| image(node, problems));
    let waive = members.get("waive").and_then(|node| waive(node, problems));
    let [reason, owner] = ["reason", "owner"].map(|key| members.get(key).and_then(|node| problems.text(node)));
    let from = members.get("from").map_or(Some(None), |node| problems.date(node).map(Some));
    let expires = members.get("expires").and_then(|node| problems.date(node));
    let Reference { repository, digest, .. } = image?;
    Some(Exception {
        repository,
        digest,
        waive: waive?,
        reason: reason?.to_owned(),
        owner: owner?.to_owned(),
        from: from?,
        expires: expires?.plus(DAY),
    })
}

/// A repository or an image in it by digest, by its canonical name.
fn image(node: &Node, problems: &mut Problems<'_>) -> Option<Reference> {
    let text = problems.text(node)?;
    let canonical = |reference: &Reference| {
        let repository = &reference.repository;
        reference.digest.map_or_else(|| repository.to_string(), |digest| format!("{repository}@{digest}"))
    };
    let mend = match text.parse::<Reference>() {
        Ok(reference) if reference.tag.is_some() => "a tag moves: write the repository alone, or with @ and the image's digest".to_owned(),
        Ok(reference) if canonical(&reference) == text => return Some(reference),
        Ok(reference) => format!("did you mean {}? An exception names the registry too", canonical(&reference)),
        Err(_) => "write a canonical name such as docker.io/library/nginx, alone or with @sha256:…; patterns are for rules".to_owned(),
    };
    problems.node(node, format!("{} is no image of an exception", problems.quote(text)), mend);
    None
}

fn waive(node: &Node, problems: &mut Problems<'_>) -> Option<Waived> {
    let items: &[Node] = match &node.value {
        Value::Text(_) => std::slice::from_ref(node),
        Value::List(_) | Value::Map(_) | Value::Empty => problems.list(node)?,
    };
    if items.len() > limits::WAIVED {
        problems.node(
            node,
            format!("more than {} vulnerabilities in one exception", limits::WAIVED),
            "write several, each with its reason",
        );
        return None;
    }
    let expected = "a CVE such as CVE-2026-12345, another advisory's id such as GHSA-jfh8-c2jp-5v3q, or signed-by";
    let ids: Vec<String> = items.iter().filter_map(|item| problems.parsed(item, expected, id)).collect();
    if ids.len() < items.len() {
        return None;
    }
    let ids: BTreeSet<String> = ids.into_iter().collect();
    match (ids.contains(SIGNED_BY), ids.len()) {
        (false, _) => Some(Waived::Vulnerabilities(ids)),
        (true, 1) => Some(Waived::SignedBy),
        (true, _) => {
            problems.node(node, "`signed-by` and vulnerabilities in one exception", "write two exceptions, each with its reason");
            None
        }
    }
}

/// An advisory's id, spelt as its database does: ids are compared exactly.
fn id(text: &str) -> Option<String> {
    let plain = text.len() <= limits::NAME_CHARACTERS && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    let cve = |rest: &str| {
        rest.split_once('-')
            .is_some_and(|(year, number)| [year, number].iter().all(|part| part.len() >= 4 && part.bytes().all(|b| b.is_ascii_digit())))
    };
    let upper = text.to_ascii_uppercase();
    let sound = match upper.strip_prefix("CVE-") {
        Some(rest) => text.starts_with("CVE-") && cve(rest),
        None => text == SIGNED_BY || (text.contains('-') && text.starts_with(|c: char| c.is_ascii_uppercase())),
    };
    (plain && sound).then(|| text.to_owned())
}

/// Reads `platforms:`.
pub(crate) fn platforms(node: &Node, problems: &mut Problems<'_>) -> Vec<PlatformName> {
    let Some(items) = problems.list(node) else { return PlatformName::defaults() };
    if items.is_empty() || items.len() > limits::PLATFORMS {
        let problem = format!("expected 1 to {} platforms, found {}", limits::PLATFORMS, items.len());
        problems.node(node, problem, "name those that you use, such as linux/amd64, or remove the key for linux/amd64 and linux/arm64");
        return PlatformName::defaults();
    }
    items
        .iter()
        .filter_map(|item| problems.parsed(item, "a platform such as linux/amd64 or linux/arm/v7", |text| text.parse().ok()))
        .collect()
}
