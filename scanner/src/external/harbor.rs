//! Harbor's vulnerability reports: `HarborVulnerabilityReport` of the Pluggable Scanner API's OpenAPI file, 1.0 to 1.2.

use sealgate_verifier::Timestamp;
use sealgate_verifier::scan::Severity;
use serde::Deserialize;

use super::{ExternalError, ExternalReport};
use crate::advisories::{Finding, Rating, RatingSource};

#[derive(Deserialize)]
struct Report {
    generated_at: Option<String>,
    artifact: Option<Artifact>,
    scanner: Option<Scanner>,
    severity: Option<String>,
    /// Go's adapters write `null` for none; a report without the field is none.
    #[serde(deserialize_with = "Option::deserialize")]
    vulnerabilities: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Artifact {
    digest: Option<String>,
}

#[derive(Deserialize)]
struct Scanner {
    name: Option<String>,
    version: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    id: String,
    package: Option<String>,
    version: Option<String>,
    fix_version: Option<String>,
    severity: Option<String>,
    preferred_cvss: Option<Cvss>,
}

#[derive(Deserialize)]
struct Cvss {
    vector_v3: Option<String>,
    vector_v2: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<ExternalReport, ExternalError> {
    let report: Report = serde_json::from_slice(bytes).map_err(|error| ExternalError::Json(error.to_string()))?;
    let scanner =
        report.scanner.as_ref().and_then(|scanner| Some((scanner.name.as_deref()?, scanner.version.as_deref().unwrap_or_default())));
    let scanner = scanner.map_or_else(|| "unnamed scanner".to_owned(), |(name, version)| format!("{name} {version}").trim().to_owned());
    let time = |text: &String| Timestamp::from_rfc_3339(text).ok_or_else(|| ExternalError::field("generated_at", text, "an RFC 3339 time"));
    let generated = report.generated_at.as_ref().map(time).transpose()?;
    let digest = report.artifact.and_then(|artifact| artifact.digest);
    let digest = digest.map(|text| text.parse().map_err(|_| ExternalError::field("artifact.digest", &text, "a digest"))).transpose()?;
    let items = report.vulnerabilities.unwrap_or_default();
    let findings = items.into_iter().map(|item| finding(item, &scanner)).collect::<Result<Vec<_>, _>>()?;
    consistent(report.severity.as_deref(), &findings)?;
    Ok(ExternalReport { scanner, generated, artifact: digest, findings })
}

/// The report's severity is that of its worst finding: one that is worse than all that are listed hides some.
fn consistent(overall: Option<&str>, findings: &[Finding]) -> Result<(), ExternalError> {
    let Some(word) = overall.map(str::trim).filter(|word| !word.is_empty()) else { return Ok(()) };
    let severity = Severity::from_word(word);
    let worst = findings.iter().map(|finding| finding.rating.severity).min().unwrap_or(Severity::Negligible);
    if severity != Severity::Unknown && severity < worst {
        return Err(ExternalError::Contradiction(format!(
            "its severity is {word}, and the worst of {} findings is {worst}",
            findings.len()
        )));
    }
    Ok(())
}

fn finding(item: Item, scanner: &str) -> Result<Finding, ExternalError> {
    if item.id.trim().is_empty() {
        return Err(ExternalError::field("vulnerabilities[].id", &item.id, "an identifier"));
    }
    let vectors =
        item.preferred_cvss.iter().flat_map(|cvss| [&cvss.vector_v3, &cvss.vector_v2]).flatten().filter(|vector| !vector.is_empty());
    let vector = Rating::of_vectors(vectors.map(String::as_str));
    // The scanner's word counts; where it has none, the vector does.
    let rating = match Rating::of_word(item.severity.as_deref().unwrap_or_default(), RatingSource::Scanner(scanner.to_owned())) {
        Some(word) => {
            Rating { score: vector.as_ref().and_then(|rating| rating.score), vector: vector.and_then(|rating| rating.vector), ..word }
        }
        None => vector.unwrap_or_default(),
    };
    Ok(Finding {
        id: item.id,
        advisories: Vec::new(),
        aliases: Vec::new(),
        package: item.package.unwrap_or_default(),
        installed: item.version.unwrap_or_default(),
        purls: Vec::new(),
        fixed: item.fix_version.into_iter().filter(|version| !version.trim().is_empty()).collect(),
        rating,
        summary: String::new(),
        published: None,
        fix_available: None,
        locations: Vec::new(),
    })
}
