//! Where the parts of a policy stand in its file, and what its errors are there.

use std::collections::{BTreeMap, BTreeSet};

use sealgate_verifier::{KeyId, PolicyError, SignerName};

use crate::node::Place;
use crate::problems::Problems;
use crate::shape::nearest;

/// Where the parts stand, and which of them had errors of their own.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// Each signer that the file defines, also those with errors.
    pub signers: BTreeMap<SignerName, Place>,
    /// Signers some of whose keys could not be read.
    pub broken_signers: BTreeSet<SignerName>,
    /// Each key of each signer.
    pub keys: BTreeMap<(SignerName, KeyId), Vec<Place>>,
    /// Each pattern, with its place and its rule's index in `rules`.
    pub patterns: BTreeMap<String, Vec<(Place, usize)>>,
    /// The rules as the file has them.
    pub rules: Vec<RuleOrigin>,
    /// Each scan policy.
    pub scans: BTreeMap<String, ScanOrigin>,
    /// Each exception that could be read.
    pub exceptions: Vec<Place>,
}

/// One scan policy of the file.
#[derive(Debug, Default)]
pub(crate) struct ScanOrigin {
    /// Where its name stands.
    pub place: Place,
    /// Where each signer is named.
    pub named: BTreeMap<SignerName, Vec<Place>>,
}

/// One rule of the file.
#[derive(Debug, Default)]
pub(crate) struct RuleOrigin {
    /// Where `require` stands.
    pub require: Place,
    /// Whether some requirement could not be read.
    pub broken: bool,
    /// Where each signer is named.
    pub named: BTreeMap<SignerName, Vec<Place>>,
}

impl Origin {
    /// Says `error` at the place that it is about, unless it only follows from an error that has been said.
    pub fn report(&mut self, error: &PolicyError, problems: &mut Problems<'_>) {
        match error {
            PolicyError::DuplicateRule { pattern } => {
                // The policy says it once for each further rule; the first time reports them all.
                let places = self.patterns.get_mut(pattern);
                for (place, _) in places.iter().flat_map(|places| places.iter().skip(1)) {
                    let first = places.as_ref().and_then(|places| places.first()).map_or(0, |(place, _)| place.line);
                    let problem = format!("{pattern} stands in two rules; the first is in line {first}");
                    problems.place(*place, problem, "merge them into one rule");
                }
                if let Some(places) = places {
                    places.truncate(1);
                }
            }
            PolicyError::UnknownSigner { pattern, signer } => {
                let places = self.rules_of(pattern).filter_map(|rule| rule.named.get(signer)).flatten().copied().collect();
                self.unknown_signer(signer, places, problems);
            }
            PolicyError::UnknownScanSigner { name, signer } => {
                let places = self.scans.get(name).and_then(|scan| scan.named.get(signer)).cloned().unwrap_or_default();
                self.unknown_signer(signer, places, problems);
            }
            PolicyError::ScanPolicy { name, problem } => {
                let (problem, mend) = problem.split_once(": ").unwrap_or((problem, "change this scan policy"));
                problems.place(self.scans.get(name).map_or_else(Place::default, |scan| scan.place), problem, mend);
            }
            PolicyError::Exception { index, problem, .. } => {
                let (problem, mend) = problem.split_once(": ").unwrap_or((problem, "change this exception"));
                problems.place(self.exceptions.get(*index).copied().unwrap_or_default(), problem, mend);
            }
            // The reader has said it.
            PolicyError::NoPlatform => {}
            PolicyError::Rule { pattern, problem } => {
                for rule in self.rules_of(pattern).filter(|rule| !rule.broken) {
                    let (problem, mend) = problem.split_once(": ").unwrap_or((problem, "change `require` of this rule"));
                    problems.place(rule.require, problem, mend);
                }
            }
            PolicyError::SharedKey { first, second, key } => {
                let place = self.keys.get(&(second.clone(), *key)).and_then(|places| places.last());
                let problem = if first == second {
                    format!("signer {second} holds this key twice")
                } else {
                    format!("signers {first} and {second} hold the same key, so one person could count as two")
                };
                problems.place(place.copied().unwrap_or_default(), problem, "keep the key under one name only");
            }
            PolicyError::AnySource { signer } => {
                let problem =
                    format!("signer {signer} has GitHub's issuer and names no source repository: anybody may call a reusable workflow");
                let mend = "add `claims: { source-repository: https://github.com/OWNER/NAME }`, or `any` if every source may be";
                problems.place(self.signers.get(signer).copied().unwrap_or_default(), problem, mend);
            }
            PolicyError::UnknownTrustRoot { signer, trust_root } => {
                let problem = format!("signer {signer} names the trust root {}, which is not defined", problems.quote(trust_root));
                let mend = "define it under `trust-roots`, name `github`, or remove `trust-root` for the public Sigstore instance";
                problems.place(self.signers.get(signer).copied().unwrap_or_default(), problem, mend);
            }
            PolicyError::NoKey { signer } => {
                if let (false, Some(place)) = (self.broken_signers.contains(signer), self.signers.get(signer)) {
                    problems.place(*place, format!("signer {signer} has no key"), "add `key:` with the path of a PEM public key");
                }
            }
        }
    }

    fn rules_of(&self, pattern: &str) -> impl Iterator<Item = &RuleOrigin> {
        self.patterns.get(pattern).into_iter().flatten().filter_map(|(_, index)| self.rules.get(*index))
    }

    fn unknown_signer(&self, signer: &SignerName, places: Vec<Place>, problems: &mut Problems<'_>) {
        if self.signers.contains_key(signer) {
            return;
        }
        let names: Vec<&str> = self.signers.keys().map(String::as_str).collect();
        let mend = match nearest(signer, names.iter().copied()) {
            Some(near) => format!("did you mean {near}? Defined are: {}", names.join(", ")),
            None if names.is_empty() => "define it under `signers`, with a `key`".to_owned(),
            None => format!("define it under `signers`; defined are: {}", names.join(", ")),
        };
        for place in places {
            problems.place(place, format!("the signer {} is not defined under `signers`", problems.quote(signer)), mend.clone());
        }
    }
}
