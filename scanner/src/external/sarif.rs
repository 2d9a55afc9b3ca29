//! SARIF 2.1.0 logs of vulnerability scanners. What SARIF has no field for, the package and its versions, Trivy writes into the message.

use sealgate_verifier::scan::Severity;
use serde::Deserialize;
use serde_json::Value;

use super::{ExternalError, ExternalReport};
use crate::advisories::{Finding, Rating, RatingSource};
use crate::package::Location;

#[derive(Deserialize)]
struct Log {
    version: String,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    #[serde(default)]
    invocations: Vec<Invocation>,
    /// §3.14.23: a run without the field did not scan.
    #[serde(deserialize_with = "Option::deserialize")]
    results: Option<Vec<Outcome>>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Driver,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: String,
    version: Option<String>,
    semantic_version: Option<String>,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    #[serde(default)]
    properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    rule_id: Option<String>,
    rule_index: Option<i64>,
    kind: Option<String>,
    level: Option<String>,
    message: Option<Message>,
    #[serde(default)]
    locations: Vec<Value>,
}

#[derive(Deserialize)]
struct Message {
    text: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<ExternalReport, ExternalError> {
    let log: Log = serde_json::from_slice(bytes).map_err(|error| ExternalError::Json(error.to_string()))?;
    if log.version != "2.1.0" {
        return Err(ExternalError::field("version", &log.version, "2.1.0"));
    }
    let first = log.runs.first().ok_or_else(|| ExternalError::field("runs", "[]", "at least one run"))?;
    let scanner = name(&first.tool.driver);
    let mut findings = Vec::new();
    for run in log.runs {
        let scanner = name(&run.tool.driver);
        if run.invocations.iter().any(|invocation| !invocation.execution_successful) {
            return Err(ExternalError::Failed(scanner));
        }
        let results = run.results.ok_or_else(|| ExternalError::Failed(format!("{scanner} has no results")))?;
        for result in results.iter().filter(|result| counts(result)) {
            findings.push(finding(result, &run.tool.driver.rules, &scanner)?);
        }
    }
    Ok(ExternalReport { scanner, generated: None, artifact: None, findings })
}

fn name(driver: &Driver) -> String {
    let version = driver.semantic_version.as_deref().or(driver.version.as_deref()).unwrap_or_default();
    format!("{} {version}", driver.name).trim().to_owned()
}

/// §3.27.9: `fail` is the default; `review` and `open` are undecided, hence no pass. Suppressions are the scanner's own and do not count.
fn counts(result: &Outcome) -> bool {
    !matches!(result.kind.as_deref(), Some("pass" | "notApplicable" | "informational"))
}

fn finding(result: &Outcome, rules: &[Rule], scanner: &str) -> Result<Finding, ExternalError> {
    // §3.27.5 and §3.27.6: the rule is named, or found by its index.
    let by_index = result.rule_index.and_then(|index| rules.get(usize::try_from(index).ok()?));
    let named = result.rule_id.as_deref().or(by_index.map(|rule| rule.id.as_str())).filter(|id| !id.is_empty());
    let named = named.ok_or_else(|| ExternalError::field("results[].ruleId", "", "an identifier"))?;
    let rule = by_index.filter(|rule| rule.id == named).or_else(|| rules.iter().find(|rule| rule.id == named));
    let text = result.message.as_ref().and_then(|message| message.text.as_deref()).unwrap_or_default();
    let line = |label: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(label)).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let locations = result.locations.iter().filter_map(|location| location.pointer("/physicalLocation/artifactLocation/uri")?.as_str());
    Ok(Finding {
        id: identifier(named).to_owned(),
        advisories: Vec::new(),
        aliases: Vec::new(),
        package: line("Package:").unwrap_or_default(),
        installed: line("Installed Version:").unwrap_or_default(),
        purls: Vec::new(),
        fixed: line("Fixed Version:").into_iter().collect(),
        rating: rating(result, rule, line("Severity:").as_deref(), scanner),
        summary: String::new(),
        published: None,
        fix_available: None,
        locations: locations.map(|uri| Location { path: uri.to_owned(), layer: 0 }).collect(),
    })
}

/// Grype's rules are named `CVE-2024-1234-openssl`.
fn identifier(rule: &str) -> &str {
    let parts = if rule.starts_with("CVE-") {
        3
    } else if rule.starts_with("GHSA-") {
        4
    } else {
        return rule;
    };
    let end = rule.match_indices('-').nth(parts - 1).map(|(at, _)| at);
    end.map_or(rule, |end| rule.split_at(end).0)
}

/// The message's word, else the rule's `security-severity` (a CVSS score), else the level.
fn rating(result: &Outcome, rule: Option<&Rule>, word: Option<&str>, scanner: &str) -> Rating {
    let source = || RatingSource::Scanner(scanner.to_owned());
    let score = rule
        .and_then(|rule| rule.properties.get("security-severity"))
        .and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()));
    let score = score.filter(|score| (0.0..=10.0).contains(score));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 10")]
    let tenths = score.map(|score| (score * 10.0).round() as u8);
    let by_score = || tenths.map(|tenths| Severity::from_tenths(u32::from(tenths)));
    let by_word = word.map(Severity::from_word).filter(|severity| *severity != Severity::Unknown);
    // §3.27.10; without any of them nothing is known, and a level says less than a severity.
    let by_level = || match result.level.as_deref() {
        Some("error") => Severity::High,
        Some("none" | "note" | "warning") | Some(_) | None => Severity::Unknown,
    };
    Rating { severity: by_word.or_else(by_score).unwrap_or_else(by_level), source: source(), score: tenths, vector: None }
}
