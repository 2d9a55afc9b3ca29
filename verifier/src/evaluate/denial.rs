//! Why a case is lost.

use std::collections::BTreeSet;

use super::Case;
use crate::evidence::Gap;
use crate::message::summary;
use crate::policy::{Requirement, SignedBy};
use crate::verdict::{Denial, Finding, FindingOutcome, Reason, Verdict};

impl Case<'_> {
    pub(super) fn deny(mut self) -> Verdict {
        let rule = self.rule;
        let views = self.views.len();
        let unmet: Vec<&Requirement> = rule.requirements.iter().filter(|r| (0..views).all(|view| self.met(r, view).is_none())).collect();
        // Each requirement holds somewhere, but not all of them by one index: those that the subject itself does not meet.
        let unmet = if unmet.is_empty() { rule.requirements.iter().filter(|r| self.met(r, 0).is_none()).collect() } else { unmet };
        let findings = self.findings(true);
        let index_gaps: Vec<Gap> = self.gaps.iter().cloned().collect();
        let gaps = self.all_gaps();
        let mut reasons: Vec<Reason> = unmet.into_iter().map(|requirement| reason(requirement, &findings, &gaps, &index_gaps)).collect();
        // A gap may close by itself, so it is the least telling.
        reasons.sort_by_key(|reason| matches!(reason, Reason::EvidenceMissing { .. }));
        let stale_at = self.views.iter().filter_map(|view| view.seen.as_ref()).map(|seen| seen.search.stale_at).min();
        Verdict::Deny(Denial {
            repository: self.evidence.subject.repository.clone(),
            digest: self.evidence.subject.digest,
            rule: Some(rule.pattern.to_string()),
            mode: rule.mode,
            reasons,
            findings,
            valid_until: stale_at,
        })
    }

    fn all_gaps(&self) -> Vec<Gap> {
        let seen = self.views.iter().filter_map(|view| view.seen.as_ref()).flat_map(|seen| &seen.search.gaps);
        seen.chain(&self.gaps).cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn reason(requirement: &Requirement, findings: &[Finding], gaps: &[Gap], index_gaps: &[Gap]) -> Reason {
    let missing = |gaps: &[Gap]| Reason::EvidenceMissing { expected: requirement.to_string(), gaps: gaps.to_vec() };
    match requirement {
        // `allow` always holds, so only `deny` comes here; both name the rule as the reason.
        Requirement::Allow | Requirement::Deny => Reason::DeniedByRule,
        Requirement::Digests(digests) if index_gaps.is_empty() => Reason::DigestNotListed { listed: digests.len() },
        Requirement::Digests(_) => missing(index_gaps),
        Requirement::SignedBy(_) if !gaps.is_empty() => missing(gaps),
        Requirement::SignedBy(_) if findings.is_empty() => Reason::Unsigned { expected: requirement.to_string() },
        Requirement::SignedBy(signed_by) => not_satisfied(signed_by, requirement.to_string(), findings),
    }
}

fn not_satisfied(signed_by: &SignedBy, expected: String, findings: &[Finding]) -> Reason {
    let mut by = BTreeSet::new();
    let mut rest = Vec::new();
    for finding in findings {
        match &finding.outcome {
            FindingOutcome::Verified { signer, .. } if signed_by.signers.contains(signer) => {
                by.insert(signer.clone());
            }
            FindingOutcome::Verified { .. } | FindingOutcome::Failed { .. } => rest.push(finding),
        }
    }
    Reason::SignaturesDoNotSatisfy { expected, by: by.into_iter().collect(), found: summary(&rest) }
}
