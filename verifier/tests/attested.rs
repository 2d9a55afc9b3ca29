//! Attestations: which count, which do not, and what the client is told.

mod scene;

use bytes::Bytes;
use scene::*;
use sealgate_verifier::media_type::{COSIGN_SIGN_PREDICATE, DSSE};
use sealgate_verifier::policy::PolicyParts;
use sealgate_verifier::{
    Attachment, AttestationType, Attested, Condition, Digest, Failure, FindingKind, FindingOutcome, Location, Pointer, Policy, Quorum,
    Reason, Requirement, Revision, SignatureForm, SignedBy, TextMatcher, Verdict, evaluate,
};

const SLSA: &str = "https://slsa.dev/provenance/v1";
const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

fn by(quorum: Quorum, signers: &[&str]) -> SignedBy {
    SignedBy { quorum, signers: signers.iter().map(|name| (*name).to_owned()).collect() }
}

fn attested(kind: &str) -> Attested {
    let kind = AttestationType::parse(kind).expect("a type");
    Attested { kind, by: by(Quorum::Any, &["ci"]), conditions: vec![], max_age: None }
}

fn place(pointer: &str, expected: &str) -> Condition {
    Condition { pointer: Pointer::parse(pointer).expect("a pointer"), expected: TextMatcher::parse(expected) }
}

/// `ci`, `qa` and `dev` hold the first three keys.
fn policy_of(requirements: Vec<Requirement>) -> Policy {
    let signers = [("ci", 0), ("qa", 1), ("dev", 2)].map(|(name, key)| (name, signer(&KEYS[key]))).into();
    policy(signers, vec![rule(requirements)])
}

fn requiring(attested: Attested) -> Policy {
    policy_of(vec![Requirement::Attested(attested)])
}

