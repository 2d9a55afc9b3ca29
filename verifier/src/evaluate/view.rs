//! What is seen of one digest: the subject, or an index above it.

use std::collections::BTreeSet;

use crate::claim::{Attestation, Claim, Says};
use crate::evidence::{Attachment, Collected, Gap};
use crate::judge::{Judge, Judgement, Signed};
use crate::search::{Budget, Search, search};
use crate::signature::Vouched;
use crate::time::Timestamp;
use crate::verdict::{Finding, FindingKind, FindingOutcome};

/// What may vouch for the subject: itself (always the first), or an index that lists it.
pub(super) struct View<'a> {
    pub(super) vouched: Vouched<'a>,
    collections: Vec<&'a Collected<Attachment>>,
    /// Filled when a requirement first asks for signatures.
    seen: Option<Seen<'a>>,
}

/// The signatures of one view, each with its judgement once somebody has asked for it: a keyless one takes some milliseconds.
pub(super) struct Seen<'a> {
    search: Search<'a>,
    judgements: Vec<Option<Judgement<'a>>>,
}

impl<'a> View<'a> {
    pub(super) const fn new(vouched: Vouched<'a>, collections: Vec<&'a Collected<Attachment>>) -> Self {
        Self { vouched, collections, seen: None }
    }

    pub(super) const fn seen(&self) -> Option<&Seen<'a>> {
        self.seen.as_ref()
    }

    /// The signatures, looked for once; those that say what is `wanted` are judged, each once.
    pub(super) fn see(&mut self, judge: &Judge<'a>, now: Timestamp, budget: &mut Budget, wanted: impl Fn(&Says) -> bool) -> &Seen<'a> {
        let Self { vouched, collections, seen } = self;
        let seen = seen.get_or_insert_with(|| {
            let search = search(*vouched, collections, now, budget);
            let judgements = search.candidates.iter().map(|candidate| match &candidate.claim {
                Ok(_) => None,
                Err(why) => Some(Judgement::Failed { why: why.clone(), by: None }),
            });
            let judgements = judgements.collect();
            Seen { search, judgements }
        });
        for (candidate, judgement) in seen.search.candidates.iter().zip(&mut seen.judgements) {
            if let (Ok(claim), None) = (&candidate.claim, &*judgement)
                && wanted(&claim.says)
            {
                *judgement = Some(judge.judge(claim, *vouched));
            }
        }
        seen
    }

    /// Everything that was looked at. With `explain`, everything that was found.
    pub(super) fn findings(&mut self, judge: &Judge<'a>, explain: bool) -> BTreeSet<Finding> {
        let mut findings = BTreeSet::new();
        let Self { vouched, seen, .. } = self;
        let Some(Seen { search, judgements }) = seen else { return findings };
        for (candidate, judgement) in search.candidates.iter().zip(judgements) {
            if let (Ok(claim), None) = (&candidate.claim, &*judgement)
                && explain
            {
                *judgement = Some(judge.judge(claim, *vouched));
            }
            if let (Some(Judgement::Unknown(unknown)), Ok(claim)) = (&mut *judgement, &candidate.claim) {
                *judgement = Some(judge.unknown(claim, *vouched, std::mem::take(unknown), explain));
            }
            let Some(outcome) = judgement.as_ref().map(outcome) else { continue };
            findings.extend(candidate.places.iter().map(|location| Finding {
                location: *location,
                attachment: candidate.attachment,
                layer: candidate.layer,
                subject: vouched.digest,
                form: candidate.form,
                kind: kind(&candidate.claim),
                outcome: outcome.clone(),
            }));
        }
        findings
    }
}

fn kind(claim: &Result<Claim<'_>, String>) -> FindingKind {
    match claim {
        Ok(claim) => match claim.predicate_type() {
            None => FindingKind::Signature,
            Some(predicate_type) => FindingKind::Attestation { predicate_type: predicate_type.to_owned() },
        },
        Err(_) => FindingKind::Unread,
    }
}

fn outcome(judgement: &Judgement<'_>) -> FindingOutcome {
    match judgement {
        Judgement::Signed(signed) => {
            let first = signed.first();
            match first {
                Some(Signed { principal, at, warnings, .. }) => FindingOutcome::Verified {
                    signers: signed.iter().map(|signed| signed.signer.to_owned()).collect(),
                    by: principal.clone(),
                    at: *at,
                    warnings: warnings.clone(),
                },
                None => FindingOutcome::Failed { why: String::new(), by: None },
            }
        }
        Judgement::Failed { why, by } => FindingOutcome::Failed { why: why.clone(), by: by.clone() },
        Judgement::Unknown(_) => FindingOutcome::Failed { why: String::new(), by: None },
    }
}

impl<'a> Seen<'a> {
    /// From this time on the result counts for nothing.
    pub(super) const fn stale_at(&self) -> Timestamp {
        self.search.stale_at
    }

    pub(super) const fn gaps(&self) -> &BTreeSet<Gap> {
        &self.search.gaps
    }

    /// Each approval with each signer whose it is.
    pub(super) fn approvals(&self) -> impl Iterator<Item = &Signed<'a>> {
        self.signed().filter_map(|(says, signed)| match says {
            Says::Approval { .. } => Some(signed),
            Says::Attestation(_) => None,
        })
    }

    /// Each attestation with each signer whose it is.
    pub(super) fn attestations(&self) -> impl Iterator<Item = (&Attestation, &Signed<'a>)> {
        self.signed().filter_map(|(says, signed)| match says {
            Says::Approval { .. } => None,
            Says::Attestation(attestation) => Some((attestation, signed)),
        })
    }

    fn signed(&self) -> impl Iterator<Item = (&Says, &Signed<'a>)> {
        self.search.candidates.iter().zip(&self.judgements).flat_map(|(candidate, judgement)| {
            let signed: &[Signed<'a>] = match judgement {
                Some(Judgement::Signed(signed)) => signed,
                Some(Judgement::Unknown(_) | Judgement::Failed { .. }) | None => &[],
            };
            let says = candidate.claim.as_ref().ok().map(|claim| &claim.says);
            says.into_iter().flat_map(move |says| signed.iter().map(move |signed| (says, signed)))
        })
    }
}
