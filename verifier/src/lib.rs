//! # The trust decision
//!
//! This crate holds the OCI vocabulary ([`Digest`], [`Reference`], [`Manifest`], …) and one pure, total function:
//!
//! ```text
//! evaluate(&Evidence, &Policy, now: Timestamp) -> Verdict
//! ```
//!
//! No clock, network, disk, log or async lives here. [`Evidence`] carries raw, untrusted bytes: every signature is
//! checked inside [`evaluate()`], so that no caller can assert a fact. Material that is missing, malformed or out of
//! reach is a [`Gap`]; what a rule requires and a gap hides is denied.
//!
//! Read in this order: [`digest`], [`mod@reference`], [`manifest`], [`evidence`], [`policy`], [`evaluate`](mod@evaluate), [`verdict`].

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod bundle;
mod claim;
pub mod classify;
pub mod contents;
pub mod digest;
pub mod dsse;
mod encoding;
pub mod evaluate;
pub mod evidence;
pub mod json;
mod judge;
pub mod key;
pub mod limits;
pub mod manifest;
pub mod media_type;
mod message;
pub mod notation;
pub mod pattern;
pub mod policy;
mod predicate;
pub mod principal;
mod purl;
mod quorum;
pub mod reference;
pub mod scan;
mod search;
pub mod signature;
pub mod sigstore;
pub mod simple_signing;
pub mod statement;
pub mod time;
pub mod tuf;
pub mod verdict;
mod vex;

pub use classify::{Class, classify, may_be_evidence, may_be_evidence_listing};
pub use contents::{ConfiguredUser, Contents, FileCapabilities, SecretFinding, SetId};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use evaluate::{evaluate, explain};
pub use evidence::{Attachment, Collected, Evidence, EvidenceSource, Failure, Gap, ImageFacts, Location, ParentEvidence, Subject};
pub use json::JsonError;
pub use key::{KeyAlgorithm, KeyError, KeyId, PublicKey};
pub use manifest::{Descriptor, ImageManifest, Index, Manifest, ManifestError, Platform};
pub use pattern::{Pattern, PatternError};
pub use policy::{
    AttestationType, Attested, Claim, Condition, ContentsPolicy, Exception, ExceptionState, GraceStart, IdentityMatcher, IgnoredSecret,
    KeylessIdentity, Mode, Needs, PlatformName, Pointer, Policy, PolicyError, PolicyParts, Quorum, RequiredSource, Requirement, Revision,
    Rule, ScanPolicy, Severities, SignedBy, Signer, SignerIdentity, SignerName, TextMatcher, Treatment, TrustedKey, Waived,
};
pub use principal::Principal;
pub use reference::{ManifestReference, Reference, ReferenceError, Repository, Tag};
pub use scan::{Packages, ReportError, ScanReport, ScanSource, Severity, Vulnerability};
pub use time::Timestamp;
pub use verdict::{
    Admission, Denial, Finding, FindingKind, FindingOutcome, FindingStanding, JudgedVulnerability, Reason, Satisfied, SignatureForm,
    UsedException, Verdict,
};
