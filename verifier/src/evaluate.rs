//! The decision.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::claim::Says;
use crate::digest::Digest;
use crate::evidence::{Evidence, EvidenceSource, Failure, Gap, Subject};
use crate::judge::Judge;
use crate::limits;
use crate::manifest::Manifest;
use crate::message::problem;
use crate::policy::{Mode, Policy, Requirement, Rule, ScanPolicy, SignedBy};
use crate::search::Budget;
use crate::signature::Vouched;
use crate::time::Timestamp;
use crate::verdict::{Admission, Denial, Finding, Reason, Satisfied, Verdict};

mod attested;
mod children;
mod contents;
mod denial;
mod exception;
mod first_seen;
mod scanned;
mod standing;
mod view;

pub(crate) use attested::age;
use scanned::Scan;
use standing::Standing;
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
/// 7. A platform's image is judged by what is inside as well: `scanned` by every source that its policy names, all fresh, the worst
///    finding winning, less what VEX statements and exceptions clear; `contents`; and `age`. Nothing of an index stands in for
///    these, but an exception for an index covers what it lists. Attestations that report a scan, or clear a finding, count where
///    they are about the subject itself.
/// 8. An index has no insides. Where the rule asks for any, each of its children for the policy's platforms must have an admission
///    of its own, under this policy and still valid; what no platform is named for counts as asked for.
/// 9. An `any-of` holds when all of one of its lists hold.
/// 10. A `signed-by` that nothing else meets is waived by an exception that says so.
/// 11. What does not hold is denied: with [`Reason::EvidenceMissing`] when anything could not be seen (gaps, stale or oversized
///     collections), else with what was found in its place.
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
    let manifest = match check_subject(subject) {
        Ok(manifest) => manifest,
        Err(problem) => return deny(Mode::Enforce, Reason::BadManifest { problem }),
    };
    // 2.
    let Some(rule) = rule else {
        return deny(Mode::Enforce, Reason::NoRule);
    };
    Case { explain, ..Case::new((evidence, manifest), policy, rule, now) }.decide()
}

fn check_subject(subject: &Subject) -> Result<Manifest, String> {
    if subject.manifest.len() > limits::MANIFEST_BYTES {
        return Err(format!("{} bytes, over the limit of {}", subject.manifest.len(), limits::MANIFEST_BYTES));
    }
    if !subject.digest.matches(&subject.manifest) {
        return Err(format!("its bytes are not those of {}", subject.digest));
    }
    let manifest = Manifest::parse(&subject.manifest, None).map_err(|error| problem(&error))?;
    // DESIGN §5: foreign layers are fetched from elsewhere (CVE-2020-15157), so nobody has seen what they are.
    if let Some(blob) = manifest.blobs().find(|blob| !blob.urls.is_empty()) {
        return Err(format!("blob {} has `urls`: expected content of the registry itself", blob.digest));
    }
    Ok(manifest)
}

/// How a requirement was met.
#[derive(Clone)]
struct Met {
    /// Index into the views.
    view: usize,
    satisfied: Satisfied,
    valid_until: Option<Timestamp>,
}

impl Met {
    const fn plain(view: usize, satisfied: Satisfied, valid_until: Option<Timestamp>) -> Self {
        Self { view, satisfied, valid_until }
    }
}

/// Whether an image without packages is expected by one of `requirements`, all of which must hold.
fn expects_no_packages(requirements: &[Requirement]) -> bool {
    requirements.iter().any(|requirement| matches!(requirement, Requirement::Contents(policy) if policy.no_packages))
}

/// One decision under way.
struct Case<'a> {
    evidence: &'a Evidence,
    /// The subject's, parsed.
    manifest: Manifest,
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
    /// What scan policies make of the subject, each once.
    scans: Vec<(&'a ScanPolicy, Rc<Scan<'a>>)>,
    /// Whether they then hold, by the view that may help with exceptions.
    scanned: Vec<(scanned::Key<'a>, Result<Met, Vec<Reason>>)>,
    /// Whether exceptions may waive signatures: once nothing else has helped.
    glass_is_broken: bool,
    /// Times at which a denial may end.
    ends: BTreeSet<Timestamp>,
}

