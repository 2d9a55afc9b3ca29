//! Who is trusted: roots, revocation lists and identities (trust-store-trust-policy.md).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate::{Certificate, CertificateError};
use super::chain::{Purpose, check_authority, check_leaf};
use super::identity::IdentityPattern;
use super::level::{Level, RevocationCheck, TimestampCheck};
use super::revocation::{RevocationList, RevocationListError};
use crate::digest::Digest;

/// The three kinds of trust store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreKind {
    /// Roots for signing scheme `notary.x509`.
    Ca,
    /// Roots for signing scheme `notary.x509.signingAuthority`.
    SigningAuthority,
    /// Roots of time-stamping authorities.
    Tsa,
}

impl StoreKind {
    /// The prefix in a trust policy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }
}

/// Why bytes are nothing that a trust store holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Neither PEM nor DER of what is expected.
    #[error("neither PEM nor DER: expected {expected}")]
    Form {
        /// `CERTIFICATE` or `X509 CRL`.
        expected: &'static str,
    },
    /// A PEM block of another kind, which a file by mistake holds; a private key above all.
    #[error("a PEM block of another kind: expected only {expected}")]
    Label {
        /// `CERTIFICATE` or `X509 CRL`.
        expected: &'static str,
    },
    /// A certificate that is no root, or not fit to be one.
    #[error("certificate {number} of the file: {problem}")]
    Certificate {
        /// Its place in the file, from 1.
        number: usize,
        /// What is wrong with it.
        problem: CertificateError,
    },
    /// A revocation list that cannot be used.
    #[error("revocation list {number} of the file: {problem}")]
    RevocationList {
        /// Its place in the file, from 1.
        number: usize,
        /// What is wrong with it.
        problem: RevocationListError,
    },
}

/// Roots by kind, and the revocation lists that an admin gives with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustStore {
    ca: Vec<Box<[u8]>>,
    signing_authority: Vec<Box<[u8]>>,
    tsa: Vec<Box<[u8]>>,
    revocation_lists: Vec<RevocationList>,
}

impl TrustStore {
    /// An empty one, which trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the certificates of a file: PEM, any number, or one in DER. Each must be a self-signed root: a CA, or (not for
    /// `tsa`) a self-signed signing certificate.
    ///
    /// # Errors
    /// When the file holds anything else. Nothing is added then.
    pub fn add(&mut self, kind: StoreKind, file: &[u8]) -> Result<(), StoreError> {
        let ders = blocks(file, "CERTIFICATE")?;
        for (index, der) in ders.iter().enumerate() {
            check_root(kind, der).map_err(|problem| StoreError::Certificate { number: index + 1, problem })?;
        }
        let roots = match kind {
            StoreKind::Ca => &mut self.ca,
            StoreKind::SigningAuthority => &mut self.signing_authority,
            StoreKind::Tsa => &mut self.tsa,
        };
        roots.extend(ders.into_iter().map(Vec::into_boxed_slice));
        Ok(())
    }

    /// Adds the revocation lists of a file: PEM, any number, or one in DER. Whether an issuer signed them is checked when they
    /// are used.
    ///
    /// # Errors
    /// When the file holds anything else, or an indirect, partial or delta list. Nothing is added then.
    pub fn add_revocation_lists(&mut self, file: &[u8]) -> Result<(), StoreError> {
        let parse = |(index, der): (usize, Vec<u8>)| {
            RevocationList::parse(&der).map_err(|problem| StoreError::RevocationList { number: index + 1, problem })
        };
        let lists: Vec<_> = blocks(file, "X509 CRL")?.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        self.revocation_lists.extend(lists);
        Ok(())
    }

    /// Whether it holds no root of `kind`.
    #[must_use]
    pub fn is_empty(&self, kind: StoreKind) -> bool {
        self.roots(kind).is_empty()
    }

    /// SHA-256 of each root of `kind`.
    #[must_use]
    pub fn root_digests(&self, kind: StoreKind) -> Vec<Digest> {
        self.roots(kind).iter().map(|root| Digest::sha256(root)).collect()
    }

    pub(super) fn roots(&self, kind: StoreKind) -> &[Box<[u8]>] {
        match kind {
            StoreKind::Ca => &self.ca,
            StoreKind::SigningAuthority => &self.signing_authority,
            StoreKind::Tsa => &self.tsa,
        }
    }

    pub(super) fn revocation_lists(&self) -> &[RevocationList] {
        &self.revocation_lists
    }
}

