//! SARIF 2.1.0 (OASIS), as far as GitHub's code scanning reads it.

use sealgate_scanner::{Place, Secret, secrets};
use serde_json::{Value, json};

use super::super::walked::Walked;
use super::place;

/// The findings as a SARIF log.
pub fn log(walked: &Walked) -> Value {
    let kinds = secrets::kinds();
    let rules: Vec<Value> = kinds
        .iter()
        .map(|(kind, what)| {
            json!({
                "id": kind,
                "shortDescription": {"text": format!("Credential in an image: {kind}")},
                "fullDescription": {"text": format!("Known by: {what}.")},
                "help": {"text": "Revoke it, and build the image without it: a layer keeps what a later one deletes."},
                "defaultConfiguration": {"level": "error"},
                "properties": {"tags": ["security"], "security-severity": "8.0"},
            })
        })
        .collect();
    let results: Vec<Value> = walked
        .report
        .secrets
        .iter()
        .map(|secret| {
            json!({
                "ruleId": secret.kind,
                "ruleIndex": kinds.iter().position(|(kind, _)| *kind == secret.kind),
                "level": "error",
                "message": {"text": format!("{} in {}: {}", secret.kind, place(secret), secret.excerpt)},
                "locations": [location(secret)],
            })
        })
        .collect();
    let notifications: Vec<Value> =
        walked.report.gaps.iter().map(|gap| json!({"level": "error", "message": {"text": format!("not read: {gap}")}})).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "sealgate", "version": walked.subject.version, "rules": rules}},
            "invocations": [{"executionSuccessful": walked.report.is_complete(), "toolExecutionNotifications": notifications}],
            "properties": {"image": walked.subject.name, "digest": walked.subject.digest.to_string()},
            "results": results,
        }],
    })
}

fn location(secret: &Secret) -> Value {
    let (uri, line) = match &secret.place {
        Place::File { path, line, .. } => (uri(path), *line),
        Place::Environment { .. } | Place::History { .. } | Place::Label { .. } | Place::Command => ("image-configuration".to_owned(), 1),
    };
    json!({"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}}})
}

/// RFC 3986: what a path may not hold is percent-encoded.
fn uri(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/@+".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}
