//! The entries of `require:`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealgate_verifier::{AttestationType, Attested, Condition, Digest, Pointer, Quorum, Requirement, SignedBy, SignerName, TextMatcher};

use super::scan::ScanPolicies;
use super::{contents, fields};
use crate::limits;
use crate::node::{Node, Place, Value};
use crate::problems::Problems;
use crate::shape::Object;

/// What a requirement is like, and the scan policies that it may name.
type Table<'t> = (&'static Object, &'t ScanPolicies);

/// The requirements of one rule.
#[derive(Debug, Default)]
pub(crate) struct Required {
    /// What could be read.
    pub requirements: Vec<Requirement>,
    /// Where the list stands.
    pub place: Place,
    /// Where each signer is named.
    pub named: BTreeMap<SignerName, Vec<Place>>,
    /// Whether a requirement could not be read.
    pub broken: bool,
}

impl Required {
    /// Reads a list of requirements, or the words `allow` and `deny`; `scans` are those that it may name.
    pub fn of(node: Option<&Node>, scans: &ScanPolicies, problems: &mut Problems<'_>) -> Self {
        let mut required = Self::default();
        match node {
            Some(node) => {
                required.place = node.place;
                required.requirements = required.read(node, (&fields::REQUIREMENT, scans), problems);
            }
            None => required.broken = true,
        }
        required
    }

    fn read(&mut self, node: &Node, table: Table<'_>, problems: &mut Problems<'_>) -> Vec<Requirement> {
        let Some(items) = problems.list(node) else {
            self.broken = true;
            return Vec::new();
        };
        if items.len() > limits::REQUIREMENTS {
            let mend = "put digests and signers into one list each";
            problems.node(node, format!("more than {} requirements in one rule", limits::REQUIREMENTS), mend);
            self.broken = true;
            return Vec::new();
        }
        let read: Vec<Requirement> = items.iter().filter_map(|item| self.one(item, table, problems)).collect();
        self.broken |= read.len() < items.len();
        read
    }

    fn one(&mut self, node: &Node, (object, scans): Table<'_>, problems: &mut Problems<'_>) -> Option<Requirement> {
        if matches!(node.value, Value::Text(_)) {
            let expected = "`allow`, `deny`, `digests: [...]`, `signed-by: { any: [...] }` or another requirement";
            return problems.parsed(node, expected, |text| match text {
                "allow" => Some(Requirement::Allow),
                "deny" => Some(Requirement::Deny),
                _ => None,
            });
        }
        let members = problems.members(node, object)?;
        let any_of = object.field("any-of").and_then(|field| members.get(field.key));
        let keys = ["digests", "signed-by", "attested", "scanned", "contents", "age"].map(|key| members.get(key));
        match (keys, any_of) {
            ([Some(node), None, None, None, None, None], None) => digests(node, problems),
            ([None, Some(node), None, None, None, None], None) => self.quorum(node, problems).map(Requirement::SignedBy),
            ([None, None, Some(node), None, None, None], None) => self.attested(node, problems).map(Requirement::Attested),
            ([None, None, None, Some(node), None, None], None) => scans.named(node, problems).map(Requirement::Scanned),
            ([None, None, None, None, Some(node), None], None) => {
                contents::read(node, problems).map(|contents| Requirement::Contents(Arc::new(contents)))
            }
            ([None, None, None, None, None, Some(node)], None) => age(node, problems),
            ([None, None, None, None, None, None], Some(node)) => self.any_of(node, scans, problems),
            _ => None,
        }
    }

    fn any_of(&mut self, node: &Node, scans: &ScanPolicies, problems: &mut Problems<'_>) -> Option<Requirement> {
        let branches = problems.list(node)?;
        if branches.len() > limits::REQUIREMENTS {
            let problem = format!("more than {} alternatives in one `any-of`", limits::REQUIREMENTS);
            problems.node(node, problem, "put signers and digests into one list each");
            return None;
        }
        let branches = branches.iter().map(|branch| self.read(branch, (&fields::ALTERNATIVE, scans), problems)).collect();
        Some(Requirement::AnyOf(branches))
    }

    fn attested(&mut self, node: &Node, problems: &mut Problems<'_>) -> Option<Attested> {
        let members = problems.members(node, &fields::ATTESTED)?;
        let names: Vec<&str> = AttestationType::short_names().collect();
        let expected = format!("one of {}, or the URI of a predicate type", names.join(", "));
        let kind = members.get("type").and_then(|node| problems.parsed(node, &expected, AttestationType::parse));
        let by = members.get("by").and_then(|node| self.quorum(node, problems));
        let conditions = members.get("where").map_or_else(|| Some(Vec::new()), |node| conditions(node, problems));
        let max_age = match members.get("max-age") {
            Some(node) => Some(i64::try_from(problems.duration(node)?.as_secs()).unwrap_or(i64::MAX)),
            None => None,
        };
        Some(Attested { kind: kind?, by: by?, conditions: conditions?, max_age })
    }

    fn quorum(&mut self, node: &Node, problems: &mut Problems<'_>) -> Option<SignedBy> {
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
        (signers.len() == items.len()).then_some(SignedBy { quorum, signers })
    }
}

/// `age:`
fn age(node: &Node, problems: &mut Problems<'_>) -> Option<Requirement> {
    let members = problems.members(node, &fields::AGE)?;
    let min = members.get("min").and_then(|node| problems.duration(node))?;
    Some(Requirement::Age { min: i64::try_from(min.as_secs()).unwrap_or(i64::MAX) })
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

/// `where:`; empty where it is absent.
fn conditions(node: &Node, problems: &mut Problems<'_>) -> Option<Vec<Condition>> {
    let entries = match &node.value {
        Value::Map(entries) if !entries.is_empty() && entries.len() <= limits::CONDITIONS => entries,
        Value::Map(_) | Value::Empty | Value::Text(_) | Value::List(_) => {
            let problem = format!("expected 1 to {} JSON pointers, each with what stands there", limits::CONDITIONS);
            problems.node(node, problem, "write `where: { /builder/id: \"https://github.com/acme/*\" }`, or remove it");
            return None;
        }
    };
    let mut whole = true;
    let mut found = Vec::new();
    for (key, value) in entries {
        let Some(pointer) = Pointer::parse(&key.text) else {
            let mend = "write / and the keys on the way, as in /buildDefinition/buildType; ~1 stands for a / in a key, ~0 for a ~";
            problems.place(key.place, "this is no JSON pointer (RFC 6901)", mend);
            whole = false;
            continue;
        };
        match problems.text(value) {
            Some(text) => found.push(Condition { pointer, expected: TextMatcher::parse(text) }),
            None => whole = false,
        }
    }
    whole.then_some(found)
}
