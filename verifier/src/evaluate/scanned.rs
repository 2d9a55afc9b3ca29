//! What is known to be wrong with an image, and whether the policy bears it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::exception::{used, waive};
use super::{Case, Met};
use crate::claim::Says;
use crate::evidence::{EvidenceSource, Failure, Gap};
use crate::limits;
use crate::message::few;
use crate::policy::{ScanPolicy, SignerName};
use crate::scan::{Packages, ScanReport, Vulnerability};
use crate::time::Timestamp;
use crate::verdict::{FindingStanding, JudgedVulnerability, Reason, Satisfied, UsedException};
use crate::vex::{self, Image, Statements};

mod attested;
mod source;
mod standing;

use standing::{days_left, standing};

/// A scan policy, the view that may help with exceptions, and whether an image without packages is expected.
pub(super) type Key<'a> = (&'a ScanPolicy, usize, bool);

/// What one scan policy makes of the subject, exceptions aside.
pub(super) struct Scan<'a> {
    reports: Vec<Cow<'a, ScanReport>>,
    /// The worst first.
    findings: Vec<Ranked>,
    /// Sources that are missing, stale or incomplete.
    gaps: BTreeSet<Gap>,
    /// What is wrong with the attested ones.
    attested: Vec<Reason>,
    /// What no source speaks for.
    uncovered: BTreeSet<String>,
    /// Signers whose reports were read, or whose statements cleared something.
    by: BTreeSet<SignerName>,
    /// From this time on it must be judged anew.
    until: Timestamp,
}

/// One finding: whose report, which vulnerability, and what becomes of it.
struct Ranked {
    report: usize,
    vulnerability: usize,
    standing: FindingStanding,
}

impl<'a> Scan<'a> {
    const fn new() -> Self {
        Self {
            reports: Vec::new(),
            findings: Vec::new(),
            gaps: BTreeSet::new(),
            attested: Vec::new(),
            uncovered: BTreeSet::new(),
            by: BTreeSet::new(),
            until: Timestamp(i64::MAX),
        }
    }

    fn ends_by(&mut self, end: Timestamp) {
        self.until = self.until.min(end);
    }

    fn vulnerability(&self, ranked: &Ranked) -> Option<(&ScanReport, &Vulnerability)> {
        let report = self.reports.get(ranked.report)?;
        Some((report, report.vulnerabilities.get(ranked.vulnerability)?))
    }

    fn judged(&self, ranked: &Ranked, standing: FindingStanding, now: Timestamp) -> Option<JudgedVulnerability> {
        let (report, vulnerability) = self.vulnerability(ranked)?;
        let Vulnerability { id, package, installed, fixed, severity, severity_source, .. } = vulnerability.clone();
        let days_left = days_left(&standing, now);
        let source = report.source.clone();
        Some(JudgedVulnerability { id, package, installed, fixed, severity, severity_source, source, standing, days_left })
    }
}

impl<'a> Case<'a> {
    /// 7. Exceptions are those for the subject and for the index of the view `other`.
    pub(super) fn scanned(&mut self, policy: &'a ScanPolicy, (other, no_packages): (usize, bool)) -> Result<Met, Vec<Reason>> {
        // A view that no exception speaks of is no help.
        let digest = self.views.get(other).map(|view| view.vouched.digest);
        let exceptions = self.policy.exceptions_for(&self.evidence.subject.repository);
        let other = if exceptions.iter().any(|exception| exception.digest.is_some() && exception.digest == digest) { other } else { 0 };
        let key = (policy, other, no_packages);
        if let Some((_, result)) = self.scanned.iter().find(|(known, _)| *known == key) {
            return result.clone();
        }
        let result = self.scanned_anew(policy, other, no_packages);
        self.scanned.push((key, result.clone()));
        result
    }

