//! Reports of outside scanners, read into the same findings that the built-in matcher makes: Harbor's two report media types
//! (Pluggable Scanner API 1.2) and SARIF 2.1.0.
//!
//! A report is foreign bytes. One that does not list its findings, that contradicts itself or whose run failed is no report: an empty list
//! is taken for a clean image only where the scanner says so.

use sealgate_verifier::{Digest, Timestamp};

use crate::advisories::Finding;

mod harbor;
mod sarif;

#[cfg(test)]
mod tests;

/// Bytes of one report. Origin: reports of images with 5,000 findings have some 20 MB.
pub const MAX_REPORT_BYTES: usize = 64 * 1024 * 1024;
/// Findings of one report.
pub const MAX_FINDINGS: usize = 100_000;

/// The forms that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportForm {
    /// `application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0` and
    /// `application/vnd.security.vulnerability.report; version=1.1`: one shape, of which the second has more fields.
    Harbor,
    /// `application/sarif+json`
    Sarif,
}

impl ReportForm {
    /// The form of a media type, whatever its spaces and case (RFC 9110 §8.3.1).
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let plain: String = media_type.chars().filter(|character| !character.is_whitespace()).collect::<String>().to_ascii_lowercase();
        match plain.as_str() {
            "application/vnd.scanner.adapter.vuln.report.harbor+json;version=1.0"
            | "application/vnd.security.vulnerability.report;version=1.1" => Some(Self::Harbor),
            "application/sarif+json" => Some(Self::Sarif),
            _ => None,
        }
    }
}

/// What a scanner reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalReport {
    /// The scanner, as it names itself.
    pub scanner: String,
    /// When it made the report, where it says.
    pub generated: Option<Timestamp>,
    /// The manifest that the report is about, where it says. The caller compares it with what was asked.
    pub artifact: Option<Digest>,
    /// Its findings, in the one order.
    pub findings: Vec<Finding>,
}

/// Why bytes are no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// Over [`MAX_REPORT_BYTES`] or [`MAX_FINDINGS`].
    #[error("{found} {what}: expected at most {limit}")]
    TooLarge {
        /// Bytes or findings.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// No JSON, a field of another type, or one that is missing.
    #[error("no report: {0}")]
    Json(String),
    /// A field without its meaning.
    #[error("{field} is {found:?}: expected {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value, cut.
        found: String,
        /// What the format wants.
        expected: &'static str,
    },
    /// A report that says two things.
    #[error("the report contradicts itself: {0}")]
    Contradiction(String),
    /// The scanner says itself that it failed.
    #[error("the scanner failed: {0}")]
    Failed(String),
}

impl ExternalError {
    fn field(field: &'static str, found: &str, expected: &'static str) -> Self {
        Self::Field { field, found: found.chars().take(80).collect(), expected }
    }
}

/// Reads a report.
///
/// # Errors
/// It is none.
pub fn read(form: ReportForm, bytes: &[u8]) -> Result<ExternalReport, ExternalError> {
    if bytes.len() > MAX_REPORT_BYTES {
        return Err(ExternalError::TooLarge { what: "bytes", found: bytes.len(), limit: MAX_REPORT_BYTES });
    }
    let mut report = match form {
        ReportForm::Harbor => harbor::read(bytes)?,
        ReportForm::Sarif => sarif::read(bytes)?,
    };
    if report.findings.len() > MAX_FINDINGS {
        return Err(ExternalError::TooLarge { what: "findings", found: report.findings.len(), limit: MAX_FINDINGS });
    }
    crate::advisories::finding::sort(&mut report.findings);
    report.findings.dedup();
    Ok(report)
}
