//! The decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::claim::Says;
use crate::digest::Digest;
use crate::evidence::{Evidence, EvidenceSource, Failure, Gap, Subject};
use crate::judge::Judge;
use crate::limits;
use crate::manifest::Manifest;
use crate::message::problem;
use crate::policy::{Mode, Policy, Requirement, Rule, SignedBy};
use crate::principal::Principal;
use crate::quorum::maximum_matching;
use crate::search::Budget;
use crate::signature::Vouched;
use crate::time::Timestamp;
use crate::verdict::{Admission, Denial, Finding, Reason, Satisfied, Verdict};

mod attested;
mod denial;
mod view;

pub(crate) use attested::age;
use view::View;

/// Decides whether `policy` admits the subject of `evidence` at `now`. Pure and total.
///
/// 1. The subject's bytes hash to its digest and are a manifest with one meaning; an image has no layer with `urls`. Else
///    [`Reason::BadManifest`], enforced even where the rule only audits: integrity is never relaxed.
/// 2. The rule with the longest prefix decides; without one, [`Reason::NoRule`].
/// 3. Every requirement must hold by what belongs to the subject itself.
/// 4. Otherwise by what belongs to it or to one index that lists it (its digest and its size, in bytes that hash to the index's
///    digest). An index meets a `signed-by` wholly or not at all: signatures of index and child never add up, indexes above
///    the index are not followed, and two indexes do not help each other.
/// 5. A `signed-by` counts distinct principals by maximum matching, among signatures that a named signer made, with a key
///    before its `until`, for a repository in which the signer counts, with a name that `signed-as` allows where the rule sets it.
/// 6. An `attested` counts likewise, among attestations of its type. Of one signer's attestations of the type only the newest
///    count, and they must be what the requirement says. (What a place hides cannot be told from what was never put there: a gap
///    takes nothing from an attestation that was found.)
/// 7. An `any-of` holds when all of one of its lists hold.
/// 8. What does not hold is denied: with [`Reason::EvidenceMissing`] when anything could not be seen (gaps, stale or oversized
///    collections), else with what was found in its place.
#[must_use]
pub fn evaluate(evidence: &Evidence, policy: &Policy, now: Timestamp) -> Verdict {
    decide(evidence, policy, now, false)
}

/// The same decision, for whoever wants to know everything: an admission too lists each signature that was found, of the subject and of the
/// indexes that list it, with the first step that failed. ([`evaluate()`] looks no further than it must.)
#[must_use]
pub fn explain(evidence: &Evidence, policy: &Policy, now: Timestamp) -> Verdict {
    decide(evidence, policy, now, true)
}

fn decide(evidence: &Evidence, policy: &Policy, now: Timestamp, explain: bool) -> Verdict {
    let subject = &evidence.subject;
    let rule = policy.rule_for(&subject.repository);
    let deny = |mode, reason| {
        Verdict::Deny(Denial {
            repository: subject.repository.clone(),
            digest: subject.digest,
            rule: rule.map(|rule| rule.pattern.to_string()),
            mode,
            reasons: vec![reason],
            findings: Vec::new(),
            valid_until: None,
        })
    };
    // 1.
    if let Err(problem) = check_subject(subject) {
        return deny(Mode::Enforce, Reason::BadManifest { problem });
    }
    // 2.
    let Some(rule) = rule else {
        return deny(Mode::Enforce, Reason::NoRule);
    };
    Case { explain, ..Case::new(evidence, policy, rule, now) }.decide()
}

fn check_subject(subject: &Subject) -> Result<(), String> {
    if subject.manifest.len() > limits::MANIFEST_BYTES {
        return Err(format!("{} bytes, over the limit of {}", subject.manifest.len(), limits::MANIFEST_BYTES));
    }
    if !subject.digest.matches(&subject.manifest) {
        return Err(format!("its bytes are not those of {}", subject.digest));
    }
    let manifest = Manifest::parse(&subject.manifest, None).map_err(|error| problem(&error))?;
    // DESIGN §5: foreign layers are fetched from elsewhere (CVE-2020-15157), so nobody has seen what they are.
    match manifest.blobs().find(|blob| !blob.urls.is_empty()) {
        Some(blob) => Err(format!("blob {} has `urls`: expected content of the registry itself", blob.digest)),
        None => Ok(()),
    }
}