fn check_root(kind: StoreKind, der: &[u8]) -> Result<(), CertificateError> {
    let certificate = Certificate::parse(der)?;
    if !certificate.is_self_issued() || certificate.check_issued_by(&certificate).is_err() {
        return Err(CertificateError::NotRoot);
    }
    let ca = certificate.extensions.basic_constraints.is_some_and(|constraints| constraints.ca);
    if ca || kind == StoreKind::Tsa { check_authority(&certificate, 0) } else { check_leaf(&certificate, Purpose::CodeSigning) }
}

/// The contents of the PEM blocks with `label` in `file`, or `file` itself where it is DER.
fn blocks(file: &[u8], label: &'static str) -> Result<Vec<Vec<u8>>, StoreError> {
    let form = || StoreError::Form { expected: label };
    // A certificate and a revocation list are both a SEQUENCE of over 127 bytes.
    if file.starts_with(&[0x30, 0x81]) || file.starts_with(&[0x30, 0x82]) || file.starts_with(&[0x30, 0x83]) {
        return Ok(vec![file.to_vec()]);
    }
    let mut rest = std::str::from_utf8(file).map_err(|_| form())?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    while let Some(start) = rest.find("-----BEGIN ") {
        let block = rest.get(start..).unwrap_or_default();
        let body = block.strip_prefix(begin.as_str()).ok_or(StoreError::Label { expected: label })?;
        let (body, after) = body.split_once(end.as_str()).ok_or_else(form)?;
        let base64: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        found.push(STANDARD.decode(base64).map_err(|_| form())?);
        rest = after;
    }
    if found.is_empty() { Err(form()) } else { Ok(found) }
}

/// Why parts make no signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// No root to sign under.
    #[error("no certificate in a ca or signingAuthority trust store: expected at least one")]
    NoRoot,
    /// No identity.
    #[error("no identity: expected \"x509.subject: C=…, ST=…, O=…\", or \"*\" for everybody under the trust store")]
    NoIdentity,
    /// `*` beside others, or two identities of which one is within the other.
    #[error("identities {first:?} and {second:?} overlap: expected that each certificate can match one")]
    Overlap {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}

/// A signer of Notation signatures, as a policy names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotationSigner {
    pub(super) store: TrustStore,
    pub(super) identities: Vec<IdentityPattern>,
    pub(super) level: Level,
    pub(super) revocation: RevocationCheck,
    pub(super) timestamps: TimestampCheck,
}

impl NotationSigner {
    /// Whoever has one of `identities` under a root of `store`, verified at level `strict`.
    ///
    /// # Errors
    /// When there is no root or no identity, or identities overlap.
    pub fn new(store: TrustStore, identities: Vec<IdentityPattern>) -> Result<Self, SignerError> {
        if store.is_empty(StoreKind::Ca) && store.is_empty(StoreKind::SigningAuthority) {
            return Err(SignerError::NoRoot);
        }
        if identities.is_empty() {
            return Err(SignerError::NoIdentity);
        }
        for (index, first) in identities.iter().enumerate() {
            if let Some(second) = identities.iter().skip(index + 1).find(|second| overlap(first, second)) {
                return Err(SignerError::Overlap { first: first.to_string(), second: second.to_string() });
            }
        }
        let (level, revocation, timestamps) = (Level::default(), RevocationCheck::default(), TimestampCheck::default());
        Ok(Self { store, identities, level, revocation, timestamps })
    }

    /// The same at another level.
    #[must_use]
    pub const fn with_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// The same with another revocation check.
    #[must_use]
    pub const fn with_revocation(mut self, revocation: RevocationCheck) -> Self {
        self.revocation = revocation;
        self
    }

    /// The same with another timestamp check.
    #[must_use]
    pub const fn with_timestamps(mut self, timestamps: TimestampCheck) -> Self {
        self.timestamps = timestamps;
        self
    }

    /// The level.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The trust store.
    #[must_use]
    pub const fn store(&self) -> &TrustStore {
        &self.store
    }

    /// The identities.
    #[must_use]
    pub fn identities(&self) -> &[IdentityPattern] {
        &self.identities
    }
}

fn overlap(first: &IdentityPattern, second: &IdentityPattern) -> bool {
    match (first, second) {
        (IdentityPattern::Subject(first), IdentityPattern::Subject(second)) => first.is_within(second) || second.is_within(first),
        (IdentityPattern::Any, _) | (_, IdentityPattern::Any) => true,
    }
}
