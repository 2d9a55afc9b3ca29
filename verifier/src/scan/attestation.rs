//! Scan reports that somebody attested: cosign's vulnerability predicate (sigstore/cosign, specs/COSIGN_VULN_ATTESTATION_SPEC.md)
//! around a report of Trivy or Grype, and in-toto's own (in-toto/attestation, spec/predicates/vuln.md and vulns_02.md).
//!
//! What is read here has been signed by somebody whom the policy names.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Packages, ScanReport, ScanSource, Severity, Vulnerability, grype, trivy};
use crate::json::Object;
use crate::message::problem;
use crate::time::Timestamp;

/// What the types begin with.
const COSIGN: &str = "https://cosign.sigstore.dev/attestation/vuln/";
const IN_TOTO: &str = "https://in-toto.io/attestation/vulns/";

/// Whether it is a type of scan reports that is read.
pub(crate) fn is_scan(predicate_type: &str) -> bool {
    predicate_type == "https://cosign.sigstore.dev/attestation/vuln/v1"
        || matches!(predicate_type.strip_prefix(IN_TOTO), Some("v0.1" | "v0.2"))
}

/// What a scanner's own report says.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) advisories_at: Option<Timestamp>,
    pub(super) packages: Packages,
    pub(super) uncovered: Vec<String>,
    pub(super) vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Predicate {
    scanner: Option<Object<Scanner>>,
    /// The specification's example has this, cosign's type has the other.
    scanners: Option<Vec<Object<Scanner>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scanner {
    db: Option<Object<Database>>,
    result: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Database {
    last_update: Option<String>,
}

/// Reads a predicate by `signer`, whose scan is of `scanned_at`.
///
/// # Errors
/// What is wrong, in one line.
pub(crate) fn report(predicate_type: &str, predicate: &RawValue, signer: &str, scanned_at: Timestamp) -> Result<ScanReport, String> {
    let Object(Predicate { scanner, scanners }) =
        serde_json::from_str::<Object<Predicate>>(predicate.get()).map_err(|error| problem(&error))?;
    let all: Vec<Object<Scanner>> = scanner.into_iter().chain(scanners.into_iter().flatten()).collect();
    let [Object(scanner)] = all.as_slice() else { return Err(format!("expected one scanner's result, found {}", all.len())) };
    let updated = scanner.db.as_ref().and_then(|Object(db)| db.last_update.as_deref());
    let updated = match updated {
        Some(text) => Some(Timestamp::from_rfc_3339(text).ok_or("its database's lastUpdate is no time")?),
        None => None,
    };
    let found = if predicate_type.starts_with(COSIGN) {
        trivy::read(&scanner.result).or_else(|| grype::read(&scanner.result)).ok_or("its result is neither Trivy's nor Grype's JSON")??
    } else {
        in_toto(&scanner.result, updated.ok_or("its database's lastUpdate is missing")?)?
    };
    let Found { advisories_at, packages, uncovered, vulnerabilities } = found;
    let advisories_at = [advisories_at, updated].into_iter().flatten().min();
    let source = ScanSource::Attested { signer: signer.to_owned() };
    Ok(ScanReport { source, scanned_at, advisories_at, packages, uncovered, gaps: Vec::new(), vulnerabilities })
}

#[derive(Deserialize)]
struct Listed {
    id: Option<String>,
    severity: Option<Vec<Score>>,
    /// Where the text of v0.1 has both; its example has them outside.
    vulnerability: Option<Box<Self>>,
}

#[derive(Deserialize)]
struct Score {
    method: String,
    score: String,
}

/// An empty list means that the scanner found nothing.
fn in_toto(result: &RawValue, updated: Timestamp) -> Result<Found, String> {
    let listed: Vec<Object<Listed>> = serde_json::from_str(result.get()).map_err(|error| problem(&error))?;
    let mut vulnerabilities = Vec::new();
    for Object(listed) in listed {
        let listed = listed.vulnerability.map_or_else(|| Listed { vulnerability: None, ..listed }, |inner| *inner);
        let id = listed.id.filter(|id| !id.is_empty()).ok_or("a vulnerability without an id")?;
        let scores = listed.severity.unwrap_or_default().into_iter().map(|score| (severity(&score.score), score));
        let worst = scores.filter(|(severity, _)| *severity != Severity::Unknown).min_by_key(|(severity, _)| *severity);
        let (severity, severity_source) =
            worst.map_or((Severity::Unknown, String::new()), |(severity, score)| (severity, format!("{} {}", score.method, score.score)));
        vulnerabilities.push(Vulnerability {
            id,
            aliases: Vec::new(),
            package: String::new(),
            purls: Vec::new(),
            installed: String::new(),
            fixed: None,
            severity,
            severity_source,
            published: None,
            fix_available: None,
            first_seen: None,
        });
    }
    Ok(Found { advisories_at: Some(updated), packages: Packages::Unsaid, uncovered: Vec::new(), vulnerabilities })
}

/// A word, or a CVSS score such as `5.2`.
fn severity(score: &str) -> Severity {
    let tenths = |text: &str| {
        let (whole, tenth) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
        (digits(whole) && digits(tenth)).then(|| Some(whole.parse::<u32>().ok()? * 10 + tenth.get(..1)?.parse::<u32>().ok()?)).flatten()
    };
    tenths(score).map_or_else(|| Severity::from_word(score), Severity::from_tenths)
}