/// How a requirement was met.
struct Met {
    /// Index into the views.
    view: usize,
    satisfied: Satisfied,
    valid_until: Option<Timestamp>,
}

/// One decision under way.
struct Case<'a> {
    evidence: &'a Evidence,
    policy: &'a Policy,
    rule: &'a Rule,
    now: Timestamp,
    judge: Judge<'a>,
    budget: Budget,
    views: Vec<View<'a>>,
    /// Indexes that could not be read.
    gaps: BTreeSet<Gap>,
    /// Whether an admission lists every signature.
    explain: bool,
}

impl<'a> Case<'a> {
    fn new(evidence: &'a Evidence, policy: &'a Policy, rule: &'a Rule, now: Timestamp) -> Self {
        let subject = &evidence.subject;
        let vouched = Vouched { digest: subject.digest, manifest: &subject.manifest };
        let own = View::new(vouched, vec![&evidence.attachments]);
        let judge = Judge::new(policy, rule, &subject.repository, now);
        Self { evidence, policy, rule, now, judge, budget: Budget::default(), views: vec![own], gaps: BTreeSet::new(), explain: false }
    }

    fn decide(mut self) -> Verdict {
        // 3.
        if let Some(met) = self.all_met(&self.rule.requirements, 0) {
            return self.admit(met);
        }
        // 4.
        if self.policy.needs(&self.evidence.subject.repository).parents {
            self.add_parents();
        }
        for parent in 1..self.views.len() {
            if let Some(met) = self.all_met(&self.rule.requirements, parent) {
                return self.admit(met);
            }
        }
        // 8.
        self.deny()
    }

    /// The indexes that list the subject, in the order of their digests.
    fn add_parents(&mut self) {
        let subject = &self.evidence.subject;
        let mut groups: BTreeMap<Digest, Vec<_>> = BTreeMap::new();
        for parent in self.evidence.parents.iter().filter(|parent| parent.digest != subject.digest) {
            groups.entry(parent.digest).or_default().push(parent);
        }
        if groups.len() > limits::PARENTS {
            self.parent_gap(Failure::Oversized, format!("over {} indexes list the digest", limits::PARENTS));
        }
        for (digest, group) in groups.into_iter().take(limits::PARENTS) {
            let manifest =
                group.iter().map(|parent| &parent.manifest).find(|bytes| bytes.len() <= limits::MANIFEST_BYTES && digest.matches(bytes));
            let Some(manifest) = manifest else {
                self.parent_gap(Failure::Malformed, format!("the bytes of {digest} are not its own"));
                continue;
            };
            if lists(manifest, subject) {
                let collections = group.iter().map(|parent| &parent.attachments).collect();
                self.views.push(View::new(Vouched { digest, manifest }, collections));
            }
        }
    }

    fn parent_gap(&mut self, failure: Failure, detail: String) {
        self.gaps.insert(Gap { source: EvidenceSource::Signatures, place: "index above the digest".to_owned(), failure, detail });
    }

    /// Each requirement by the subject's own evidence, else by that of the view `other`.
    fn all_met(&mut self, requirements: &'a [Requirement], other: usize) -> Option<Vec<Met>> {
        let mut all = Vec::new();
        for requirement in requirements {
            all.extend(self.met(requirement, other)?);
        }
        Some(all)
    }

    fn met(&mut self, requirement: &'a Requirement, other: usize) -> Option<Vec<Met>> {
        match requirement {
            // 7.
            Requirement::AnyOf(branches) => branches.iter().find_map(|branch| self.all_met(branch, other)),
            Requirement::Allow | Requirement::Deny | Requirement::Digests(_) | Requirement::SignedBy(_) | Requirement::Attested(_) => {
                let met = self.met_by(requirement, 0).or_else(|| if other == 0 { None } else { self.met_by(requirement, other) });
                met.map(|met| vec![met])
            }
        }
    }

