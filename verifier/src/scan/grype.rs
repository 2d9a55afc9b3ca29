//! Grype's JSON report (anchore/grype, grype/presenter/models).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::attestation::Found;
use super::{Packages, Severity, Vulnerability};
use crate::json::Object;
use crate::message::problem;
use crate::time::Timestamp;

#[derive(Deserialize)]
struct Mark {
    descriptor: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Report {
    matches: Vec<Object<Match>>,
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    db: Option<Database>,
}

/// Its date stands here, or in `status` since version 0.88.
#[derive(Deserialize)]
struct Database {
    built: Option<String>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    built: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    vulnerability: Advisory,
    #[serde(default)]
    related_vulnerabilities: Vec<Related>,
    artifact: Artifact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Advisory {
    id: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    namespace: String,
    fix: Option<Fix>,
}

#[derive(Deserialize)]
struct Fix {
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    available: Vec<Available>,
}

/// Since when a version is available.
#[derive(Deserialize)]
struct Available {
    date: Option<String>,
}

#[derive(Deserialize)]
struct Related {
    id: String,
}

#[derive(Deserialize)]
struct Artifact {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    purl: String,
}

/// `None` where it is something else.
pub(super) fn read(result: &RawValue) -> Option<Result<Found, String>> {
    let Object(mark) = serde_json::from_str::<Object<Mark>>(result.get()).ok()?;
    mark.descriptor?.name.filter(|name| name == "grype")?;
    Some(serde_json::from_str::<Object<Report>>(result.get()).map_err(|error| problem(&error)).and_then(|Object(report)| found(report)))
}

fn found(report: Report) -> Result<Found, String> {
    let built = report.descriptor.db.and_then(|db| db.built.or_else(|| db.status?.built));
    let built = match built {
        Some(text) => Some(Timestamp::from_rfc_3339(&text).ok_or("its database's date is no time")?),
        None => None,
    };
    let vulnerabilities = report.matches.into_iter().map(|Object(found)| vulnerability(found)).collect();
    Ok(Found { advisories_at: built, packages: Packages::Unsaid, uncovered: Vec::new(), vulnerabilities })
}

fn vulnerability(found: Match) -> Vulnerability {
    let Match { vulnerability: advisory, related_vulnerabilities, artifact } = found;
    let fix = advisory.fix.unwrap_or(Fix { versions: Vec::new(), available: Vec::new() });
    let dates = fix.available.iter().filter_map(|available| available.date.as_deref());
    // Some dates have no time of day.
    let date = |text: &str| Timestamp::from_rfc_3339(text).or_else(|| Timestamp::from_rfc_3339(&format!("{text}T00:00:00Z")));
    Vulnerability {
        aliases: related_vulnerabilities.into_iter().map(|related| related.id).filter(|id| *id != advisory.id).collect(),
        id: advisory.id,
        package: artifact.name,
        purls: Some(artifact.purl).filter(|purl| !purl.is_empty()).into_iter().collect(),
        installed: artifact.version,
        fixed: Some(fix.versions.join(", ")).filter(|fixed| !fixed.is_empty()),
        severity: Severity::from_word(&advisory.severity),
        severity_source: advisory.namespace,
        published: None,
        fix_available: dates.filter_map(date).min(),
        first_seen: None,
    }
}
