//! Keyless and Notation signers.

use std::collections::BTreeMap;

use sealgate_verifier::notation::{IdentityPattern, Level, NotationSigner, RevocationCheck, StoreKind, TimestampCheck, TrustStore};
use sealgate_verifier::policy::{Claim, IdentityMatcher, KeylessIdentity, PUBLIC_ROOT, TextMatcher, TrustRootName};

use super::fields;
use super::trust::Trust;
use crate::limits;
use crate::members::Members;
use crate::node::{Node, Value};
use crate::problems::Problems;

/// The trust root that a signer names.
pub(crate) fn trust_root(members: &Members<'_>, problems: &mut Problems<'_>) -> Option<TrustRootName> {
    match members.get("trust-root") {
        Some(node) => problems.text(node).map(str::to_owned),
        None => Some(PUBLIC_ROOT.to_owned()),
    }
}

/// A signer with `issuer` and an identity.
pub(crate) fn keyless(members: &Members<'_>, trust_root: Option<TrustRootName>, problems: &mut Problems<'_>) -> Option<KeylessIdentity> {
    let issuer = members.get("issuer").and_then(|node| issuer(node, problems));
    let exact = members.get("identity").and_then(|node| identity(node, problems));
    let regexp = members.get("identity-regexp").and_then(|node| {
        let text = problems.text(node)?;
        match IdentityMatcher::regexp(text) {
            Ok(matcher) => Some(matcher),
            Err(error) => {
                let mend = "write one in the syntax of Rust's regex crate, which is RE2's; it always has to match the whole identity";
                problems.node(node, error.to_string(), mend);
                None
            }
        }
    });
    let claims = match members.get("claims") {
        Some(node) => claims(node, problems),
        None => Some(BTreeMap::new()),
    };
    Some(KeylessIdentity { issuer: IdentityMatcher::Exact(issuer?), subject: exact.or(regexp)?, claims: claims?, trust_root: trust_root? })
}

fn issuer(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    let is_url = |text: &str| (text.starts_with("https://") || text.starts_with("http://")) && !text.contains(['*', ' ']);
    problems.parsed(node, "the issuer's URL, exactly, such as https://accounts.google.com", |text| is_url(text).then(|| text.to_owned()))
}

fn identity(node: &Node, problems: &mut Problems<'_>) -> Option<IdentityMatcher> {
    let text = problems.text(node)?;
    if text.contains('*') {
        let mend = "write it out, or write a regular expression under `identity-regexp`";
        problems.node(node, "`identity` is compared exactly, and no identity has a `*`", mend);
        return None;
    }
    Some(IdentityMatcher::Exact(text.to_owned()))
}

fn claims(node: &Node, problems: &mut Problems<'_>) -> Option<BTreeMap<Claim, TextMatcher>> {
    let members = problems.members(node, &fields::CLAIMS)?;
    let mut found = BTreeMap::new();
    let mut whole = true;
    for claim in Claim::ALL {
        let Some(node) = members.get(claim.name()) else { continue };
        let matcher = problems.text(node).map(|text| match (claim, text) {
            (Claim::SourceRepository, "any") => TextMatcher::Any,
            _ => TextMatcher::parse(text),
        });
        match &matcher {
            Some(TextMatcher::Prefix(prefix)) if claim == Claim::SourceRepository && !prefix.ends_with('/') => {
                let mend = "end it in /* for everything of an owner, as in https://github.com/acme/*, or write it out";
                problems.node(node, "this beginning fits repositories of strangers too", mend);
            }
            Some(TextMatcher::Exact(_) | TextMatcher::Prefix(_) | TextMatcher::Any) => {}
            None => whole = false,
        }
        found.extend(matcher.map(|matcher| (claim, matcher)));
    }
    whole.then_some(found)
}

/// `notation:`.
pub(crate) fn notation(node: &Node, trust: &Trust, problems: &mut Problems<'_>) -> Option<NotationSigner> {
    let members = problems.members(node, &fields::NOTATION)?;
    let store = members.get("trust-store").and_then(|node| store(node, trust, problems));
    let identities = members.get("identities").and_then(|node| identities(node, problems));
    let mut choice = |key: &str, words: &[&'static str]| {
        let node = members.get(key)?;
        problems.parsed(node, &words.join(" or "), |text| words.iter().find(|word| **word == text).copied())
    };
    let level = match choice("level", &["strict", "permissive", "audit"]) {
        Some("permissive") => Level::Permissive,
        Some("audit") => Level::Audit,
        Some(_) | None => Level::Strict,
    };
    let revocation = match choice("revocation", &["check", "skip"]) {
        Some("skip") => RevocationCheck::Skip,
        Some(_) | None => RevocationCheck::Check,
    };
    let timestamps = match choice("timestamps", &["always", "after-cert-expiry"]) {
        Some("after-cert-expiry") => TimestampCheck::AfterCertExpiry,
        Some(_) | None => TimestampCheck::Always,
    };
    match NotationSigner::new(store?, identities?) {
        Ok(signer) => Some(signer.with_level(level).with_revocation(revocation).with_timestamps(timestamps)),
        Err(error) => {
            problems.node(node, error.to_string(), "name a root and distinct identities");
            None
        }
    }
}

fn store(node: &Node, trust: &Trust, problems: &mut Problems<'_>) -> Option<TrustStore> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Text(_) | Value::Empty | Value::Map(_) => std::slice::from_ref(node),
    };
    if items.len() > limits::TRUST_STORES {
        problems.node(node, format!("more than {} trust stores", limits::TRUST_STORES), "put several files into one store");
        return None;
    }
    let mut store = TrustStore::new();
    let mut whole = true;
    for item in items {
        whole &= problems.text(item).is_some_and(|text| match add(text, trust, &mut store) {
            Ok(added) => added,
            Err(problem) => {
                let names: Vec<&str> = trust.stores.keys().map(String::as_str).collect();
                let mend = format!("write ca:NAME, signingAuthority:NAME or tsa:NAME; `trust-stores` defines: {}", names.join(", "));
                problems.node(item, problem, mend);
                false
            }
        });
    }
    whole.then_some(store)
}

/// Whether the store that `text` names could be added; one that is broken has been reported.
fn add(text: &str, trust: &Trust, store: &mut TrustStore) -> Result<bool, String> {
    let kinds = [StoreKind::Ca, StoreKind::SigningAuthority, StoreKind::Tsa];
    let (kind, name) = text.split_once(':').ok_or("a trust store is named with its kind")?;
    let kind = kinds.into_iter().find(|known| known.name() == kind).ok_or("this is no kind of trust store")?;
    match trust.stores.get(name).ok_or("this trust store is not defined under `trust-stores`")? {
        Some(files) if files.has(kind) => files.add_to(store, kind).map(|()| true),
        Some(_) => Err(format!("the trust store {name} holds nothing of this kind")),
        None => Ok(false),
    }
}

fn identities(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<IdentityPattern>> {
    let items = problems.list(node)?;
    if items.len() > limits::SIGNERS {
        problems.node(node, format!("more than {} identities", limits::SIGNERS), "name fewer");
        return None;
    }
    let mut found = Vec::new();
    for item in items {
        match problems.text(item).map(str::parse::<IdentityPattern>) {
            Some(Ok(identity)) => found.push(identity),
            Some(Err(error)) => {
                problems.node(item, error.to_string(), "write \"x509.subject: C=US, ST=WA, O=Acme\", or \"*\" for everybody")
            }
            None => {}
        }
    }
    (found.len() == items.len()).then_some(found)
}
