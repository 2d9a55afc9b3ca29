//! What is known to be wrong with an image: the result of matching its packages against advisories, by one source.
//!
//! A report says what it knows and what it does not: only one that recognised packages, covers all of them and has no gap
//! says that something is *not* there. Reports are stored by the digest of the platform manifest that they are about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::{EvidenceSource, Failure, Gap};
use crate::limits;
use crate::policy::SignerName;
use crate::time::Timestamp;

pub(crate) mod attestation;
mod grype;
mod trivy;

/// Who looked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ScanSource {
    /// The built-in matcher.
    BuiltIn,
    /// A scanner that the configuration names, behind the gate.
    Scanner {
        /// Its name there.
        name: String,
    },
    /// An attestation about the image. Only the decision makes these: it has verified whose it is.
    Attested {
        /// Whose.
        signer: SignerName,
    },
}

impl fmt::Display for ScanSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in scan"),
            Self::Scanner { name } => write!(f, "scanner {name}"),
            Self::Attested { signer } => write!(f, "attestation by {signer}"),
        }
    }
}

/// What one source found out about one platform manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScanReport {
    /// Who looked.
    pub source: ScanSource,
    /// When the packages were last matched against the advisories (not when the layers were walked: they never change).
    pub scanned_at: Timestamp,
    /// How old the advisories were: of the ecosystems that the image needs, the one that was updated longest ago. `None` where the
    /// source does not say; the built-in one must.
    pub advisories_at: Option<Timestamp>,
    /// Which packages were recognised.
    pub packages: Packages,
    /// Packages for which no advisory source speaks, and why, one line each: an ecosystem without advisories, a release that is
    /// unknown or past its end.
    #[serde(default)]
    pub uncovered: Vec<String>,
    /// What the scan could not read.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// What is wrong, in any order.
    pub vulnerabilities: Vec<Vulnerability>,
}

/// Which packages of an image were recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "packages", rename_all = "kebab-case")]
pub enum Packages {
    /// There is at least one list of packages (a package database, a lock file, build information).
    Recognised {
        /// Packages in all lists together; an empty database is one with none.
        count: usize,
    },
    /// There is no list of packages of any kind that is known: nothing can be said of what the image holds.
    NoneRecognised,
    /// The source does not say.
    Unsaid,
}

/// One vulnerability in one package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vulnerability {
    /// The advisory's id: `CVE-2026-12345`, `GHSA-…`, `DSA-…`.
    pub id: String,
    /// Other ids of the same thing, CVE ids among them; of an advisory about several CVEs, all of these.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Name of the package; empty where the source does not say.
    pub package: String,
    /// Package URLs of what is installed of it; empty where the source does not say.
    #[serde(default)]
    pub purls: Vec<String>,
    /// The installed version.
    pub installed: String,
    /// The first version without it; `None` where there is none yet.
    pub fixed: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// By whose word, for example `CVSS:3.1 9.8` or `Debian: unimportant`.
    #[serde(default)]
    pub severity_source: String,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// Since when there is a version without it.
    pub fix_available: Option<Timestamp>,
    /// When this gate first found it in this image.
    pub first_seen: Option<Timestamp>,
}

/// How bad a vulnerability is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// CVSS 9.0 and above.
    Critical,
    /// CVSS 7.0 to 8.9.
    High,
    /// Not known, which is not harmless.
    Unknown,
    /// CVSS 4.0 to 6.9.
    Medium,
    /// CVSS 0.1 to 3.9.
    Low,
    /// CVSS 0.0, and what a distribution calls unimportant.
    Negligible,
}

impl Severity {
    /// Every severity, the worst first.
    pub const ALL: [Self; 6] = [Self::Critical, Self::High, Self::Unknown, Self::Medium, Self::Low, Self::Negligible];

