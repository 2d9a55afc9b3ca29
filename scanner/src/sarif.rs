//! Findings as SARIF 2.1.0 (OASIS standard, March 2020), in the form that code scanning services take: a rule for each vulnerability
//! with its `security-severity`, and a result for each package that has it.

use std::collections::BTreeMap;

use sealgate_verifier::scan::Severity;
use serde_json::{Map, Value, json};

use crate::advisories::{Finding, MatchReport};

/// Where the format is described.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// What a finding without a place points to: a result needs one.
const NOWHERE: &str = "image";

/// The report as a SARIF log. `version` is this program's; `image` what was scanned, by name.
#[must_use]
pub fn log(report: &MatchReport, version: &str, image: &str) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut results = Vec::new();
    for finding in &report.findings {
        // Findings come worst first: a rule has its worst package's severity.
        let index = *places.entry(&finding.id).or_insert_with(|| {
            rules.push(rule(finding));
            rules.len() - 1
        });
        results.push(result(finding, index));
    }
    let notifications: Vec<Value> =
        report.uncovered.iter().map(|gap| json!({ "level": "error", "message": { "text": gap.to_string() } })).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "Sealgate", "semanticVersion": version, "rules": rules } },
            "invocations": [{ "executionSuccessful": notifications.is_empty(), "toolExecutionNotifications": notifications }],
            "columnKind": "utf16CodeUnits",
            "properties": { "imageName": image },
            "results": results,
        }],
    })
}

fn rule(finding: &Finding) -> Value {
    let title = if finding.summary.is_empty() { &finding.id } else { &finding.summary };
    let mut rule = json!({
        "id": finding.id,
        "shortDescription": { "text": title },
        "defaultConfiguration": { "level": level(finding.rating.severity) },
        "help": { "text": help(finding) },
        "properties": { "tags": ["security", "vulnerability", finding.rating.severity.name()] },
    });
    if let Some(address) = address(&finding.id) {
        rule["helpUri"] = json!(address);
    }
    if let Some(score) = score(finding) {
        rule["properties"]["security-severity"] = json!(score);
    }
    rule
}

/// What is known about a vulnerability elsewhere; OSV knows every identifier that it gave.
fn address(id: &str) -> Option<String> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    plain.then(|| format!("https://osv.dev/vulnerability/{id}"))
}

fn help(finding: &Finding) -> String {
    let fix =
        if finding.fixed.is_empty() { "no fixed version is known".to_owned() } else { format!("fixed in {}", finding.fixed.join(", ")) };
    format!("{}: {} ({}); {fix}", finding.id, finding.rating.severity, finding.rating)
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Unknown | Severity::Medium => "warning",
        Severity::Low | Severity::Negligible => "note",
    }
}

/// The score, or the middle of its severity's range; none where nobody rates.
fn score(finding: &Finding) -> Option<String> {
    let middle = match finding.rating.severity {
        Severity::Critical => 95,
        Severity::High => 80,
        Severity::Medium => 55,
        Severity::Low => 20,
        Severity::Negligible => 0,
        Severity::Unknown => return None,
    };
    let tenths = finding.rating.score.unwrap_or(middle);
    Some(format!("{}.{}", tenths / 10, tenths % 10))
}

fn result(finding: &Finding, index: usize) -> Value {
    let fix = if finding.fixed.is_empty() { "no fix yet".to_owned() } else { format!("fixed in {}", finding.fixed.join(", ")) };
    let text = format!("{} {} has {} ({}); {fix}", finding.package, finding.installed, finding.id, finding.rating.severity);
    let mut locations: Vec<Value> = finding.locations.iter().map(|location| location.path.as_str()).map(place).collect();
    if locations.is_empty() {
        locations.push(place(NOWHERE));
    }
    let mut properties = Map::new();
    properties.insert("purls".to_owned(), json!(finding.purls));
    properties.insert("advisories".to_owned(), json!(finding.advisories));
    json!({
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": level(finding.rating.severity),
        "message": { "text": text },
        "locations": locations,
        "partialFingerprints": { "vulnerability/v1": format!("{}:{}:{}", finding.id, finding.package, finding.installed) },
        "properties": properties,
    })
}

/// A file has no lines that matter here, and a place without one is not shown.
fn place(path: &str) -> Value {
    let uri = if path.is_empty() { NOWHERE.to_owned() } else { encoded(path) };
    json!({ "physicalLocation": { "artifactLocation": { "uri": uri }, "region": { "startLine": 1 } } })
}

/// A path as a relative URI reference (RFC 3986 §3.3, §4.2).
fn encoded(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.trim_start_matches('/').bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisories::{Ecosystem, Rating, RatingSource, Uncovered};
    use crate::package::Location;

    fn finding(id: &str, package: &str, severity: Severity) -> Finding {
        let rating = Rating { severity, source: RatingSource::Database, score: None, vector: None };
        Finding {
            id: id.into(),
            advisories: vec!["GHSA-1".into()],
            aliases: vec![],
            package: package.into(),
            installed: "1.0".into(),
            purls: vec![format!("pkg:npm/{package}@1.0")],
            fixed: vec!["1.1".into()],
            rating,
            summary: String::new(),
            published: None,
            fix_available: None,
            locations: vec![Location { path: "app/node modules/ä.json".into(), layer: 1 }],
        }
    }

    #[test]
    fn a_vulnerability_is_one_rule_and_each_package_a_result() {
        let findings = vec![
            finding("CVE-1", "a", Severity::Critical),
            finding("CVE-1", "b", Severity::Critical),
            finding("X 2", "a", Severity::Unknown),
        ];
        let gap = Uncovered::NoAdvisories { ecosystem: Ecosystem::Go, count: 3 };
        let log = log(&MatchReport { findings, uncovered: vec![gap], feeds: vec![] }, "1.2.3", "nginx:1");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        assert_eq!(rules.iter().map(|rule| rule["id"].as_str()).collect::<Vec<_>>(), [Some("CVE-1"), Some("X 2")]);
        assert_eq!(
            (rules[0]["properties"]["security-severity"].as_str(), rules[1]["properties"].get("security-severity")),
            (Some("9.5"), None)
        );
        assert_eq!((rules[0]["helpUri"].as_str(), rules[1].get("helpUri")), (Some("https://osv.dev/vulnerability/CVE-1"), None));
        let results = run["results"].as_array().expect("results");
        assert_eq!(results.iter().map(|result| result["ruleIndex"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(0), Some(1)]);
        assert_eq!(results[0]["message"]["text"], "a 1.0 has CVE-1 (critical); fixed in 1.1");
        assert_eq!(results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "app/node%20modules/%C3%A4.json");
        // What could not be judged makes the run a failed one: an empty list of results is not a clean image.
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        assert_eq!(run["invocations"][0]["toolExecutionNotifications"].as_array().map(Vec::len), Some(1));
    }
}
