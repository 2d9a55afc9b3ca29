//! What a policy says of vulnerabilities (`scan-policies`).

use std::fmt;

use super::signer::SignerName;
use crate::scan::Severity;

/// How scan status is judged. One that a policy defines has its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPolicy {
    /// Its name.
    pub name: String,
    /// Whose reports are asked for. All must be there and fresh; the worst finding wins. Never empty.
    pub sources: Vec<RequiredSource>,
    /// What becomes of a finding.
    pub severities: Severities,
    /// Whether a finding counts that has no fixed version yet.
    pub ignore_unfixed: bool,
    /// Seconds that a report may be old: the older of the scan and of the advisories that it used. Positive.
    pub max_age: i64,
    /// Seconds that a first pull waits for its scan. The decision does not read it; the gate does.
    pub wait: i64,
    /// Whose OpenVEX statements may clear a finding.
    pub vex: Vec<SignerName>,
}

/// Whose report is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequiredSource {
    /// The built-in matcher's.
    BuiltIn,
    /// An attestation over the image by any of these signers. Never empty.
    AttestedBy(Vec<SignerName>),
    /// That of a scanner which the server's configuration names.
    Scanner(String),
}

impl fmt::Display for RequiredSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in scan"),
            Self::AttestedBy(signers) => write!(f, "scan attested by {}", signers.join(" or ")),
            Self::Scanner(name) => write!(f, "scanner {name}"),
        }
    }
}

/// What becomes of the findings of each severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Severities {
    /// Of critical ones.
    pub critical: Treatment,
    /// Of high ones.
    pub high: Treatment,
    /// Of medium ones.
    pub medium: Treatment,
    /// Of low ones.
    pub low: Treatment,
    /// Of negligible ones.
    pub negligible: Treatment,
    /// Of those whose severity nobody knows.
    pub unknown: Treatment,
}

impl Severities {
    /// What becomes of one of this severity.
    #[must_use]
    pub const fn of(&self, severity: Severity) -> Treatment {
        match severity {
            Severity::Critical => self.critical,
            Severity::High => self.high,
            Severity::Medium => self.medium,
            Severity::Low => self.low,
            Severity::Negligible => self.negligible,
            Severity::Unknown => self.unknown,
        }
    }
}

/// What becomes of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It denies.
    Deny,
    /// It denies once this time is over.
    Grace {
        /// Seconds.
        seconds: i64,
        /// From when they count.
        from: GraceStart,
    },
    /// It is listed.
    Track,
}

/// From when a grace period counts. Where that time is not known, it counts from the earliest of the others that are, and where
/// none is, it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraceStart {
    /// There is a fixed version. Without one the period does not begin.
    FixAvailable,
    /// It was published.
    Published,
    /// This gate first found it in the image.
    FirstSeen,
}

impl ScanPolicy {
    /// Every signer that it names.
    pub fn signers(&self) -> impl Iterator<Item = &SignerName> {
        let attesting = self.sources.iter().filter_map(|source| match source {
            RequiredSource::AttestedBy(signers) => Some(signers),
            RequiredSource::BuiltIn | RequiredSource::Scanner(_) => None,
        });
        attesting.flatten().chain(&self.vex)
    }

    /// Whether it reads reports that the gate brings in.
    #[must_use]
    pub fn reads_reports(&self) -> bool {
        self.sources.iter().any(|source| match source {
            RequiredSource::BuiltIn | RequiredSource::Scanner(_) => true,
            RequiredSource::AttestedBy(_) => false,
        })
    }
}
