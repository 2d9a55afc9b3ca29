//! The entries of `scan-policies:`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sealgate_verifier::{GraceStart, RequiredSource, ScanPolicy, Severities, SignerName, Treatment};

use super::fields;
use super::origin::{Origin, ScanOrigin};
use super::signer::is_name;
use crate::limits;
use crate::members::Members;
use crate::node::{Node, Value};
use crate::problems::Problems;
use crate::shape::nearest;

/// What `max-age` is where it is not written: advisories of most ecosystems come daily.
const MAX_AGE: i64 = 86_400;
/// What `wait` is where it is not written.
const WAIT: i64 = 30;
/// The longest `wait`: containerd and docker give up on a silent registry after some minutes.
const LONGEST_WAIT: i64 = 300;

/// Those that could be read, and the names of those that could not.
#[derive(Debug, Default)]
pub(crate) struct ScanPolicies {
    pub known: BTreeMap<String, Arc<ScanPolicy>>,
    broken: BTreeSet<String>,
}

/// Reads `scan-policies:`.
pub(crate) fn read(node: &Node, origin: &mut Origin, problems: &mut Problems<'_>) -> ScanPolicies {
    let mut found = ScanPolicies::default();
    let entries = match &node.value {
        Value::Map(entries) if entries.len() <= limits::SCAN_POLICIES => entries,
        Value::Map(_) => {
            problems.node(node, format!("more than {} scan policies", limits::SCAN_POLICIES), "keep those that rules name");
            return found;
        }
        Value::Empty | Value::Text(_) | Value::List(_) => {
            let mend = "write `standard: { critical: deny, high: { grace: 7d } }`, one entry for each";
            problems.node(node, format!("expected a mapping, found {}", node.kind()), mend);
            return found;
        }
    };
    for (name, value) in entries {
        if !is_name(&name.text) {
            problems.place(name.place, "this is no scan policy's name", "use up to 64 letters, digits, `.`, `_` and `-`");
        }
        if let Some(first) = origin.scans.get(&name.text) {
            let mend = format!("remove one; the first is in line {}", first.place.line);
            problems.place(name.place, "two scan policies have this name", mend);
            continue;
        }
        let mut reader = Reader { named: BTreeMap::new(), problems };
        let policy = reader.policy(&name.text, value);
        origin.scans.insert(name.text.clone(), ScanOrigin { place: name.place, named: reader.named });
        match policy {
            Some(policy) => {
                found.known.insert(name.text.clone(), Arc::new(policy));
            }
            None => {
                found.broken.insert(name.text.clone());
            }
        }
    }
    found
}

impl ScanPolicies {
    /// The one that `node` names.
    pub fn named(&self, node: &Node, problems: &mut Problems<'_>) -> Option<Arc<ScanPolicy>> {
        let name = problems.text(node)?;
        let known = self.known.get(name).cloned();
        if known.is_none() && !self.broken.contains(name) {
            let names: Vec<&str> = self.known.keys().chain(&self.broken).map(String::as_str).collect();
            let mend = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean {near}? Defined are: {}", names.join(", ")),
                None if names.is_empty() => "define it: `scan-policies: { standard: { critical: deny, high: { grace: 7d } } }`".to_owned(),
                None => format!("define it under `scan-policies`; defined are: {}", names.join(", ")),
            };
            problems.node(node, format!("the scan policy {} is not defined under `scan-policies`", problems.quote(name)), mend);
        }
        known
    }
}

struct Reader<'r, 'p> {
    /// Where each signer is named.
    named: BTreeMap<SignerName, Vec<crate::node::Place>>,
    problems: &'r mut Problems<'p>,
}

