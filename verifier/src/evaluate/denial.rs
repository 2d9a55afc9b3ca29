//! Why a case is lost.

use std::collections::BTreeSet;

use super::attested::Shortfall;
use super::view::Seen;
use super::{Case, expects_no_packages};
use crate::evidence::{EvidenceSource, Failure, Gap};
use crate::message::{few, quote, summary};
use crate::policy::{Attested, Requirement, RootState, SignedBy};
use crate::verdict::{Denial, Finding, FindingKind, FindingOutcome, Reason, Verdict};

impl<'a> Case<'a> {
    /// `children`: why an index's children do not pass, where that is so.
    pub(super) fn deny(mut self, children: Vec<Reason>) -> Verdict {
        let rule = self.rule;
        let views = self.views.len();
        let expected = expects_no_packages(&rule.requirements);
        let nowhere = |case: &mut Self, r| (0..views).all(|view| case.met(r, (view, expected)).is_none());
        let mut unmet: Vec<&'a Requirement> = rule.requirements.iter().filter(|r| nowhere(&mut self, r)).collect();
        if unmet.is_empty() && children.is_empty() {
            // Each requirement holds somewhere, but not all of them by one index: those that the subject itself does not meet.
            unmet = rule.requirements.iter().filter(|r| self.met(r, (0, expected)).is_none()).collect();
        }
        let findings = self.findings(true);
        let own: Vec<Reason> = unmet.into_iter().flat_map(|requirement| self.reasons(requirement, expected, &findings)).collect();
        let mut reasons: Vec<Reason> = own.into_iter().chain(children).collect();
        // A gap may close by itself, so it is the least telling.
        reasons.sort_by_key(Reason::may_pass);
        let stale_at = self.views.iter().filter_map(|view| view.seen()).map(Seen::stale_at);
        let valid_until = stale_at.chain(self.ends.iter().copied()).min();
        Verdict::Deny(Denial {
            repository: self.evidence.subject.repository.clone(),
            digest: self.evidence.subject.digest,
            rule: Some(rule.pattern.to_string()),
            mode: rule.mode,
            reasons,
            findings,
            valid_until,
        })
    }

    /// Why a requirement does not hold. Never empty.
    fn reasons(&mut self, requirement: &'a Requirement, no_packages: bool, findings: &[Finding]) -> Vec<Reason> {
        let expected = requirement.to_string();
        vec![match requirement {
            // `allow` always holds, so only `deny` comes here; both name the rule as the reason.
            Requirement::Allow | Requirement::Deny => Reason::DeniedByRule,
            Requirement::Digests(digests) if self.gaps.is_empty() => Reason::DigestNotListed { listed: digests.len() },
            Requirement::Digests(_) => Reason::EvidenceMissing { expected, gaps: self.gaps.iter().cloned().collect() },
            Requirement::SignedBy(signed_by) => {
                let says_so = |kind: &FindingKind| !matches!(kind, FindingKind::Attestation { .. });
                let unseen = self.gaps_of(EvidenceSource::Signatures);
                match with(unseen, self.unusable_roots(signed_by, findings, says_so)) {
                    gaps if gaps.is_empty() => unsigned(signed_by, expected, findings),
                    gaps => Reason::EvidenceMissing { expected, gaps },
                }
            }
            Requirement::Attested(attested) => {
                let says_so = |kind: &FindingKind| match kind {
                    FindingKind::Attestation { predicate_type } => attested.kind.matches(predicate_type),
                    FindingKind::Signature | FindingKind::Unread => false,
                };
                let unseen = self.gaps_of(EvidenceSource::Attestations);
                match with(unseen, self.unusable_roots(&attested.by, findings, says_so)) {
                    gaps if gaps.is_empty() => self.unattested(attested, expected, findings),
                    gaps => Reason::EvidenceMissing { expected, gaps },
                }
            }
            Requirement::Scanned(policy) => {
                let reasons = self.inside(requirement, (0, no_packages)).err().unwrap_or_default();
                return reasons.into_iter().map(|reason| self.explained(reason, policy)).collect();
            }
            Requirement::Contents(_) | Requirement::Age { .. } => {
                return self.inside(requirement, (0, no_packages)).err().unwrap_or_default();
            }
            Requirement::AnyOf(branches) => {
                let alternatives = branches.iter().map(|branch| self.first_reason(branch, no_packages, findings)).collect();
                Reason::NoAlternative { expected, alternatives }
            }
        }]
    }

    /// Of one alternative: the first requirement that nothing meets, else the first that the subject itself does not.
    fn first_reason(&mut self, branch: &'a [Requirement], no_packages: bool, findings: &[Finding]) -> Reason {
        let expected = no_packages || expects_no_packages(branch);
        let views = self.views.len();
        let nowhere = branch.iter().find(|r| (0..views).all(|view| self.met(r, (view, expected)).is_none()));
        let unmet = nowhere.or_else(|| branch.iter().find(|r| self.met(r, (0, expected)).is_none()));
        let mut reasons = unmet.map(|requirement| self.reasons(requirement, expected, findings)).unwrap_or_default();
        reasons.sort_by_key(Reason::may_pass);
        reasons.into_iter().next().unwrap_or(Reason::DeniedByRule)
    }

