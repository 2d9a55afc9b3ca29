//! Reports as adapters and scanners write them, and as they must not be.

use sealgate_verifier::scan::Severity;
use serde_json::{Value, json};

use super::*;

fn harbor(value: &Value) -> Result<ExternalReport, ExternalError> {
    read(ReportForm::Harbor, value.to_string().as_bytes())
}

fn adapter() -> Value {
    json!({
        "generated_at": "2026-11-24T10:00:00.123456789Z",
        "artifact": { "repository": "library/nginx", "digest": format!("sha256:{}", "a".repeat(64)), "mime_type": "application/vnd.oci.image.manifest.v1+json" },
        "scanner": { "name": "Trivy", "vendor": "Aqua Security", "version": "0.58.0" },
        "severity": "Critical",
        "vulnerabilities": [
            { "id": "CVE-2024-2", "package": "zlib1g", "version": "1:1.2.13", "fix_version": "", "severity": "Low", "links": [] },
            { "id": "CVE-2024-1", "package": "openssl", "version": "3.0.11", "fix_version": "3.0.13", "severity": "Critical",
              "preferred_cvss": { "score_v3": 9.8, "vector_v3": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" } },
            { "id": "CVE-2024-3", "package": "bash", "version": "5", "severity": "Unknown", "preferred_cvss": { "vector_v3": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", "vector_v2": "" } },
        ],
    })
}

#[test]
fn a_harbor_report_is_read_in_both_its_media_types() {
    for media_type in [
        "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0",
        "application/vnd.security.vulnerability.report;Version=1.1",
    ] {
        assert_eq!(ReportForm::of_media_type(media_type), Some(ReportForm::Harbor));
    }
    assert_eq!(ReportForm::of_media_type("application/vnd.security.vulnerability.report; version=2.0"), None);
    let report = harbor(&adapter()).expect("a report");
    assert_eq!((report.scanner.as_str(), report.generated), ("Trivy 0.58.0", Timestamp::from_rfc_3339("2026-11-24T10:00:00Z")));
    assert_eq!(report.artifact.map(|digest| digest.to_string()), Some(format!("sha256:{}", "a".repeat(64))));
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.id.as_str(), finding.rating.severity, finding.fixed.len())).collect();
    assert_eq!(found, [("CVE-2024-1", Severity::Critical, 1), ("CVE-2024-3", Severity::High, 0), ("CVE-2024-2", Severity::Low, 0)]);
    assert_eq!(report.findings[0].rating.source, crate::advisories::RatingSource::Scanner("Trivy 0.58.0".into()));
}

#[test]
fn a_harbor_report_that_hides_or_contradicts_is_refused() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = adapter();
        change(&mut value);
        harbor(&value)
    };
    assert!(with(&|value| value["severity"] = json!("")).is_ok());
    assert_eq!(
        with(&|value| {
            value["vulnerabilities"] = json!(null);
            value["severity"] = json!("None");
        })
        .expect("a clean report")
        .findings,
        []
    );
    assert!(matches!(
        with(&|value| drop(value.as_object_mut().expect("an object").remove("vulnerabilities"))),
        Err(ExternalError::Json(_))
    ));
    assert!(matches!(with(&|value| value["vulnerabilities"] = json!([])), Err(ExternalError::Contradiction(_))));
    assert!(matches!(with(&|value| value["vulnerabilities"][0]["id"] = json!(" ")), Err(ExternalError::Field { .. })));
    assert!(matches!(with(&|value| value["vulnerabilities"] = json!({})), Err(ExternalError::Json(_))));
    assert!(matches!(with(&|value| value["generated_at"] = json!("now")), Err(ExternalError::Field { field: "generated_at", .. })));
    assert!(matches!(
        with(&|value| value["artifact"]["digest"] = json!("sha256:1")),
        Err(ExternalError::Field { field: "artifact.digest", .. })
    ));
    for bytes in [&b""[..], b"{}", b"[]", b"null", b"\xff"] {
        assert!(read(ReportForm::Harbor, bytes).is_err());
        assert!(read(ReportForm::Sarif, bytes).is_err());
    }
}

