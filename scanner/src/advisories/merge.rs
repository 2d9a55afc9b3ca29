//! Several advisories about one vulnerability of one package become one finding; an advisory about several vulnerabilities becomes one
//! finding for each, so that every CVE stands once and can be waived alone.

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Advisory, Ecosystem, Entry, Finding, Prepared, Rating};
use crate::package::Package;

/// One name and version, what is installed of it, and the advisories that affect it.
pub(super) struct Subject<'a> {
    pub(super) packages: Vec<&'a Package>,
    pub(super) ecosystem: Ecosystem,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) known: Arc<[Prepared]>,
    /// Which of `known`, and the versions that fix it.
    pub(super) hits: Vec<(usize, Vec<String>)>,
}

/// One advisory that affects a subject.
#[derive(Clone, Copy)]
struct Hit<'a> {
    entry: &'a Entry,
    fixed: &'a [String],
}

pub(super) fn findings(subjects: &[Subject<'_>]) -> Vec<Finding> {
    subjects.iter().flat_map(of_subject).collect()
}

fn is_cve(id: &str) -> bool {
    id.starts_with("CVE-")
}

/// Groups of advisories that share an identifier, directly or through others. A kernel has thousands.
fn groups(advisories: &BTreeMap<&str, &Advisory>) -> Vec<BTreeSet<String>> {
    let mut leaders: Vec<usize> = (0..advisories.len()).collect();
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (at, advisory) in advisories.values().enumerate() {
        for id in std::iter::once(&advisory.id).chain(&advisory.aliases) {
            match owners.entry(id) {
                Place::Vacant(place) => drop(place.insert(at)),
                Place::Occupied(owner) => {
                    let (one, other) = (leader(&mut leaders, *owner.get()), leader(&mut leaders, at));
                    if let Some(place) = leaders.get_mut(one.max(other)) {
                        *place = one.min(other);
                    }
                }
            }
        }
    }
    let mut groups: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for (at, advisory) in advisories.values().enumerate() {
        let group = groups.entry(leader(&mut leaders, at)).or_default();
        group.extend(advisory.aliases.iter().cloned());
        group.insert(advisory.id.clone());
    }
    groups.into_values().collect()
}

/// The leader of a member's group; the way to it is halved.
fn leader(leaders: &mut [usize], mut at: usize) -> usize {
    while let Some(next) = leaders.get(at).copied().filter(|next| *next != at) {
        let after = leaders.get(next).copied().unwrap_or(next);
        if let Some(place) = leaders.get_mut(at) {
            *place = after;
        }
        at = after;
    }
    at
}

/// The identifiers under which a group's findings stand: its CVEs, else the least of its own.
fn keys(group: &BTreeSet<String>, advisories: &BTreeMap<&str, &Advisory>) -> BTreeSet<String> {
    let upstream = || group.iter().filter_map(|id| advisories.get(id.as_str())).flat_map(|advisory| advisory.upstream.iter());
    let cves: BTreeSet<String> = group.iter().chain(upstream()).filter(|id| is_cve(id)).cloned().collect();
    if cves.is_empty() { group.iter().take(1).cloned().collect() } else { cves }
}

fn of_subject(subject: &Subject<'_>) -> Vec<Finding> {
    let hits = subject.hits.iter().filter_map(|(at, fixed)| subject.known.get(*at).map(|prepared| Hit { entry: &prepared.entry, fixed }));
    let mut by_id: BTreeMap<&str, Vec<Hit<'_>>> = BTreeMap::new();
    for hit in hits {
        by_id.entry(hit.entry.advisory.id.as_str()).or_default().push(hit);
    }
    let advisories: BTreeMap<&str, &Advisory> = by_id.iter().filter_map(|(id, hits)| Some((*id, &hits.first()?.entry.advisory))).collect();
    let mut of_key: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for group in groups(&advisories) {
        for key in keys(&group, &advisories) {
            of_key.entry(key).or_default().extend(group.iter().cloned());
        }
    }
    let hits = |ids: &BTreeSet<String>| ids.iter().filter_map(|id| by_id.get(id.as_str())).flatten().copied().collect::<Vec<_>>();
    of_key.into_iter().filter_map(|(key, ids)| finding(subject, key, &ids, &hits(&ids))).collect()
}

fn finding(subject: &Subject<'_>, key: String, ids: &BTreeSet<String>, hits: &[Hit<'_>]) -> Option<Finding> {
    let entries = || hits.iter().map(|hit| hit.entry);
    let set = |texts: &mut dyn Iterator<Item = String>| texts.collect::<BTreeSet<String>>();
    let advisories = set(&mut entries().map(|entry| entry.advisory.id.clone()));
    // The aliases of an advisory about several vulnerabilities are not all this one's.
    let alias = |id: &&String| **id != key && !is_cve(id) && !advisories.contains(*id);
    let rating: Rating = entries().map(|entry| &entry.affected.rating).max_by_key(|rating| rating.rank()).cloned()?;
    let own = entries().filter(|entry| entry.advisory.id == key || entry.advisory.aliases.contains(&key));
    let summary = own.chain(entries()).map(|entry| entry.advisory.summary.clone()).find(|summary| !summary.is_empty());
    let scheme = subject.ecosystem.scheme();
    let mut fixed: Vec<String> = set(&mut hits.iter().flat_map(|hit| hit.fixed.iter().cloned())).into_iter().collect();
    fixed.sort_by(|left, right| scheme.compare(left, right).unwrap_or_else(|_| left.cmp(right)));
    let mut locations: Vec<_> = subject.packages.iter().map(|package| package.location.clone()).collect();
    locations.sort();
    locations.dedup();
    Some(Finding {
        aliases: ids.iter().filter(alias).cloned().collect(),
        advisories: advisories.iter().filter(|id| **id != key).cloned().collect(),
        package: subject.name.clone(),
        installed: subject.version.clone(),
        purls: set(&mut subject.packages.iter().map(|package| package.purl())).into_iter().collect(),
        fixed,
        rating,
        summary: summary.unwrap_or_default(),
        published: entries().filter_map(|entry| entry.advisory.published).min(),
        fix_available: entries().filter_map(|entry| entry.affected.fix_available).min(),
        locations,
        id: key,
    })
}
