use super::*;
use crate::contents::SecretFinding;
use crate::digest::Digest;
use crate::evidence::{EvidenceSource, Failure, Location};
use crate::policy::Mode;
use crate::scan::{ScanSource, Severity};
use crate::time::Timestamp;
use crate::verdict::{FindingStanding, JudgedVulnerability, SignatureForm};

const URL: &str = "https://gate.acme.example/decisions/01J9ZK3V5N8T4Q2W6X7Y0A1B2C";

fn denial(reasons: Vec<Reason>) -> Denial {
    Denial {
        repository: "nginx".parse().expect("a repository"),
        digest: Digest::sha256(b""),
        rule: Some("docker.io/library/*".to_owned()),
        mode: Mode::Enforce,
        reasons,
        findings: Vec::new(),
        valid_until: None,
    }
}

fn unsigned() -> Reason {
    Reason::Unsigned { expected: "signed-by any of ci".to_owned(), attested: Vec::new() }
}

fn every_reason() -> Vec<Reason> {
    let gap = Gap {
        source: EvidenceSource::Signatures,
        place: "referrers API".to_owned(),
        failure: Failure::Timeout,
        detail: "no answer in 10 s".to_owned(),
    };
    vec![
        Reason::NoRule,
        Reason::DeniedByRule,
        Reason::DigestNotListed { listed: 3 },
        unsigned(),
        Reason::SignaturesDoNotSatisfy {
            expected: "signed-by 2 of ci, qa".to_owned(),
            by: vec!["ci".to_owned()],
            found: ".sig tag: not valid for any key that the rule names".to_owned(),
        },
        Reason::EvidenceMissing { expected: "signed-by any of ci".to_owned(), gaps: vec![gap] },
        Reason::BadManifest { problem: "both".to_owned() },
        Reason::Unattested { expected: "attested vuln by any of ci".to_owned(), found: "a signature, which attests nothing".to_owned() },
        Reason::AttestationsDoNotSatisfy {
            expected: "attested vuln by all of ci, qa".to_owned(),
            by: vec!["ci".to_owned()],
            found: String::new(),
        },
        Reason::AttestationSaysOtherwise {
            expected: "attested vuln by any of ci where /a is b".to_owned(),
            found: "by ci, /a is c, expected b".to_owned(),
        },
        Reason::AttestationOutOfTime {
            expected: "attested vuln by any of ci, at most 1d old".to_owned(),
            found: "by ci, it is of 2026-11-23T23:59:59Z, over 1d old".to_owned(),
        },
        Reason::NoAlternative { expected: "signed-by any of ci, or digests (2 listed)".to_owned(), alternatives: vec![unsigned()] },
        vulnerable(),
        Reason::Uncovered { expected: "scanned standard".to_owned(), found: "no known advisories cover plan9".to_owned() },
        Reason::SecretFound { expected: "contents no secrets".to_owned(), secrets: vec![secret()], total: 5 },
        Reason::ContentsDoNotSatisfy { expected: "contents user non-root".to_owned(), found: "user root".to_owned() },
        Reason::TooYoung {
            expected: "age at least 3d".to_owned(),
            found: "first seen here 2026-11-23T23:59:59Z, 1d ago".to_owned(),
            until: Timestamp(1_795_737_599),
        },
        Reason::ChildDenied {
            platform: "linux/arm64".to_owned(),
            digest: Digest::sha256(b"child"),
            reasons: vec![vulnerable(), Reason::NoRule],
        },
        Reason::NoPlatform { expected: "linux/amd64, linux/arm64".to_owned(), found: "windows/amd64".to_owned() },
    ]
}

fn vulnerable() -> Reason {
    let found = |id: &str, standing: FindingStanding, days_left| JudgedVulnerability {
        id: id.to_owned(),
        package: "openssl".to_owned(),
        installed: "3.0.1".to_owned(),
        fixed: Some("3.0.2".to_owned()),
        severity: Severity::Critical,
        severity_source: "CVSS:3.1 9.8".to_owned(),
        source: ScanSource::BuiltIn,
        standing,
        days_left,
    };
    let vulnerabilities = vec![
        found("CVE-2026-1", FindingStanding::Denied, None),
        found("CVE-2026-2", FindingStanding::Overdue { since: Timestamp(0) }, Some(-3)),
        found("CVE-2026-3", FindingStanding::Grace { until: Some(Timestamp(1)) }, Some(1)),
    ];
    Reason::Vulnerable { expected: "scanned standard".to_owned(), vulnerabilities, denying: 7 }
}

