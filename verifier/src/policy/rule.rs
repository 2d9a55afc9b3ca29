//! One rule, and what makes it inconsistent.

use std::collections::{BTreeMap, BTreeSet};

use super::attestation::Attested;
use super::error::PolicyError;
use super::requirement::{Requirement, SignedBy};
use super::scan::{RequiredSource, ScanPolicy, Treatment};
use super::signer::{Signer, SignerName};
use super::{Mode, Quorum};
use crate::limits;
use crate::pattern::Pattern;
use crate::reference::Repository;
use crate::scan::Severity;

/// What a rule demands of the images that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The images. The pattern's text is the rule's name in messages.
    pub pattern: Pattern,
    /// Whether a denial is enforced.
    pub mode: Mode,
    /// The conditions, all of which must hold. Never empty. In a [`super::Policy`], those of the baseline stand behind the rule's own.
    pub requirements: Vec<Requirement>,
    /// Names that a signature may carry for these images. Empty: the name inside a signature is ignored, as cosign's
    /// specification says.
    pub signed_as: Vec<Pattern>,
    /// Repositories in which signatures and attestations are looked for as well, as Kong keeps them in `docker.io/kong/notary`.
    pub signatures_from: Vec<Repository>,
}

impl Rule {
    /// A rule of requirements only, in enforce mode.
    #[must_use]
    pub const fn of(pattern: Pattern, requirements: Vec<Requirement>) -> Self {
        Self { pattern, mode: Mode::Enforce, requirements, signed_as: Vec::new(), signatures_from: Vec::new() }
    }

    /// Each requirement, those inside of `any-of` too.
    pub fn all_requirements(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.iter().flat_map(Requirement::flattened)
    }

    /// Every signer that it names, in whatever place.
    #[must_use]
    pub fn signers(&self) -> BTreeSet<&SignerName> {
        self.all_requirements().flat_map(Requirement::signers).collect()
    }

    /// Whether it asks something of platforms' images, so that an index must show that its children pass.
    #[must_use]
    pub fn is_per_platform(&self) -> bool {
        self.all_requirements().any(Requirement::is_per_platform)
    }
}

/// What is wrong with requirements.
pub(super) struct Check<'a> {
    /// The rule's name, or `baseline`.
    pub(super) name: &'a str,
    pub(super) signers: &'a BTreeMap<SignerName, Signer>,
    pub(super) errors: &'a mut Vec<PolicyError>,
}

