//! The trust policy as the decision reads it. Built by `sealgate-config` from a file; a [`Policy`] is always consistent:
//! its constructor refuses duplicates, unknown signers, empty lists and one key under two names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::key::{KeyId, PublicKey};
use crate::pattern::Pattern;
use crate::reference::Repository;
use crate::time::Timestamp;

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

/// Name of a signer in the policy, for example `ci`.
pub type SignerName = String;

/// Somebody whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// How the signer is recognised.
    pub identity: SignerIdentity,
    /// The repositories in which this signer counts; empty means all.
    pub images: Vec<Pattern>,
}

/// How a signer is recognised. Keyless identities and Notation trust stores become further variants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerIdentity {
    /// Any one of these public keys. Never empty.
    Keys(Vec<TrustedKey>),
}

/// A public key, and how long it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// From this time on signatures by the key no longer count. (A key without a log has no provable signing time.)
    pub until: Option<Timestamp>,
}

/// How many of the named signers must have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quorum {
    /// At least one.
    Any,
    /// Each of them, by distinct principals.
    All,
    /// At least this many, by distinct principals. At least 1, at most the number of signers.
    Threshold(usize),
}

/// `signed-by`: a quorum over named signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    /// How many.
    pub quorum: Quorum,
    /// Of whom. Never empty, no name twice.
    pub signers: Vec<SignerName>,
}

/// One condition of a rule. All of a rule's requirements must hold. Attestations, scan status, contents and age become
/// further variants; matches over this type have no `_` arm, so the compiler lists what a new one touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirement {
    /// Admits without evidence, and shows as such everywhere.
    Allow,
    /// Denies always.
    Deny,
    /// The digest, or the digest of an index that lists it, is one of these. Never empty.
    Digests(BTreeSet<Digest>),
    /// Signatures.
    SignedBy(SignedBy),
}

/// What a rule demands of the images that it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The images. The pattern's text is the rule's name in messages.
    pub pattern: Pattern,
    /// Whether a denial is enforced.
    pub mode: Mode,
    /// The conditions, all of which must hold. Never empty.
    pub requirements: Vec<Requirement>,
    /// Names that a signature may carry for these images. Empty: the name inside a signature is ignored, as cosign's
    /// specification says.
    pub signed_as: Vec<Pattern>,
}

/// The parts of a policy, before [`Policy::new`] has checked them.
#[derive(Debug, Clone)]
pub struct PolicyParts {
    /// Hash over all files that the policy was read from.
    pub revision: Revision,
    /// The signers by name.
    pub signers: BTreeMap<SignerName, Signer>,
    /// The rules, in any order. (A rule with several patterns in the file becomes several of these.)
    pub rules: Vec<Rule>,
}

/// Why parts make no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Two rules for one pattern.
    #[error("two rules match {pattern}: merge them")]
    DuplicateRule {
        /// The pattern.
        pattern: String,
    },
    /// A rule names a signer that is not defined.
    #[error("rule {pattern} names the signer {signer:?}, which is not defined under `signers`")]
    UnknownSigner {
        /// The rule.
        pattern: String,
        /// The name.
        signer: SignerName,
    },
    /// A list that must name something is empty, or `allow`/`deny` stands beside other requirements.
    #[error("rule {pattern}: {problem}")]
    Rule {
        /// The rule.
        pattern: String,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// One key under two names would let one person count twice.
    #[error("signers {first:?} and {second:?} hold the same key {key}: one key under two names is an error")]
    SharedKey {
        /// One name.
        first: SignerName,
        /// The other.
        second: SignerName,
        /// The key.
        key: KeyId,
    },
    /// A signer without keys.
    #[error("signer {signer:?} has no key")]
    NoKey {
        /// The name.
        signer: SignerName,
    },
}

/// Which evidence a rule reads, so that nothing else is collected (Docker Hub counts requests).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Signatures, of the subject or of an index above it.
    pub signatures: bool,
    /// The indexes that list the subject (for signatures and digest lists).
    pub parents: bool,
}

/// A checked trust policy.
#[derive(Debug, Clone)]
pub struct Policy {
    revision: Revision,
    signers: BTreeMap<SignerName, Signer>,
    rules: Vec<Rule>,
    /// Literal prefix → indexes into `rules`, narrowest reach first.
    by_literal: HashMap<Box<str>, Vec<usize>>,
}