    /// Its name, as the policy writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Unknown => "unknown",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Negligible => "negligible",
        }
    }

    /// A scanner's word, in any case: those of CVSS, of Trivy, of Grype and of the distributions. What is none of them is unknown.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match &*word.to_ascii_lowercase() {
            "critical" => Self::Critical,
            "high" | "important" => Self::High,
            "medium" | "moderate" => Self::Medium,
            "low" | "minor" => Self::Low,
            "negligible" | "unimportant" | "none" => Self::Negligible,
            _ => Self::Unknown,
        }
    }

    /// The word for a CVSS base score times ten (CVSS v3.1 §5 and v4.0 §6, "Qualitative Severity Rating Scale").
    #[must_use]
    pub const fn from_tenths(score: u32) -> Self {
        match score {
            0 => Self::Negligible,
            1..40 => Self::Low,
            40..70 => Self::Medium,
            70..90 => Self::High,
            90..=100 => Self::Critical,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why stored bytes are no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Over [`limits::FACT_BYTES`].
    #[error("{found} bytes, over the limit of {}", limits::FACT_BYTES)]
    Size {
        /// Bytes.
        found: usize,
    },
    /// Not its JSON.
    #[error("not a report: {0}")]
    Json(String),
    /// Well formed, and over a limit of [`crate::limits`].
    #[error("over the limit of {0}")]
    Over(&'static str),
}

impl ReportError {
    /// What a report that cannot be read is to the decision.
    #[must_use]
    pub fn gap(&self, source: EvidenceSource, place: impl Into<String>) -> Gap {
        let failure = match self {
            Self::Json(_) => Failure::Malformed,
            Self::Size { .. } | Self::Over(_) => Failure::Oversized,
        };
        Gap { source, place: place.into(), failure, detail: self.to_string() }
    }
}

impl ScanReport {
    /// Reads what [`ScanReport::to_json`] wrote.
    ///
    /// # Errors
    /// When it is something else, or over a limit.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReportError> {
        let report: Self = read(bytes)?;
        report.over_limit().map_or(Ok(report), |limit| Err(ReportError::Over(limit)))
    }

    /// The report as it is stored.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Plain data without maps: writing it into memory cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Which limit of [`crate::limits`] it is over, if any. A report over a limit is a gap.
    #[must_use]
    pub fn over_limit(&self) -> Option<&'static str> {
        let texts = |v: &Vulnerability| {
            let texts = [&v.id, &v.package, &v.installed, &v.severity_source].into_iter().chain(&v.fixed).chain(&v.aliases).chain(&v.purls);
            v.aliases.len() > limits::ALIASES
                || v.purls.len() > limits::ALIASES
                || texts.into_iter().any(|text| text.len() > limits::FACT_TEXT_BYTES)
        };
        if self.vulnerabilities.len() > limits::VULNERABILITIES {
            return Some("vulnerabilities in one report");
        }
        if self.vulnerabilities.iter().any(texts) {
            return Some("text of one vulnerability");
        }
        (self.uncovered.len() > limits::FACT_GAPS || self.gaps.len() > limits::FACT_GAPS).then_some("gaps in one report")
    }
}

/// Reads a stored fact within the limit on bytes.
pub(crate) fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ReportError> {
    if bytes.len() > limits::FACT_BYTES {
        return Err(ReportError::Size { found: bytes.len() });
    }
    serde_json::from_slice(bytes).map_err(|error| ReportError::Json(error.to_string()))
}