    /// What could not be seen of signatures, or of attestations. Both are looked for in the same places; what only nobody has looked
    /// for yet is told apart.
    pub(super) fn gaps_of(&self, source: EvidenceSource) -> Vec<Gap> {
        let seen = self.views.iter().filter_map(|view| view.seen()).flat_map(Seen::gaps);
        let gaps = seen.chain(&self.gaps).filter(|gap| gap.failure != Failure::NotCollected || gap.source == source);
        gaps.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Trust roots of the named signers under which nothing can be verified now, where something did fail that may be theirs.
    fn unusable_roots(&self, quorum: &SignedBy, findings: &[Finding], says_so: impl Fn(&FindingKind) -> bool) -> Vec<Gap> {
        let failed = |finding: &Finding| says_so(&finding.kind) && matches!(finding.outcome, FindingOutcome::Failed { .. });
        if !findings.iter().any(failed) {
            return Vec::new();
        }
        let roots: BTreeSet<&str> = quorum.signers.iter().filter_map(|name| self.policy.signer(name)?.identity.trust_root()).collect();
        let unusable = roots.into_iter().filter_map(|name| {
            let state = self.policy.trust_root(name, self.now);
            let failure = match state {
                RootState::Good { .. } => return None,
                RootState::Stale { .. } => Failure::Stale,
                RootState::Missing => Failure::Unavailable,
            };
            Some(Gap { source: EvidenceSource::TrustRoot, place: format!("trust root {name}"), failure, detail: state.problem()? })
        });
        unusable.collect()
    }

    fn unattested(&self, attested: &Attested, expected: String, findings: &[Finding]) -> Reason {
        let mut shortfalls = self.shortfalls(attested);
        shortfalls.sort_by(|(_, one), (_, other)| one.cmp(other));
        let telling = |shortfall: &Shortfall| match shortfall {
            Shortfall::Condition(why) | Shortfall::Time(why) => why.clone(),
        };
        let found = few(shortfalls.iter().map(|(signer, shortfall)| format!("by {signer}, {}", telling(shortfall))));
        match shortfalls.first() {
            Some((_, Shortfall::Condition(_))) => return Reason::AttestationSaysOtherwise { expected, found },
            Some((_, Shortfall::Time(_))) => return Reason::AttestationOutOfTime { expected, found },
            None => {}
        }
        let of_type = |finding: &&Finding| match &finding.kind {
            FindingKind::Attestation { predicate_type } => attested.kind.matches(predicate_type),
            FindingKind::Signature | FindingKind::Unread => false,
        };
        let of_type: Vec<&Finding> = findings.iter().filter(of_type).collect();
        if of_type.is_empty() {
            return Reason::Unattested { expected, found: in_its_place(findings) };
        }
        let (by, found) = split(&attested.by, of_type);
        Reason::AttestationsDoNotSatisfy { expected, by, found }
    }
}

fn with(mut gaps: Vec<Gap>, more: Vec<Gap>) -> Vec<Gap> {
    gaps.extend(more);
    gaps
}

/// What there is where an attestation of the type is missed.
pub(super) fn in_its_place(findings: &[Finding]) -> String {
    let types = predicate_types(findings);
    let unread: Vec<&Finding> = findings.iter().filter(|finding| finding.kind == FindingKind::Unread).collect();
    if !types.is_empty() {
        return few(types.into_iter().map(|kind| format!("an attestation of another type, {}", quote(&kind))));
    }
    if !unread.is_empty() {
        return summary(&unread);
    }
    if findings.is_empty() { String::new() } else { "a signature, which attests nothing".to_owned() }
}

fn predicate_types(findings: &[Finding]) -> BTreeSet<String> {
    let of = |finding: &Finding| match &finding.kind {
        FindingKind::Attestation { predicate_type } => Some(predicate_type.clone()),
        FindingKind::Signature | FindingKind::Unread => None,
    };
    findings.iter().filter_map(of).collect()
}

fn unsigned(signed_by: &SignedBy, expected: String, findings: &[Finding]) -> Reason {
    let approvals: Vec<&Finding> = findings.iter().filter(|f| !matches!(f.kind, FindingKind::Attestation { .. })).collect();
    if approvals.is_empty() {
        return Reason::Unsigned { expected, attested: predicate_types(findings).into_iter().collect() };
    }
    let (by, found) = split(signed_by, approvals);
    Reason::SignaturesDoNotSatisfy { expected, by, found }
}

/// The named signers among those who made `findings`, and everything else in one line.
fn split(quorum: &SignedBy, findings: Vec<&Finding>) -> (Vec<String>, String) {
    let mut by = BTreeSet::new();
    let mut rest = Vec::new();
    for finding in findings {
        match &finding.outcome {
            FindingOutcome::Verified { signers, .. } if signers.iter().any(|signer| quorum.names(signer)) => {
                by.extend(signers.iter().filter(|signer| quorum.names(signer)).cloned());
            }
            FindingOutcome::Verified { .. } | FindingOutcome::Failed { .. } => rest.push(finding),
        }
    }
    (by.into_iter().collect(), summary(&rest))
}
