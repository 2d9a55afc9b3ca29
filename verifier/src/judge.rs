//! Finds out who made a signature, among those whom the policy names. Nothing else chooses a key or a trust root: no hint, no
//! certificate, no location.

use crate::claim::{Carrier, Claim, Origin, Proof, Says, Sigstore};
use crate::digest::Digest;
use crate::key::{KeyAlgorithm, KeyId};
use crate::limits;
use crate::message::quote;
use crate::policy::{Policy, Rule, Signer, SignerIdentity};
use crate::principal::Principal;
use crate::reference::{Reference, Repository};
use crate::search::LEEWAY;
use crate::signature::Vouched;
use crate::sigstore::CertificateIdentity;
use crate::time::Timestamp;

mod key;
mod keyless;
mod notation;

use key::{NamedKey, keys};

/// What a signature turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement<'p> {
    /// Valid, by these signers, all of whom count here. Never empty; more than one where identities overlap.
    Signed(Vec<Signed<'p>>),
    /// Nobody whom the rule names made it.
    Unknown(Unknown<'p>),
    /// The first step that failed.
    Failed {
        /// What was expected and found.
        why: String,
        /// Whose it is, where that is certain.
        by: Option<Principal>,
    },
}

/// What is known all the same of a signature by nobody who is named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unknown<'p> {
    /// Whose certificate it is under each trust root that was tried.
    identities: Vec<(&'p str, Option<CertificateIdentity>)>,
    /// The first step that failed with the signer that came nearest.
    why: Option<String>,
}

/// One signer whose signature it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed<'p> {
    pub(crate) signer: &'p str,
    pub(crate) principal: Principal,
    /// When it was made, by the word of a log or a timestamping authority.
    pub(crate) at: Option<Timestamp>,
    /// From then on it no longer counts.
    pub(crate) until: Option<Timestamp>,
    /// What failed and is not enforced.
    pub(crate) warnings: Vec<String>,
}

/// A signer under its name.
type Named<'p> = (&'p str, &'p Signer);

/// The signers of one decision.
pub(crate) struct Judge<'p> {
    policy: &'p Policy,
    rule: &'p Rule,
    repository: &'p Repository,
    now: Timestamp,
    /// The signers that the rule names.
    named: Vec<Named<'p>>,
    /// Their keys.
    keys: Vec<NamedKey<'p>>,
}

impl<'p> Judge<'p> {
    pub(crate) fn new(policy: &'p Policy, rule: &'p Rule, repository: &'p Repository, now: Timestamp) -> Self {
        let named = rule.signers().into_iter().filter_map(|name| policy.signers().get_key_value(name));
        let named: Vec<Named<'p>> = named.map(|(name, signer)| (name.as_str(), signer)).collect();
        let keys = named.iter().copied().flat_map(keys).collect();
        Self { policy, rule, repository, now, named, keys }
    }

