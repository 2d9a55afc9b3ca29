//! Tries the policy's keys on a signature. Nothing else chooses a key: no hint, no certificate, no location.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::key::{KeyAlgorithm, KeyId, PublicKey};
use crate::limits;
use crate::message::quote;
use crate::policy::{Policy, Requirement, Rule, Signer, SignerIdentity, SignerName, TrustedKey};
use crate::reference::{Reference, Repository};
use crate::signature::{Claim, Origin};
use crate::time::Timestamp;

/// What a signature turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement<'p> {
    /// Valid, by a signer that counts here.
    Signed {
        signer: &'p str,
        key: KeyId,
        /// When the key ends.
        until: Option<Timestamp>,
    },
    /// None of the keys that the rule names made it.
    Unknown,
    /// The first step that failed.
    Failed(String),
}

/// A key under its signer's name.
struct Named<'p> {
    name: &'p str,
    signer: &'p Signer,
    trusted: &'p TrustedKey,
}

fn keys<'p>((name, signer): (&'p SignerName, &'p Signer)) -> impl Iterator<Item = Named<'p>> {
    let SignerIdentity::Keys(keys) = &signer.identity;
    keys.iter().map(move |trusted| Named { name, signer, trusted })
}

/// The keys of one decision.
pub(crate) struct Judge<'p> {
    policy: &'p Policy,
    rule: &'p Rule,
    repository: &'p Repository,
    now: Timestamp,
    /// Keys of the signers that the rule names.
    named: Vec<Named<'p>>,
}

impl<'p> Judge<'p> {
    pub(crate) fn new(policy: &'p Policy, rule: &'p Rule, repository: &'p Repository, now: Timestamp) -> Self {
        let names: BTreeSet<&String> = rule
            .requirements
            .iter()
            .flat_map(|requirement| match requirement {
                Requirement::SignedBy(signed_by) => signed_by.signers.as_slice(),
                Requirement::Allow | Requirement::Deny | Requirement::Digests(_) => &[],
            })
            .collect();
        let named = names.into_iter().filter_map(|name| policy.signers().get_key_value(name)).flat_map(keys).collect();
        Self { policy, rule, repository, now, named }
    }

    /// Tries the keys of the signers that the rule names.
    pub(crate) fn judge(&self, claim: &Claim<'_>) -> Judgement<'p> {
        self.try_keys(&self.named, claim)
    }

    /// What to say of a claim that no named key made. For a denial (`explain`), some keys of the policy's other signers are
    /// tried, to say who did sign.
    pub(crate) fn unknown(&self, claim: &Claim<'_>, explain: bool) -> Judgement<'p> {
        let is_named = |name: &str| self.named.iter().any(|named| named.name == name);
        let others = self.policy.signers().iter().filter(|(name, _)| explain && !is_named(name));
        let others: Vec<_> = others.flat_map(keys).take(limits::OTHER_KEYS).collect();
        match self.try_keys(&others, claim) {
            Judgement::Unknown => Judgement::Failed(self.whose(claim)),
            known @ (Judgement::Signed { .. } | Judgement::Failed(_)) => known,
        }
    }

    fn try_keys(&self, keys: &[Named<'p>], claim: &Claim<'_>) -> Judgement<'p> {
        let made_it = |key: &PublicKey| key.verify(&claim.message, &claim.signature);
        match keys.iter().find(|named| made_it(&named.trusted.key)) {
            Some(named) => self.check(named, claim),
            None => Judgement::Unknown,
        }
    }

    /// What must hold beside the signature itself.
    fn check(&self, named: &Named<'p>, claim: &Claim<'_>) -> Judgement<'p> {
        let Named { name, signer, trusted } = named;
        let key = trusted.key.id();
        if let Some(until) = trusted.until.filter(|until| self.now >= *until) {
            return Judgement::Failed(format!("by {name} with key {}, which counts only until {until}", key.short()));
        }
        if !signer.images.is_empty() && !signer.images.iter().any(|images| images.matches(self.repository)) {
            return Judgement::Failed(format!("by {name} (key {}), who does not count for {}", key.short(), self.repository));
        }
        match self.check_name(claim.docker_reference.as_deref()) {
            Ok(()) => Judgement::Signed { signer: name, key, until: trusted.until },
            Err(why) => Judgement::Failed(format!("by {name} (key {}), {why}", key.short())),
        }
    }

    /// DESIGN "What counts": where the rule sets `signed-as`, the name inside the signature must be there and match; otherwise
    /// it is ignored, as cosign's specification says (C3, V35).
    fn check_name(&self, docker_reference: Option<&str>) -> Result<(), String> {
        let signed_as = &self.rule.signed_as;
        if signed_as.is_empty() {
            return Ok(());
        }
        let name = docker_reference.filter(|name| !name.is_empty()).ok_or("but it carries no repository name, which signed-as requires")?;
        let parsed = name.parse::<Reference>().map(|reference| reference.repository);
        if parsed.is_ok_and(|repository| signed_as.iter().any(|pattern| pattern.matches(&repository))) {
            Ok(())
        } else {
            Err(format!("but for {}, which signed-as does not allow", quote(name)))
        }
    }

    fn whose(&self, claim: &Claim<'_>) -> String {
        let named = |id: Digest| self.named.iter().map(|named| named.trusted.key.id()).find(|key| key.digest() == id);
        match claim.origin {
            Origin::Certificate => "keyless certificate: not supported in this version".to_owned(),
            Origin::Key(id) => match named(id) {
                Some(key) => format!("the signature is not valid for key {}, which it names{}", key.short(), self.prehashed(claim)),
                None => format!("by a key that the rule does not name (it names {})", KeyId::of(id).short()),
            },
            Origin::Unknown => format!("not valid for any key that the rule names{}", self.prehashed(claim)),
        }
    }

    /// `cosign sign` with an Ed25519 key makes Ed25519ph signatures, which cosign's own `verify --key` does not accept
    /// (sigstore/cosign#4050; measured with 3.1). Who meets one should learn it.
    fn prehashed(&self, claim: &Claim<'_>) -> &'static str {
        let has_ed25519 = self.named.iter().any(|named| named.trusted.key.algorithm() == KeyAlgorithm::Ed25519);
        if has_ed25519 && claim.signature.len() == 64 { " (Ed25519ph, as cosign signs with Ed25519 keys, is not supported)" } else { "" }
    }
}
