//! Whose signature a command asks for, in cosign's words.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use sealgate_signer::KeySource;
use sealgate_verifier::policy::{Claim, IdentityMatcher, KeylessIdentity, PUBLIC_ROOT, SignerIdentity, TextMatcher, TrustRootSource};
use sealgate_verifier::sigstore::TrustRoot;
use sealgate_verifier::{
    Digest, Pattern, Policy, PolicyParts, PublicKey, Quorum, Requirement, Revision, Rule, SignedBy, Signer, TrustedKey,
};

use super::environment;
use super::exit::{Exit, Failure};

/// Names of the signers that the arguments stand for.
const KEY: &str = "key";
const IDENTITY: &str = "identity";
/// Name of `--trusted-root`.
const GIVEN_ROOT: &str = "trusted-root";

/// A key, or a keyless identity.
#[derive(Debug, Clone, Args)]
pub struct SignerArgs {
    /// A public key: a file or env://VARIABLE; may be given several times
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,
    /// The identity that a keyless signature's certificate must carry, exactly
    #[arg(long, value_name = "IDENTITY", requires = "issuer", conflicts_with_all = ["key", "certificate_identity_regexp"])]
    pub certificate_identity: Option<String>,
    /// A regular expression that the whole identity must match
    #[arg(long, value_name = "REGEXP", requires = "issuer", conflicts_with = "key")]
    pub certificate_identity_regexp: Option<String>,
    /// The OIDC issuer that the certificate must carry, exactly
    #[arg(long, value_name = "URL", group = "issuer", conflicts_with = "key")]
    pub certificate_oidc_issuer: Option<String>,
    /// A regular expression that the whole issuer must match
    #[arg(long, value_name = "REGEXP", group = "issuer", conflicts_with = "key")]
    pub certificate_oidc_issuer_regexp: Option<String>,
    /// The source repository that the certificate must carry, such as `https://github.com/acme/app` or `https://github.com/acme/*`
    #[arg(long, value_name = "URL", requires = "issuer")]
    pub certificate_source_repository: Option<String>,
    /// Trust this instance of Sigstore, by its trusted_root.json, instead of the public one
    #[arg(long, value_name = "FILE", requires = "issuer")]
    pub trusted_root: Option<PathBuf>,
}

impl SignerArgs {
    /// Whether anybody is named.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.key.is_empty() && self.certificate_identity.is_none() && self.certificate_identity_regexp.is_none()
    }

    /// The policy that the signer meets what `requirement` makes of it, for every image.
    ///
    /// # Errors
    /// When nobody is named, or a key, expression or root cannot be read.
    pub fn policy(&self, requirement: impl FnOnce(SignedBy) -> Requirement) -> Result<Policy, Failure> {
        let (name, identity) = match self.identity()? {
            Some(keyless) => (IDENTITY, SignerIdentity::Keyless(keyless)),
            None => (KEY, SignerIdentity::Keys(self.keys()?)),
        };
        let mut trust_roots = BTreeMap::new();
        if let Some(file) = &self.trusted_root {
            let failed = |problem: String| Failure::error(format!("{}: {problem}", file.display()));
            let bytes = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
            let root = TrustRoot::from_json(&bytes).map_err(|error| failed(error.to_string()))?;
            trust_roots.insert(GIVEN_ROOT.to_owned(), TrustRootSource::File(Box::new(root)));
        }
        let signed_by = SignedBy { quorum: Quorum::Any, signers: vec![name.to_owned()] };
        let pattern: Pattern = "**".parse().map_err(|error| Failure::error(format!("{error}")))?;
        let parts = PolicyParts {
            trust_roots,
            signers: BTreeMap::from([(name.to_owned(), Signer { identity, images: Vec::new() })]),
            rules: vec![Rule::of(pattern, vec![requirement(signed_by)])],
            ..PolicyParts::empty(Revision(Digest::sha256(format!("{self:?}").as_bytes())))
        };
        Policy::new(parts).map_err(|errors| Failure::error(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
    }

    fn identity(&self) -> Result<Option<KeylessIdentity>, Failure> {
        let usage = |problem: String| Failure::new(Exit::Usage, problem);
        let matcher = |exact: &Option<String>, regexp: &Option<String>, name: &str| match (exact, regexp) {
            (Some(exact), _) => Ok(Some(IdentityMatcher::Exact(exact.clone()))),
            (None, Some(text)) => IdentityMatcher::regexp(text).map(Some).map_err(|error| usage(format!("--{name}-regexp: {error}"))),
            (None, None) => Ok(None),
        };
        let subject = matcher(&self.certificate_identity, &self.certificate_identity_regexp, "certificate-identity")?;
        let issuer = matcher(&self.certificate_oidc_issuer, &self.certificate_oidc_issuer_regexp, "certificate-oidc-issuer")?;
        let (subject, issuer) = match (subject, issuer) {
            (Some(subject), Some(issuer)) => (subject, issuer),
            (None, None) => return Ok(None),
            (Some(_), None) => return Err(usage("--certificate-oidc-issuer is missing".to_owned())),
            (None, Some(_)) => {
                return Err(usage("--certificate-identity is missing: whose signature, of all that the issuer knows?".to_owned()));
            }
        };
        // Whoever writes an identity on the command line may leave this open, as with cosign; a policy must say so.
        let source = self.certificate_source_repository.as_deref().map_or(TextMatcher::Any, TextMatcher::parse);
        let trust_root = if self.trusted_root.is_some() { GIVEN_ROOT } else { PUBLIC_ROOT }.to_owned();
        Ok(Some(KeylessIdentity { issuer, subject, claims: BTreeMap::from([(Claim::SourceRepository, source)]), trust_root }))
    }

    fn keys(&self) -> Result<Vec<TrustedKey>, Failure> {
        if self.key.is_empty() {
            let problem = "name a signer: --key, or --certificate-identity with --certificate-oidc-issuer";
            return Err(Failure::new(Exit::Usage, problem));
        }
        let mut keys: Vec<TrustedKey> = Vec::new();
        for text in &self.key {
            let source: KeySource = text.parse().map_err(|error| Failure::new(Exit::Usage, format!("--key: {error}")))?;
            let pem = source.read(&environment).map_err(|error| Failure::error(error.to_string()))?;
            let key = PublicKey::from_pem(&pem).map_err(|error| Failure::error(format!("{source}: {error}")))?;
            if !keys.iter().any(|known| known.key.id() == key.id()) {
                keys.push(TrustedKey { key, until: None });
            }
        }
        Ok(keys)
    }
}