impl<'a> Case<'a> {
    fn new((evidence, manifest): (&'a Evidence, Manifest), policy: &'a Policy, rule: &'a Rule, now: Timestamp) -> Self {
        let subject = &evidence.subject;
        let vouched = Vouched { digest: subject.digest, manifest: &subject.manifest };
        let own = View::new(vouched, vec![&evidence.attachments]);
        let judge = Judge::new(policy, rule, &subject.repository, now);
        Self {
            evidence,
            manifest,
            policy,
            rule,
            now,
            judge,
            budget: Budget::default(),
            views: vec![own],
            gaps: BTreeSet::new(),
            scans: Vec::new(),
            scanned: Vec::new(),
            glass_is_broken: false,
            ends: BTreeSet::new(),
            explain: false,
        }
    }

    fn decide(mut self) -> Verdict {
        // 8.
        let children = match self.children() {
            Ok(children) => children,
            Err(reasons) => {
                self.add_parents();
                return self.deny(reasons);
            }
        };
        // 3.
        if let Some(met) = self.rule_met(0) {
            return self.admit(met, children);
        }
        // 4.
        self.add_parents();
        // 10.
        for glass_is_broken in [false, true] {
            self.glass_is_broken = glass_is_broken;
            for view in usize::from(!glass_is_broken)..self.views.len() {
                if let Some(met) = self.rule_met(view) {
                    return self.admit(met, children);
                }
            }
        }
        // 11.
        self.deny(Vec::new())
    }

    fn rule_met(&mut self, other: usize) -> Option<Vec<Met>> {
        let requirements = &self.rule.requirements;
        self.all_met(requirements, (other, expects_no_packages(requirements)))
    }

    /// The indexes that list the subject, in the order of their digests.
    fn add_parents(&mut self) {
        if !self.policy.needs(&self.evidence.subject.repository).parents {
            return;
        }
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

    /// Each requirement by the subject's own evidence, else by that of the view `other`; and whether an image without packages is
    /// expected.
    fn all_met(&mut self, requirements: &'a [Requirement], (other, no_packages): (usize, bool)) -> Option<Vec<Met>> {
        let mut all = Vec::new();
        for requirement in requirements {
            all.extend(self.met(requirement, (other, no_packages))?);
        }
        Some(all)
    }

    fn met(&mut self, requirement: &'a Requirement, (other, no_packages): (usize, bool)) -> Option<Vec<Met>> {
        let met = match requirement {
            // 9.
            Requirement::AnyOf(branches) => {
                return branches.iter().find_map(|branch| self.all_met(branch, (other, no_packages || expects_no_packages(branch))));
            }
            Requirement::Allow | Requirement::Deny | Requirement::Digests(_) | Requirement::SignedBy(_) | Requirement::Attested(_) => {
                let met = self.met_by(requirement, 0).or_else(|| if other == 0 { None } else { self.met_by(requirement, other) });
                met.or_else(|| self.waived(requirement, other))
            }
            // 7.
            Requirement::Scanned(_) | Requirement::Contents(_) | Requirement::Age { .. } => {
                self.inside(requirement, (other, no_packages)).ok()
            }
        };
        met.map(|met| vec![met])
    }

    /// 7, 8: what is asked of a platform's image.
    fn inside(&mut self, requirement: &'a Requirement, (other, no_packages): (usize, bool)) -> Result<Met, Vec<Reason>> {
        if self.manifest.is_index() {
            return Ok(Met::plain(0, Satisfied::by(format!("{requirement} (each platform)"), Vec::new()), None));
        }
        match requirement {
            Requirement::Scanned(policy) => self.scanned(policy, (other, no_packages)),
            Requirement::Contents(policy) => self.contents(policy),
            Requirement::Age { min } => self.age(*min, other),
            Requirement::Allow
            | Requirement::Deny
            | Requirement::Digests(_)
            | Requirement::SignedBy(_)
            | Requirement::Attested(_)
            | Requirement::AnyOf(_) => Err(Vec::new()),
        }
    }

    fn met_by(&mut self, requirement: &Requirement, view: usize) -> Option<Met> {
        let by_nobody = |holds: bool| holds.then(|| (Vec::new(), None));
        let (by, valid_until) = match requirement {
            Requirement::Allow => by_nobody(view == 0)?,
            Requirement::Digests(digests) => by_nobody(digests.contains(&self.views.get(view)?.vouched.digest))?,
            Requirement::SignedBy(signed_by) => self.signed_by(signed_by, view)?,
            Requirement::Attested(attested) => self.attested(attested, view)?,
            Requirement::Deny | Requirement::AnyOf(_) | Requirement::Scanned(_) | Requirement::Contents(_) | Requirement::Age { .. } => {
                return None;
            }
        };
        Some(Met::plain(view, Satisfied::by(requirement.to_string(), by), valid_until))
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

    fn admit(mut self, met: Vec<Met>, children: Option<Timestamp>) -> Verdict {
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
            valid_until: met.iter().filter_map(|met| met.valid_until).chain(children).min(),
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

/// Whether `manifest` is an index that lists the subject by its digest and its size (A13).
fn lists(manifest: &[u8], subject: &Subject) -> bool {
    let size = subject.manifest.len() as u64;
    Manifest::parse(manifest, None).is_ok_and(|index| {
        index.children().iter().any(|child| child.digest == subject.digest && child.size == size && child.urls.is_empty())
    })
}
