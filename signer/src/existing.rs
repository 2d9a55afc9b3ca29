//! What signers have said of a manifest already, so that nobody says the same twice. The decision's own search finds it: only what
//! verifies counts as said.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sealgate_registry::{Client, Lifetimes, collect};
use sealgate_verifier::bundle::{self, Content};
use sealgate_verifier::dsse::Envelope;
use sealgate_verifier::evidence::ImageFacts;
use sealgate_verifier::policy::{Claim, KeylessIdentity, TextMatcher, TrustRootSource};
use sealgate_verifier::statement::Statement;
use sealgate_verifier::verdict::SignatureForm;
use sealgate_verifier::{
    Attachment, AttestationType, Attested, Digest, Evidence, Finding, FindingOutcome, IdentityMatcher, Pattern, Policy, PolicyParts,
    Quorum, Repository, Requirement, Revision, Rule, SignedBy, SignerIdentity, Subject, Timestamp, TrustedKey, evaluate,
};

use crate::predicate::Predicate;
use crate::signer::Signer;

/// How long what was collected counts. It is read once, at once.
const MAX_STALE: Duration = Duration::from_secs(3600);
/// Name of a signer's own trust root, by the signer's number.
fn root_name(number: usize) -> String {
    format!("root-{number}")
}

/// How a signature is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As a Sigstore bundle.
    Bundle,
    /// In cosign's older layout.
    Legacy,
}

impl Format {
    /// Its name on the command line and in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Legacy => "legacy",
        }
    }

    const fn of(form: SignatureForm) -> Option<Self> {
        match form {
            SignatureForm::BundleDsse | SignatureForm::BundleMessage => Some(Self::Bundle),
            SignatureForm::SimpleSigning | SignatureForm::Dsse => Some(Self::Legacy),
            SignatureForm::NotationJws | SignatureForm::NotationCose | SignatureForm::Other => None,
        }
    }
}

/// What is to be said.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// That the signer approves.
    Signature,
    /// This predicate.
    Attestation(AttestationType, Predicate),
}

/// What has been said.
#[derive(Debug, Default)]
pub struct Existing {
    findings: Vec<Finding>,
    attachments: Vec<Attachment>,
}

impl Existing {
    /// Looks for it. What cannot be seen counts as unsaid: saying it twice harms nobody.
    ///
    /// # Errors
    /// When the signers make no policy; a text for people.
    pub async fn look(
        client: &Client,
        repository: &Repository,
        digest: Digest,
        manifest: Bytes,
        signers: &[Signer],
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Self, String> {
        let policy = policy(signers, wanted)?;
        let attachments = collect(client, repository, &digest, policy.needs(repository), now, Lifetimes { max_stale: MAX_STALE }).await;
        let subject = Subject { repository: repository.clone(), tag: None, digest, manifest };
        let image = ImageFacts::not_collected(now);
        let evidence = Evidence { subject, attachments, parents: Vec::new(), image, children: Vec::new() };
        let findings = evaluate(&evidence, &policy, now).findings().to_vec();
        Ok(Self { findings, attachments: evidence.attachments.items })
    }

    /// The manifest in which `signers[number]` has said it in this format.
    #[must_use]
    pub fn find(&self, number: usize, format: Format, wanted: &Wanted) -> Option<Digest> {
        let name = number.to_string();
        let said = self.findings.iter().find(|finding| {
            let by = matches!(&finding.outcome, FindingOutcome::Verified { signers, .. } if signers.contains(&name));
            by && Format::of(finding.form) == Some(format) && self.says(finding, wanted)
        });
        said.map(|finding| finding.attachment)
    }

    fn says(&self, finding: &Finding, wanted: &Wanted) -> bool {
        use sealgate_verifier::FindingKind::{Attestation, Signature, Unread};
        match (&finding.kind, wanted) {
            (Signature, Wanted::Signature) => true,
            (Attestation { predicate_type }, Wanted::Attestation(_, predicate)) => {
                predicate_type == predicate.predicate_type() && self.predicate(finding).is_some_and(|found| predicate.says(&found))
            }
            (Signature | Attestation { .. } | Unread, _) => false,
        }
    }

    fn predicate(&self, finding: &Finding) -> Option<String> {
        let digest = finding.layer?;
        let bytes = self.attachments.iter().flat_map(|attachment| &attachment.layers).find(|bytes| digest.matches(bytes))?;
        let envelope = match bundle::Bundle::parse(bytes).map(|bundle| bundle.content) {
            Ok(Content::Dsse(envelope)) => envelope,
            Ok(Content::Message { .. }) => return None,
            Err(_) => Envelope::parse(bytes).ok()?,
        };
        Some(Statement::parse(&envelope.payload).ok()?.predicate?.get().to_owned())
    }
}

/// That any of the signers said it. Their names are their numbers.
fn policy(signers: &[Signer], wanted: &Wanted) -> Result<Policy, String> {
    let mut trust_roots = BTreeMap::new();
    let mut known = BTreeMap::new();
    for (number, signer) in signers.iter().enumerate() {
        if let Some(instance) = signer.instance() {
            trust_roots.insert(root_name(number), TrustRootSource::File(Box::new(instance.root.clone())));
        }
        known.insert(number.to_string(), sealgate_verifier::Signer { identity: identity(number, signer), images: Vec::new() });
    }
    let by = SignedBy { quorum: Quorum::Any, signers: known.keys().cloned().collect() };
    let requirement = match wanted {
        Wanted::Signature => Requirement::SignedBy(by),
        Wanted::Attestation(kind, _) => Requirement::Attested(Attested { kind: kind.clone(), by, conditions: Vec::new(), max_age: None }),
    };
    let pattern: Pattern = "**".parse().map_err(|error| format!("{error}"))?;
    let rules = vec![Rule::of(pattern, vec![requirement])];
    let empty = PolicyParts::empty(Revision(Digest::sha256(b"what has been said")));
    let parts = PolicyParts { trust_roots, signers: known, rules, ..empty };
    Policy::new(parts).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn identity(number: usize, signer: &Signer) -> SignerIdentity {
    use sealgate_verifier::Principal;
    let keys = || vec![TrustedKey { key: signer.public().clone(), until: None }];
    match (signer.principal(), signer.instance().is_some()) {
        (Principal::Keyless { issuer, identity }, _) => SignerIdentity::Keyless(KeylessIdentity {
            issuer: IdentityMatcher::Exact(issuer),
            subject: IdentityMatcher::Exact(identity),
            claims: BTreeMap::from([(Claim::SourceRepository, TextMatcher::Any)]),
            trust_root: root_name(number),
        }),
        (Principal::Key { .. } | Principal::Notation { .. }, true) => {
            SignerIdentity::LoggedKeys { keys: keys(), trust_root: root_name(number) }
        }
        (Principal::Key { .. } | Principal::Notation { .. }, false) => SignerIdentity::Keys(keys()),
    }
}