impl Policy {
    /// Checks the parts.
    ///
    /// # Errors
    /// Every problem that there is, not only the first.
    pub fn new(parts: PolicyParts) -> Result<Self, Vec<PolicyError>> {
        let PolicyParts { revision, signers, rules } = parts;
        let mut errors = Vec::new();
        check_signers(&signers, &mut errors);
        let mut patterns = BTreeSet::new();
        for rule in &rules {
            check_rule(rule, &signers, &mut errors);
            if !patterns.insert(rule.pattern.clone()) {
                errors.push(PolicyError::DuplicateRule { pattern: rule.pattern.to_string() });
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut by_literal: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            by_literal.entry(rule.pattern.literal().into()).or_default().push(index);
        }
        for indexes in by_literal.values_mut() {
            indexes.sort_by_key(|i| std::cmp::Reverse(rules[*i].pattern.precedence()));
        }
        Ok(Self { revision, signers, rules, by_literal })
    }

    /// The policy without any rule, which denies everything.
    #[must_use]
    pub fn deny_all() -> Self {
        let revision = Revision(Digest::sha256(b"sealgate: no policy"));
        Self { revision, signers: BTreeMap::new(), rules: Vec::new(), by_literal: HashMap::new() }
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

    /// Which evidence the decision on `repository` will read.
    #[must_use]
    pub fn needs(&self, repository: &Repository) -> Needs {
        let mut needs = Needs::default();
        for requirement in self.rule_for(repository).into_iter().flat_map(|rule| &rule.requirements) {
            match requirement {
                Requirement::Allow | Requirement::Deny => {}
                Requirement::Digests(_) => needs.parents = true,
                Requirement::SignedBy(_) => {
                    needs.signatures = true;
                    needs.parents = true;
                }
            }
        }
        needs
    }
}

fn check_signers(signers: &BTreeMap<SignerName, Signer>, errors: &mut Vec<PolicyError>) {
    let mut owners: BTreeMap<KeyId, &SignerName> = BTreeMap::new();
    for (name, signer) in signers {
        let SignerIdentity::Keys(keys) = &signer.identity;
        if keys.is_empty() {
            errors.push(PolicyError::NoKey { signer: name.clone() });
        }
        for trusted in keys {
            let key = trusted.key.id();
            if let Some(first) = owners.insert(key, name) {
                errors.push(PolicyError::SharedKey { first: first.clone(), second: name.clone(), key });
            }
        }
    }
}

fn check_rule(rule: &Rule, signers: &BTreeMap<SignerName, Signer>, errors: &mut Vec<PolicyError>) {
    let pattern = rule.pattern.to_string();
    let mut problem = |problem: &str| errors.push(PolicyError::Rule { pattern: pattern.clone(), problem: problem.to_owned() });
    if rule.requirements.is_empty() {
        problem("`require` is empty: write [allow] to admit without evidence, or [deny]");
    }
    let fixed = rule.requirements.iter().filter(|r| matches!(r, Requirement::Allow | Requirement::Deny)).count();
    if fixed > 0 && rule.requirements.len() > 1 {
        problem("`allow` and `deny` stand alone: remove them or the other requirements");
    }
    for requirement in &rule.requirements {
        match requirement {
            Requirement::Allow | Requirement::Deny => {}
            Requirement::Digests(digests) => {
                if digests.is_empty() {
                    problem("`digests` is empty: name at least one digest");
                }
            }
            Requirement::SignedBy(signed_by) => {
                if signed_by.signers.is_empty() {
                    problem("`signed-by` names no signer: name at least one");
                }
                if let Quorum::Threshold(threshold) = signed_by.quorum
                    && !(1..=signed_by.signers.len()).contains(&threshold)
                {
                    problem("`threshold` must be at least 1 and at most the number of signers in `of`");
                }
                if signed_by.signers.iter().collect::<BTreeSet<_>>().len() != signed_by.signers.len() {
                    problem("`signed-by` names a signer twice");
                }
            }
        }
    }
    for requirement in &rule.requirements {
        if let Requirement::SignedBy(signed_by) = requirement {
            for signer in signed_by.signers.iter().filter(|name| !signers.contains_key(*name)) {
                errors.push(PolicyError::UnknownSigner { pattern: pattern.clone(), signer: signer.clone() });
            }
        }
    }
}
