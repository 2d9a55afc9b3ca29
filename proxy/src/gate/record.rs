//! Records decisions: transitions only, durable before they are acted on (DESIGN §10).

use std::sync::Arc;

use sealgate_verifier::{Denial, Repository, Timestamp, Verdict};

use crate::gate::decided::{DecidedParts, Edition, Outcome};
use crate::gate::judge::{Judgement, Read};
use crate::gate::material::RawManifest;
use crate::gate::{Decided, Gate, GateError, PolicyLoad};
use crate::store::{DecisionRecord, Outcome as RecordedOutcome};

impl Gate {
    /// Makes the decision durable before it is acted on. A denial is enforced whether or not it could be recorded.
    pub(in crate::gate) async fn record(
        self: &Arc<Self>,
        repository: &Repository,
        raw: &Arc<RawManifest>,
        judgement: &Judgement,
        outcome: Outcome,
        (load, edition): (&PolicyLoad, Edition),
    ) -> Result<Arc<Decided>, GateError> {
        let now = self.now();
        let valid_until = self.valid_until(judgement, now);
        let serves = match &outcome {
            Outcome::Admitted(_) | Outcome::Audited(_) => true,
            Outcome::Evidence { .. } | Outcome::Leased { .. } | Outcome::Denied(_) => false,
        };
        if serves {
            for Read { repository, subject, held } in &judgement.read {
                // What was pushed here is stored as such; what is deleted from there must not come back from a copy.
                if let Some(upstream) = &held.upstream {
                    self.store_evidence(repository, subject, &upstream.set, now).await?;
                }
            }
            let stored = self.store.store_manifest(repository, &raw.digest, raw.bytes.clone(), &raw.manifest, now).await;
            stored.map_err(GateError::store)?;
        }
        let last = self.store.verdict(repository, &raw.digest).map_err(GateError::store)?;
        let mut record = decision_record(repository, raw, &judgement.verdict, &outcome, load, now, valid_until);
        let id = match last.filter(|last| is_same(last, &record)) {
            Some(last) => last.id,
            None => {
                record.line = self.line(&outcome, &record.id);
                self.put_on_record(record, serves).await?
            }
        };
        let parts = DecidedParts {
            repository: repository.clone(),
            digest: raw.digest,
            manifest: raw.manifest.clone(),
            line: self.line(&outcome, &id),
            outcome,
            edition,
            valid_until,
            id,
            bytes: raw.bytes.clone(),
        };
        Ok(Arc::new(Decided::new(parts)))
    }

    /// Records a decision; says under which identifier it is found. A denial counts without a record.
    async fn put_on_record(&self, record: DecisionRecord, serves: bool) -> Result<String, GateError> {
        let id = record.id.clone();
        if serves {
            self.store.record_verdict(record).await.map_err(GateError::store)?;
            return Ok(id);
        }
        if self.allowance.take() {
            match self.store.record_verdict(record.clone()).await {
                Ok(()) => return Ok(id),
                Err(error) => tracing::error!(%error, "a denial could not be recorded; it is enforced all the same"),
            }
        }
        self.unrecorded.insert(id.clone(), record, 1);
        Ok(id)
    }

    fn line(&self, outcome: &Outcome, id: &str) -> String {
        match outcome {
            Outcome::Admitted(_) | Outcome::Evidence { .. } => String::new(),
            Outcome::Audited(denial) | Outcome::Denied(denial) | Outcome::Leased { denial, .. } => self.denial_line(denial, Some(id)),
        }
    }

    /// The line of a denial, with a link where the decision is on record and the gate knows its own address.
    pub(in crate::gate) fn denial_line(&self, denial: &Denial, id: Option<&str>) -> String {
        let link = self.config.public_url.as_ref().zip(id).map(|(url, id)| format!("{url}/decisions/{id}"));
        denial.line(link.as_deref())
    }
}

fn decision_record(
    repository: &Repository,
    raw: &RawManifest,
    verdict: &Verdict,
    outcome: &Outcome,
    load: &PolicyLoad,
    now: Timestamp,
    valid_until: Timestamp,
) -> DecisionRecord {
    let (rule, reasons) = match verdict {
        Verdict::Admit(admission) => (Some(admission.rule().to_owned()), serde_json::to_value(admission.satisfied())),
        Verdict::Deny(denial) => (denial.rule.clone(), serde_json::to_value(&denial.reasons)),
    };
    DecisionRecord {
        id: ulid::Ulid::generate().to_string(),
        repository: repository.clone(),
        digest: raw.digest,
        tag: None,
        outcome: match outcome {
            Outcome::Admitted(_) | Outcome::Evidence { .. } => RecordedOutcome::Admitted,
            Outcome::Audited(_) => RecordedOutcome::Audited,
            Outcome::Leased { .. } | Outcome::Denied(_) => RecordedOutcome::Denied,
        },
        rule,
        line: String::new(),
        reasons: reasons.unwrap_or_default(),
        findings: serde_json::to_value(verdict.findings()).unwrap_or_default(),
        revision: load.policy.revision(),
        decided_at: now,
        valid_until: Some(valid_until),
    }
}

/// Only transitions are recorded (DESIGN §10).
fn is_same(last: &DecisionRecord, new: &DecisionRecord) -> bool {
    last.outcome == new.outcome && last.rule == new.rule && last.revision == new.revision && last.reasons == new.reasons
}