    /// Looks for its maker among the signers that the rule names.
    pub(crate) fn judge(&self, claim: &Claim<'_>, vouched: Vouched<'_>) -> Judgement<'p> {
        match &claim.proof {
            Proof::Sigstore(proof) => match self.try_keys(&self.keys, claim, proof, vouched) {
                Judgement::Unknown(unknown) => self.try_identities(&self.named, claim, proof, vouched, unknown),
                known @ (Judgement::Signed(_) | Judgement::Failed { .. }) => known,
            },
            Proof::Notation { envelope, media_type } => self.try_notation(&self.named, claim, (envelope, media_type), vouched),
        }
    }

    /// What to say of a claim that nobody made whom the rule names. For a denial (`explain`), some of the policy's other signers and
    /// trust roots are tried, to say who did sign.
    pub(crate) fn unknown(&self, claim: &Claim<'_>, vouched: Vouched<'_>, unknown: Unknown<'p>, explain: bool) -> Judgement<'p> {
        let is_named = |name: &str| self.named.iter().any(|(named, _)| *named == name);
        let others = self.policy.signers().iter().filter(|(name, _)| explain && !is_named(name));
        let others: Vec<Named<'p>> = others.map(|(name, signer)| (name.as_str(), signer)).take(limits::OTHER_SIGNERS).collect();
        match &claim.proof {
            Proof::Sigstore(proof) => {
                let keys: Vec<_> = others.iter().copied().flat_map(keys).take(limits::OTHER_KEYS).collect();
                let tried = match self.try_keys(&keys, claim, proof, vouched) {
                    Judgement::Unknown(_) => self.try_identities(&others, claim, proof, vouched, unknown),
                    known @ (Judgement::Signed(_) | Judgement::Failed { .. }) => known,
                };
                match tried {
                    Judgement::Unknown(unknown) if explain => self.who(proof, vouched, unknown),
                    Judgement::Unknown(unknown) => Judgement::Failed { why: unknown.why.unwrap_or_else(|| self.whose(proof)), by: None },
                    known @ (Judgement::Signed(_) | Judgement::Failed { .. }) => known,
                }
            }
            Proof::Notation { envelope, media_type } => match self.try_notation(&others, claim, (envelope, media_type), vouched) {
                Judgement::Unknown(other) => {
                    let nobody = || "a Notation signature, and the rule names no Notation signer".to_owned();
                    Judgement::Failed { why: unknown.why.or(other.why).unwrap_or_else(nobody), by: None }
                }
                known @ (Judgement::Signed(_) | Judgement::Failed { .. }) => known,
            },
        }
    }

    /// What must hold beside the signature itself, which was made at `at` where that is known.
    fn check(&self, signer: &Signer, claim: &Claim<'_>, at: Option<Timestamp>) -> Result<(), String> {
        if !signer.images.is_empty() && !signer.images.iter().any(|images| images.matches(self.repository)) {
            return Err(format!("who does not count for {}", self.repository));
        }
        match &claim.says {
            // Of attestations the newest counts, so one of the future is not left out but denied as such.
            Says::Attestation(_) => Ok(()),
            Says::Approval { .. } if at.is_some_and(|at| at > self.now.plus(LEEWAY)) => Err("but dated in the future".to_owned()),
            Says::Approval { docker_reference } => self.check_name(docker_reference.as_deref()),
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

    fn whose(&self, proof: &Sigstore<'_>) -> String {
        let named = |id: Digest| self.keys.iter().map(|named| named.trusted.key.id()).find(|key| key.digest() == id);
        match proof.origin {
            Origin::Certificate if self.named.iter().any(|(_, signer)| matches!(signer.identity, SignerIdentity::Keyless(_))) => {
                "a keyless signature by none of the identities that the rule names".to_owned()
            }
            Origin::Certificate => "a keyless signature, and the rule names no keyless identity".to_owned(),
            Origin::Key(id) => match named(id) {
                Some(key) => format!("the signature is not valid for key {}, which it names{}", key.short(), self.prehashed(proof)),
                None => format!("by a key that the rule does not name (it names {})", KeyId::of(id).short()),
            },
            Origin::Unknown => format!("not valid for any key that the rule names{}", self.prehashed(proof)),
        }
    }

    /// `cosign sign` with an Ed25519 key makes Ed25519ph signatures, which cosign's own `verify --key` does not accept
    /// (sigstore/cosign#4050; measured with 3.1). Who meets one should learn it.
    fn prehashed(&self, proof: &Sigstore<'_>) -> &'static str {
        let has_ed25519 = self.keys.iter().any(|named| named.trusted.key.algorithm() == KeyAlgorithm::Ed25519);
        if has_ed25519 && proof.signature.len() == 64 { " (Ed25519ph, as cosign signs with Ed25519 keys, is not supported)" } else { "" }
    }
}

impl Sigstore<'_> {
    /// In a bundle with a certificate the key is whatever the certificate says: no policy key is tried on it (V3).
    const fn is_by_certificate_only(&self) -> bool {
        matches!((&self.carrier, self.origin), (Carrier::Bundle(_), Origin::Certificate))
    }
}
