//! The entries of `signers:`.

use std::collections::BTreeMap;

use sealgate_verifier::policy::SignerIdentity;
use sealgate_verifier::{Pattern, PublicKey, Signer, SignerName, Timestamp, TrustedKey};

use super::origin::Origin;
use super::revision::Files;
use super::{fields, rule};
use crate::members::Members;
use crate::node::{Node, Value};
use crate::problems::Problems;
use crate::scalar;

/// Reads `signers:`.
pub(crate) fn read(node: &Node, files: &mut Files, origin: &mut Origin, problems: &mut Problems<'_>) -> BTreeMap<SignerName, Signer> {
    let mut signers = BTreeMap::new();
    let Value::Map(entries) = &node.value else {
        problems.node(
            node,
            format!("expected a mapping, found {}", node.kind()),
            "write `ci: { key: sealgate.pub }`, one line for each signer",
        );
        return signers;
    };
    for (name, value) in entries {
        if !is_name(&name.text) {
            let mend = "use up to 64 letters, digits, `.`, `_` and `-`: it stands in the answers that clients see";
            problems.place(name.place, "this is no signer's name", mend);
        }
        if let Some(first) = origin.signers.insert(name.text.clone(), name.place) {
            problems.place(name.place, "two signers have this name", format!("remove one; the first is in line {}", first.line));
            origin.broken_signers.insert(name.text.clone());
            continue;
        }
        let Some(members) = problems.members(value, &fields::SIGNER) else {
            origin.broken_signers.insert(name.text.clone());
            continue;
        };
        let (keys, whole) = keys(&name.text, &members, files, origin, problems);
        let images = images(members.get("images"), problems);
        if !whole || keys.is_empty() {
            origin.broken_signers.insert(name.text.clone());
        }
        signers.insert(name.text.clone(), Signer { identity: SignerIdentity::Keys(keys), images });
    }
    signers
}

/// Printable in an HTTP reason phrase and unmistakable in a sentence.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// The keys, and whether all of them could be read.
fn keys(
    signer: &str,
    members: &Members<'_>,
    files: &mut Files,
    origin: &mut Origin,
    problems: &mut Problems<'_>,
) -> (Vec<TrustedKey>, bool) {
    let mut found = Vec::new();
    let mut whole = true;
    let mut add = |node: &Node, until: Option<Timestamp>, problems: &mut Problems<'_>| match key(node, files, problems) {
        Some(key) => {
            origin.keys.entry((signer.to_owned(), key.id())).or_default().push(node.place);
            found.push(TrustedKey { key, until });
        }
        None => whole = false,
    };
    if let Some(node) = members.get("key") {
        add(node, None, problems);
    }
    if let Some(items) = members.get("keys").and_then(|node| problems.list(node).map(|items| (node, items))) {
        let (node, items) = items;
        if items.is_empty() {
            problems.node(node, "`keys` is empty", "add `{ file: sealgate.pub }`");
        }
        for item in items {
            let Some(entry) = problems.members(item, &fields::KEY) else { continue };
            let expected = "a time in UTC such as 2027-01-01T00:00:00Z";
            let until = entry.get("until").and_then(|node| problems.parsed(node, expected, scalar::timestamp));
            if let Some(node) = entry.get("file") {
                add(node, until, problems);
            }
        }
    }
    (found, whole)
}

/// A key as text or from its file.
fn key(node: &Node, files: &mut Files, problems: &mut Problems<'_>) -> Option<PublicKey> {
    let (pem, origin) = match &node.value {
        Value::Text(text) if text.trim_start().starts_with("-----BEGIN") => (text.clone(), "this text".to_owned()),
        Value::Text(_) | Value::Empty | Value::List(_) | Value::Map(_) => {
            let name = problems.text(node)?;
            let path = problems.document().relative(name);
            let shown = path.display().to_string();
            match files.text(path, name) {
                Ok(text) => (text, shown),
                Err(problem) => {
                    problems.node(node, format!("{shown} {problem}"), "name a PEM public key; paths are relative to this file");
                    return None;
                }
            }
        }
    };
    if pem.contains("PRIVATE KEY-----") {
        let mend = "name the public key, which `generate-key-pair` writes beside it with the ending .pub";
        problems.node(node, format!("{origin} is a private key, which has no place in a policy"), mend);
        return None;
    }
    match PublicKey::from_pem(&pem) {
        Ok(key) => Some(key),
        Err(error) => {
            problems.node(node, format!("{origin} holds no usable key: {error}"), "name a PEM public key: P-256, P-384, Ed25519 or RSA");
            None
        }
    }
}

/// `images:`; empty where it is absent.
fn images(node: Option<&Node>, problems: &mut Problems<'_>) -> Vec<Pattern> {
    let Some(node) = node else { return Vec::new() };
    rule::patterns(node, problems).into_iter().map(|(pattern, _)| pattern).collect()
}
