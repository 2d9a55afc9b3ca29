//! Compares installed packages with advisories: a pure function of packages, release, advisories and the time.

use std::collections::{BTreeMap, BTreeSet};

use sealgate_verifier::Timestamp;

use super::finding::{self, MatchReport};
use super::merge::{self, Hit};
use super::view::Installed;
use super::{AdvisoryView, Ecosystem, Uncovered, support};
use crate::package::{Package, PackageType};
use crate::release::Release;

/// Compares `packages` with what `view` knows. The same arguments give the same report, in the same order.
///
/// Distribution packages are judged by the advisories about `release`, under the name and version of their source package; those of
/// RPM distributions under that of the binary package as well, since their feeds differ in which they name. A language's package that
/// the distribution brought (`owner`) is the distribution's to look after: its own version says nothing about backported fixes.
#[must_use]
pub fn match_packages(packages: &[Package], release: Option<&Release>, view: &dyn AdvisoryView, now: Timestamp) -> MatchReport {
    let mut judge = Judge { view, now, report: MatchReport::default(), hits: Vec::new(), feeds: BTreeSet::new() };
    let mut kinds: BTreeMap<PackageType, Vec<&Package>> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.kind.is_distribution() || package.owner.is_none()) {
        kinds.entry(package.kind).or_default().push(package);
    }
    for (kind, packages) in kinds {
        match Ecosystem::of_language(kind) {
            Some(ecosystem) => judge.compare(&packages, ecosystem, None),
            None => judge.distribution(kind, &packages, release),
        }
    }
    let Judge { mut report, hits, .. } = judge;
    report.findings = merge::findings(hits);
    finding::sort(&mut report.findings);
    report.uncovered.sort();
    report.uncovered.dedup();
    report
}

struct Judge<'a> {
    view: &'a dyn AdvisoryView,
    now: Timestamp,
    report: MatchReport,
    hits: Vec<Hit<'a>>,
    feeds: BTreeSet<Ecosystem>,
}

impl<'a> Judge<'a> {
    fn distribution(&mut self, kind: PackageType, packages: &[&'a Package], release: Option<&Release>) {
        let count = packages.len();
        let Some(release) = release else {
            self.report.uncovered.push(Uncovered::UnknownRelease { kind, count });
            return;
        };
        let (ecosystem, key) = match support::ecosystem_of(release) {
            Ok(found) => found,
            Err(gap) => {
                self.report.uncovered.push(gap);
                return;
            }
        };
        if ecosystem.distribution() != Some(kind) {
            self.report.uncovered.push(Uncovered::ForeignPackages { kind, ecosystem, count });
            return;
        }
        // What is known about an unsupported release still counts; that nothing else is known says nothing.
        if let Some(since) = support::ended(ecosystem, &key, self.now) {
            self.report.uncovered.push(Uncovered::EndOfLife { ecosystem, release: key.clone(), since: since.to_string() });
        }
        self.compare(packages, ecosystem, Some(&key));
    }

    /// Whether there is a feed; a missing one is a gap.
    fn feed(&mut self, ecosystem: Ecosystem, release: Option<&str>, count: usize) -> bool {
        let feed = match self.view.feed(ecosystem) {
            Ok(Some(feed)) => feed,
            Ok(None) => {
                self.report.uncovered.push(Uncovered::NoAdvisories { ecosystem, count });
                return false;
            }
            Err(problem) => {
                self.report.uncovered.push(Uncovered::UnreadableIndex { ecosystem, problem });
                return false;
            }
        };
        if let Some(release) = release.filter(|release| !release.is_empty() && !feed.releases.contains(*release)) {
            self.report.uncovered.push(Uncovered::ReleaseWithoutFeed { ecosystem, release: release.to_owned() });
        }
        if self.feeds.insert(ecosystem) {
            self.report.feeds.push(feed);
        }
        true
    }

    fn compare(&mut self, packages: &[&'a Package], ecosystem: Ecosystem, release: Option<&str>) {
        if !self.feed(ecosystem, release, packages.len()) {
            return;
        }
        for package in packages {
            for (name, version) in identities(package) {
                if let Err(gap) = self.look_up(package, ecosystem, release, &name, &version) {
                    self.report.uncovered.push(gap);
                }
            }
        }
    }

    fn look_up(
        &mut self,
        package: &'a Package,
        ecosystem: Ecosystem,
        release: Option<&str>,
        name: &str,
        version: &str,
    ) -> Result<(), Uncovered> {
        let name = ecosystem.key(name);
        let unreadable = |problem| Uncovered::UnreadableIndex { ecosystem, problem };
        let known = self.view.about(ecosystem, &name).map_err(unreadable)?;
        if known.is_empty() {
            return Ok(());
        }
        let installed = Installed::new(version, ecosystem);
        let mut gap = None;
        for (at, prepared) in known.iter().enumerate() {
            let affected = &prepared.entry.affected;
            if affected.release.as_deref().is_some_and(|of| release.is_some_and(|release| release != of)) {
                continue;
            }
            if let Some(problem) = &affected.problem {
                let advisory = prepared.entry.advisory.id.clone();
                self.report.uncovered.push(Uncovered::Advisory { package: name.clone(), advisory, problem: problem.clone() });
                continue;
            }
            match prepared.affects(&installed) {
                Ok(None) => {}
                Ok(Some(fixed)) => {
                    let (name, version, known) = (name.clone(), version.to_owned(), known.clone());
                    self.hits.push(Hit { package, ecosystem, name, version, known, at, fixed });
                }
                Err(error) => {
                    gap = Some(Uncovered::Version { package: name.clone(), version: version.to_owned(), problem: error.to_string() })
                }
            }
        }
        gap.map_or(Ok(()), Err)
    }
}

/// The names and versions under which advisories may know a package.
fn identities(package: &Package) -> BTreeSet<(String, String)> {
    let own = || (package.full_name(), own_version(package));
    let source = package.source.as_ref().map(|source| (source.name.clone(), source.version.clone()));
    match package.kind {
        PackageType::Deb | PackageType::Apk => [source.unwrap_or_else(own)].into(),
        PackageType::Rpm => source.into_iter().chain([own()]).collect(),
        PackageType::Npm | PackageType::Pypi | PackageType::Cargo | PackageType::Golang | PackageType::Maven => [own()].into(),
    }
}

/// An rpm's epoch is a qualifier of its package URL.
fn own_version(package: &Package) -> String {
    match package.qualifiers.get("epoch").filter(|_| package.kind == PackageType::Rpm) {
        Some(epoch) => format!("{epoch}:{}", package.version),
        None => package.version.clone(),
    }
}