    fn scanned_anew(&mut self, policy: &'a ScanPolicy, other: usize, no_packages: bool) -> Result<Met, Vec<Reason>> {
        let expected = format!("scanned {}", policy.name);
        let scan = self.scan(policy);
        let now = self.now;
        let exceptions = if scan.findings.iter().any(|found| found.standing.denies()) { self.exceptions(other) } else { Vec::new() };
        let mut until = scan.until;
        let mut listed = Vec::new();
        let mut denying = 0;
        let mut waived: BTreeMap<usize, UsedException> = BTreeMap::new();
        for ranked in &scan.findings {
            let waivers = scan.vulnerability(ranked).filter(|_| ranked.standing.denies()).and_then(|(_, found)| waive(found, &exceptions));
            let standing = match waivers {
                None => ranked.standing.clone(),
                Some(by) => {
                    for (exception, cves) in &by {
                        until = until.min(exception.expires);
                        let place = exceptions.iter().position(|one| std::ptr::eq(*one, *exception)).unwrap_or_default();
                        let all = waived.entry(place).or_insert_with(|| used(exception, Vec::new()));
                        all.waived.extend(cves.iter().filter(|cve| !all.waived.contains(cve)).cloned().collect::<Vec<_>>());
                    }
                    let first = by.iter().map(|(exception, _)| exception).min_by_key(|exception| exception.expires);
                    first.map_or(FindingStanding::Denied, |exception| FindingStanding::Waived {
                        owner: exception.owner.clone(),
                        reason: exception.reason.clone(),
                        expires: exception.expires,
                    })
                }
            };
            denying += usize::from(standing.denies());
            if listed.len() < limits::LISTED {
                listed.extend(scan.judged(ranked, standing, now));
            }
        }
        let reasons = scan.reasons(&expected, no_packages, (listed.clone(), denying));
        if !reasons.is_empty() {
            self.ends.insert(until);
            return Err(reasons);
        }
        let more_vulnerabilities = scan.findings.len() - listed.len();
        let exceptions = waived.into_values().collect();
        let by = scan.by.iter().cloned().collect();
        let satisfied =
            Satisfied { requirement: expected, by, vulnerabilities: listed, more_vulnerabilities, exceptions, notes: Vec::new() };
        Ok(Met::plain(0, satisfied, Some(until)))
    }

