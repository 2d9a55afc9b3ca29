//! Makes decisions: what is already decided is looked up, everything else is collected, evaluated, recorded and only then served.

use std::sync::Arc;

use sealgate_verifier::classify::{Class, classify, may_be_evidence};
use sealgate_verifier::{
    Attachment, Collected, Denial, Digest, Evidence, EvidenceSource, Failure, Gap, ImageFacts, Manifest, ManifestReference, Mode,
    ParentEvidence, Policy, Reason, Repository, Requirement, Subject, Timestamp, Verdict, evaluate, limits,
};

use crate::gate::decided::{DecidedParts, Edition, Outcome};
use crate::gate::material::{RawManifest, Wait};
use crate::gate::overlay::Gathered;
use crate::gate::resolve::evidence_subject;
use crate::gate::{Admitted, Decided, Gate, GateError, PolicyLoad, ServedManifest};
use crate::metrics::{DecisionOutcome, ReasonKind};

/// What a manifest is decided as. An evidence manifest's subject is always judged as an image, so that no chain of evidence about
/// evidence can wait for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum As {
    /// Image or evidence, as its bytes say.
    Whatever,
    /// An image.
    Image,
}

/// Indexes of which each may vouch for one child.
const PARENTS: usize = 8;
/// Seconds for which a decision counts that reads no evidence: its rule allows or lists digests.
const WITHOUT_EVIDENCE: i64 = 3_600;
/// Seconds for which blobs of an admission that ended by time may still be read (DESIGN §7).
const LEASE: i64 = 1_800;

type Deciding = std::pin::Pin<Box<dyn Future<Output = Result<Arc<Decided>, GateError>> + Send>>;

/// [`evaluate()`], or [`sealgate_verifier::explain`], which decides the same and lists more.
pub(in crate::gate) type Decision = fn(&Evidence, &Policy, Timestamp) -> Verdict;

/// A verdict, and what it was made of.
pub(in crate::gate) struct Judgement {
    pub(in crate::gate) verdict: Verdict,
    /// The evidence sets that were read.
    pub(in crate::gate) read: Vec<Read>,
}

/// An evidence set that was read.
pub(in crate::gate) struct Read {
    /// Where it is kept.
    pub(in crate::gate) repository: Repository,
    /// What it is about.
    pub(in crate::gate) subject: Digest,
    /// The set.
    pub(in crate::gate) held: Arc<Gathered>,
}