/// An attestation by the key about the first image, as a bundle.
fn statement(key: usize, kind: &str, predicate: &str) -> Attachment {
    bundle(r#""publicKey":{}"#, &envelope(&KEYS[key], Digest::sha256(&image(0)), kind, predicate), &image(0))
}

/// A finished scan at `seconds` after [`NOW`], with a result.
fn scan(key: usize, seconds: i64, result: &str) -> Attachment {
    let time = NOW.plus(seconds);
    statement(key, VULN, &format!(r#"{{"scanner":{{"result":"{result}"}},"metadata":{{"scanFinishedOn":"{time}"}}}}"#))
}

fn holds(items: Vec<Attachment>, policy: &Policy) -> bool {
    admits(&evidence(&image(0), items), policy)
}

fn reason(items: Vec<Attachment>, policy: &Policy) -> Reason {
    only_reason(&evidence(&image(0), items), policy)
}

#[test]
fn an_attestation_is_found_in_every_form_and_place() {
    let policy = requiring(attested("slsaprovenance1"));
    let text = envelope(&KEYS[0], Digest::sha256(&image(0)), SLSA, "{}");
    let plain = text.strip_prefix(r#""dsseEnvelope":"#).expect("an envelope").to_owned();
    let forms = [
        (statement(0, SLSA, "{}"), SignatureForm::BundleDsse),
        (attachment(Location::AttestationTag, DSSE, plain.into(), "", ""), SignatureForm::Dsse),
    ];
    for (attachment, form) in forms {
        for location in [Location::Referrers, Location::FallbackTag, Location::AttestationTag] {
            let evidence = evidence(&image(0), vec![Attachment { location, ..attachment.clone() }]);
            let Verdict::Admit(admission) = evaluate(&evidence, &policy, NOW) else { panic!("denied: {form:?}") };
            assert_eq!(
                (&*admission.satisfied()[0].requirement, &*admission.satisfied()[0].by),
                ("attested slsaprovenance1 by any of ci", &["ci".to_owned()][..])
            );
            let verdict = Verdict::Admit(admission);
            let [finding] = verdict.findings() else { panic!("{:?}", verdict.findings()) };
            assert_eq!((finding.form, &finding.kind), (form, &FindingKind::Attestation { predicate_type: SLSA.to_owned() }));
        }
    }
}

#[test]
fn attesting_is_not_approving_and_approving_is_not_attesting() {
    // V6, C2, CVE-2022-35929
    let (signature, provenance) = (cosign_bundle(&KEYS[0], &image(0)), statement(0, SLSA, "{}"));
    let approved = policy_of(vec![signed_by(Quorum::Any, &["ci"])]);
    let both = policy_of(vec![signed_by(Quorum::Any, &["ci"]), Requirement::Attested(attested("slsaprovenance1"))]);
    assert!(holds(vec![signature.clone()], &approved) && !holds(vec![provenance.clone()], &approved));
    let unsigned = Reason::Unsigned { expected: "signed-by any of ci".to_owned(), attested: vec![SLSA.to_owned()] };
    assert_eq!(reason(vec![provenance.clone()], &approved), unsigned);
    let provenance_only = requiring(attested("slsaprovenance1"));
    assert!(!holds(vec![signature.clone()], &provenance_only));
    let expected = "attested slsaprovenance1 by any of ci".to_owned();
    assert_eq!(
        reason(vec![signature.clone()], &provenance_only),
        Reason::Unattested { expected, found: "a signature, which attests nothing".to_owned() }
    );
    assert!(holds(vec![signature.clone(), provenance.clone()], &both));
    assert!(!holds(vec![signature.clone()], &both) && !holds(vec![provenance], &both));
    // No `attested` can name the type of signatures, and a URI of it is refused.
    assert!(AttestationType::parse(COSIGN_SIGN_PREDICATE).is_none());
}

#[test]
fn each_reason_of_an_attestation_that_does_not_count_has_its_case() {
    let mut strict = attested("vuln");
    strict.conditions = vec![place("/scanner/result", "clean*")];
    strict.max_age = Some(3_600);
    let policy = requiring(strict);
    let expected = "attested vuln by any of ci where /scanner/result is clean*, at most 1h old".to_owned();
    let other = Digest::sha256(&image(1));
    let about_another = bundle(r#""publicKey":{}"#, &envelope(&KEYS[0], other, VULN, "{}"), &image(0));
    let qa = KEYS[1].public.id().short();
    let of = |seconds| NOW.plus(seconds);
    let unattested = |found: &str| Reason::Unattested { expected: expected.clone(), found: found.to_owned() };
    let others = |found: String| Reason::AttestationsDoNotSatisfy { expected: expected.clone(), by: vec![], found };
    let otherwise = |found: &str| Reason::AttestationSaysOtherwise { expected: expected.clone(), found: found.to_owned() };
    let late = |found: String| Reason::AttestationOutOfTime { expected: expected.clone(), found };
    let cases = [
        (vec![], unattested(""), 10),
        (vec![statement(0, SLSA, "{}")], unattested(&format!("an attestation of another type, {SLSA}")), 10),
        (vec![about_another], unattested(&format!("referrers API: its statement does not name {}", Digest::sha256(&image(0)))), 10),
        (vec![scan(1, -60, "clean")], others(format!("a valid attestation by qa (key {qa})")), 12),
        (vec![scan(4, -60, "clean")], others("referrers API: not valid for any key that the rule names".to_owned()), 12),
        (vec![scan(0, -60, "dirty")], otherwise("by ci, /scanner/result is dirty, expected clean*"), 22),
        (vec![statement(0, VULN, "{}")], otherwise("by ci, /scanner/result is missing, expected clean*"), 22),
        (
            vec![statement(0, VULN, r#"{"scanner":{"result":["clean"]}}"#)],
            otherwise("by ci, /scanner/result is a list or an object, expected clean*"),
            22,
        ),
        (
            vec![statement(0, VULN, r#"{"scanner":{"result":"clean","Result":"clean"}}"#)],
            otherwise("by ci, /scanner/result is there more than once, expected clean*"),
            22,
        ), // V36
        (vec![scan(0, -3_600, "clean")], late(format!("by ci, it is of {}, over 1h old", of(-3_600))), 22),
        (vec![scan(0, 61, "clean")], late(format!("by ci, it is dated {}, which is in the future", of(61))), 22), // F24
        (
            vec![statement(0, VULN, r#"{"scanner":{"result":"clean"}}"#)],
            late("by ci, neither a log nor a timestamp nor the predicate says when it was made".to_owned()),
            22,
        ),
    ];
    for (items, expected, code) in cases {
        let denial = denial(&evidence(&image(0), items), &policy);
        assert_eq!((denial.outcome_code(), denial.reasons), (code, vec![expected]));
    }
    let mut blind = evidence(&image(0), vec![]);
    blind.attachments.gaps.push(gap(Failure::RateLimited));
    assert!(matches!(only_reason(&blind, &policy), Reason::EvidenceMissing { .. }));
    assert!(holds(vec![scan(0, -60, "clean")], &policy));
    let verdict = evaluate(&evidence(&image(0), vec![scan(0, -60, "clean")]), &policy, NOW);
    assert_eq!(verdict.valid_until(), Some(NOW.plus(600)), "the evidence ends first");
    let verdict = evaluate(&evidence(&image(0), vec![scan(0, -3_590, "clean")]), &policy, NOW);
    assert_eq!(verdict.valid_until(), Some(NOW.plus(10)), "the attestation ends first");
}

#[test]
fn only_a_signers_newest_attestation_counts() {
    let mut clean = attested("vuln");
    clean.conditions = vec![place("/scanner/result", "clean")];
    let policy = requiring(clean.clone());
    assert!(!holds(vec![scan(0, -60, "clean"), scan(0, -30, "dirty")], &policy), "a newer one says otherwise");
    assert!(holds(vec![scan(0, -60, "dirty"), scan(0, -30, "clean")], &policy));
    assert!(holds(vec![scan(0, -60, "clean"), scan(1, -30, "dirty")], &policy), "another signer's supersedes nothing");
    assert!(!holds(vec![scan(0, -60, "clean"), scan(0, -60, "dirty")], &policy), "of one time both must hold");
    assert!(holds(vec![scan(0, -60, "clean"), statement(0, VULN, "{}")], &policy), "without a time it is the oldest");
    assert!(holds(vec![scan(0, -60, "clean"), statement(0, SLSA, "{}")], &policy), "another type supersedes nothing");
    clean.by = by(Quorum::All, &["ci", "qa"]);
    let both = requiring(clean);
    assert!(holds(vec![scan(0, -60, "clean"), scan(1, -60, "clean")], &both));
    assert!(!holds(vec![scan(0, -60, "clean"), scan(1, -60, "dirty")], &both));
    let Reason::AttestationsDoNotSatisfy { by, .. } = reason(vec![scan(0, -60, "clean")], &both) else { panic!("another reason") };
    assert_eq!(by, ["ci"]);
}

#[test]
fn conditions_are_read_from_the_signed_bytes() {
    let predicate = r#"{"buildDefinition":{"buildType":"https://slsa-framework.github.io/x"},"n":[1.50,true]}"#;
    let asking = |conditions: &[(&str, &str)]| {
        let conditions = conditions.iter().map(|(pointer, expected)| place(pointer, expected)).collect();
        requiring(Attested { conditions, ..attested("slsaprovenance1") })
    };
    for (conditions, expected) in [
        (&[("/buildDefinition/buildType", "https://slsa-framework.github.io/*")][..], true),
        (&[("/buildDefinition/buildType", "https://slsa-framework.github.io/*"), ("/n/0", "1.50"), ("/n/1", "true")], true),
        (&[("/buildDefinition/buildType", "https://slsa-framework.github.io/*"), ("/n/1", "false")], false),
        (&[("/buildDefinition/buildType", "https://slsa-framework.github.io")], false),
        (&[("/n/0", "1.5")], false),
        (&[("/buildDefinition", "*")], false),
    ] {
        assert_eq!(holds(vec![statement(0, SLSA, predicate)], &asking(conditions)), expected, "{conditions:?}");
    }
}

#[test]
fn an_envelope_with_a_second_signature_is_refused() {
    // V36
    let text = envelope(&KEYS[0], Digest::sha256(&image(0)), SLSA, "{}");
    let twice = text.replace("}]}", r#"},{"sig":"AAAA"}]}"#);
    let plain = twice.strip_prefix(r#""dsseEnvelope":"#).expect("an envelope").to_owned();
    let policy = requiring(attested("slsaprovenance1"));
    for item in [bundle(r#""publicKey":{}"#, &twice, &image(0)), attachment(Location::AttestationTag, DSSE, plain.into(), "", "")] {
        assert!(!holds(vec![item], &policy));
    }
}

#[test]
fn an_index_attests_for_its_children_wholly_or_not_at_all() {
    let (child, listing) = (image(0), index(&[&image(0)]));
    let about_index = bundle(r#""publicKey":{}"#, &envelope(&KEYS[0], Digest::sha256(&listing), SLSA, "{}"), &listing);
    let policy = requiring(attested("slsaprovenance1"));
    let mut scene = evidence(&child, vec![]);
    scene.parents = vec![parent(&listing, vec![about_index.clone()])];
    let Verdict::Admit(admission) = evaluate(&scene, &policy, NOW) else { panic!("denied") };
    assert_eq!(admission.via(), Some(Digest::sha256(&listing)));
    let all = requiring(Attested { by: by(Quorum::All, &["ci", "qa"]), ..attested("slsaprovenance1") });
    let mut split = evidence(&child, vec![statement(1, SLSA, "{}")]);
    split.parents = vec![parent(&listing, vec![about_index])];
    assert!(!admits(&split, &all));
}

#[test]
fn one_alternative_must_hold_whole() {
    let provenance = || Requirement::Attested(attested("slsaprovenance1"));
    let any_of = |branches: Vec<Vec<Requirement>>| policy_of(vec![Requirement::AnyOf(branches)]);
    let policy = any_of(vec![vec![signed_by(Quorum::Any, &["qa"])], vec![signed_by(Quorum::Any, &["ci"]), provenance()]]);
    let (ci, qa, slsa) = (cosign_bundle(&KEYS[0], &image(0)), cosign_bundle(&KEYS[1], &image(0)), statement(0, SLSA, "{}"));
    assert!(holds(vec![qa], &policy));
    assert!(holds(vec![ci.clone(), slsa.clone()], &policy));
    for items in [vec![], vec![ci], vec![slsa]] {
        let denial = denial(&evidence(&image(0), items), &policy);
        let [Reason::NoAlternative { expected, alternatives }] = &*denial.reasons else { panic!("{:?}", denial.reasons) };
        assert_eq!(expected, "signed-by any of qa, or signed-by any of ci and attested slsaprovenance1 by any of ci");
        assert_eq!(alternatives.len(), 2);
    }
}

#[test]
fn the_baseline_is_anded_with_every_rule_that_does_not_deny() {
    let signers = [("ci", 0), ("qa", 1)].map(|(name, key)| (name.to_owned(), signer(&KEYS[key]))).into();
    let baseline = vec![signed_by(Quorum::Any, &["qa"])];
    let parts = |rules| PolicyParts {
        signers: std::collections::BTreeMap::clone(&signers),
        baseline: baseline.clone(),
        rules,
        ..PolicyParts::empty(Revision(Digest::sha256(b"")))
    };
    let policy = Policy::new(parts(vec![rule(vec![signed_by(Quorum::Any, &["ci"])])])).expect("a policy");
    let (ci, qa) = (cosign_bundle(&KEYS[0], &image(0)), cosign_bundle(&KEYS[1], &image(0)));
    assert!(holds(vec![ci.clone(), qa.clone()], &policy) && !holds(vec![ci], &policy) && !holds(vec![qa.clone()], &policy));
    let allowing = Policy::new(parts(vec![rule(vec![Requirement::Allow])])).expect("a policy");
    assert!(holds(vec![qa], &allowing) && !holds(vec![], &allowing));
    let denying = Policy::new(parts(vec![rule(vec![Requirement::Deny])])).expect("a policy");
    assert_eq!(reason(vec![], &denying), Reason::DeniedByRule);
}

#[test]
fn attestations_of_other_types_are_not_verified_unless_a_denial_is_explained() {
    let policy = requiring(attested("slsaprovenance1"));
    let items = vec![statement(0, SLSA, "{}"), statement(4, VULN, "{}")];
    assert_eq!(evaluate(&evidence(&image(0), items.clone()), &policy, NOW).findings().len(), 1);
    let denial = denial(&evidence(&image(0), vec![items[1].clone()]), &policy);
    assert!(matches!(&*denial.findings, [finding] if matches!(finding.outcome, FindingOutcome::Failed { .. })));
}

#[test]
fn a_corrupt_or_foreign_statement_attests_nothing() {
    // C5, V5
    let policy = requiring(attested("slsaprovenance1"));
    let good = statement(0, SLSA, "{}");
    let mut changed = good.clone();
    changed.layers = vec![Bytes::from(String::from_utf8(good.layers[0].to_vec()).expect("text").replacen("payloadType", "payloadtype", 1))];
    assert!(holds(vec![good], &policy) && !holds(vec![changed], &policy));
}
