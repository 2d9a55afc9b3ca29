//! Scan reports that signers attested.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::source::{freshness, gap};
use super::{Case, Scan};
use crate::claim::Says;
use crate::evaluate::denial::in_its_place;
use crate::evidence::{EvidenceSource, Failure};
use crate::message::few;
use crate::policy::{RequiredSource, ScanPolicy, SignerName};
use crate::predicate;
use crate::scan::ScanReport;
use crate::scan::attestation::{is_scan, report};
use crate::time::Timestamp;
use crate::verdict::{FindingKind, FindingOutcome, Reason};

/// Of one signer and type: the newest attestations, all of one time, each with the end of its signer's key.
struct Newest {
    time: Option<Timestamp>,
    each: Vec<(Result<ScanReport, String>, Option<Timestamp>)>,
}

fn expected(policy: &ScanPolicy, signers: &[SignerName]) -> String {
    format!("scanned {}: a scan attested by {}", policy.name, signers.join(" or "))
}

impl Case<'_> {
    /// One source: at least one of the signers has attested a scan that is fresh. What any of them found last counts, fresh or not: bad
    /// news does not grow old.
    pub(super) fn read_attested(&mut self, policy: &ScanPolicy, signers: &[SignerName], scan: &mut Scan<'_>) {
        let now = self.now;
        let expected = expected(policy, signers);
        let Some(seen) = self.see(0, |says| matches!(says, Says::Attestation(attestation) if is_scan(&attestation.predicate_type))) else {
            return;
        };
        let stale_at = seen.stale_at();
        let mut newest: BTreeMap<(String, String), Newest> = BTreeMap::new();
        for (attestation, signed) in seen.attestations().filter(|(attestation, _)| is_scan(&attestation.predicate_type)) {
            if !signers.iter().any(|signer| signer == signed.signer) {
                continue;
            }
            let predicate = attestation.predicate.as_deref();
            let own = predicate.and_then(|predicate| predicate::date(&attestation.predicate_type, predicate));
            let time = signed.at.or(own);
            let key = (signed.signer.to_owned(), attestation.predicate_type.clone());
            let group = newest.entry(key).or_insert(Newest { time, each: Vec::new() });
            if time < group.time {
                continue;
            }
            if time > group.time {
                *group = Newest { time, each: Vec::new() };
            }
            // Its age is that of the older of its signature and its content.
            let scanned_at = [signed.at, own].into_iter().flatten().min();
            let read = match (predicate, scanned_at) {
                (None, _) => Err("no predicate".to_owned()),
                (Some(_), None) => Err("neither a log nor a timestamp nor the predicate says when it was made".to_owned()),
                (Some(predicate), Some(at)) => report(&attestation.predicate_type, predicate, signed.signer, at),
            };
            group.each.push((read, signed.until));
        }
        if newest.is_empty() {
            // Who else did is looked up for a denial only.
            scan.attested.push(Reason::Unattested { expected, found: String::new() });
            return;
        }
        let mut fresh: Vec<Timestamp> = Vec::new();
        let mut late = Vec::new();
        for ((signer, _), newest) in newest {
            for (read, until) in newest.each {
                match read {
                    Err(why) => {
                        scan.gaps.insert(gap(&format!("scan attested by {signer}"), Failure::Malformed, why));
                    }
                    Ok(report) => {
                        match freshness(policy, &report, now) {
                            Ok(end) => fresh.push([Some(end), until].into_iter().flatten().min().unwrap_or(end)),
                            Err(gap) => late.push(format!("by {signer}, {}", gap.detail)),
                        }
                        scan.add(Cow::Owned(report));
                    }
                }
            }
            scan.by.insert(signer);
        }
        match fresh.into_iter().max() {
            Some(end) => scan.ends_by(end.min(stale_at)),
            None if late.is_empty() => {}
            None => scan.attested.push(Reason::AttestationOutOfTime { expected, found: few(late.into_iter()) }),
        }
    }

    /// What there is in place of a report that no signer of `policy` made.
    pub(in crate::evaluate) fn explained(&mut self, reason: Reason, policy: &ScanPolicy) -> Reason {
        let Reason::Unattested { expected: missed, .. } = &reason else { return reason };
        let source = policy.sources.iter().find_map(|source| match source {
            RequiredSource::AttestedBy(signers) => Some(signers).filter(|signers| expected(policy, signers) == *missed),
            RequiredSource::BuiltIn | RequiredSource::Scanner(_) => None,
        });
        match source {
            Some(signers) => self.no_scan(missed.clone(), signers),
            None => reason,
        }
    }

    fn no_scan(&mut self, expected: String, signers: &[SignerName]) -> Reason {
        let gaps = self.gaps_of(EvidenceSource::Attestations);
        if !gaps.is_empty() {
            return Reason::EvidenceMissing { expected, gaps };
        }
        let findings = self.findings(true);
        let is_report = |kind: &FindingKind| matches!(kind, FindingKind::Attestation { predicate_type } if is_scan(predicate_type));
        let reports: Vec<_> = findings.iter().filter(|finding| is_report(&finding.kind)).collect();
        if reports.is_empty() {
            return Reason::Unattested { expected, found: in_its_place(&findings) };
        }
        let by = reports.iter().filter_map(|finding| match &finding.outcome {
            FindingOutcome::Verified { signers: by, .. } => Some(by.iter().filter(|name| signers.contains(name)).cloned()),
            FindingOutcome::Failed { .. } => None,
        });
        Reason::AttestationsDoNotSatisfy { expected, by: by.flatten().collect(), found: crate::message::summary(&reports) }
    }
}