impl Gate {
    /// The manifest that `reference` stands for, for GET and HEAD alike.
    ///
    /// # Errors
    /// The denial, or what stands in the way of a decision.
    pub async fn manifest(
        self: &Arc<Self>,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> Result<Admitted<ServedManifest>, GateError> {
        self.deny_unseen(repository)?;
        let digest = self.resolve(repository, reference).await?;
        if let ManifestReference::Tag(tag) = reference
            && let Some(subject) = evidence_subject(tag)
        {
            self.subjects.insert((repository.clone(), digest), subject, 1);
        }
        let decided = self.decide(repository, &digest).await?;
        decided.admitted_manifest().ok_or(GateError::Denied(decided))
    }

    /// Denials that need neither the upstream nor a record: no rule matches, or the rule says `deny`.
    pub(in crate::gate) fn deny_unseen(&self, repository: &Repository) -> Result<(), GateError> {
        let load = self.policy.load();
        let rule = load.policy.rule_for(repository);
        let (mode, reason) = match rule {
            None => (Mode::Enforce, Reason::NoRule),
            Some(rule) if rule.requirements.contains(&Requirement::Deny) => (rule.mode, Reason::DeniedByRule),
            Some(_) => return Ok(()),
        };
        if mode == Mode::Audit {
            return Ok(());
        }
        let rule = rule.map(|rule| rule.pattern.to_string());
        self.metrics.registry(repository.registry()).decision(DecisionOutcome::Deny, ReasonKind::from(&reason));
        // Denied before anything was resolved: the line of these reasons names no digest.
        let digest = Digest::sha256(b"");
        let repository = repository.clone();
        let denial = Denial { repository, digest, rule, mode, reasons: vec![reason], findings: Vec::new(), valid_until: None };
        Err(GateError::DeniedUnseen { line: denial.line(None).into() })
    }

    /// The current decision on `digest` in `repository`.
    pub(in crate::gate) async fn decide(self: &Arc<Self>, repository: &Repository, digest: &Digest) -> Result<Arc<Decided>, GateError> {
        let load = self.policy.load();
        if let Some(last) = self.decisions.get(&(repository.clone(), *digest))
            && last.is_current(self.edition(&load, repository), self.now())
        {
            return Ok(last);
        }
        drop(load);
        self.decide_as(repository, digest, As::Whatever).await
    }

    /// Boxed, since a decision on evidence waits for one on its subject.
    fn decide_as(self: &Arc<Self>, repository: &Repository, digest: &Digest, kind: As) -> Deciding {
        let (gate, repository, digest) = (Arc::clone(self), repository.clone(), *digest);
        Box::pin(async move { gate.decide_now(&repository, &digest, kind).await })
    }

    async fn decide_now(self: &Arc<Self>, repository: &Repository, digest: &Digest, kind: As) -> Result<Arc<Decided>, GateError> {
        let load = self.policy.load_full();
        // Before anything is read: what is pushed meanwhile makes the decision an old one.
        let edition = self.edition(&load, repository);
        let now = self.now();
        let key = (repository.clone(), *digest);
        let last = self.decisions.get(&key).filter(|last| last.edition == edition);
        if let Some(last) = &last
            && last.is_current(edition, now)
            && (kind == As::Whatever || !matches!(last.outcome, Outcome::Evidence { .. }))
        {
            return Ok(Arc::clone(last));
        }
        self.deny_unseen(repository)?;
        let gate = Arc::clone(self);
        let work = (key.clone(), last.clone());
        let flight = self.decision_flights.join((key, edition, kind), move || async move {
            let ((repository, digest), last) = work;
            gate.decide_anew(&repository, &digest, kind, (&load, edition), last).await
        });
        // An admission whose evidence still counts serves while a slow upstream is asked again (F10).
        let serves = last.filter(|last| match &last.outcome {
            Outcome::Admitted(admission) => Verdict::Admit(admission.clone()).valid_until().is_none_or(|until| now < until),
            Outcome::Evidence { .. } | Outcome::Audited(_) | Outcome::Leased { .. } | Outcome::Denied(_) => false,
        });
        match serves.zip(self.upstreams.of(repository)) {
            Some((last, upstream)) => upstream.answer_soon(flight).await.unwrap_or(Ok(last)),
            None => flight.await,
        }
    }

    async fn decide_anew(
        self: &Arc<Self>,
        repository: &Repository,
        digest: &Digest,
        kind: As,
        (load, edition): (&PolicyLoad, Edition),
        last: Option<Arc<Decided>>,
    ) -> Result<Arc<Decided>, GateError> {
        let started = std::time::Instant::now();
        let raw = self.raw_manifest(repository, digest).await?;
        if kind == As::Whatever
            && let Some(decided) = self.as_evidence(repository, &raw).await?
        {
            self.remember(&decided);
            return Ok(decided);
        }
        let judgement = self.judge(repository, &raw, load, evaluate).await?;
        let now = self.now();
        let outcome = outcome(judgement.verdict.clone(), last.as_deref(), now);
        self.count(repository, &outcome);
        self.metrics.decision_duration.observe(started.elapsed());
        let decided = self.record(repository, &raw, &judgement, outcome, (load, edition)).await?;
        self.remember(&decided);
        Ok(decided)
    }

    fn count(&self, repository: &Repository, outcome: &Outcome) {
        let (label, denial) = match outcome {
            Outcome::Admitted(_) | Outcome::Evidence { .. } => (DecisionOutcome::Admit, None),
            Outcome::Audited(denial) => (DecisionOutcome::AuditDeny, Some(denial)),
            Outcome::Leased { denial, .. } | Outcome::Denied(denial) => (DecisionOutcome::Deny, Some(denial)),
        };
        let reason = denial.and_then(|denial| denial.reasons.first()).map_or(ReasonKind::None, ReasonKind::from);
        self.metrics.registry(repository.registry()).decision(label, reason);
    }

    fn remember(&self, decided: &Arc<Decided>) {
        let key = (decided.repository.clone(), decided.digest);
        if decided.admitted_manifest().is_some() {
            // What it lists is asked for next, and others may list it too.
            for blob in decided.manifest.blobs() {
                self.grants.insert((decided.repository.clone(), blob.digest), decided.digest, 1);
            }
        }
        self.decisions.insert(key, Arc::clone(decided), decided.undecided_bytes().len() + decided.manifest.footprint() + 1_024);
    }

    /// Collects what the rule reads, and evaluates. A child is first judged by the indexes that list it, so that pulling a signed index
    /// does not ask the upstream about each child.
    pub(in crate::gate) async fn judge(
        self: &Arc<Self>,
        repository: &Repository,
        raw: &Arc<RawManifest>,
        load: &PolicyLoad,
        by: Decision,
    ) -> Result<Judgement, GateError> {
        let needs = load.policy.needs(repository);
        let mut read = Vec::new();
        let mut parents = Vec::new();
        if needs.parents {
            let listing = self.store.indexes_listing(repository, &raw.digest).map_err(GateError::store)?;
            for parent in self.likeliest(repository, listing, PARENTS)? {
                let Ok(index) = self.raw_manifest(repository, &parent).await else { continue };
                let attachments = if needs.attachments() {
                    self.gathered(repository, &parent, load, self.evidence_ttl(), Wait::Soon, &mut read).await?
                } else {
                    not_collected(self.now())
                };
                parents.push(ParentEvidence { digest: parent, manifest: index.bytes.clone(), attachments });
            }
        }
        let subject = Subject { repository: repository.clone(), tag: None, digest: raw.digest, manifest: raw.bytes.clone() };
        let image = ImageFacts::not_collected(self.now());
        let mut evidence = Evidence { subject, attachments: not_collected(self.now()), parents, image, children: Vec::new() };
        let mut verdict = by(&evidence, &load.policy, self.now());
        if !needs.attachments() || matches!(verdict, Verdict::Admit(_)) {
            return Ok(Judgement { verdict, read });
        }
        // A denial on evidence that is not quite new is worth one more look: somebody may have signed meanwhile.
        let parents = read.len();
        for (max_age, wait) in [(self.evidence_ttl(), Wait::Soon), (self.evidence_missing_ttl(), Wait::ForIt)] {
            read.truncate(parents);
            evidence.attachments = self.gathered(repository, &raw.digest, load, max_age, wait, &mut read).await?;
            verdict = by(&evidence, &load.policy, self.now());
            if matches!(verdict, Verdict::Admit(_)) {
                break;
            }
        }
        Ok(Judgement { verdict, read })
    }

    /// What is attached to `subject` in its own repository, and in those that the rule names beside it.
    async fn gathered(
        self: &Arc<Self>,
        repository: &Repository,
        subject: &Digest,
        load: &PolicyLoad,
        max_age: i64,
        wait: Wait,
        read: &mut Vec<Read>,
    ) -> Result<Collected<Attachment>, GateError> {
        let needs = load.policy.needs(repository);
        let others = load.policy.rule_for(repository).map(|rule| rule.signatures_from.as_slice()).unwrap_or_default();
        let mut all: Option<Collected<Attachment>> = None;
        for place in std::iter::once(repository).chain(others.iter().filter(|other| *other != repository)) {
            let set = if self.upstreams.knows(place.registry()) {
                let held = self.evidence(place, subject, needs, max_age, wait).await?;
                read.push(Read { repository: place.clone(), subject: *subject, held: Arc::clone(&held) });
                held.set.clone()
            } else {
                out_of_reach(place, self.now())
            };
            all = Some(match all {
                Some(all) => all.and(set),
                None => set,
            });
        }
        Ok(all.unwrap_or_else(|| not_collected(self.now())))
    }

    /// Evidence about an admitted subject is served as such (DESIGN §6); everything else is judged as an image.
    async fn as_evidence(self: &Arc<Self>, repository: &Repository, raw: &Arc<RawManifest>) -> Result<Option<Arc<Decided>>, GateError> {
        let named = raw.manifest.subject().map(|subject| subject.digest);
        let Some(subject) = named.or_else(|| self.subject_of(repository, &raw.digest)) else { return Ok(None) };
        let is_evidence = match self.is_evidence(repository, raw).await {
            // A part that is not there, or is no manifest: whatever it is, it is not evidence.
            Err(GateError::ManifestUnknown | GateError::BadManifest { .. }) => false,
            other => other?,
        };
        if subject == raw.digest || !is_evidence {
            return Ok(None);
        }
        let admitted = match self.decide_as(repository, &subject, As::Image).await {
            Ok(decided) => decided,
            Err(GateError::ManifestUnknown) => return Ok(None),
            Err(error) => return Err(error),
        };
        if admitted.admitted_manifest().is_none() {
            return Ok(None);
        }
        let now = self.now();
        let stored = self.store.store_manifest(repository, &raw.digest, raw.bytes.clone(), &raw.manifest, now).await;
        stored.map_err(GateError::store)?;
        let parts = DecidedParts {
            repository: repository.clone(),
            digest: raw.digest,
            manifest: raw.manifest.clone(),
            outcome: Outcome::Evidence { subject },
            edition: admitted.edition,
            valid_until: admitted.valid_until,
            id: admitted.id.clone(),
            line: String::new(),
            bytes: raw.bytes.clone(),
        };
        Ok(Some(Arc::new(Decided::new(parts))))
    }

    /// Classifies by bytes (DESIGN §5): an evidence manifest, or a listing of nothing but evidence manifests.
    pub(in crate::gate) async fn is_evidence(self: &Arc<Self>, repository: &Repository, raw: &Arc<RawManifest>) -> Result<bool, GateError> {
        let Manifest::Index(listing) = &raw.manifest else {
            return self.has_evidence_layers(repository, raw).await;
        };
        if listing.manifests.len() > limits::ATTACHMENTS {
            return Ok(false);
        }
        for child in &listing.manifests {
            let child = self.raw_manifest(repository, &child.digest).await?;
            if !self.has_evidence_layers(repository, &child).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn has_evidence_layers(&self, repository: &Repository, raw: &RawManifest) -> Result<bool, GateError> {
        if !may_be_evidence(&raw.manifest) {
            return Ok(false);
        }
        let empty_config = Digest::sha256(b"{}");
        let mut blobs = Vec::new();
        for descriptor in raw.manifest.blobs().filter(|descriptor| descriptor.digest != empty_config) {
            blobs.push(self.small_blob(repository, &descriptor.digest, limits::EVIDENCE_LAYER_BYTES).await?);
        }
        Ok(classify(&raw.manifest, &blobs) == Class::Evidence)
    }

    /// When the decision must be made anew: an admission when its evidence is due, anything else soon.
    pub(in crate::gate) fn valid_until(&self, judgement: &Judgement, now: Timestamp) -> Timestamp {
        let lifetime = match &judgement.verdict {
            Verdict::Admit(_) => self.evidence_ttl(),
            Verdict::Deny(_) => self.evidence_missing_ttl(),
        };
        let due = judgement.read.iter().map(|read| read.held.checked_at.plus(lifetime)).min().unwrap_or(now.plus(WITHOUT_EVIDENCE));
        judgement.verdict.valid_until().map_or(due, |until| until.min(due))
    }

    pub(in crate::gate) fn evidence_ttl(&self) -> i64 {
        seconds(self.config.evidence_ttl)
    }

    pub(in crate::gate) fn evidence_missing_ttl(&self) -> i64 {
        seconds(self.config.evidence_missing_ttl)
    }
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn not_collected(now: Timestamp) -> Collected<Attachment> {
    let of = |source| Collected::not_collected(source, now);
    of(EvidenceSource::Signatures).and(of(EvidenceSource::Attestations))
}

/// The closed world: a policy adds no registry.
fn out_of_reach(repository: &Repository, now: Timestamp) -> Collected<Attachment> {
    let detail = format!("its registry is not configured: {repository}");
    let gap = Gap { source: EvidenceSource::Signatures, place: "signatures-from".to_owned(), failure: Failure::Refused, detail };
    Collected { items: Vec::new(), gaps: vec![gap], collected_at: now, stale_at: Timestamp(i64::MAX) }
}

fn outcome(verdict: Verdict, last: Option<&Decided>, now: Timestamp) -> Outcome {
    let denial = match verdict {
        Verdict::Admit(admission) => return Outcome::Admitted(admission),
        Verdict::Deny(denial) => denial,
    };
    if denial.mode == Mode::Audit {
        return Outcome::Audited(denial);
    }
    let by_time = denial.reasons.iter().all(Reason::may_pass);
    let until = match last.map(|last| (&last.outcome, last.valid_until)) {
        Some((Outcome::Admitted(_), ended)) => Some(ended.plus(LEASE)),
        Some((Outcome::Leased { until, .. }, _)) => Some(*until),
        Some((Outcome::Evidence { .. } | Outcome::Audited(_) | Outcome::Denied(_), _)) | None => None,
    };
    match until.filter(|until| by_time && now < *until) {
        Some(until) => Outcome::Leased { denial, until },
        None => Outcome::Denied(denial),
    }
}