fn sarif(results: &Value, rules: &Value) -> Value {
    json!({ "version": "2.1.0", "runs": [{ "tool": { "driver": { "name": "Trivy", "version": "0.58.0", "rules": rules } }, "results": results }] })
}

fn read_sarif(value: &Value) -> Result<ExternalReport, ExternalError> {
    read(ReportForm::Sarif, value.to_string().as_bytes())
}

#[test]
fn sarif_results_are_findings_by_message_score_or_level() {
    let rules = json!([{ "id": "CVE-2024-1", "properties": { "security-severity": "9.8" } }, { "id": "CVE-2024-2-zlib", "properties": { "security-severity": "5.0" } }]);
    let text = "Package: openssl\nInstalled Version: 3.0.11\nVulnerability CVE-2024-1\nSeverity: CRITICAL\nFixed Version: 3.0.13\nLink: [x](https://x)";
    let place = json!([{ "physicalLocation": { "artifactLocation": { "uri": "library/nginx" } } }]);
    let results = json!([
        { "ruleId": "CVE-2024-1", "ruleIndex": 0, "level": "error", "message": { "text": text }, "locations": place },
        { "ruleIndex": 1, "message": { "text": "A medium vulnerability" }, "suppressions": [{ "kind": "external" }] },
        { "ruleId": "GHSA-aaaa-bbbb-cccc-lodash", "level": "error", "message": {} },
        { "ruleId": "X-1", "level": "note" },
        { "ruleId": "X-2", "kind": "pass" },
    ]);
    let report = read_sarif(&sarif(&results, &rules)).expect("a report");
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.id.as_str(), finding.rating.severity)).collect();
    let expected = [
        ("CVE-2024-1", Severity::Critical),
        ("GHSA-aaaa-bbbb-cccc", Severity::High),
        ("X-1", Severity::Unknown),
        ("CVE-2024-2", Severity::Medium),
    ];
    assert_eq!(found, expected);
    let first = &report.findings[0];
    assert_eq!(
        (first.package.as_str(), first.installed.as_str(), first.fixed.as_slice()),
        ("openssl", "3.0.11", &["3.0.13".to_owned()][..])
    );
    assert_eq!((report.scanner.as_str(), first.locations[0].path.as_str()), ("Trivy 0.58.0", "library/nginx"));
}

#[test]
fn a_sarif_run_that_failed_or_did_not_scan_is_refused() {
    assert_eq!(read_sarif(&sarif(&json!([]), &json!([]))).expect("a clean report").findings, []);
    assert!(matches!(read_sarif(&sarif(&json!(null), &json!([]))), Err(ExternalError::Failed(_))));
    let mut failed = sarif(&json!([]), &json!([]));
    failed["runs"][0]["invocations"] = json!([{ "executionSuccessful": false }]);
    assert!(matches!(read_sarif(&failed), Err(ExternalError::Failed(_))));
    assert!(matches!(read_sarif(&json!({ "version": "2.1.0", "runs": [] })), Err(ExternalError::Field { field: "runs", .. })));
    assert!(matches!(read_sarif(&json!({ "version": "2.0.0", "runs": [] })), Err(ExternalError::Field { field: "version", .. })));
    assert!(matches!(read_sarif(&sarif(&json!([{ "message": {} }]), &json!([]))), Err(ExternalError::Field { .. })));
}

#[test]
fn what_this_program_writes_as_sarif_it_reads() {
    let report = harbor(&adapter()).expect("a report");
    let findings = report.findings.clone();
    let log = crate::sarif::log(&crate::advisories::MatchReport { findings, ..Default::default() }, "1.0.0", "nginx");
    let back = read_sarif(&log).expect("a report");
    let ids =
        |report: &ExternalReport| report.findings.iter().map(|finding| (finding.id.clone(), finding.rating.severity)).collect::<Vec<_>>();
    assert_eq!(ids(&back), ids(&report));
}