fn secret() -> SecretFinding {
    SecretFinding {
        kind: "private-key".to_owned(),
        layer: Some(Digest::sha256(b"layer")),
        path: "root/.ssh/id_rsa".to_owned(),
        deleted: true,
        excerpt: "-----BEGIN ****".to_owned(),
    }
}

#[test]
fn an_unsigned_image_is_told_how_to_be_signed() {
    let digest = Digest::sha256(b"");
    assert_eq!(
        denial(vec![unsigned()]).line(Some(URL)),
        format!(
            "DENIED by policy rule docker.io/library/*: expected signed-by any of ci; found no signature in referrers API, fallback tag or \
             .sig tag; mend: cosign sign --key <key> docker.io/library/nginx@{digest}; see {URL}"
        )
    );
}

#[test]
fn each_reason_names_rule_expected_found_and_mend_in_words_of_its_own() {
    let lines: BTreeSet<String> = every_reason().into_iter().map(|reason| denial(vec![reason]).line(None)).collect();
    assert_eq!(lines.len(), 19);
    for line in &lines {
        for part in ["DENIED by policy rule docker.io/library/*: expected ", "; found ", "; mend: "] {
            assert!(line.contains(part), "{line}");
        }
    }
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(has("found signed by ci only; .sig tag: not valid for any key that the rule names; mend: sign with a key that the rule names"));
    assert!(has("found evidence that could not be seen: signatures: referrers API timed out (no answer in 10 s); mend: try again"));
    assert!(has(
        "expected scanned standard; found CVE-2026-1 critical in openssl 3.0.1, fixed in 3.0.2; CVE-2026-2 critical in openssl 3.0.1, fixed in \
         3.0.2, grace over for 3 days; and 5 more; mend: build the image anew with the fixed versions"
    ));
    assert!(has("found private-key in root/.ssh/id_rsa of layer "));
    assert!(has("and 4 more; mend: revoke them"));
    assert!(has("expected scanned standard; found for linux/arm64 (sha256:"));
    assert!(denial(vec![unsigned(), Reason::NoRule]).line(None).contains("; 1 more; mend: "));
}

#[test]
fn hostile_text_stays_one_line_of_printable_ascii_within_the_limit() {
    let hostile = "\r\nX-Evil: 1\u{202e}\0é".repeat(200);
    for reason in every_reason() {
        let mut denial = denial(vec![reason, unsigned()]);
        denial.rule = Some(hostile.clone());
        denial.repository = format!("{}/{}", "h.example", "a".repeat(240)).parse().expect("a repository");
        for reason in &mut denial.reasons {
            match reason {
                Reason::SignaturesDoNotSatisfy { expected, by, found } => {
                    (*expected, *found) = (hostile.clone(), hostile.clone());
                    by.push(hostile.clone());
                }
                Reason::EvidenceMissing { expected, gaps } => {
                    expected.clone_from(&hostile);
                    for gap in gaps {
                        (gap.place, gap.detail) = (hostile.clone(), hostile.clone());
                    }
                }
                Reason::Unsigned { expected, attested } => {
                    expected.clone_from(&hostile);
                    attested.push(hostile.clone());
                }
                Reason::AttestationsDoNotSatisfy { expected, by, found } => {
                    (*expected, *found) = (hostile.clone(), hostile.clone());
                    by.push(hostile.clone());
                }
                Reason::Unattested { expected, found }
                | Reason::AttestationSaysOtherwise { expected, found }
                | Reason::AttestationOutOfTime { expected, found } => (*expected, *found) = (hostile.clone(), hostile.clone()),
                Reason::NoAlternative { expected, alternatives } => {
                    expected.clone_from(&hostile);
                    alternatives.push(Reason::Unattested { expected: hostile.clone(), found: hostile.clone() });
                }
                Reason::BadManifest { problem } => problem.clone_from(&hostile),
                Reason::Vulnerable { expected, vulnerabilities, .. } => {
                    expected.clone_from(&hostile);
                    for found in vulnerabilities {
                        (found.id, found.package) = (hostile.clone(), hostile.clone());
                        (found.installed, found.fixed) = (hostile.clone(), Some(hostile.clone()));
                    }
                }
                Reason::SecretFound { expected, secrets, .. } => {
                    expected.clone_from(&hostile);
                    for secret in secrets {
                        (secret.kind, secret.path) = (hostile.clone(), hostile.clone());
                    }
                }
                Reason::Uncovered { expected, found }
                | Reason::ContentsDoNotSatisfy { expected, found }
                | Reason::TooYoung { expected, found, .. }
                | Reason::NoPlatform { expected, found } => (*expected, *found) = (hostile.clone(), hostile.clone()),
                Reason::ChildDenied { platform, reasons, .. } => {
                    platform.clone_from(&hostile);
                    reasons.push(Reason::Unattested { expected: hostile.clone(), found: hostile.clone() });
                    reasons.reverse();
                }
                Reason::NoRule | Reason::DeniedByRule | Reason::DigestNotListed { .. } => {}
            }
        }
        for url in [None, Some(URL), Some(&*hostile), Some(&*"u".repeat(ADDRESS))] {
            let line = denial.line(url);
            assert!(line.len() <= limits::DENIAL_LINE && line.bytes().all(|b| matches!(b, b' '..=b'~')), "{line}");
            assert!(line.contains("mend: ") && line.starts_with("DENIED by policy rule "), "{line}");
            assert!(url.is_none_or(|url| url.len() > ADDRESS || line.ends_with(&format!("see {url}"))), "{line}");
        }
    }
}

