//! `contents:` of a requirement.

use std::collections::BTreeSet;

use sealgate_verifier::{ContentsPolicy, IgnoredSecret, TextMatcher};

use super::fields;
use crate::limits;
use crate::members::Members;
use crate::node::{Node, Value};
use crate::problems::Problems;

/// Seconds of a day: what ends with a day ends before the next.
pub(crate) const DAY: i64 = 86_400;

/// Reads `contents:`.
pub(crate) fn read(node: &Node, problems: &mut Problems<'_>) -> Option<ContentsPolicy> {
    let members = problems.members(node, &fields::CONTENTS)?;
    let non_root = word(&members, "user", "non-root", problems);
    let [shell, package_manager, compiler] = ["shell", "package-manager", "compiler"].map(|key| word(&members, key, "none", problems));
    let setuid = allowed(members.get("setuid"), problems);
    let capabilities = allowed(members.get("capabilities"), problems);
    let ports = members.get("ports").map_or(Some(None), |node| ports(node, problems).map(Some));
    let max_size = members.get("max-size").map_or(Some(None), |node| problems.size(node).map(Some));
    let secrets = members.get("secrets").map_or(Some(None), |node| secrets(node, problems).map(Some));
    let no_packages = word(&members, "packages", "none-expected", problems);
    Some(ContentsPolicy {
        non_root: non_root?,
        setuid: setuid?,
        capabilities: capabilities?,
        no_shell: shell?,
        no_package_manager: package_manager?,
        no_compiler: compiler?,
        ports: ports?,
        max_size: max_size?,
        secrets: secrets?,
        no_packages: no_packages?,
    })
}

/// Whether `key` is there; `None` where it says something else than `expected`.
fn word(members: &Members<'_>, key: &str, expected: &str, problems: &mut Problems<'_>) -> Option<bool> {
    match members.get(key) {
        None => Some(false),
        Some(node) => problems
            .parsed(node, &format!("`{expected}`; remove `{key}` where anything is allowed"), |text| (text == expected).then_some(true)),
    }
}

/// `none`, which is an empty list of paths, or `{ allow: [...] }`.
fn allowed(node: Option<&Node>, problems: &mut Problems<'_>) -> Option<Option<BTreeSet<String>>> {
    let Some(node) = node else { return Some(None) };
    if matches!(node.value, Value::Text(_)) {
        return problems.parsed(node, "`none` or `{ allow: [usr/bin/su] }`", |text| (text == "none").then(|| Some(BTreeSet::new())));
    }
    let members = problems.members(node, &fields::ALLOW)?;
    let paths = problems.texts(members.get("allow")?, limits::CONTENT_ITEMS, "paths")?;
    Some(Some(paths.into_iter().map(|path| path.trim_start_matches('/').to_owned()).collect()))
}

fn ports(node: &Node, problems: &mut Problems<'_>) -> Option<BTreeSet<String>> {
    if matches!(node.value, Value::Text(_)) {
        return problems.parsed(node, "`none` or a list such as [443/tcp]", |text| (text == "none").then(BTreeSet::new));
    }
    let items = problems.list(node)?;
    problems.texts(node, limits::CONTENT_ITEMS, "ports")?;
    let ports: Vec<String> = items.iter().filter_map(|item| problems.parsed(item, "a port such as 443, 443/tcp or 53/udp", port)).collect();
    (ports.len() == items.len()).then(|| ports.into_iter().collect())
}

/// `80` means `80/tcp`, as in an image's configuration.
fn port(text: &str) -> Option<String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number: u16 = number.parse().ok().filter(|n: &u16| *n > 0 && n.to_string() == number)?;
    matches!(protocol, "tcp" | "udp" | "sctp").then(|| format!("{number}/{protocol}"))
}

fn secrets(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<IgnoredSecret>> {
    if matches!(node.value, Value::Text(_)) {
        return problems.parsed(node, "`none` or `{ ignore: [...] }`", |text| (text == "none").then(Vec::new));
    }
    let members = problems.members(node, &fields::SECRETS)?;
    let node = members.get("ignore")?;
    let items = problems.list(node)?;
    if items.len() > limits::CONTENT_ITEMS {
        problems.node(node, format!("more than {} secrets in one list", limits::CONTENT_ITEMS), "name beginnings of paths");
        return None;
    }
    let ignored: Vec<IgnoredSecret> = items.iter().filter_map(|item| ignored(item, problems)).collect();
    (ignored.len() == items.len()).then_some(ignored)
}

fn ignored(node: &Node, problems: &mut Problems<'_>) -> Option<IgnoredSecret> {
    let members = problems.members(node, &fields::IGNORED_SECRET)?;
    let [kind, path, reason] = ["kind", "path", "reason"].map(|key| members.get(key).and_then(|node| problems.text(node)));
    let expires = members.get("expires").and_then(|node| problems.date(node));
    let path = path?;
    if path == "*" {
        problems.node(node, "a `path` of * ignores every secret of the kind", "name the file, or the folder that holds it and /*");
        return None;
    }
    let path = TextMatcher::parse(path.trim_start_matches('/'));
    Some(IgnoredSecret { kind: kind?.to_owned(), path, reason: reason?.to_owned(), expires: expires?.plus(DAY) })
}