    fn met_by(&mut self, requirement: &Requirement, view: usize) -> Option<Met> {
        let by_nobody = |holds: bool| holds.then(|| (Vec::new(), None));
        let (by, valid_until) = match requirement {
            Requirement::Allow => by_nobody(view == 0)?,
            Requirement::Deny | Requirement::AnyOf(_) => None?,
            Requirement::Digests(digests) => by_nobody(digests.contains(&self.views.get(view)?.vouched.digest))?,
            Requirement::SignedBy(signed_by) => self.signed_by(signed_by, view)?,
            Requirement::Attested(attested) => self.attested(attested, view)?,
        };
        Some(Met { view, satisfied: Satisfied { requirement: requirement.to_string(), by }, valid_until })
    }

    /// 5.
    fn signed_by(&mut self, signed_by: &SignedBy, view: usize) -> Option<(Vec<String>, Option<Timestamp>)> {
        let seen = self.see(view, |says| matches!(says, Says::Approval { .. }))?;
        let mut standing = Standing::default();
        for signed in seen.approvals().filter(|signed| signed_by.names(signed.signer)) {
            standing.add(signed.signer, &signed.principal, signed.until);
        }
        standing.reaches(signed_by, seen.stale_at())
    }

    /// The signatures of a view that say what is `wanted`, looked for and judged once.
    fn see(&mut self, view: usize, wanted: impl Fn(&Says) -> bool) -> Option<&view::Seen<'a>> {
        let Self { views, judge, now, budget, .. } = self;
        Some(views.get_mut(view)?.see(judge, *now, budget, wanted))
    }

    fn admit(mut self, met: Vec<Met>) -> Verdict {
        let via = met.iter().map(|met| met.view).find(|view| *view != 0);
        if self.explain {
            self.see_all();
        }
        let findings = self.findings(self.explain);
        Verdict::Admit(Admission {
            rule: self.rule.pattern.to_string(),
            repository: self.evidence.subject.repository.clone(),
            digest: self.evidence.subject.digest,
            via: via.and_then(|view| self.views.get(view)).map(|view| view.vouched.digest),
            valid_until: met.iter().filter_map(|met| met.valid_until).min(),
            satisfied: met.into_iter().map(|met| met.satisfied).collect(),
            findings,
            revision: self.policy.revision(),
        })
    }

    /// Looks for every signature, also where nothing depends on it any more.
    fn see_all(&mut self) {
        let needs = self.policy.needs(&self.evidence.subject.repository);
        if needs.parents && self.views.len() == 1 {
            self.add_parents();
        }
        if needs.attachments() {
            for view in 0..self.views.len() {
                let _ = self.see(view, |_| true);
            }
        }
    }

    /// Every signature that was looked at, sorted, each once. With `explain`, some signers that the rule does not name are tried
    /// as well.
    fn findings(&mut self, explain: bool) -> Vec<Finding> {
        let Self { views, judge, .. } = self;
        views.iter_mut().flat_map(|view| view.findings(judge, explain)).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Which signers have somebody behind them, and for how long that holds.
#[derive(Default)]
struct Standing<'s> {
    principals: BTreeMap<&'s str, BTreeSet<&'s Principal>>,
    /// The latest end of what each principal did.
    ends: BTreeMap<&'s Principal, Option<Timestamp>>,
}

impl<'s> Standing<'s> {
    fn add(&mut self, signer: &'s str, principal: &'s Principal, until: Option<Timestamp>) {
        self.principals.entry(signer).or_default().insert(principal);
        let end = self.ends.entry(principal).or_insert(until);
        // None is no end at all.
        *end = end.zip(until).map(|(one, other)| one.max(other));
    }

    /// The signers that make up the quorum, and until when they do.
    fn reaches(&self, quorum: &SignedBy, stale_at: Timestamp) -> Option<(Vec<String>, Option<Timestamp>)> {
        let pairs = maximum_matching(&self.principals);
        if pairs.len() < quorum.needed() {
            return None;
        }
        let ends = pairs.iter().filter_map(|(_, principal)| self.ends.get(principal).copied().flatten());
        let valid_until = ends.chain([stale_at]).min();
        Some((pairs.into_iter().map(|(signer, _)| signer.to_owned()).collect(), valid_until))
    }
}

/// Whether `manifest` is an index that lists the subject by its digest and its size (A13).
fn lists(manifest: &[u8], subject: &Subject) -> bool {
    let size = subject.manifest.len() as u64;
    Manifest::parse(manifest, None).is_ok_and(|index| {
        index.children().iter().any(|child| child.digest == subject.digest && child.size == size && child.urls.is_empty())
    })
}
