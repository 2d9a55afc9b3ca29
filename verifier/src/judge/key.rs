//! Signatures by keys, with or without a transparency log.

use super::{Judge, Judgement, Named, Signed, Unknown};
use crate::claim::{Carrier, Claim, Sigstore};
use crate::key::PublicKey;
use crate::message::problem;
use crate::policy::{PUBLIC_ROOT, RootState, Signer, SignerIdentity, TrustedKey};
use crate::principal::Principal;
use crate::signature::Vouched;
use crate::sigstore::{
    Annotations, Artifact, Logged, TrustRoot, VerifyError, verify_key_logged, verify_legacy_attestation_key_logged,
    verify_legacy_key_logged,
};
use crate::time::Timestamp;

/// A key under its signer's name.
pub(super) struct NamedKey<'p> {
    pub(super) name: &'p str,
    pub(super) signer: &'p Signer,
    pub(super) trusted: &'p TrustedKey,
}

pub(super) fn keys<'p>((name, signer): Named<'p>) -> impl Iterator<Item = NamedKey<'p>> {
    signer.identity.keys().iter().map(move |trusted| NamedKey { name, signer, trusted })
}

impl<'p> Judge<'p> {
    pub(super) fn try_keys(&self, keys: &[NamedKey<'p>], claim: &Claim<'_>, proof: &Sigstore<'_>, vouched: Vouched<'_>) -> Judgement<'p> {
        if proof.is_by_certificate_only() {
            return Judgement::Unknown(Unknown::default());
        }
        let made_it = |key: &PublicKey| key.verify(&proof.message, &proof.signature);
        let Some(NamedKey { name, signer, trusted }) = keys.iter().find(|named| made_it(&named.trusted.key)) else {
            return Judgement::Unknown(Unknown::default());
        };
        let principal = Principal::Key { key: trusted.key.id() };
        let at = self.logged(signer, trusted, proof, vouched);
        let counts = at.and_then(|at| self.check_until(trusted, at).and_then(|()| self.check(signer, claim, at)).map(|()| at));
        match counts {
            Ok(at) => {
                let root = signer.identity.trust_root().and_then(|name| self.policy.trust_root(name, self.now).until());
                let until = trusted.until.filter(|_| at.is_none()).into_iter().chain(root).min();
                Judgement::Signed(vec![Signed { signer: name, principal, at, until, warnings: Vec::new() }])
            }
            Err(why) => Judgement::Failed { why: format!("by {name} ({principal}), {why}"), by: Some(principal) },
        }
    }

    /// When it was signed, by the word of a log that the policy requires; `None` where it requires none.
    fn logged(
        &self,
        signer: &Signer,
        trusted: &TrustedKey,
        proof: &Sigstore<'_>,
        vouched: Vouched<'_>,
    ) -> Result<Option<Timestamp>, String> {
        let trust_root = match &signer.identity {
            SignerIdentity::Keys(_) | SignerIdentity::Keyless(_) | SignerIdentity::Notation(_) => return Ok(None),
            SignerIdentity::LoggedKeys { trust_root, .. } => trust_root,
        };
        let state = self.policy.trust_root(trust_root, self.now);
        let RootState::Good { root, .. } = state else {
            return Err(format!("but of the trust root {trust_root} {}", state.problem().unwrap_or_default()));
        };
        let logged = verify_logged(proof, vouched, &trusted.key, root);
        let whose = if trust_root == PUBLIC_ROOT { "the public log" } else { "the log" };
        logged.map(|logged| logged.signed_at).map_err(|error| format!("which {whose} does not confirm: {}", problem(&error)))
    }

    /// A key counts for what was made before its end.
    fn check_until(&self, trusted: &TrustedKey, at: Option<Timestamp>) -> Result<(), String> {
        match trusted.until.filter(|until| at.unwrap_or(self.now) >= *until) {
            Some(until) => Err(format!("which counts only until {until}")),
            None => Ok(()),
        }
    }
}

fn verify_logged(proof: &Sigstore<'_>, vouched: Vouched<'_>, key: &PublicKey, root: &TrustRoot) -> Result<Logged, VerifyError> {
    let artifact = Artifact::Bytes(vouched.manifest);
    match &proof.carrier {
        Carrier::Bundle(bundle) => verify_key_logged(bundle, artifact, key, root),
        Carrier::SimpleSigning(payload, annotations) => verify_legacy_key_logged(payload, Annotations::of(annotations), key, root),
        Carrier::Envelope(envelope, annotations) => {
            verify_legacy_attestation_key_logged(envelope, Annotations::of(annotations), artifact, key, root)
        }
    }
}
