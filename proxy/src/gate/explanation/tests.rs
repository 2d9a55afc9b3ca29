use super::*;
use sealgate_verifier::{Denial, EvidenceSource, Failure};

fn denied() -> Explanation {
    let digest = Digest::sha256(b"image");
    let gap = Gap { source: EvidenceSource::Signatures, place: "referrers API".into(), failure: Failure::Timeout, detail: String::new() };
    let reference: Reference = "nginx:1.27".parse().expect("a reference");
    let verdict = Verdict::Deny(Denial {
        repository: reference.repository.clone(),
        digest,
        rule: Some("docker.io/library/*".into()),
        mode: Mode::Enforce,
        reasons: vec![Reason::EvidenceMissing { expected: "signed-by any of ci".into(), gaps: vec![gap.clone()] }],
        findings: vec![Finding {
            location: Location::SignatureTag,
            attachment: Digest::sha256(b"signature"),
            layer: None,
            subject: digest,
            form: SignatureForm::SimpleSigning,
            kind: FindingKind::Signature,
            outcome: FindingOutcome::Failed { why: "expected a key of the policy, found another".into(), by: None },
        }],
        valid_until: None,
    });
    let line = verdict.line();
    let decision = Decision { id: Some("01J".into()), at: Timestamp(0), valid_until: None, policy: digest };
    Explained { reference: &reference, digest, resolution: None, verdict: &verdict, gaps: vec![gap], decision, line }.into()
}

#[test]
fn an_explanation_crosses_the_socket_unchanged() {
    let explanation = denied();
    let json = serde_json::to_string(&explanation).expect("JSON");
    assert_eq!(serde_json::from_str::<Explanation>(&json).expect("the same"), explanation);
    assert!(json.contains(r#""outcome":"denied""#), "{json}");
}

#[test]
fn a_report_names_everything_that_was_seen_and_not_seen() {
    let report = render_explanation(&denied(), &|word, _| word.to_owned());
    for expected in [
        "Reference    docker.io/library/nginx:1.27",
        "Rule         docker.io/library/*",
        "Outcome      denied",
        "Decision     01J",
        "not met signed-by any of ci",
        "does not count: expected a key of the policy, found another",
        "simple signing in .sig tag, manifest sha256:",
        "referrers API timed out",
        "DENIED by policy rule docker.io/library/*: expected signed-by any of ci; found ",
    ] {
        assert!(report.contains(expected), "{expected:?} is missing in\n{report}");
    }
}
