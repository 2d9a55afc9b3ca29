//! The trust policy as the decision reads it. Built by `sealgate-config` from a file; a [`Policy`] is always consistent:
//! its constructor refuses duplicates, unknown signers, empty lists and one key under two names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::key::KeyId;
use crate::reference::Repository;
use crate::scan::ScanSource;

mod attestation;
mod contents;
mod error;
mod exception;
mod needs;
mod platform;
mod requirement;
mod rule;
mod scan;
mod signer;
mod text;
mod trust_root;

pub use attestation::{AttestationType, Attested, Condition, Pointer};
pub use contents::{ContentsPolicy, IgnoredSecret};
pub use error::PolicyError;
pub use exception::{BREAK_GLASS_SECONDS, ENDS_SOON_SECONDS, Exception, ExceptionState, Waived};
pub use needs::Needs;
pub use platform::{PlatformName, PlatformNameError};
pub use requirement::{Quorum, Requirement, SignedBy};
pub use rule::Rule;
pub use scan::{GraceStart, RequiredSource, ScanPolicy, Severities, Treatment};
pub use signer::{
    Claim, GITHUB_ISSUER, GITHUB_ROOT, IdentityMismatch, KeylessIdentity, PUBLIC_ROOT, Signer, SignerIdentity, SignerName, TrustRootName,
    TrustedKey,
};
pub use text::{IdentityMatcher, Regexp, RegexpError, TextMatcher};
pub(crate) use trust_root::RootState;
pub use trust_root::{CurrentRoot, CurrentRoots, TrustRootSource, built_in_as_of};

/// Hash over the policy file and every file that it names. Part of each verdict's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub Digest);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a denial is enforced. Audit relaxes verdicts only, never integrity or limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// What is denied is not served.
    Enforce,
    /// What is denied is served with a `Warning` header and recorded as denied.
    Audit,
}

/// The parts of a policy, before [`Policy::new`] has checked them.
#[derive(Debug, Clone)]
pub struct PolicyParts {
    /// Hash over all files that the policy was read from.
    pub revision: Revision,
    /// Instances of Sigstore beside those that are built in, by name.
    pub trust_roots: BTreeMap<TrustRootName, TrustRootSource>,
    /// The signers by name.
    pub signers: BTreeMap<SignerName, Signer>,
    /// What is demanded of every image that some rule matches, beside what the rule demands.
    pub baseline: Vec<Requirement>,
    /// The rules, in any order. (A rule with several patterns in the file becomes several of these.)
    pub rules: Vec<Rule>,
    /// How scan status may be judged, by name. Those that a rule names stand there as well.
    pub scan_policies: BTreeMap<String, Arc<ScanPolicy>>,
    /// What is let pass for a while.
    pub exceptions: Vec<Exception>,
    /// The platforms whose images must pass before an index does. Never empty.
    pub platforms: Vec<PlatformName>,
}

impl PolicyParts {
    /// The parts of a policy that says nothing.
    #[must_use]
    pub fn empty(revision: Revision) -> Self {
        Self {
            revision,
            trust_roots: BTreeMap::new(),
            signers: BTreeMap::new(),
            baseline: Vec::new(),
            rules: Vec::new(),
            scan_policies: BTreeMap::new(),
            exceptions: Vec::new(),
            platforms: PlatformName::defaults(),
        }
    }
}

/// Name of the baseline where messages name a rule.
const BASELINE: &str = "baseline";

/// A checked trust policy.
#[derive(Debug, Clone)]
pub struct Policy {
    revision: Revision,
    trust_roots: BTreeMap<TrustRootName, TrustRootSource>,
    current_roots: Arc<CurrentRoots>,
    signers: BTreeMap<SignerName, Signer>,
    rules: Vec<Rule>,
    /// Literal prefix → indexes into `rules`, narrowest reach first.
    by_literal: HashMap<Box<str>, Vec<usize>>,
    scan_policies: BTreeMap<String, Arc<ScanPolicy>>,
    exceptions: HashMap<Repository, Vec<Exception>>,
    platforms: Vec<PlatformName>,
}