    /// What `policy` makes of the subject, found out once.
    fn scan(&mut self, policy: &'a ScanPolicy) -> Rc<Scan<'a>> {
        if let Some((_, scan)) = self.scans.iter().find(|(known, _)| *known == policy) {
            return Rc::clone(scan);
        }
        let mut scan = Scan::new();
        self.read_sources(policy, &mut scan);
        self.judge_findings(policy, &mut scan);
        let scan = Rc::new(scan);
        self.scans.push((policy, Rc::clone(&scan)));
        scan
    }

    /// Each vulnerability once, with the worst that any report makes of it.
    fn judge_findings(&mut self, policy: &'a ScanPolicy, scan: &mut Scan<'a>) {
        let now = self.now;
        let total: usize = scan.reports.iter().map(|report| report.vulnerabilities.len()).sum();
        if total > limits::JUDGED {
            let detail = format!("{total} vulnerabilities in all reports, over the limit of {}", limits::JUDGED);
            scan.gaps.insert(Gap {
                source: EvidenceSource::Scanner,
                place: "scan reports".to_owned(),
                failure: Failure::Oversized,
                detail,
            });
            scan.reports.clear();
        }
        let mut worst: BTreeMap<_, Ranked> = BTreeMap::new();
        let Scan { reports, .. } = &*scan;
        for (report, found) in reports.iter().enumerate() {
            for (vulnerability, found) in found.vulnerabilities.iter().enumerate() {
                let ranked = Ranked { report, vulnerability, standing: standing(policy, found, now) };
                let severity =
                    |ranked: &Ranked| reports.get(ranked.report).and_then(|r| Some(r.vulnerabilities.get(ranked.vulnerability)?.severity));
                let rank = |ranked: &Ranked| (!ranked.standing.denies(), severity(ranked), ranked.standing.clone());
                let key = (&found.id, &found.package, &found.installed, &found.aliases, &found.purls);
                match worst.get_mut(&key) {
                    Some(held) if rank(held) <= rank(&ranked) => {}
                    Some(held) => *held = ranked,
                    None => {
                        worst.insert(key, ranked);
                    }
                }
            }
        }
        scan.findings = worst.into_values().collect();
        self.clear(policy, scan);
        let order = |ranked: &Ranked| {
            let severity = scan.vulnerability(ranked).map(|(_, found)| found.severity);
            (!ranked.standing.denies(), severity, ranked.standing.clone())
        };
        let mut order: Vec<_> = scan.findings.iter().map(order).zip(0..).collect();
        order.sort();
        let mut findings: Vec<Option<Ranked>> = std::mem::take(&mut scan.findings).into_iter().map(Some).collect();
        scan.findings = order.into_iter().filter_map(|(_, index): (_, usize)| findings.get_mut(index)?.take()).collect();
        let ends = scan.findings.iter().filter_map(|found| match found.standing {
            FindingStanding::Grace { until } => until,
            FindingStanding::Denied
            | FindingStanding::Overdue { .. }
            | FindingStanding::Unfixed
            | FindingStanding::Waived { .. }
            | FindingStanding::NotAffected { .. }
            | FindingStanding::Tracked => None,
        });
        let end = ends.min();
        end.into_iter().for_each(|end| scan.ends_by(end));
    }

    /// What VEX statements by the policy's signers clear. They are looked for where something is to be cleared.
    fn clear(&mut self, policy: &ScanPolicy, scan: &mut Scan<'a>) {
        let harms = |ranked: &Ranked| ranked.standing.denies() || matches!(ranked.standing, FindingStanding::Grace { .. });
        if policy.vex.is_empty() || !scan.findings.iter().any(harms) {
            return;
        }
        let now = self.now;
        let subject = &self.evidence.subject;
        let image = Image { repository: &subject.repository, digest: subject.digest };
        let is_vex = |predicate_type: &str| vex::is_vex(predicate_type);
        let Some(seen) = self.see(0, |says| matches!(says, Says::Attestation(attestation) if is_vex(&attestation.predicate_type))) else {
            return;
        };
        let mut documents: Vec<(String, Option<Timestamp>, Vec<vex::Statement>)> = Vec::new();
        let mut unread = BTreeSet::new();
        let by_signers = seen
            .attestations()
            .filter(|(attestation, signed)| is_vex(&attestation.predicate_type) && policy.vex.iter().any(|signer| signer == signed.signer));
        for (attestation, signed) in by_signers {
            match attestation.predicate.as_deref().map_or_else(|| Err("no predicate".to_owned()), vex::parse) {
                Ok(statements) => documents.push((signed.signer.to_owned(), signed.until, statements)),
                Err(why) => {
                    unread.insert((signed.signer.to_owned(), why));
                }
            }
        }
        let stale_at = seen.stale_at();
        let total: usize = documents.iter().map(|(.., statements)| statements.len()).sum();
        // What could not be read may hold a warning: then its signer clears nothing.
        documents.retain(|(signer, ..)| total <= limits::VEX_STATEMENTS && !unread.iter().any(|(unread, _)| unread == signer));
        let statements = Statements::of(documents.iter().flat_map(|(signer, _, all)| all.iter().map(move |one| (signer.as_str(), one))));
        let mut cleared = BTreeSet::new();
        for index in 0..scan.findings.len() {
            let Some(ranked) = scan.findings.get(index).filter(|ranked| harms(ranked)) else { continue };
            let Some((signer, justification)) = scan.vulnerability(ranked).and_then(|(_, found)| statements.clear(found, image, now))
            else {
                continue;
            };
            cleared.insert(signer.to_owned());
            if let Some(ranked) = scan.findings.get_mut(index) {
                ranked.standing =
                    FindingStanding::NotAffected { signer: signer.to_owned(), justification: crate::message::quote(&justification) };
            }
        }
        if !cleared.is_empty() {
            scan.ends_by(stale_at);
            documents
                .iter()
                .filter(|(signer, ..)| cleared.contains(signer))
                .filter_map(|(_, until, _)| *until)
                .for_each(|until| scan.ends_by(until));
            scan.by.extend(cleared);
        }
    }
}

impl Scan<'_> {
    /// Why the requirement does not hold; empty when it does.
    fn reasons(&self, expected: &str, no_packages: bool, (listed, denying): (Vec<JudgedVulnerability>, usize)) -> Vec<Reason> {
        let expected = || expected.to_owned();
        let mut reasons = Vec::new();
        if denying > 0 {
            let harms = |found: &JudgedVulnerability| found.standing.denies() || matches!(found.standing, FindingStanding::Grace { .. });
            let vulnerabilities = listed.into_iter().filter(harms).collect();
            reasons.push(Reason::Vulnerable { expected: expected(), vulnerabilities, denying });
        }
        let mut uncovered: Vec<String> = self.uncovered.iter().cloned().collect();
        let none = |report: &Cow<'_, ScanReport>| report.packages == Packages::NoneRecognised;
        uncovered.extend(
            self.reports.iter().filter(|report| !no_packages && none(report)).map(|report| {
                format!("no list of packages in the image by the {}, and so nothing to compare with advisories", report.source)
            }),
        );
        if !uncovered.is_empty() {
            reasons.push(Reason::Uncovered { expected: expected(), found: few(uncovered.into_iter()) });
        }
        reasons.extend(self.attested.iter().cloned());
        if !self.gaps.is_empty() {
            reasons.push(Reason::EvidenceMissing { expected: expected(), gaps: self.gaps.iter().cloned().collect() });
        }
        reasons
    }
}