#[test]
fn exit_codes_follow_the_lasting_reasons() {
    let [no_rule, _, digest, unsigned, signatures, missing, _, unattested, attestations, otherwise, time, _, rest @ ..] =
        <[Reason; 19]>::try_from(every_reason()).expect("nineteen");
    let [vulnerable, uncovered, secret, contents, young, child, platform] = rest;
    let any_of = |alternatives: &[&Reason]| Reason::NoAlternative {
        expected: String::new(),
        alternatives: alternatives.iter().map(|reason| (*reason).clone()).collect(),
    };
    let child_of = |reasons: &[&Reason]| Reason::ChildDenied {
        platform: String::new(),
        digest: Digest::sha256(b""),
        reasons: reasons.iter().map(|reason| (*reason).clone()).collect(),
    };
    for (reasons, code) in [
        (vec![unsigned.clone()], 10),
        (vec![signatures.clone()], 12),
        (vec![missing.clone()], 75),
        (vec![no_rule], 22),
        (vec![digest.clone()], 22),
        (vec![unsigned.clone(), unsigned.clone()], 10),
        (vec![unsigned.clone(), signatures], 22),
        (vec![unsigned.clone(), missing.clone()], 10),
        (vec![digest, missing.clone()], 22),
        (vec![], 22),
        (vec![unattested.clone()], 10),
        (vec![unattested.clone(), unsigned.clone()], 10),
        (vec![attestations.clone()], 12),
        (vec![otherwise.clone()], 22),
        (vec![time], 22),
        (vec![any_of(&[&unsigned, &unattested])], 10),
        (vec![any_of(&[&unsigned, &attestations])], 22),
        (vec![any_of(&[&unsigned, &missing])], 75),
        (vec![any_of(&[&any_of(&[&missing]), &unsigned])], 75),
        (vec![any_of(&[&unsigned, &missing]), otherwise], 22),
        (vec![vulnerable.clone()], 20),
        (vec![vulnerable.clone(), uncovered.clone(), missing.clone()], 20),
        (vec![secret.clone()], 21),
        (vec![secret.clone(), vulnerable.clone()], 22),
        (vec![secret, contents.clone()], 22),
        (vec![contents], 22),
        (vec![young], 22),
        (vec![child.clone()], 22),
        (vec![child_of(&[&vulnerable])], 20),
        (vec![child_of(&[&vulnerable]), child_of(&[&uncovered])], 20),
        (vec![child_of(&[&missing])], 75),
        (vec![child_of(&[&missing]), vulnerable.clone()], 20),
        (vec![any_of(&[&vulnerable, &missing])], 75),
        (vec![platform], 22),
    ] {
        assert_eq!(denial(reasons.clone()).outcome_code(), code, "{reasons:?}");
    }
}

#[test]
fn a_summary_is_short_and_says_each_thing_once() {
    let finding = |why: &str| Finding {
        location: Location::SignatureTag,
        attachment: Digest::sha256(why.as_bytes()),
        layer: None,
        subject: Digest::sha256(b""),
        form: SignatureForm::SimpleSigning,
        kind: FindingKind::Signature,
        outcome: FindingOutcome::Failed { why: why.to_owned(), by: None },
    };
    let findings: Vec<Finding> = ["a", "b", "c", "d", "e", "a"].map(finding).into();
    let findings: Vec<&Finding> = findings.iter().collect();
    assert_eq!(summary(&findings), ".sig tag: a; .sig tag: b; .sig tag: c; and 2 more");
    assert_eq!(summary(&[]), "");
}
