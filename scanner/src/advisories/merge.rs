//! Several advisories about one vulnerability of one package become one finding; an advisory about several vulnerabilities becomes one
//! finding for each, so that every CVE stands once and can be waived alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Advisory, Ecosystem, Finding, Prepared, Rating};
use crate::package::Package;

/// An advisory that affects a package.
pub(super) struct Hit<'a> {
    pub(super) package: &'a Package,
    pub(super) ecosystem: Ecosystem,
    /// The name and version that were compared.
    pub(super) name: String,
    pub(super) version: String,
    pub(super) known: Arc<[Prepared]>,
    /// Which of `known`.
    pub(super) at: usize,
    pub(super) fixed: Vec<String>,
}

impl Hit<'_> {
    fn advisory(&self) -> Option<&Advisory> {
        self.known.get(self.at).map(|prepared| &prepared.entry.advisory)
    }
}

pub(super) fn findings(hits: Vec<Hit<'_>>) -> Vec<Finding> {
    let mut subjects: BTreeMap<(Ecosystem, String, String), Vec<Hit<'_>>> = BTreeMap::new();
    for hit in hits {
        subjects.entry((hit.ecosystem, hit.name.clone(), hit.version.clone())).or_default().push(hit);
    }
    subjects.into_values().flat_map(|hits| of_subject(&hits)).collect()
}

fn is_cve(id: &str) -> bool {
    id.starts_with("CVE-")
}

/// Groups of advisories that share an identifier, directly or through others.
fn groups(advisories: &BTreeMap<&str, &Advisory>) -> Vec<BTreeSet<String>> {
    let mut groups: Vec<BTreeSet<String>> = Vec::new();
    for advisory in advisories.values() {
        let mut ids: BTreeSet<String> = advisory.aliases.iter().cloned().collect();
        ids.insert(advisory.id.clone());
        let (joined, mut apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| !group.is_disjoint(&ids));
        ids.extend(joined.into_iter().flatten());
        apart.push(ids);
        groups = apart;
    }
    groups
}

/// The identifiers under which a group's findings stand: its CVEs, else the least of its own.
fn keys(group: &BTreeSet<String>, advisories: &BTreeMap<&str, &Advisory>) -> BTreeSet<String> {
    let upstream = || group.iter().filter_map(|id| advisories.get(id.as_str())).flat_map(|advisory| advisory.upstream.iter());
    let cves: BTreeSet<String> = group.iter().chain(upstream()).filter(|id| is_cve(id)).cloned().collect();
    if cves.is_empty() { group.iter().take(1).cloned().collect() } else { cves }
}

/// All hits of one name and version.
fn of_subject(hits: &[Hit<'_>]) -> Vec<Finding> {
    let advisories: BTreeMap<&str, &Advisory> =
        hits.iter().filter_map(Hit::advisory).map(|advisory| (advisory.id.as_str(), advisory)).collect();
    let mut of_key: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for group in groups(&advisories) {
        for key in keys(&group, &advisories) {
            of_key.entry(key).or_default().extend(group.iter().cloned());
        }
    }
    of_key.into_iter().filter_map(|(key, ids)| of_key_and_ids(key, &ids, hits)).collect()
}

fn of_key_and_ids(key: String, ids: &BTreeSet<String>, hits: &[Hit<'_>]) -> Option<Finding> {
    let of_ids = |hit: &&Hit<'_>| hit.advisory().is_some_and(|advisory| ids.contains(&advisory.id));
    let hits: Vec<&Hit<'_>> = hits.iter().filter(of_ids).collect();
    let first = hits.first()?;
    let entries = || hits.iter().filter_map(|hit| hit.known.get(hit.at)).map(|prepared| &prepared.entry);
    let set = |texts: &mut dyn Iterator<Item = String>| texts.collect::<BTreeSet<String>>();
    let advisories = set(&mut entries().map(|entry| entry.advisory.id.clone()));
    // The aliases of an advisory about several vulnerabilities are not all this one's.
    let alias = |id: &&String| **id != key && !is_cve(id) && !advisories.contains(*id);
    let rating: Rating = entries().map(|entry| &entry.affected.rating).max_by_key(|rating| rating.rank()).cloned()?;
    let own = entries().filter(|entry| entry.advisory.id == key || entry.advisory.aliases.contains(&key));
    let summary = own.chain(entries()).map(|entry| entry.advisory.summary.clone()).find(|summary| !summary.is_empty());
    let scheme = first.ecosystem.scheme();
    let mut fixed: Vec<String> = set(&mut hits.iter().flat_map(|hit| hit.fixed.iter().cloned())).into_iter().collect();
    fixed.sort_by(|left, right| scheme.compare(left, right).unwrap_or_else(|_| left.cmp(right)));
    let mut locations: Vec<_> = hits.iter().map(|hit| hit.package.location.clone()).collect();
    locations.sort();
    locations.dedup();
    Some(Finding {
        aliases: ids.iter().filter(alias).cloned().collect(),
        advisories: advisories.iter().filter(|id| **id != key).cloned().collect(),
        package: first.name.clone(),
        installed: first.version.clone(),
        purls: set(&mut hits.iter().map(|hit| hit.package.purl())).into_iter().collect(),
        fixed,
        rating,
        summary: summary.unwrap_or_default(),
        published: entries().filter_map(|entry| entry.advisory.published).min(),
        fix_available: entries().filter_map(|entry| entry.affected.fix_available).min(),
        locations,
        id: key,
    })
}
