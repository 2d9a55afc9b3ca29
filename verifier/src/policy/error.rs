//! Why parts make no policy.

use super::signer::{SignerName, TrustRootName};
use crate::key::KeyId;

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
        /// The rule, or `baseline`.
        pattern: String,
        /// The name.
        signer: SignerName,
    },
    /// A list that must name something is empty, or `allow`/`deny` stands beside other requirements.
    #[error("rule {pattern}: {problem}")]
    Rule {
        /// The rule, or `baseline`.
        pattern: String,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// A scan policy that cannot be.
    #[error("scan policy {name}: {problem}")]
    ScanPolicy {
        /// Its name.
        name: String,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// A scan policy names a signer that is not defined.
    #[error("scan policy {name} names the signer {signer:?}, which is not defined under `signers`")]
    UnknownScanSigner {
        /// The scan policy.
        name: String,
        /// The signer's name.
        signer: SignerName,
    },
    /// An exception that cannot be.
    #[error("exception for {image}: {problem}")]
    Exception {
        /// Its place among the exceptions, counted from 0.
        index: usize,
        /// What it is about.
        image: String,
        /// What is wrong, and how to mend it.
        problem: String,
    },
    /// No platform at all would let an index pass whose children nobody has looked at.
    #[error("`platforms` is empty: name at least one, such as linux/amd64")]
    NoPlatform,
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
    /// A signer with GitHub's issuer that leaves open whose source was built.
    #[error("signer {signer:?} has GitHub's issuer and names no `source-repository`: anybody may call a reusable workflow")]
    AnySource {
        /// The name.
        signer: SignerName,
    },
    /// A signer that names a trust root which is not defined.
    #[error("signer {signer:?} names the trust root {trust_root:?}, which is not defined under `trust-roots`")]
    UnknownTrustRoot {
        /// The signer.
        signer: SignerName,
        /// The name.
        trust_root: TrustRootName,
    },
}
