//! Compares installed packages with advisories: a pure function of packages, release, advisories and the time.

use std::collections::{BTreeMap, BTreeSet};

use sealgate_verifier::Timestamp;

use super::finding::{self, MatchReport};
use super::merge::{self, Subject};
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
    let mut judge = Judge { view, now, report: MatchReport::default(), subjects: Vec::new(), feeds: BTreeSet::new() };
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
    let Judge { mut report, subjects, .. } = judge;
    report.findings = merge::findings(&subjects);
    finding::sort(&mut report.findings);
    report.uncovered.sort();
    report.uncovered.dedup();
    report
}

struct Judge<'a> {
    view: &'a dyn AdvisoryView,
    now: Timestamp,
    report: MatchReport,
    subjects: Vec<Subject<'a>>,
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
        // Binary packages of one source are one subject.
        let mut subjects: BTreeMap<(String, String), Vec<&'a Package>> = BTreeMap::new();
        for package in packages {
            for (name, version) in identities(package) {
                subjects.entry((ecosystem.key(&name), version)).or_default().push(package);
            }
        }
        for ((name, version), packages) in subjects {
            match self.view.about(ecosystem, &name) {
                Ok(known) if known.is_empty() => {}
                Ok(known) => {
                    let subject = Subject { packages, ecosystem, name, version, known, hits: Vec::new() };
                    self.judge(subject, release);
                }
                Err(problem) => self.report.uncovered.push(Uncovered::UnreadableIndex { ecosystem, problem }),
            }
        }
    }

    fn judge(&mut self, mut subject: Subject<'a>, release: Option<&str>) {
        let installed = Installed::new(&subject.version, subject.ecosystem);
        let (mut hits, mut gap) = (Vec::new(), None);
        for (at, prepared) in subject.known.iter().enumerate() {
            let affected = &prepared.entry.affected;
            if affected.release.as_deref().is_some_and(|of| release.is_some_and(|release| release != of)) {
                continue;
            }
            if let Some(problem) = &affected.problem {
                let (package, advisory) = (subject.name.clone(), prepared.entry.advisory.id.clone());
                self.report.uncovered.push(Uncovered::Advisory { package, advisory, problem: problem.clone() });
                continue;
            }
            match prepared.affects(&installed) {
                Ok(None) => {}
                Ok(Some(fixed)) => hits.push((at, fixed)),
                Err(error) => gap = Some(error.to_string()),
            }
        }
        if let Some(problem) = gap {
            self.report.uncovered.push(Uncovered::Version { package: subject.name.clone(), version: subject.version.clone(), problem });
        }
        subject.hits = hits;
        self.subjects.push(subject);
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
