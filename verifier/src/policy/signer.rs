//! Who may sign, and how each is recognised.

use std::collections::BTreeMap;
use std::fmt;

use super::text::{IdentityMatcher, TextMatcher};
use crate::key::PublicKey;
use crate::notation::NotationSigner;
use crate::pattern::Pattern;
use crate::sigstore::{CertificateIdentity, Claims};
use crate::time::Timestamp;

/// Name of a signer in the policy, for example `ci`.
pub type SignerName = String;

/// Name of a trust root in the policy.
pub type TrustRootName = String;

/// The trust root that signers use who name no other: the public Sigstore instance.
pub const PUBLIC_ROOT: &str = "public";

/// The trust root of GitHub's own instance, which signs the attestations of private repositories.
pub const GITHUB_ROOT: &str = "github";

/// Issuer of the certificates that GitHub Actions' workflows get. Anybody may call a reusable workflow, so the workflow alone says
/// nothing about whose source it built (docs.github.com, "Reusing workflow configurations").
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Somebody whose signature counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// How the signer is recognised.
    pub identity: SignerIdentity,
    /// The repositories in which this signer counts; empty means all.
    pub images: Vec<Pattern>,
}

/// How a signer is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerIdentity {
    /// Any one of these public keys; an entry in a transparency log is not asked for. Never empty.
    Keys(Vec<TrustedKey>),
    /// Any one of these public keys, and an entry about the signature in a log of a trust root. Never empty.
    LoggedKeys {
        /// The keys.
        keys: Vec<TrustedKey>,
        /// Whose logs count.
        trust_root: TrustRootName,
    },
    /// A short-lived certificate that a trust root's authority issued ("keyless").
    Keyless(KeylessIdentity),
    /// A Notation signature under a trust store.
    Notation(Box<NotationSigner>),
}

impl SignerIdentity {
    /// The keys of a signer that is recognised by keys; else none.
    #[must_use]
    pub fn keys(&self) -> &[TrustedKey] {
        match self {
            Self::Keys(keys) | Self::LoggedKeys { keys, .. } => keys,
            Self::Keyless(_) | Self::Notation(_) => &[],
        }
    }

    /// The trust root that the signer's signatures are checked against, where they are against one.
    #[must_use]
    pub fn trust_root(&self) -> Option<&str> {
        match self {
            Self::Keys(_) | Self::Notation(_) => None,
            Self::LoggedKeys { trust_root, .. } => Some(trust_root),
            Self::Keyless(keyless) => Some(&keyless.trust_root),
        }
    }
}

/// A public key, and how long it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// Signatures that were made from this time on do not count. A signature without a log entry has no provable time, so it counts
    /// until then only.
    pub until: Option<Timestamp>,
}

/// Whose certificate counts. Issuer **and** subject must match, and every claim that is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeylessIdentity {
    /// The OIDC issuer (OID 1.3.6.1.4.1.57264.1.8, or .1 in old certificates).
    pub issuer: IdentityMatcher,
    /// The certificate's subject alternative name.
    pub subject: IdentityMatcher,
    /// What the certificate says beside that.
    pub claims: BTreeMap<Claim, TextMatcher>,
    /// The trust root whose authority must have issued it. The image never chooses it.
    pub trust_root: TrustRootName,
}

impl KeylessIdentity {
    /// Whether the certificate is whose it should be.
    ///
    /// # Errors
    /// The first thing that differs.
    pub fn check(&self, found: &CertificateIdentity) -> Result<(), IdentityMismatch> {
        if !self.issuer.matches(&found.issuer) {
            return Err(IdentityMismatch::Issuer);
        }
        if !self.subject.matches(&found.subject) {
            return Err(IdentityMismatch::Subject);
        }
        for (claim, expected) in &self.claims {
            let found = claim.of(&found.claims);
            if !expected.matches(found) {
                let (expected, found) = (expected.to_string(), found.map(str::to_owned));
                return Err(IdentityMismatch::Claim { claim: *claim, expected, found });
            }
        }
        Ok(())
    }
}

/// In what a certificate differs from the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityMismatch {
    /// Another issuer: somebody else altogether.
    Issuer,
    /// Another subject of the same issuer.
    Subject,
    /// Issuer and subject are right.
    Claim {
        /// The claim that differs.
        claim: Claim,
        /// What the policy asks for.
        expected: String,
        /// What the certificate says.
        found: Option<String>,
    },
}

/// A statement of a Fulcio certificate (sigstore/fulcio, docs/oid-info.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// `Source Repository URI`, .12; in old certificates GitHub's repository name, .5.
    SourceRepository,
    /// `Source Repository Ref`, .14; in old certificates .6.
    SourceRef,
    /// `Source Repository Digest`, .13; in old certificates .3.
    SourceDigest,
    /// `Source Repository Owner URI`, .16.
    SourceOwner,
    /// `Build Signer URI`, .9.
    BuildSigner,
    /// `Build Config URI`, .18.
    BuildConfig,
    /// `Build Trigger`, .20; in old certificates .2.
    BuildTrigger,
    /// `Runner Environment`, .11.
    Runner,
}

impl Claim {
    /// Every claim.
    pub const ALL: [Self; 8] = [
        Self::SourceRepository,
        Self::SourceRef,
        Self::SourceDigest,
        Self::SourceOwner,
        Self::BuildSigner,
        Self::BuildConfig,
        Self::BuildTrigger,
        Self::Runner,
    ];

    /// What a certificate says in its place.
    #[must_use]
    pub fn of(self, claims: &Claims) -> Option<&str> {
        let Claims { source_repository, source_repository_ref, source_repository_digest, source_repository_owner, .. } = claims;
        let found = match self {
            Self::SourceRepository => source_repository,
            Self::SourceRef => source_repository_ref,
            Self::SourceDigest => source_repository_digest,
            Self::SourceOwner => source_repository_owner,
            Self::BuildSigner => &claims.build_signer_uri,
            Self::BuildConfig => &claims.build_config_uri,
            Self::BuildTrigger => &claims.build_trigger,
            Self::Runner => &claims.runner_environment,
        };
        found.as_deref()
    }

    /// Its name in the policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceRepository => "source-repository",
            Self::SourceRef => "source-ref",
            Self::SourceDigest => "source-digest",
            Self::SourceOwner => "source-owner",
            Self::BuildSigner => "build-signer",
            Self::BuildConfig => "build-config",
            Self::BuildTrigger => "build-trigger",
            Self::Runner => "runner",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
