//! Signatures by short-lived certificates: verified once per trust root, then compared with each identity.

use std::collections::BTreeSet;

use super::{Judge, Judgement, Named, Signed, Unknown};
use crate::claim::{Carrier, Claim, Origin, Sigstore};
use crate::message::{problem, quote};
use crate::policy::{IdentityMismatch, KeylessIdentity, PUBLIC_ROOT, RootState, SignerIdentity};
use crate::principal::Principal;
use crate::signature::Vouched;
use crate::sigstore::{
    Annotations, Artifact, CertificateIdentity, Keyless, TrustRoot, VerifyError, verify_certificate, verify_legacy_attestation_certificate,
    verify_legacy_certificate,
};

impl<'p> Judge<'p> {
    /// Looks for the signer whose identity is the certificate's. `unknown` is what is known already.
    pub(super) fn try_identities(
        &self,
        signers: &[Named<'p>],
        claim: &Claim<'_>,
        proof: &Sigstore<'_>,
        vouched: Vouched<'_>,
        mut unknown: Unknown<'p>,
    ) -> Judgement<'p> {
        if proof.origin != Origin::Certificate {
            return Judgement::Unknown(unknown);
        }
        let keyless = |(name, signer): &Named<'p>| match &signer.identity {
            SignerIdentity::Keyless(keyless) => Some((*name, *signer, keyless)),
            SignerIdentity::Keys(_) | SignerIdentity::LoggedKeys { .. } | SignerIdentity::Notation(_) => None,
        };
        let signers: Vec<_> = signers.iter().filter_map(keyless).collect();
        let roots: BTreeSet<&'p str> = signers.iter().map(|(.., keyless)| keyless.trust_root.as_str()).collect();
        self.verify_under(roots, proof, vouched, &mut unknown);
        let mut signed = Vec::new();
        let mut failed = None;
        let mut near = None;
        for (name, signer, keyless) in signers {
            let found = unknown.identities.iter().find(|(root, _)| *root == keyless.trust_root).and_then(|(_, found)| found.as_ref());
            let Some(found) = found else { continue };
            if let Err(mismatch) = keyless.check(found) {
                near = near.or_else(|| describe(name, keyless, &mismatch, found));
                continue;
            }
            let (principal, at) = (principal(found), Some(found.signed_at));
            match self.check(signer, claim, at) {
                Ok(()) => {
                    let until = self.policy.trust_root(&keyless.trust_root, self.now).until();
                    signed.push(Signed { signer: name, principal, at, until, warnings: Vec::new() });
                }
                Err(why) => {
                    failed.get_or_insert(Judgement::Failed { why: format!("by {name} ({principal}), {why}"), by: Some(principal) });
                }
            }
        }
        match failed {
            _ if !signed.is_empty() => Judgement::Signed(signed),
            Some(failed) => failed,
            None => {
                unknown.why = near.or(unknown.why);
                Judgement::Unknown(unknown)
            }
        }
    }

    /// Says whose a certificate is that nobody in the policy has, by any of its trust roots or the public one.
    pub(super) fn who(&self, proof: &Sigstore<'_>, vouched: Vouched<'_>, mut unknown: Unknown<'p>) -> Judgement<'p> {
        if proof.origin == Origin::Certificate {
            self.verify_under(self.policy.trust_root_names().collect(), proof, vouched, &mut unknown);
        }
        let Unknown { identities, why } = unknown;
        let found = identities.into_iter().find_map(|(root, found)| Some((root, found?)));
        let elsewhere = found.as_ref().and_then(|(root, found)| self.under_another_root(root, found));
        let by = found.map(|(_, found)| principal(&found));
        let why = match (&by, elsewhere.or(why)) {
            (_, Some(why)) => why,
            (Some(principal), None) => format!("by {principal}, whom the rule does not name"),
            (None, None) => self.whose(proof),
        };
        Judgement::Failed { why, by }
    }

    /// What to say where the identity is that of a signer who has it under another trust root.
    fn under_another_root(&self, root: &str, found: &CertificateIdentity) -> Option<String> {
        self.named.iter().find_map(|(name, signer)| match &signer.identity {
            SignerIdentity::Keyless(keyless) if keyless.trust_root != root && keyless.check(found).is_ok() => {
                Some(format!("by {} under the trust root {root}, where {name} has {}", principal(found), keyless.trust_root))
            }
            SignerIdentity::Keyless(_) | SignerIdentity::Keys(_) | SignerIdentity::LoggedKeys { .. } | SignerIdentity::Notation(_) => None,
        })
    }

    /// Verifies under each of `roots` that has not been tried yet.
    fn verify_under(&self, roots: BTreeSet<&'p str>, proof: &Sigstore<'_>, vouched: Vouched<'_>, unknown: &mut Unknown<'p>) {
        for name in roots {
            if unknown.identities.iter().any(|(tried, _)| *tried == name) {
                continue;
            }
            let state = self.policy.trust_root(name, self.now);
            let verified = match state {
                RootState::Good { root, .. } => verify(proof, vouched, root).map_err(|error| problem(&error)),
                RootState::Stale { .. } | RootState::Missing => Err(state.problem().unwrap_or_default()),
            };
            let found = match verified {
                Ok(keyless) => Some(keyless.identity),
                Err(why) => {
                    let whose = if name == PUBLIC_ROOT { "the public trust root" } else { "trust root" };
                    let under = if name == PUBLIC_ROOT { whose.to_owned() } else { format!("{whose} {name}") };
                    unknown.why.get_or_insert(format!("a keyless signature that does not hold under {under}: {why}"));
                    None
                }
            };
            unknown.identities.push((name, found));
        }
        // What holds under one root is not told by why it does not under another.
        if unknown.identities.iter().any(|(_, found)| found.is_some()) {
            unknown.why = unknown.why.take().filter(|why| !why.starts_with("a keyless signature that does not hold"));
        }
    }
}

fn verify(proof: &Sigstore<'_>, vouched: Vouched<'_>, root: &TrustRoot) -> Result<Keyless, VerifyError> {
    let artifact = Artifact::Bytes(vouched.manifest);
    match &proof.carrier {
        Carrier::Bundle(bundle) => verify_certificate(bundle, artifact, root),
        Carrier::SimpleSigning(payload, annotations) => verify_legacy_certificate(payload, Annotations::of(annotations), root),
        Carrier::Envelope(envelope, annotations) => {
            verify_legacy_attestation_certificate(envelope, Annotations::of(annotations), artifact, root)
        }
    }
}

fn principal(found: &CertificateIdentity) -> Principal {
    Principal::Keyless { issuer: found.issuer.clone(), identity: found.subject.clone() }
}

/// In what the certificate differs, where issuer and subject are right: everybody else is somebody else.
fn describe(name: &str, keyless: &KeylessIdentity, mismatch: &IdentityMismatch, found: &CertificateIdentity) -> Option<String> {
    match mismatch {
        IdentityMismatch::Issuer if keyless.subject.matches(&found.subject) => Some(format!(
            "by {} of issuer {}, where {name} has {}",
            quote(&found.subject),
            quote(&found.issuer),
            quote(&keyless.issuer.to_string())
        )),
        IdentityMismatch::Issuer | IdentityMismatch::Subject => None,
        IdentityMismatch::Claim { claim, expected, found: value } => {
            let value = value.as_deref().map_or_else(|| "missing".to_owned(), quote);
            Some(format!("by {}, whose {claim} is {value}, where {name} has {}", principal(found), quote(expected)))
        }
    }
}
