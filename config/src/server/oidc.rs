//! `auth.oidc`: CI services whose identity tokens say who a job is (OpenID Connect Core 1.0 §2).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::address::UpstreamUrl;
use super::auth::one_or_more;
use super::registry::{addresses, readable};
use super::{AddressRange, fields};
use crate::limits;
use crate::node::{Node, Value};
use crate::problems::Problems;

/// Identity tokens of one issuer that say certain things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// What grants call it.
    pub name: String,
    /// `iss`, exactly.
    pub issuer: String,
    /// What `aud` must hold.
    pub audience: String,
    /// What the token must say: for each claim one of these values. Never empty.
    pub claims: BTreeMap<String, Vec<String>>,
    /// Key set file; none: fetched from the issuer.
    pub jwks: Option<PathBuf>,
    /// PEM file with the private CAs of the issuer, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Private address ranges that the issuer may resolve to.
    pub allow_addresses: Vec<AddressRange>,
}

/// Issuers that give everybody a token: those of them that name no owner open the gate to the whole world.
const PUBLIC: &[(&str, &[&str])] = &[
    (
        "https://token.actions.githubusercontent.com",
        // Not `job_workflow_ref`: anybody may call a public reusable workflow.
        &["repository", "repository_id", "repository_owner", "repository_owner_id", "sub"],
    ),
    ("https://gitlab.com", &["project_path", "project_id", "namespace_path", "namespace_id", "sub"]),
];

/// Reads `oidc:`.
pub(crate) fn read(node: Option<&Node>, problems: &mut Problems<'_>) -> Vec<Oidc> {
    let Some(items) = node.and_then(|node| problems.list(node)) else { return Vec::new() };
    let mut all: Vec<Oidc> = Vec::new();
    for item in items {
        let Some(entry) = one(item, problems) else { continue };
        if all.iter().any(|other| other.name == entry.name) {
            problems.node(item, "two entries have the same name", "give each its own");
        }
        all.push(entry);
    }
    all
}

fn one(node: &Node, problems: &mut Problems<'_>) -> Option<Oidc> {
    let members = problems.members(node, &fields::OIDC)?;
    let expected = format!("a name of up to {} letters, digits and . _ -", limits::NAME_CHARACTERS);
    let name = members.get("name").and_then(|node| problems.parsed(node, &expected, name));
    let allow_addresses = addresses(members.get("allow-addresses"), problems);
    let issuer = members.get("issuer").and_then(|node| issuer(node, problems));
    let audience = members.get("audience").and_then(|node| problems.text(node)).map(str::to_owned);
    let claims = members.get("claims").and_then(|node| claims(node, issuer.as_deref(), problems));
    let jwks = members.get("jwks").and_then(|node| readable(node, problems));
    let ca = members.get("ca").and_then(|node| readable(node, problems));
    Some(Oidc { name: name?, issuer: issuer?, audience: audience?, claims: claims?, jwks, ca, allow_addresses })
}

fn name(text: &str) -> Option<String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    (plain && text.len() <= limits::NAME_CHARACTERS).then(|| text.to_owned())
}

/// An https URL, perhaps with a path; plaintext on loopback only.
fn issuer(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    let expected = "the issuer's URL as its tokens write it, https:// and without a query, such as https://gitlab.com";
    problems.parsed(node, expected, |text| {
        let rest = text.split_once("://")?.1;
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-')) && !path.contains("..");
        let origin = text.strip_suffix(path).unwrap_or(text);
        let url = UpstreamUrl::parse(origin).ok()?;
        (plain && (!url.plaintext || url.is_loopback())).then(|| text.to_owned())
    })
}

fn claims(node: &Node, issuer: Option<&str>, problems: &mut Problems<'_>) -> Option<BTreeMap<String, Vec<String>>> {
    let Value::Map(entries) = &node.value else {
        problems.node(node, format!("expected a mapping, found {}", node.kind()), "write { repository: acme/app, ref: refs/heads/main }");
        return None;
    };
    let mut claims = BTreeMap::new();
    for (key, value) in entries {
        let Some(items) = one_or_more(value, problems) else { continue };
        let values: Vec<String> = items.iter().filter_map(|item| problems.text(item).map(str::to_owned)).collect();
        if claims.insert(key.text.clone(), values).is_some() {
            problems.place(key.place, "the same claim stands here twice", "write its values as one list");
        }
        if let Some(item) = items.iter().find(|item| matches!(&item.value, Value::Text(text) if text.contains('*'))) {
            problems.node(item, "claims are compared exactly: a * stands for itself", "write the whole value, or a list of them");
        }
    }
    if claims.is_empty() {
        problems.node(node, "`claims` is empty: every token of this issuer would do", "name at least one claim");
    }
    let pins = PUBLIC.iter().find(|(public, _)| Some(*public) == issuer).map(|(_, pins)| *pins);
    if let Some(pins) = pins.filter(|pins| !pins.iter().any(|pin| claims.contains_key(*pin))) {
        let problem = "everybody can get tokens of this issuer, and no claim here says whose job it is";
        problems.node(node, problem, format!("name one of {}", pins.join(", ")));
    }
    Some(claims)
}
