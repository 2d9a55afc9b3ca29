//! Explains a decision: judged now, with every finding, and nothing recorded or served.

use std::sync::Arc;

use sealgate_verifier::{Mode, Reference, Verdict};

use crate::gate::explanation::{Decision, Explained, Explanation, Resolution};
use crate::gate::{Gate, GateError, Target};

impl Gate {
    /// What the gate decides on `reference`, and why.
    ///
    /// # Errors
    /// What stands in the way of a decision; a denial is not an error here.
    pub async fn explain(self: &Arc<Self>, reference: &Reference) -> Result<Explanation, GateError> {
        let Target::Repository(repository) = self.target(reference.repository.as_str(), None) else {
            return Err(GateError::ManifestUnknown);
        };
        let reference = Reference { repository, ..reference.clone() };
        let repository = &reference.repository;
        let digest = self.resolve(repository, &reference.target()).await?;
        let raw = self.raw_manifest(repository, &digest).await?;
        let load = self.policy.load_full();
        let judgement = self.judge(repository, &raw, &load, sealgate_verifier::explain).await?;
        let recorded = self.store.verdict(repository, &digest).map_err(GateError::store)?.filter(|record| {
            record.revision == load.policy.revision()
                && match &judgement.verdict {
                    Verdict::Admit(_) => record.outcome == crate::store::Outcome::Admitted,
                    Verdict::Deny(denial) if denial.mode == Mode::Audit => record.outcome == crate::store::Outcome::Audited,
                    Verdict::Deny(_) => record.outcome == crate::store::Outcome::Denied,
                }
        });
        let line = match &judgement.verdict {
            Verdict::Admit(admission) => admission.line(),
            Verdict::Deny(denial) => self.denial_line(denial, recorded.as_ref().map(|record| record.id.as_str())),
        };
        let confirmed = match reference.target() {
            sealgate_verifier::ManifestReference::Tag(tag) => self.store.tag(repository, &tag).map_err(GateError::store)?,
            sealgate_verifier::ManifestReference::Digest(_) => None,
        };
        Ok(Explanation::from(Explained {
            reference: &reference,
            digest,
            resolution: confirmed.map(|record| Resolution { confirmed_at: record.confirmed_at, fresh_until: None }),
            verdict: &judgement.verdict,
            gaps: judgement.read.iter().flat_map(|read| read.held.set.unseen().cloned()).collect(),
            decision: Decision {
                id: recorded.as_ref().map(|record| record.id.clone()),
                at: recorded.map_or_else(|| self.now(), |record| record.decided_at),
                valid_until: judgement.verdict.valid_until(),
                policy: load.policy.revision().0,
            },
            line,
        }))
    }
}