impl Check<'_> {
    fn problem(&mut self, problem: &str) {
        self.errors.push(PolicyError::Rule { pattern: self.name.to_owned(), problem: problem.to_owned() });
    }

    /// A rule's own.
    pub(super) fn rule(&mut self, requirements: &[Requirement]) {
        if requirements.is_empty() {
            self.problem("`require` is empty: write [allow] to admit without evidence, or [deny]");
        }
        let fixed = requirements.iter().filter(|r| matches!(r, Requirement::Allow | Requirement::Deny)).count();
        if fixed > 0 && requirements.len() > 1 {
            self.problem("`allow` and `deny` stand alone: remove them or the other requirements");
        }
        self.each(requirements, 0);
    }

    /// Those of the baseline, where `allow` says nothing and `deny` would deny everything.
    pub(super) fn baseline(&mut self, requirements: &[Requirement]) {
        if requirements.iter().any(|r| matches!(r, Requirement::Allow | Requirement::Deny)) {
            self.problem("`allow` and `deny` have no place in the baseline: remove them, or write a rule for **");
        }
        self.each(requirements, 0);
    }

    fn each(&mut self, requirements: &[Requirement], depth: usize) {
        for requirement in requirements {
            match requirement {
                Requirement::Allow | Requirement::Deny => {}
                Requirement::Digests(digests) => {
                    if digests.is_empty() {
                        self.problem("`digests` is empty: name at least one digest");
                    }
                }
                Requirement::SignedBy(signed_by) => self.quorum("signed-by", signed_by),
                Requirement::Attested(attested) => self.attested(attested),
                Requirement::Scanned(policy) => check_scan_policy(policy, self.signers, self.errors),
                Requirement::Contents(contents) => {
                    if contents.is_empty() {
                        self.problem("`contents` asks for nothing: name what an image must be, such as `user: non-root`");
                    }
                }
                Requirement::Age { min } => {
                    if *min <= 0 {
                        self.problem("`age` is no time at all: write a duration such as 3d");
                    }
                }
                Requirement::AnyOf(branches) => self.any_of(branches, depth),
            }
        }
    }

    fn any_of(&mut self, branches: &[Vec<Requirement>], depth: usize) {
        if branches.is_empty() || branches.iter().any(Vec::is_empty) {
            self.problem("`any-of` is empty or holds an empty list: write lists of requirements, one of which must hold whole");
        }
        if branches.iter().flatten().any(|r| matches!(r, Requirement::Allow | Requirement::Deny)) {
            self.problem("`allow` and `deny` have no place in `any-of`: remove them, or make them the rule's only requirement");
        }
        if depth >= limits::ANY_OF_DEPTH {
            self.problem("`any-of` is nested too deeply: write the alternatives out side by side");
            return;
        }
        for branch in branches {
            self.each(branch, depth + 1);
        }
    }

    fn attested(&mut self, attested: &Attested) {
        self.quorum("attested", &attested.by);
        let pointers: BTreeSet<_> = attested.conditions.iter().map(|condition| &condition.pointer).collect();
        if pointers.len() != attested.conditions.len() {
            self.problem("`where` names one place twice: keep one of the two");
        }
        if attested.max_age.is_some_and(|age| age <= 0) {
            self.problem("`max-age` is no time at all: write a duration such as 30d");
        }
    }

    fn quorum(&mut self, word: &str, quorum: &SignedBy) {
        if quorum.signers.is_empty() {
            self.problem(&format!("`{word}` names no signer: name at least one"));
        }
        if let Quorum::Threshold(threshold) = quorum.quorum
            && !(1..=quorum.signers.len()).contains(&threshold)
        {
            self.problem("`threshold` must be at least 1 and at most the number of signers in `of`");
        }
        if quorum.signers.iter().collect::<BTreeSet<_>>().len() != quorum.signers.len() {
            self.problem(&format!("`{word}` names a signer twice"));
        }
        for signer in quorum.signers.iter().filter(|name| !self.signers.contains_key(*name)) {
            self.errors.push(PolicyError::UnknownSigner { pattern: self.name.to_owned(), signer: signer.clone() });
        }
    }
}

/// What is wrong with a scan policy.
pub(super) fn check_scan_policy(policy: &ScanPolicy, signers: &BTreeMap<SignerName, Signer>, errors: &mut Vec<PolicyError>) {
    let mut found = Vec::new();
    if policy.sources.is_empty() {
        found.push("`sources` is empty: name at least one, such as built-in");
    }
    if policy.sources.iter().any(|source| matches!(source, RequiredSource::AttestedBy(signers) if signers.is_empty())) {
        found.push("`attested-by` names no signer: name at least one");
    }
    if policy.sources.iter().collect::<BTreeSet<_>>().len() != policy.sources.len() {
        found.push("`sources` names one source twice: keep one of the two");
    }
    if policy.max_age <= 0 {
        found.push("`max-age` is no time at all: write a duration such as 24h");
    }
    let graces = Severity::ALL.map(|severity| policy.severities.of(severity));
    if graces.iter().any(|treatment| matches!(treatment, Treatment::Grace { seconds, .. } if *seconds <= 0)) {
        found.push("a `grace` is no time at all: write a duration such as 7d, or deny");
    }
    let problems = found.into_iter().map(|problem| PolicyError::ScanPolicy { name: policy.name.clone(), problem: problem.to_owned() });
    let unknown = policy.signers().filter(|name| !signers.contains_key(*name));
    let unknown = unknown.map(|signer| PolicyError::UnknownScanSigner { name: policy.name.clone(), signer: signer.clone() });
    let all: Vec<PolicyError> = problems.chain(unknown).filter(|error| !errors.contains(error)).collect();
    errors.extend(all);
}
