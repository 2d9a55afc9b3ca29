//! Notation signatures.

use super::{Judge, Judgement, Named, Signed, Unknown};
use crate::claim::Claim;
use crate::manifest::Manifest;
use crate::message::{problem, quote};
use crate::notation::{self, NotationError, Target};
use crate::policy::SignerIdentity;
use crate::principal::Principal;
use crate::signature::Vouched;

impl<'p> Judge<'p> {
    /// Verifies with each of the signers: trust store, identities and level are each signer's own.
    pub(super) fn try_notation(
        &self,
        signers: &[Named<'p>],
        claim: &Claim<'_>,
        (envelope, media_type): (&[u8], &str),
        vouched: Vouched<'_>,
    ) -> Judgement<'p> {
        let Ok(manifest) = Manifest::parse(vouched.manifest, None) else { return Judgement::Unknown(Unknown::default()) };
        let target = Target { media_type: manifest.media_type(), digest: vouched.digest, size: vouched.manifest.len() as u64 };
        let mut signed = Vec::new();
        let mut failed: Option<(bool, String, Option<Principal>)> = None;
        let mut fail = |nobody: bool, why: String, by: Option<Principal>| {
            // What fails with somebody's own certificate tells more than that it is not another's.
            if failed.as_ref().is_none_or(|(before, ..)| *before && !nobody) {
                failed = Some((nobody, why, by));
            }
        };
        for (name, signer) in signers {
            let SignerIdentity::Notation(trusted) = &signer.identity else { continue };
            let verified = match notation::verify(envelope, media_type, &target, trusted, self.now) {
                Ok(verified) => verified,
                Err(error) => {
                    let nobody = matches!(error, NotationError::UntrustedRoot { .. } | NotationError::Identity { .. });
                    fail(nobody, format!("not by {name}: {}", problem(&error)), None);
                    continue;
                }
            };
            let principal = Principal::Notation { root: verified.root(), subject: verified.subject().to_owned() };
            let warnings =
                verified.warnings().iter().map(|warning| format!("{}: {}", warning.validation.name(), problem(&warning.problem)));
            let warnings: Vec<String> = warnings.collect();
            // At level `audit` anybody's signature verifies; only those count that are by one of the signer's identities.
            if !verified.is_authentic() {
                fail(true, format!("not by {name}: {}", warnings.join("; ")), None);
                continue;
            }
            match self.check(signer, claim, verified.signed_at()) {
                Ok(()) => {
                    let until = verified.valid_until().map(|last| last.plus(1));
                    signed.push(Signed { signer: name, principal, at: verified.signed_at(), until, warnings });
                }
                Err(why) => fail(false, format!("by {name} (subject {}), {why}", quote(verified.subject())), Some(principal)),
            }
        }
        match failed {
            _ if !signed.is_empty() => Judgement::Signed(signed),
            Some((false, why, by)) => Judgement::Failed { why, by },
            Some((true, why, _)) => Judgement::Unknown(Unknown { why: Some(why), ..Unknown::default() }),
            None => Judgement::Unknown(Unknown::default()),
        }
    }
}
