//! The reports that a scan policy asks for.

use std::borrow::Cow;

use super::{Case, Scan};
use crate::evaluate::age;
use crate::evidence::{EvidenceSource, Failure, Gap};
use crate::limits;
use crate::policy::{RequiredSource, ScanPolicy};
use crate::scan::{ScanReport, ScanSource};
use crate::search::{LEEWAY, is_stale, stale};
use crate::time::Timestamp;

impl<'a> Case<'a> {
    /// Reads every source that `policy` names; what is missing, old or incomplete of it is a gap.
    pub(super) fn read_sources(&mut self, policy: &'a ScanPolicy, scan: &mut Scan<'a>) {
        if policy.reads_reports() {
            let collected = &self.evidence.image.scans;
            scan.gaps.extend(collected.gaps.iter().cloned());
            scan.ends_by(collected.stale_at);
            if is_stale(collected, self.now) {
                scan.gaps.insert(stale(collected, EvidenceSource::Scanner));
                scan.ends_by(self.now);
                return;
            }
            if collected.items.len() > limits::SCAN_REPORTS {
                let detail = format!("{} reports, over the limit of {}", collected.items.len(), limits::SCAN_REPORTS);
                scan.gaps.insert(gap("scan reports", Failure::Oversized, detail));
                return;
            }
        }
        for source in &policy.sources {
            match source {
                RequiredSource::BuiltIn => self.read_reports(policy, &ScanSource::BuiltIn, scan),
                RequiredSource::Scanner(name) => self.read_reports(policy, &ScanSource::Scanner { name: name.clone() }, scan),
                RequiredSource::AttestedBy(signers) => self.read_attested(policy, signers, scan),
            }
        }
    }

    /// The newest report of one source; of several with one time, all.
    fn read_reports(&self, policy: &ScanPolicy, source: &ScanSource, scan: &mut Scan<'a>) {
        let items: &'a [ScanReport] = &self.evidence.image.scans.items;
        let of_source = || items.iter().filter(|report| report.source == *source);
        let Some(newest) = of_source().map(|report| report.scanned_at).max() else {
            // Whoever looked and failed has said so.
            if self.evidence.image.scans.gaps.is_empty() {
                scan.gaps.insert(gap(&source.to_string(), Failure::NotCollected, String::new()));
            }
            return;
        };
        for report in of_source().filter(|report| report.scanned_at == newest) {
            match freshness(policy, report, self.now) {
                Ok(end) => scan.ends_by(end),
                Err(gap) => {
                    scan.gaps.insert(gap);
                }
            }
            scan.add(Cow::Borrowed(report));
        }
    }
}

impl<'a> Scan<'a> {
    /// Takes in a report, with what it does not know.
    pub(super) fn add(&mut self, report: Cow<'a, ScanReport>) {
        if let Some(limit) = report.over_limit() {
            self.gaps.insert(gap(&report.source.to_string(), Failure::Oversized, format!("over the limit of {limit}")));
            return;
        }
        self.gaps.extend(report.gaps.iter().cloned());
        self.uncovered.extend(report.uncovered.iter().map(|line| crate::message::quote(line)));
        self.reports.push(report);
    }
}

/// Until when a report is young enough: by the older of the scan and its advisories.
pub(super) fn freshness(policy: &ScanPolicy, report: &ScanReport, now: Timestamp) -> Result<Timestamp, Gap> {
    let stale = |detail: String| gap(&report.source.to_string(), Failure::Stale, detail);
    let advisories = report.advisories_at;
    if report.source == ScanSource::BuiltIn && advisories.is_none() {
        return Err(stale("it does not say how old its advisories are".to_owned()));
    }
    if let Some(future) = [Some(report.scanned_at), advisories].into_iter().flatten().find(|time| *time > now.plus(LEEWAY)) {
        return Err(stale(format!("dated {future}, which is in the future")));
    }
    let (older, what) = match advisories.filter(|advisories| *advisories < report.scanned_at) {
        Some(advisories) => (advisories, "its advisories are of"),
        None => (report.scanned_at, "it is of"),
    };
    let end = older.plus(policy.max_age);
    if now < end { Ok(end) } else { Err(stale(format!("{what} {older}, over {} old", age(policy.max_age)))) }
}

pub(super) fn gap(place: &str, failure: Failure, detail: String) -> Gap {
    Gap { source: EvidenceSource::Scanner, place: place.to_owned(), failure, detail }
}
