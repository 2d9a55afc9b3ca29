//! Trivy's JSON report, schema version 2 (aquasecurity/trivy, pkg/types/report.go).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::attestation::Found;
use super::{Packages, Severity, Vulnerability};
use crate::json::Object;
use crate::message::{problem, quote};
use crate::time::Timestamp;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mark {
    schema_version: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    metadata: Option<Metadata>,
    results: Option<Vec<Object<Outcome>>>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "OS")]
    os: Option<Os>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Os {
    #[serde(default)]
    family: String,
    #[serde(default)]
    name: String,
    /// End of service life.
    #[serde(rename = "EOSL", default)]
    ended: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    class: Option<String>,
    packages: Option<Vec<serde::de::IgnoredAny>>,
    vulnerabilities: Option<Vec<Object<Detected>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detected {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    #[serde(rename = "VendorIDs", default)]
    vendor_ids: Vec<String>,
    #[serde(default)]
    pkg_name: String,
    pkg_identifier: Option<Identifier>,
    #[serde(default)]
    installed_version: String,
    #[serde(default)]
    fixed_version: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    severity_source: String,
    published_date: Option<String>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(rename = "PURL", default)]
    purl: String,
}

/// `None` where it is something else.
pub(super) fn read(result: &RawValue) -> Option<Result<Found, String>> {
    let Object(mark) = serde_json::from_str::<Object<Mark>>(result.get()).ok()?;
    let version = mark.schema_version?;
    if version != 2 {
        return Some(Err(format!("Trivy's report of schema version {version}: expected 2")));
    }
    Some(serde_json::from_str::<Object<Report>>(result.get()).map(|Object(report)| found(report)).map_err(|error| problem(&error)))
}

fn found(report: Report) -> Found {
    let os = report.metadata.and_then(|metadata| metadata.os).filter(|os| os.ended);
    let uncovered = os.map(|os| format!("{} {} is past its end of life", quote(&os.family), quote(&os.name))).into_iter().collect();
    let results = report.results.unwrap_or_default();
    let lists = |outcome: &Outcome| matches!(outcome.class.as_deref(), Some("os-pkgs" | "lang-pkgs")) || outcome.vulnerabilities.is_some();
    let packages = if results.iter().any(|Object(outcome)| lists(outcome)) {
        Packages::Recognised { count: results.iter().map(|Object(outcome)| outcome.packages.as_ref().map_or(0, Vec::len)).sum() }
    } else {
        Packages::NoneRecognised
    };
    let detected = results.into_iter().flat_map(|Object(outcome)| outcome.vulnerabilities.unwrap_or_default());
    let vulnerabilities = detected.map(|Object(detected)| vulnerability(detected)).collect();
    Found { advisories_at: None, packages, uncovered, vulnerabilities }
}

fn vulnerability(detected: Detected) -> Vulnerability {
    Vulnerability {
        id: detected.id,
        aliases: detected.vendor_ids,
        package: detected.pkg_name,
        purls: detected.pkg_identifier.map(|identifier| identifier.purl).into_iter().filter(|purl| !purl.is_empty()).collect(),
        installed: detected.installed_version,
        fixed: Some(detected.fixed_version).filter(|fixed| !fixed.is_empty()),
        severity: Severity::from_word(&detected.severity),
        severity_source: detected.severity_source,
        published: detected.published_date.as_deref().and_then(Timestamp::from_rfc_3339),
        fix_available: None,
        first_seen: None,
    }
}