impl Policy {
    /// Checks the parts.
    ///
    /// # Errors
    /// Every problem that there is, not only the first.
    pub fn new(parts: PolicyParts) -> Result<Self, Vec<PolicyError>> {
        let PolicyParts { revision, trust_roots, signers, baseline, mut rules, scan_policies, exceptions, platforms } = parts;
        let mut errors = Vec::new();
        check_signers(&signers, &trust_roots, &mut errors);
        rule::Check { name: BASELINE, signers: &signers, errors: &mut errors }.baseline(&baseline);
        for policy in scan_policies.values() {
            rule::check_scan_policy(policy, &signers, &mut errors);
        }
        check_exceptions(&exceptions, &mut errors);
        if platforms.is_empty() {
            errors.push(PolicyError::NoPlatform);
        }
        let mut patterns = BTreeSet::new();
        for rule in &rules {
            rule::Check { name: &rule.pattern.to_string(), signers: &signers, errors: &mut errors }.rule(&rule.requirements);
            if !patterns.insert(rule.pattern.clone()) {
                errors.push(PolicyError::DuplicateRule { pattern: rule.pattern.to_string() });
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for rule in rules.iter_mut().filter(|rule| !rule.requirements.contains(&Requirement::Deny)) {
            let more: Vec<_> = baseline.iter().filter(|requirement| !rule.requirements.contains(requirement)).cloned().collect();
            rule.requirements.extend(more);
        }
        let mut by_literal: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            by_literal.entry(rule.pattern.literal().into()).or_default().push(index);
        }
        for indexes in by_literal.values_mut() {
            indexes.sort_by_key(|i| std::cmp::Reverse(rules[*i].pattern.precedence()));
        }
        let mut by_repository: HashMap<Repository, Vec<Exception>> = HashMap::new();
        for exception in exceptions {
            by_repository.entry(exception.repository.clone()).or_default().push(exception);
        }
        Ok(Self {
            revision,
            trust_roots,
            current_roots: Arc::default(),
            signers,
            rules,
            by_literal,
            scan_policies,
            exceptions: by_repository,
            platforms,
        })
    }

    /// The policy without any rule, which denies everything.
    #[must_use]
    pub fn deny_all() -> Self {
        Self {
            revision: Revision(Digest::sha256(b"sealgate: no policy")),
            trust_roots: BTreeMap::new(),
            current_roots: Arc::default(),
            signers: BTreeMap::new(),
            rules: Vec::new(),
            by_literal: HashMap::new(),
            scan_policies: BTreeMap::new(),
            exceptions: HashMap::new(),
            platforms: PlatformName::defaults(),
        }
    }

    /// Hash over all files that the policy was read from.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The rule with the longest matching prefix, or none.
    #[must_use]
    pub fn rule_for(&self, repository: &Repository) -> Option<&Rule> {
        let name = repository.as_str();
        // Longest literal first: the whole name, then each prefix that ends before a slash, then the empty one.
        let prefixes = std::iter::successors(Some(name), |prefix| {
            Some(prefix.rfind('/').map_or("", |slash| &prefix[..slash])).filter(|_| !prefix.is_empty())
        });
        for prefix in prefixes {
            let found = self.by_literal.get(prefix).into_iter().flatten().map(|index| &self.rules[*index]);
            if let Some(rule) = found.into_iter().find(|rule| rule.pattern.matches_name(name)) {
                return Some(rule);
            }
        }
        None
    }

    /// The signer called `name`.
    #[must_use]
    pub fn signer(&self, name: &str) -> Option<&Signer> {
        self.signers.get(name)
    }

    /// All signers by name.
    #[must_use]
    pub const fn signers(&self) -> &BTreeMap<SignerName, Signer> {
        &self.signers
    }

    /// All rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Every digest that some rule lists: what an admin pinned.
    pub fn pinned(&self) -> impl Iterator<Item = Digest> {
        self.rules.iter().flat_map(Rule::all_requirements).flat_map(|requirement| match requirement {
            Requirement::Digests(digests) => digests.iter().copied().collect::<Vec<_>>(),
            Requirement::Allow
            | Requirement::Deny
            | Requirement::SignedBy(_)
            | Requirement::Attested(_)
            | Requirement::Scanned(_)
            | Requirement::Contents(_)
            | Requirement::Age { .. }
            | Requirement::AnyOf(_) => Vec::new(),
        })
    }

    /// How scan status may be judged, by name.
    #[must_use]
    pub const fn scan_policies(&self) -> &BTreeMap<String, Arc<ScanPolicy>> {
        &self.scan_policies
    }

    /// The exceptions for a repository, whether they count now or not.
    #[must_use]
    pub fn exceptions_for(&self, repository: &Repository) -> &[Exception] {
        self.exceptions.get(repository).map(Vec::as_slice).unwrap_or_default()
    }

    /// Every exception, in the order of their repositories and in the file's order there.
    #[must_use]
    pub fn exceptions(&self) -> Vec<&Exception> {
        let mut all: Vec<&Vec<Exception>> = self.exceptions.values().collect();
        all.sort_by_key(|exceptions| exceptions.first().map(|exception| exception.repository.as_str()));
        all.into_iter().flatten().collect()
    }

    /// The platforms whose images must pass before an index does.
    #[must_use]
    pub fn platforms(&self) -> &[PlatformName] {
        &self.platforms
    }

    /// Which evidence the decision on `repository` will read.
    #[must_use]
    pub fn needs(&self, repository: &Repository) -> Needs {
        let mut needs = self.rule_for(repository).map(Needs::of).unwrap_or_default();
        // An exception for an index covers what the index lists.
        needs.parents |= self.exceptions_for(repository).iter().any(|exception| exception.digest.is_some());
        needs
    }

    /// Whose scan reports the decision on `repository` will read, beside attestations.
    #[must_use]
    pub fn scan_sources(&self, repository: &Repository) -> BTreeSet<ScanSource> {
        let sources = self.scans(repository).flat_map(|policy| &policy.sources);
        sources
            .filter_map(|source| match source {
                RequiredSource::BuiltIn => Some(ScanSource::BuiltIn),
                RequiredSource::Scanner(name) => Some(ScanSource::Scanner { name: name.clone() }),
                RequiredSource::AttestedBy(_) => None,
            })
            .collect()
    }

    /// Seconds that a first pull from `repository` may wait for its scan.
    #[must_use]
    pub fn scan_wait(&self, repository: &Repository) -> i64 {
        self.scans(repository).map(|policy| policy.wait).max().unwrap_or_default()
    }

    fn scans(&self, repository: &Repository) -> impl Iterator<Item = &ScanPolicy> {
        let requirements = self.rule_for(repository).into_iter().flat_map(Rule::all_requirements);
        requirements.filter_map(|requirement| match requirement {
            Requirement::Scanned(policy) => Some(&**policy),
            Requirement::Allow
            | Requirement::Deny
            | Requirement::Digests(_)
            | Requirement::SignedBy(_)
            | Requirement::Attested(_)
            | Requirement::Contents(_)
            | Requirement::Age { .. }
            | Requirement::AnyOf(_) => None,
        })
    }
}

fn check_exceptions(exceptions: &[Exception], errors: &mut Vec<PolicyError>) {
    let problems = exceptions.iter().enumerate().filter_map(|(index, exception)| Some((index, exception, exception.problem()?)));
    errors.extend(problems.map(|(index, exception, problem)| PolicyError::Exception {
        index,
        image: exception.image(),
        problem: problem.to_owned(),
    }));
}

fn check_signers(
    signers: &BTreeMap<SignerName, Signer>,
    trust_roots: &BTreeMap<TrustRootName, TrustRootSource>,
    errors: &mut Vec<PolicyError>,
) {
    let mut owners: BTreeMap<KeyId, &SignerName> = BTreeMap::new();
    for (name, signer) in signers {
        match &signer.identity {
            SignerIdentity::Keys(keys) | SignerIdentity::LoggedKeys { keys, .. } if keys.is_empty() => {
                errors.push(PolicyError::NoKey { signer: name.clone() });
            }
            SignerIdentity::Keyless(keyless)
                if keyless.issuer.matches(GITHUB_ISSUER) && !keyless.claims.contains_key(&Claim::SourceRepository) =>
            {
                errors.push(PolicyError::AnySource { signer: name.clone() });
            }
            SignerIdentity::Keys(_) | SignerIdentity::LoggedKeys { .. } | SignerIdentity::Keyless(_) | SignerIdentity::Notation(_) => {}
        }
        let known = |root: &str| matches!(root, PUBLIC_ROOT | GITHUB_ROOT) || trust_roots.contains_key(root);
        if let Some(trust_root) = signer.identity.trust_root().filter(|root| !known(root)) {
            errors.push(PolicyError::UnknownTrustRoot { signer: name.clone(), trust_root: trust_root.to_owned() });
        }
        for trusted in signer.identity.keys() {
            let key = trusted.key.id();
            if let Some(first) = owners.insert(key, name) {
                errors.push(PolicyError::SharedKey { first: first.clone(), second: name.clone(), key });
            }
        }
    }
}
