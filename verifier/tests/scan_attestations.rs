//! Scans that signers attested, and VEX statements that clear findings.

mod scene;

use scene::inside::*;
use scene::*;
use sealgate_verifier::{
    Attachment, Digest, Evidence, Failure, FindingStanding, Policy, Quorum, Reason, RequiredSource, ScanPolicy, Severity, Verdict,
    Vulnerability, evaluate,
};

const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
const VULNS: &str = "https://in-toto.io/attestation/vulns/v0.2";
const VEX: &str = "https://openvex.dev/ns/v0.2.0";
/// The package of [`vulnerability`].
const LIBSSL: &str = "pkg:deb/debian/libssl3";

fn statement(key: usize, kind: &str, predicate: &str) -> Attachment {
    bundle(r#""publicKey":{}"#, &envelope(&KEYS[key], Digest::sha256(&image(0)), kind, predicate), &image(0))
}

fn attested_policy(signers: &[&str]) -> ScanPolicy {
    let signers = signers.iter().map(|name| (*name).to_owned()).collect();
    ScanPolicy { sources: vec![RequiredSource::AttestedBy(signers)], ..standard() }
}

fn by_ci() -> Policy {
    policy_with(vec![scanned(attested_policy(&["ci"]))], vec![])
}

fn trivy(vulnerabilities: &str) -> String {
    format!(r#"{{"SchemaVersion":2,"Results":[{{"Class":"os-pkgs","Type":"debian","Vulnerabilities":[{vulnerabilities}]}}]}}"#)
}

const CRITICAL: &str = r#"{"VulnerabilityID":"CVE-2026-1","PkgName":"openssl","InstalledVersion":"3.0.1","FixedVersion":"3.0.2","Severity":"CRITICAL","SeveritySource":"nvd","PublishedDate":"2026-01-01T00:00:00Z"}"#;

/// A cosign vulnerability predicate of so many seconds before the decision.
fn predicate(seconds: i64, result: &str) -> String {
    format!(r#"{{"scanner":{{"uri":"x","result":{result}}},"metadata":{{"scanFinishedOn":"{}"}}}}"#, NOW.plus(-seconds))
}

fn with(items: Vec<Attachment>) -> Evidence {
    evidence(&image(0), items)
}

#[test]
fn a_named_signers_fresh_scan_is_a_source() {
    let clean = statement(0, VULN, &predicate(60, &trivy("")));
    let Verdict::Admit(admission) = evaluate(&with(vec![clean.clone()]), &by_ci(), NOW) else { panic!("denied") };
    assert_eq!((&*admission.satisfied()[0].by, &*admission.satisfied()[0].requirement), (&["ci".to_owned()][..], "scanned standard"));
    assert_eq!(Verdict::Admit(admission).valid_until(), Some(NOW.plus(600)), "the collection's end comes first");
    let bad = statement(0, VULN, &predicate(60, &trivy(CRITICAL)));
    let denial = denial(&with(vec![bad]), &by_ci());
    let [Reason::Vulnerable { vulnerabilities, .. }] = &*denial.reasons else { panic!("{denial:?}") };
    let found = &vulnerabilities[0];
    assert_eq!(
        (&*found.id, found.severity, found.fixed.as_deref(), &*found.source.to_string()),
        ("CVE-2026-1", Severity::Critical, Some("3.0.2"), "attestation by ci")
    );
    assert_eq!(denial.outcome_code(), 20);
    // Both kinds of source at once: all must be there.
    let mut both = attested_policy(&["ci"]);
    both.sources.push(RequiredSource::BuiltIn);
    let both = policy_with(vec![scanned(both)], vec![]);
    assert!(!admits(&with(vec![clean.clone()]), &both));
    assert!(!admits(&found_by(vec![]), &both));
    let mut all = found_by(vec![]);
    all.attachments = collected(vec![clean]);
    assert!(admits(&all, &both));
}

fn found_by(vulnerabilities: Vec<Vulnerability>) -> Evidence {
    scene::inside::found(vulnerabilities)
}

#[test]
fn what_is_no_fresh_scan_by_the_signer_is_no_source() {
    // C2: a valid attestation of another type; a stranger's; one about another image; an old one; one of tomorrow; none.
    let policy = by_ci();
    let clean = predicate(60, &trivy(""));
    let about_another = bundle(r#""publicKey":{}"#, &envelope(&KEYS[0], Digest::sha256(&image(1)), VULN, &clean), &image(0));
    let reason = |items| only_reason(&with(items), &policy);
    assert!(matches!(reason(vec![statement(0, "https://slsa.dev/provenance/v1", "{}")]), Reason::Unattested { .. }));
    assert!(matches!(reason(vec![cosign_bundle(&KEYS[0], &image(0))]), Reason::Unattested { .. }));
    assert!(matches!(reason(vec![]), Reason::Unattested { .. }));
    assert!(matches!(reason(vec![statement(1, VULN, &clean)]), Reason::AttestationsDoNotSatisfy { .. }));
    assert!(matches!(reason(vec![about_another]), Reason::Unattested { .. }));
    assert!(matches!(reason(vec![statement(0, VULN, &predicate(DAY, &trivy("")))]), Reason::AttestationOutOfTime { .. }));
    assert!(matches!(reason(vec![statement(0, VULN, &predicate(-61, &trivy("")))]), Reason::AttestationOutOfTime { .. }));
    assert!(admits(&with(vec![statement(0, VULN, &predicate(DAY - 1, &trivy("")))]), &policy));
    let mut blind = with(vec![]);
    blind.attachments.gaps.push(gap(Failure::RateLimited));
    assert!(matches!(only_reason(&blind, &policy), Reason::EvidenceMissing { .. }));
    // An index's scan says nothing of its children.
    let listing = index(&[&image(0)]);
    let mut child = with(vec![]);
    child.parents =
        vec![parent(&listing, vec![bundle(r#""publicKey":{}"#, &envelope(&KEYS[0], Digest::sha256(&listing), VULN, &clean), &listing)])];
    assert!(!admits(&child, &policy));
}

#[test]
fn a_signed_report_that_cannot_be_read_is_a_gap() {
    let policy = by_ci();
    for (kind, predicate) in [
        (VULN, predicate(60, "{}")),
        (VULN, predicate(60, r#"{"SchemaVersion":1}"#)),
        (VULN, predicate(60, r#"{"runs":[]}"#)),
        (VULN, predicate(60, r#"{"SchemaVersion":2,"Results":{}}"#)),
        (VULN, predicate(60, &trivy(r#"{"PkgName":"x"}"#))),
        (VULN, r#"{"scanner":{"result":{"SchemaVersion":2,"Results":[]}}}"#.to_owned()),
        (VULN, format!(r#"{{"scanners":[],"metadata":{{"scanFinishedOn":"{NOW}"}}}}"#)),
        (VULNS, format!(r#"{{"scanner":{{"result":[]}},"metadata":{{"scanFinishedOn":"{NOW}"}}}}"#)),
        (VULNS, format!(r#"{{"scanner":{{"db":{{"lastUpdate":"{NOW}"}},"result":[{{}}]}},"metadata":{{"scanFinishedOn":"{NOW}"}}}}"#)),
    ] {
        let Reason::EvidenceMissing { gaps, .. } = only_reason(&with(vec![statement(0, kind, &predicate)]), &policy) else {
            panic!("{predicate}")
        };
        assert_eq!((gaps[0].failure, &*gaps[0].place), (Failure::Malformed, "scan attested by ci"), "{predicate}");
    }
    // Scratch, and a release past its end.
    let scratch = statement(0, VULN, &predicate(60, r#"{"SchemaVersion":2,"Results":[]}"#));
    let ended = statement(
        0,
        VULN,
        &predicate(
            60,
            r#"{"SchemaVersion":2,"Metadata":{"OS":{"Family":"debian","Name":"8","EOSL":true}},"Results":[{"Class":"os-pkgs"}]}"#,
        ),
    );
    for item in [scratch, ended] {
        assert!(matches!(only_reason(&with(vec![item]), &policy), Reason::Uncovered { .. }));
    }
}

#[test]
fn grypes_and_in_totos_forms_are_read() {
    let policy = by_ci();
    let grype = |matches: &str, built: i64| {
        let built = NOW.plus(-built);
        let result = format!(r#"{{"matches":[{matches}],"descriptor":{{"name":"grype","db":{{"status":{{"built":"{built}"}}}}}}}}"#);
        statement(0, VULN, &predicate(60, &result))
    };
    let found = r#"{"vulnerability":{"id":"GHSA-x","severity":"Critical","fix":{"versions":["2"],"state":"fixed"}},"relatedVulnerabilities":[{"id":"CVE-2026-7"}],"artifact":{"name":"a","version":"1","purl":"pkg:npm/a@1"}}"#;
    assert!(admits(&with(vec![grype("", 60)]), &policy));
    assert!(!admits(&with(vec![grype(found, 60)]), &policy));
    assert!(matches!(only_reason(&with(vec![grype("", DAY)]), &policy), Reason::AttestationOutOfTime { .. }), "its database is too old");
    let vulns = |severity: &str| {
        let found = format!(r#"{{"id":"CVE-2026-8","severity":[{severity}]}}"#);
        let text = format!(r#"{{"scanner":{{"db":{{"lastUpdate":"{NOW}"}},"result":[{found}]}},"metadata":{{"scanFinishedOn":"{NOW}"}}}}"#);
        with(vec![statement(0, VULNS, &text)])
    };
    assert!(admits(&vulns(r#"{"method":"nvd","score":"low"}"#), &policy));
    assert!(admits(&vulns(r#"{"method":"cvss_score","score":"3.9"}"#), &policy));
    assert!(!admits(&vulns(r#"{"method":"nvd","score":"low"},{"method":"cvss_score","score":"9.1"}"#), &policy));
    assert!(!admits(&vulns(""), &policy), "unknown denies");
}

#[test]
fn of_a_signer_the_newest_scan_counts_and_bad_news_of_another_stays() {
    let clean = |key, seconds| statement(key, VULN, &predicate(seconds, &trivy("")));
    let bad = |key, seconds| statement(key, VULN, &predicate(seconds, &trivy(CRITICAL)));
    let either = policy_with(vec![scanned(attested_policy(&["ci", "qa"]))], vec![]);
    for (items, admitted) in [
        (vec![clean(0, 60), bad(0, 120)], true),
        (vec![clean(0, 120), bad(0, 60)], false),
        (vec![clean(0, 60), bad(0, 60)], false),
        (vec![clean(0, 60), clean(1, 60)], true),
        (vec![clean(0, 60), bad(1, 60)], false),
        (vec![clean(0, 60), bad(1, 9 * DAY)], false),
        (vec![clean(0, 60), clean(1, 9 * DAY)], true),
        (vec![clean(0, 9 * DAY), clean(1, 9 * DAY)], false),
    ] {
        assert_eq!(admits(&with(items.clone()), &either), admitted, "{items:?}");
    }
}

fn vex(key: usize, statements: &str) -> Attachment {
    statement(key, VEX, &format!(r#"{{"@context":"{VEX}","timestamp":"{}","statements":[{statements}]}}"#, NOW.plus(-60)))
}

fn says(id: &str, status: &str, more: &str) -> String {
    format!(r#"{{"vulnerability":{{"name":"{id}"}},"status":"{status}"{more}}}"#)
}

const WHY: &str = r#","justification":"vulnerable_code_not_in_execute_path""#;

fn cleared(finding: Vulnerability, items: Vec<Attachment>) -> bool {
    let mut evidence = found_by(vec![finding]);
    evidence.attachments = collected(items);
    admits(&evidence, &standard_policy())
}

fn critical(id: &str) -> Vulnerability {
    vulnerability(id, Severity::Critical, 1)
}

#[test]
fn a_statement_by_a_named_signer_clears_its_finding_and_is_shown() {
    let mut evidence = found_by(vec![critical("CVE-2026-1")]);
    evidence.attachments = collected(vec![vex(0, &says("CVE-2026-1", "not_affected", WHY))]);
    let Verdict::Admit(admission) = evaluate(&evidence, &standard_policy(), NOW) else { panic!("denied") };
    let satisfied = &admission.satisfied()[0];
    let standing =
        FindingStanding::NotAffected { signer: "ci".to_owned(), justification: "vulnerable_code_not_in_execute_path".to_owned() };
    assert_eq!((&satisfied.vulnerabilities[0].standing, &*satisfied.by), (&standing, &["ci".to_owned()][..]));
    assert_eq!(Verdict::Admit(admission).valid_until(), Some(NOW.plus(600)));
    assert!(!cleared(critical("CVE-2026-1"), vec![]));
    // One of the documents that version 0.0 had.
    let old = r#"{"vulnerability":"CVE-2026-1","products":["pkg:deb/debian/libssl3"],"status":"fixed"}"#;
    assert!(cleared(critical("CVE-2026-1"), vec![vex(0, old)]));
}

#[test]
fn a_statement_clears_nothing_that_it_does_not_speak_of() {
    let one = || critical("CVE-2026-1");
    let clearing = |more: &str| says("CVE-2026-1", "not_affected", &format!("{WHY}{more}"));
    for (name, items) in [
        ("another signer", vec![vex(1, &clearing(""))]),
        ("a stranger", vec![vex(4, &clearing(""))]),
        ("another vulnerability", vec![vex(0, &says("CVE-2026-2", "not_affected", WHY))]),
        ("no justification", vec![vex(0, &says("CVE-2026-1", "not_affected", ""))]),
        ("an unknown status", vec![vex(0, &says("CVE-2026-1", "harmless", WHY))]),
        ("affected", vec![vex(0, &says("CVE-2026-1", "affected", ""))]),
        ("under investigation", vec![vex(0, &says("CVE-2026-1", "under_investigation", ""))]),
        ("another product", vec![vex(0, &clearing(r#","products":[{"@id":"pkg:deb/debian/curl"}]"#))]),
        ("another image", vec![vex(0, &clearing(r#","products":[{"@id":"pkg:oci/redis"}]"#))]),
        ("another digest", vec![vex(0, &clearing(r#","products":[{"@id":"pkg:oci/nginx@sha256%3A00"}]"#))]),
        (
            "another part",
            vec![vex(0, &clearing(r#","products":[{"@id":"pkg:oci/nginx","subcomponents":[{"@id":"pkg:deb/debian/curl"}]}]"#))],
        ),
        ("another version", vec![vex(0, &clearing(r#","products":[{"@id":"pkg:deb/debian/libssl3@3.0.0"}]"#))]),
        ("of tomorrow", vec![vex(0, &clearing(&format!(r#","timestamp":"{}""#, NOW.plus(DAY))))]),
        ("beside a document that cannot be read", vec![vex(0, &clearing("")), statement(0, VEX, r#"{"statements":1}"#)]),
    ] {
        assert!(!cleared(one(), items), "{name}");
    }
    let digest = Digest::sha256(&image(0));
    for (name, more) in [
        ("the image by its digest", format!(r#","products":[{{"@id":"pkg:oci/nginx@sha256%3A{}"}}]"#, digest.hex())),
        ("the image by its hash", format!(r#","products":[{{"hashes":{{"sha-256":"{}"}}}}]"#, digest.hex())),
        ("the image by its name", r#","products":[{"@id":"pkg:oci/nginx?repository_url=docker.io/library/nginx"}]"#.to_owned()),
        ("the package", format!(r#","products":[{{"@id":"{LIBSSL}"}}]"#)),
        ("the package by identifier", format!(r#","products":[{{"identifiers":{{"purl":"{LIBSSL}@3.0.1"}}}}]"#)),
        ("a part of the image", format!(r#","products":[{{"@id":"pkg:oci/nginx","subcomponents":[{{"@id":"{LIBSSL}"}}]}}]"#)),
    ] {
        assert!(cleared(one(), vec![vex(0, &clearing(&more))]), "{name}");
    }
    // All that is installed of a source package must be spoken of, and each CVE.
    let mut two = one();
    two.purls.push("pkg:deb/debian/openssl@3.0.1".to_owned());
    let of_one = format!(r#","products":[{{"@id":"{LIBSSL}"}}]"#);
    assert!(!cleared(two.clone(), vec![vex(0, &clearing(&of_one))]));
    let of_both = format!(r#","products":[{{"@id":"{LIBSSL}"}},{{"@id":"pkg:deb/debian/openssl"}}]"#);
    assert!(cleared(two, vec![vex(0, &clearing(&of_both))]));
    let mut many = one();
    many.aliases.push("CVE-2026-2".to_owned());
    assert!(!cleared(many.clone(), vec![vex(0, &clearing(""))]));
    assert!(cleared(many, vec![vex(0, &format!("{},{}", clearing(""), says("CVE-2026-2", "fixed", "")))]));
}

#[test]
fn a_newer_warning_takes_a_clearance_back_and_signers_must_agree() {
    let at = |seconds: i64| format!(r#","timestamp":"{}""#, NOW.plus(-seconds));
    let not_affected = |seconds| says("CVE-2026-1", "not_affected", &format!("{WHY}{}", at(seconds)));
    let affected = |seconds| says("CVE-2026-1", "affected", &at(seconds));
    for (items, expected) in [
        (vec![vex(0, &format!("{},{}", affected(200), not_affected(100)))], true),
        (vec![vex(0, &format!("{},{}", affected(100), not_affected(200)))], false),
        (vec![vex(0, &format!("{},{}", affected(100), not_affected(100)))], false),
        (vec![vex(0, &affected(200)), vex(0, &not_affected(100))], true),
        (vec![vex(0, &not_affected(200)), vex(0, &affected(100))], false),
        // Nobody whom the policy names said that.
        (vec![vex(0, &not_affected(200)), vex(1, &affected(100))], true),
    ] {
        assert_eq!(cleared(critical("CVE-2026-1"), items.clone()), expected, "{items:?}");
    }
    let agreeing = |items| {
        let policy = ScanPolicy { vex: vec!["ci".to_owned(), "qa".to_owned()], ..standard() };
        let mut evidence = found_by(vec![critical("CVE-2026-1")]);
        evidence.attachments = collected(items);
        admits(&evidence, &policy_with(vec![scanned(policy)], vec![]))
    };
    assert!(agreeing(vec![vex(0, &not_affected(100))]) && agreeing(vec![vex(0, &not_affected(100)), vex(1, &not_affected(200))]));
    assert!(!agreeing(vec![vex(0, &not_affected(100)), vex(1, &affected(200))]));
    let mut alias = critical("CVE-2026-1");
    alias.aliases.push("GHSA-x".to_owned());
    assert!(!cleared(alias, vec![vex(0, &format!("{},{}", not_affected(100), says("GHSA-x", "affected", "")))]), "under any name");
}

#[test]
fn attesting_a_scan_is_not_approving() {
    let signed = policy_with(vec![signed_by(Quorum::Any, &["ci"]), scanned(attested_policy(&["ci"]))], vec![]);
    let clean = statement(0, VULN, &predicate(60, &trivy("")));
    let denial = denial(&with(vec![clean.clone()]), &signed);
    assert!(matches!(&*denial.reasons, [Reason::Unsigned { .. }]), "{denial:?}");
    assert!(admits(&with(vec![clean, cosign_bundle(&KEYS[0], &image(0))]), &signed));
}