impl Reader<'_, '_> {
    fn policy(&mut self, name: &str, node: &Node) -> Option<ScanPolicy> {
        let members = self.problems.members(node, &fields::SCAN_POLICY)?;
        let sources = match members.get("sources") {
            Some(node) => self.sources(node),
            None => Some(vec![RequiredSource::BuiltIn]),
        };
        let severities = self.severities(&members);
        let ignore_unfixed = members.get("ignore-unfixed").map_or(Some(false), |node| self.problems.boolean(node));
        let max_age = members.get("max-age").map_or(Some(MAX_AGE), |node| self.seconds(node));
        let wait = members.get("wait").map_or(Some(WAIT), |node| self.wait(node));
        let vex = members.get("vex").map_or_else(|| Some(Vec::new()), |node| self.signers(node));
        let (sources, severities, vex) = (sources?, severities?, vex?);
        Some(ScanPolicy {
            name: name.to_owned(),
            sources,
            severities,
            ignore_unfixed: ignore_unfixed?,
            max_age: max_age?,
            wait: wait?,
            vex,
        })
    }

    fn severities(&mut self, members: &Members<'_>) -> Option<Severities> {
        let [critical, high, medium, low, unknown] =
            ["critical", "high", "medium", "low", "unknown"].map(|key| self.treatment(members.get(key), Treatment::Deny));
        let negligible = self.treatment(members.get("negligible"), low.unwrap_or(Treatment::Deny));
        Some(Severities { critical: critical?, high: high?, medium: medium?, low: low?, negligible: negligible?, unknown: unknown? })
    }

    fn treatment(&mut self, node: Option<&Node>, default: Treatment) -> Option<Treatment> {
        let Some(node) = node else { return Some(default) };
        if matches!(node.value, Value::Text(_)) {
            return self.problems.parsed(node, "`deny`, `track`, or `{ grace: 7d, from: fix-available }`", |text| match text {
                "deny" => Some(Treatment::Deny),
                "track" => Some(Treatment::Track),
                _ => None,
            });
        }
        let members = self.problems.members(node, &fields::GRACE)?;
        let from = match members.get("from") {
            None => Some(GraceStart::Published),
            Some(node) => self.problems.parsed(node, "`fix-available`, `published` or `first-seen`", |text| match text {
                "fix-available" => Some(GraceStart::FixAvailable),
                "published" => Some(GraceStart::Published),
                "first-seen" => Some(GraceStart::FirstSeen),
                _ => None,
            }),
        };
        let seconds = self.seconds(members.get("grace")?)?;
        Some(Treatment::Grace { seconds, from: from? })
    }

    fn seconds(&mut self, node: &Node) -> Option<i64> {
        let seconds = self.problems.duration(node)?.as_secs();
        Some(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    fn wait(&mut self, node: &Node) -> Option<i64> {
        let seconds = self.seconds(node)?;
        if seconds > LONGEST_WAIT {
            self.problems.node(
                node,
                "clients do not wait that long",
                format!("write at most {LONGEST_WAIT}s; the scan goes on all the same"),
            );
            return None;
        }
        Some(seconds)
    }

    fn sources(&mut self, node: &Node) -> Option<Vec<RequiredSource>> {
        let items = self.problems.list(node)?;
        if items.len() > limits::SCAN_SOURCES {
            self.problems.node(node, format!("more than {} sources in one scan policy", limits::SCAN_SOURCES), "name fewer");
            return None;
        }
        let sources: Vec<RequiredSource> = items.iter().filter_map(|item| self.source(item)).collect();
        (sources.len() == items.len()).then_some(sources)
    }

    fn source(&mut self, node: &Node) -> Option<RequiredSource> {
        if matches!(node.value, Value::Text(_)) {
            let expected = "`built-in`, `{ attested-by: [SIGNER] }` or `{ scanner: NAME }`";
            return self.problems.parsed(node, expected, |text| (text == "built-in").then_some(RequiredSource::BuiltIn));
        }
        let members = self.problems.members(node, &fields::SOURCE)?;
        match (members.get("attested-by"), members.get("scanner")) {
            (Some(node), None) => self.signers(node).map(RequiredSource::AttestedBy),
            (None, Some(node)) => self.problems.text(node).map(|name| RequiredSource::Scanner(name.to_owned())),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    fn signers(&mut self, node: &Node) -> Option<Vec<SignerName>> {
        let names = self.problems.texts(node, limits::SIGNERS, "signers")?;
        for (name, item) in names.iter().zip(node.items()) {
            self.named.entry((*name).to_owned()).or_default().push(item.place);
        }
        Some(names.into_iter().map(str::to_owned).collect())
    }
}