impl Vulnerability {
    /// The ids under which exceptions and VEX statements must speak of it: each of its CVE ids; where it has none, its own id.
    #[must_use]
    pub fn cves(&self) -> Vec<&str> {
        let all = std::iter::once(&self.id).chain(&self.aliases).map(String::as_str);
        let mut cves: Vec<&str> = all.filter(|id| id.starts_with("CVE-")).collect();
        cves.sort_unstable();
        cves.dedup();
        if cves.is_empty() { vec![&self.id] } else { cves }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vulnerability(id: &str, aliases: &[&str]) -> Vulnerability {
        Vulnerability {
            id: id.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            package: "openssl".to_owned(),
            purls: vec!["pkg:deb/debian/openssl@3.0.1".to_owned()],
            installed: "3.0.1".to_owned(),
            fixed: Some("3.0.2".to_owned()),
            severity: Severity::High,
            severity_source: "CVSS:3.1 7.5".to_owned(),
            published: Some(Timestamp(1)),
            fix_available: None,
            first_seen: None,
        }
    }

    fn report(vulnerabilities: Vec<Vulnerability>) -> ScanReport {
        ScanReport {
            source: ScanSource::Scanner { name: "trivy".to_owned() },
            scanned_at: Timestamp(1),
            advisories_at: None,
            packages: Packages::Recognised { count: 3 },
            uncovered: vec!["Debian 8 has had no support since 2020-06-30".to_owned()],
            gaps: vec![],
            vulnerabilities,
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = report(vec![vulnerability("CVE-2026-1", &[])]);
        assert_eq!(ScanReport::from_json(&report.to_json()).as_ref(), Ok(&report));
        let text = String::from_utf8(report.to_json()).expect("text");
        for bad in [
            text.replace("scannedAt", "scanned"),
            text.replace(r#""severity":"high""#, r#""severity":"harmless""#),
            text.replace(r#""packages":{"packages":"recognised","count":3},"#, ""),
            text.replacen(r#""id":"#, r#""id":"CVE-0","id":"#, 1),
            format!("{text}x"),
            String::new(),
        ] {
            assert!(matches!(ScanReport::from_json(bad.as_bytes()), Err(ReportError::Json(_))), "{bad}");
        }
    }

    #[test]
    fn what_is_over_a_limit_is_no_report() {
        let many = report(vec![vulnerability("CVE-2026-1", &[]); limits::VULNERABILITIES + 1]);
        let long = report(vec![vulnerability(&"x".repeat(limits::FACT_TEXT_BYTES + 1), &[])]);
        let aliases = report(vec![vulnerability("CVE-2026-1", &vec!["a"; limits::ALIASES + 1])]);
        for report in [many, long, aliases] {
            assert!(matches!(ScanReport::from_json(&report.to_json()), Err(ReportError::Over(_))));
        }
        let found = limits::FACT_BYTES + 1;
        let error = ScanReport::from_json(&vec![b' '; found]).expect_err("too large");
        assert_eq!(error, ReportError::Size { found });
        assert_eq!(error.gap(EvidenceSource::Scanner, "stored scan").failure, Failure::Oversized);
    }

    #[test]
    fn a_vulnerability_is_spoken_of_by_its_cves_or_by_its_own_id() {
        for (id, aliases, expected) in [
            ("CVE-2026-2", &["GHSA-x", "CVE-2026-1", "CVE-2026-2"][..], &["CVE-2026-1", "CVE-2026-2"][..]),
            ("DSA-1-1", &["CVE-2026-1"], &["CVE-2026-1"]),
            ("GHSA-x", &["GO-1"], &["GHSA-x"]),
        ] {
            assert_eq!(vulnerability(id, aliases).cves(), expected);
        }
    }

    #[test]
    fn severities_are_those_of_the_field() {
        for (tenths, severity) in [
            (0, Severity::Negligible),
            (1, Severity::Low),
            (39, Severity::Low),
            (40, Severity::Medium),
            (69, Severity::Medium),
            (70, Severity::High),
            (89, Severity::High),
            (90, Severity::Critical),
            (100, Severity::Critical),
            (101, Severity::Unknown),
        ] {
            assert_eq!(Severity::from_tenths(tenths), severity);
        }
        for (word, severity) in
            [("IMPORTANT", Severity::High), ("Moderate", Severity::Medium), ("", Severity::Unknown), ("x", Severity::Unknown)]
        {
            assert_eq!(Severity::from_word(word), severity);
        }
        assert!(Severity::ALL.is_sorted() && Severity::ALL.iter().all(|severity| Severity::from_word(severity.name()) == *severity));
    }
}
