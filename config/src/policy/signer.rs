//! The entries of `signers:`.

use std::collections::BTreeMap;

use sealgate_verifier::policy::SignerIdentity;
use sealgate_verifier::{Pattern, PublicKey, Signer, SignerName, Timestamp, TrustedKey};

use super::origin::Origin;
use super::preset::{self, Preset};
use super::revision::Files;
use super::trust::Trust;
use super::{fields, identity, rule};
use crate::members::Members;
use crate::node::{Node, Value};
use crate::problems::Problems;
use crate::scalar;

/// Reads `signers:`.
pub(crate) fn read(
    node: &Node,
    trust: &Trust,
    files: &mut Files,
    origin: &mut Origin,
    problems: &mut Problems<'_>,
) -> BTreeMap<SignerName, Signer> {
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
        let images = images(members.get("images"), problems);
        let preset = members.get("preset").and_then(|node| problems.parsed(node, &preset::NAMES.join(", "), Preset::named));
        let own = identity(&name.text, &members, trust, files, origin, problems);
        let signer = match preset {
            Some(preset) => preset.signer(images),
            None => own.map(|identity| Signer { identity, images }),
        };
        match signer {
            Some(signer) => {
                signers.insert(name.text.clone(), signer);
            }
            None => {
                origin.broken_signers.insert(name.text.clone());
            }
        }
    }
    signers
}

/// How the signer is recognised, where all of it could be read.
fn identity(
    name: &str,
    members: &Members<'_>,
    trust: &Trust,
    files: &mut Files,
    origin: &mut Origin,
    problems: &mut Problems<'_>,
) -> Option<SignerIdentity> {
    let (keys, whole) = keys(name, members, files, origin, problems);
    let log = members.get("log").map(|node| (node, is_log_required(node, problems)));
    let trust_root = identity::trust_root(members, problems);
    let is_keyless = members.get("issuer").is_some();
    let keyless = if is_keyless { identity::keyless(members, trust_root.clone(), problems) } else { None };
    let notation = members.get("notation").and_then(|node| identity::notation(node, trust, problems));
    let is_logged = matches!(log, Some((_, Some(true))));
    if !is_keyless {
        for (key, node) in ["identity", "identity-regexp", "claims"].map(|key| (key, members.get(key))) {
            if let Some(node) = node {
                problems.node(node, format!("`{key}` has no meaning without `issuer`"), "add `issuer`, or remove it");
            }
        }
    }
    if let (Some((node, _)), true) = (&log, keys.is_empty() && whole) {
        problems.node(node, "`log` speaks of keys; keyless signatures always need a log", "remove it");
    }
    if let (Some(node), false) = (members.get("trust-root"), is_keyless || is_logged) {
        let mend = "remove it, or add `log: required`";
        problems.node(node, "`trust-root` has no meaning for this signer", mend);
    }
    if trust_root.as_ref().is_some_and(|root| trust.broken_roots.contains(root)) {
        return None;
    }
    let keys = Some(keys).filter(|keys| whole && !keys.is_empty());
    let keys = keys.and_then(|keys| match log {
        None | Some((_, Some(false))) => Some(SignerIdentity::Keys(keys)),
        Some((_, Some(true))) => Some(SignerIdentity::LoggedKeys { keys, trust_root: trust_root? }),
        Some((_, None)) => None,
    });
    keys.or(keyless.map(SignerIdentity::Keyless)).or(notation.map(|signer| SignerIdentity::Notation(Box::new(signer))))
}

fn is_log_required(node: &Node, problems: &mut Problems<'_>) -> Option<bool> {
    problems.parsed(node, "`optional` or `required`", |text| match text {
        "optional" => Some(false),
        "required" => Some(true),
        _ => None,
    })
}

/// Printable in an HTTP reason phrase and unmistakable in a sentence.
pub(crate) fn is_name(name: &str) -> bool {
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
