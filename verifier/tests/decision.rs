//! The decision, case by case: what counts, what does not, and what the client is told.

mod scene;

use std::collections::BTreeSet;

use bytes::Bytes;
use scene::*;
use sealgate_verifier::media_type::{COSE, DSSE, SIMPLE_SIGNING, SPDX};
use sealgate_verifier::{
    Attachment, Collected, Digest, EvidenceSource, Failure, FindingOutcome, Location, Mode, Policy, Quorum, Reason, Requirement,
    SignatureForm, Signer, SignerIdentity, Timestamp, Verdict, evaluate, limits,
};

/// Why the only signature that was looked at does not count.
fn why(items: Vec<Attachment>, policy: &Policy) -> String {
    let denial = denial(&evidence(&image(0), items), policy);
    match &*denial.findings {
        [finding] => match &finding.outcome {
            FindingOutcome::Failed { why, .. } => why.clone(),
            FindingOutcome::Verified { by, .. } => panic!("by {by}"),
        },
        findings => panic!("{findings:?}"),
    }
}

#[test]
fn each_form_of_a_good_signature_admits() {
    let (key, image) = (&KEYS[0], image(0));
    let forms = [
        (simple_signing(key, Digest::sha256(&image), "anything"), SignatureForm::SimpleSigning),
        (cosign_bundle(key, &image), SignatureForm::BundleDsse),
        (message_bundle(key, &image), SignatureForm::BundleMessage),
    ];
    for (attachment, form) in forms {
        for location in [Location::Referrers, Location::FallbackTag, Location::SignatureTag, Location::AttestationTag] {
            let evidence = evidence(&image, vec![Attachment { location, ..attachment.clone() }]);
            let Verdict::Admit(admission) = evaluate(&evidence, &ci_policy(), NOW) else {
                panic!("denied: {form:?} at {location:?}");
            };
            assert_eq!((admission.rule(), admission.digest(), admission.via()), ("docker.io/library/*", Digest::sha256(&image), None));
            assert_eq!(admission.repository().as_str(), NAME);
            assert_eq!(admission.satisfied()[0].by, ["ci"]);
            let verdict = Verdict::Admit(admission);
            assert_eq!((verdict.findings().len(), verdict.findings()[0].form), (1, form));
            assert_eq!(verdict.valid_until(), Some(NOW.plus(600)));
        }
    }
}

#[test]
fn every_reason_has_its_case_and_its_exit_code() {
    let good = image(0);
    let unsigned = evidence(&good, vec![]);
    let wrong = evidence(&good, vec![cosign_bundle(&KEYS[1], &good)]);
    let mut blind = evidence(&good, vec![]);
    blind.attachments.gaps.push(gap(Failure::RateLimited));
    let mut swapped = evidence(&good, vec![cosign_bundle(&KEYS[0], &good)]);
    swapped.subject.manifest = image(1);
    let only = |requirement| policy(vec![("ci", signer(&KEYS[0]))], vec![rule(vec![requirement])]);
    let digests = only(Requirement::Digests(BTreeSet::from([Digest::sha256(b"x"), Digest::sha256(b"y")])));
    let expected = "signed-by any of ci".to_owned();
    let cases = [
        (&unsigned, Policy::deny_all(), Reason::NoRule, 22), // C10
        (&unsigned, only(Requirement::Deny), Reason::DeniedByRule, 22),
        (&unsigned, digests, Reason::DigestNotListed { listed: 2 }, 22),
        (&unsigned, ci_policy(), Reason::Unsigned { expected: expected.clone(), attested: vec![] }, 10), // C8
        (&blind, ci_policy(), Reason::EvidenceMissing { expected: expected.clone(), gaps: vec![gap(Failure::RateLimited)] }, 75),
        (
            &wrong,
            ci_policy(),
            Reason::SignaturesDoNotSatisfy {
                expected,
                by: vec![],
                found: "referrers API: not valid for any key that the rule names".to_owned(),
            },
            12,
        ),
        (&swapped, ci_policy(), Reason::BadManifest { problem: format!("its bytes are not those of {}", Digest::sha256(&good)) }, 22), // A3
    ];
    for (evidence, policy, reason, code) in cases {
        let denial = denial(evidence, &policy);
        assert_eq!((denial.outcome_code(), denial.reasons), (code, vec![reason]));
        assert_eq!((denial.digest, denial.repository), (evidence.subject.digest, evidence.subject.repository.clone()));
    }
}

#[test]
fn static_rules_need_no_evidence() {
    let evidence = evidence(&image(0), vec![]);
    assert!(admits(&evidence, &policy(vec![], vec![rule(vec![Requirement::Allow])])));
    let listed = Requirement::Digests(BTreeSet::from([evidence.subject.digest]));
    let Verdict::Admit(admission) = evaluate(&evidence, &policy(vec![], vec![rule(vec![listed])]), NOW) else {
        panic!("denied");
    };
    assert_eq!(Verdict::Admit(admission).valid_until(), None);
}

#[test]
fn bad_manifests_are_denied_even_where_the_rule_allows_or_audits() {
    // A1, A3, A13, B5
    let ambiguous = Bytes::from(String::from_utf8(image(0).to_vec()).expect("text").replacen('{', r#"{"manifests":[],"#, 1));
    let urls = Bytes::from(String::from_utf8(image(0).to_vec()).expect("text").replace("}]}", r#","urls":["https://x"]}]}"#));
    let mut allow = rule(vec![Requirement::Allow]);
    allow.mode = Mode::Audit;
    for bytes in [ambiguous, urls, Bytes::from_static(b"<html>"), Bytes::new(), vec![b' '; limits::MANIFEST_BYTES + 1].into()] {
        let denial = denial(&evidence(&bytes, vec![]), &policy(vec![], vec![allow.clone()]));
        assert!(matches!(&*denial.reasons, [Reason::BadManifest { .. }]), "{denial:?}");
        assert_eq!(denial.mode, Mode::Enforce);
    }
}

#[test]
fn audit_mode_is_reported_with_the_denial() {
    let mut audited = rule(vec![signed_by(Quorum::Any, &["ci"])]);
    audited.mode = Mode::Audit;
    let denial = denial(&evidence(&image(0), vec![]), &policy(vec![("ci", signer(&KEYS[0]))], vec![audited]));
    assert_eq!(denial.mode, Mode::Audit);
}

#[test]
fn signatures_that_speak_of_something_else_do_not_count() {
    // C2, C3, V5, V15
    let (key, image, other) = (&KEYS[0], image(0), image(1));
    let digest = Digest::sha256(&image);
    let named_other = bundle(r#""publicKey":{}"#, &dsse(key, Digest::sha256(&other), "https://sigstore.dev/cosign/sign/v1"), &image);
    let referring_elsewhere = bundle(r#""publicKey":{}"#, &dsse(key, digest, "https://sigstore.dev/cosign/sign/v1"), &other);
    let unannotated = attachment(Location::SignatureTag, SIMPLE_SIGNING, simple_signing(key, digest, "").layers[0].clone(), "", "");
    let cases = [
        (simple_signing(key, Digest::sha256(&other), ""), format!("its payload names {}, expected {digest}", Digest::sha256(&other))),
        (named_other, format!("its statement does not name {digest}")),
        (referring_elsewhere, format!("its manifest refers to {}, expected {digest}", Digest::sha256(&other))),
        (unannotated, "no annotation dev.cosignproject.cosign/signature".to_owned()),
        (message_bundle(key, &other), format!("its manifest refers to {}, expected {digest}", Digest::sha256(&other))),
        (
            bundle(
                r#""publicKey":{}"#,
                r#""messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AAAA"},"signature":""}"#,
                &image,
            ),
            format!("its messageDigest is not that of {digest}"),
        ),
        (
            bundle(r#""certificate":{"rawBytes":""}"#, &dsse(key, digest, "https://sigstore.dev/cosign/sign/v1"), &image),
            "a keyless signature that does not hold under the public trust root: certificate: not a certificate".to_owned(), // V3
        ),
        (
            attachment(Location::AttestationTag, DSSE, Bytes::from_static(b"{}"), "", ""),
            "DSSE envelope: missing field `payload` at line 1 column 2".to_owned(), // C5
        ),
        (
            attachment(Location::Referrers, COSE, Bytes::from_static(b"x"), "", ""),
            "a Notation signature, and the rule names no Notation signer".to_owned(),
        ),
    ];
    for (attachment, expected) in cases {
        assert_eq!(why(vec![attachment], &ci_policy()), expected);
    }
}

#[test]
fn attachments_that_carry_no_signature_leave_the_image_unsigned() {
    let sbom = attachment(Location::Referrers, SPDX, Bytes::from_static(b"{}"), "", "");
    assert!(matches!(only_reason(&evidence(&image(0), vec![sbom]), &ci_policy()), Reason::Unsigned { .. }));
}

#[test]
fn tampered_attachments_do_not_count_and_hide_nothing() {
    let (key, image) = (&KEYS[0], image(0));
    let good = cosign_bundle(key, &image);
    let tampered = Attachment { manifest: cosign_bundle(&KEYS[1], &image).manifest, ..good.clone() };
    assert!(why(vec![tampered.clone()], &ci_policy()).starts_with("the manifest's bytes are those of sha256:"));
    for items in [vec![tampered.clone(), good.clone()], vec![good, tampered]] {
        assert!(admits(&evidence(&image, items), &ci_policy()));
    }
}

#[test]
fn a_signature_layer_that_is_missing_is_a_gap() {
    let image = image(0);
    let mut torn = cosign_bundle(&KEYS[0], &image);
    torn.layers.clear();
    let Reason::EvidenceMissing { gaps, .. } = only_reason(&evidence(&image, vec![torn.clone()]), &ci_policy()) else {
        panic!("another reason");
    };
    assert_eq!((gaps.len(), gaps[0].source, gaps[0].failure), (1, EvidenceSource::Signatures, Failure::Truncated));
    // The layer may come with another attachment: layers go by digest.
    let mut carrier = cosign_bundle(&KEYS[1], &image);
    carrier.layers.extend(cosign_bundle(&KEYS[0], &image).layers);
    assert!(
        matches!(only_reason(&evidence(&image, vec![torn, carrier]), &ci_policy()), Reason::EvidenceMissing { .. }),
        "other random bytes"
    );
}

#[test]
fn keys_count_until_their_time_and_only_for_their_images() {
    let image = image(0);
    let with = |until: Option<i64>, images: &[&str]| {
        let mut signer = signer(&KEYS[0]);
        let SignerIdentity::Keys(keys) = &mut signer.identity else { panic!("no keys") };
        keys[0].until = until.map(|seconds| NOW.plus(seconds));
        signer.images = images.iter().map(|pattern| pattern.parse().expect("a pattern")).collect();
        policy(vec![("ci", signer)], vec![rule(vec![signed_by(Quorum::Any, &["ci"])])])
    };
    let signed = || vec![cosign_bundle(&KEYS[0], &image)];
    assert!(why(signed(), &with(Some(0), &[])).ends_with("which counts only until 2027-01-15T08:00:00Z"));
    assert!(why(signed(), &with(None, &["docker.io/acme/*"])).ends_with("who does not count for docker.io/library/nginx"));
    assert!(admits(&evidence(&image, signed()), &with(Some(1), &["docker.io/acme/*", "docker.io/library/nginx"])));
    let verdict = evaluate(&evidence(&image, signed()), &with(Some(5), &[]), NOW);
    assert_eq!(verdict.valid_until(), Some(NOW.plus(5)));
}

#[test]
fn the_name_inside_a_signature_counts_only_where_the_rule_says_so() {
    // C3, V35
    let image = image(0);
    let digest = Digest::sha256(&image);
    let mut named = rule(vec![signed_by(Quorum::Any, &["ci"])]);
    named.signed_as =
        vec!["registry.acme.example/team/*".parse().expect("a pattern"), "docker.io/library/nginx".parse().expect("a pattern")];
    let strict = policy(vec![("ci", signer(&KEYS[0]))], vec![named]);
    let hex = "a".repeat(64);
    for (name, matches) in [
        ("registry.acme.example/team/app", true),
        ("registry.acme.example/team/app:1.2", true),
        (&*format!("registry.acme.example/team/app@sha256:{hex}"), true),
        ("nginx", true),
        ("index.docker.io/library/nginx:latest", true),
        ("registry.acme.example/other/app", false),
        ("registry.acme.example/team/app/x", false),
        ("", false),
        ("not a name", false),
    ] {
        let evidence = evidence(&image, vec![simple_signing(&KEYS[0], digest, name)]);
        assert_eq!(admits(&evidence, &strict), matches, "{name}");
        assert!(admits(&evidence, &ci_policy()), "{name}");
    }
    assert!(why(vec![cosign_bundle(&KEYS[0], &image)], &strict).ends_with("but it carries no repository name, which signed-as requires"));
    assert!(why(vec![message_bundle(&KEYS[0], &image)], &strict).ends_with("which signed-as requires"));
}

#[test]
fn a_denial_says_who_did_sign() {
    let image = image(0);
    let policy = policy(vec![("ci", signer(&KEYS[0])), ("qa", signer(&KEYS[1]))], vec![rule(vec![signed_by(Quorum::Any, &["ci"])])]);
    let denial = denial(&evidence(&image, vec![cosign_bundle(&KEYS[1], &image)]), &policy);
    let short = KEYS[1].public.id().short();
    let found = format!("a valid signature by qa (key {short})");
    assert_eq!(denial.reasons, [Reason::SignaturesDoNotSatisfy { expected: "signed-by any of ci".to_owned(), by: vec![], found }]);
    assert!(matches!(&denial.findings[0].outcome, FindingOutcome::Verified { signers, .. } if *signers == ["qa"]));
}

#[test]
fn a_hint_chooses_no_key() {
    use base64::Engine as _;
    let image = image(0);
    let envelope = |key| dsse(key, Digest::sha256(&image), "https://sigstore.dev/cosign/sign/v1");
    let hint = |key: &Key| {
        format!(r#""publicKey":{{"hint":"{}"}}"#, base64::engine::general_purpose::STANDARD.encode(key.public.id().digest().as_bytes()))
    };
    assert!(admits(&evidence(&image, vec![bundle(&hint(&KEYS[1]), &envelope(&KEYS[0]), &image)]), &ci_policy()));
    let forged = why(vec![bundle(&hint(&KEYS[0]), &envelope(&KEYS[1]), &image)], &ci_policy());
    assert_eq!(forged, format!("the signature is not valid for key {}, which it names", KEYS[0].public.id().short()));
    let stranger = why(vec![bundle(&hint(&KEYS[1]), &envelope(&KEYS[1]), &image)], &ci_policy());
    assert_eq!(stranger, format!("by a key that the rule does not name (it names {})", KEYS[1].public.id().short()));
}

#[test]
fn stale_evidence_does_not_count() {
    // F24
    let image = image(0);
    let fresh = evidence(&image, vec![cosign_bundle(&KEYS[0], &image)]);
    let at = |collected_at: i64, stale_at: i64| {
        let mut evidence = fresh.clone();
        evidence.attachments.collected_at = NOW.plus(collected_at);
        evidence.attachments.stale_at = NOW.plus(stale_at);
        evidence
    };
    assert!(admits(&at(-600, 1), &ci_policy()));
    assert!(admits(&at(60, 600), &ci_policy()));
    for stale in [at(-600, 0), at(-600, -1), at(61, 600)] {
        let denial = denial(&stale, &ci_policy());
        assert!(matches!(&*denial.reasons, [Reason::EvidenceMissing { gaps, .. }] if gaps[0].failure == Failure::Stale), "{denial:?}");
        assert_eq!((denial.findings.len(), denial.valid_until), (0, Some(NOW)));
    }
}

#[test]
fn a_gap_never_helps_and_never_hides_a_good_signature() {
    let image = image(0);
    let failures = [
        Failure::Refused,
        Failure::Timeout,
        Failure::RateLimited,
        Failure::Unavailable,
        Failure::Truncated,
        Failure::Malformed,
        Failure::Stale,
        Failure::Oversized,
        Failure::NotCollected,
    ];
    for failure in failures {
        let mut signed = evidence(&image, vec![cosign_bundle(&KEYS[0], &image)]);
        signed.attachments.gaps.push(gap(failure));
        assert!(admits(&signed, &ci_policy()));
        let mut wrong = evidence(&image, vec![cosign_bundle(&KEYS[1], &image)]);
        wrong.attachments.gaps.push(gap(failure));
        let denial = denial(&wrong, &ci_policy());
        assert_eq!(denial.outcome_code(), 75);
        let line = denial.line(None);
        assert!(line.contains("signatures: referrers API ") && line.contains(failure.name()), "{line}");
    }
    let mut unseen = evidence(&image, vec![]);
    unseen.attachments = Collected::not_collected(EvidenceSource::Signatures, NOW);
    let denial = denial(&unseen, &ci_policy());
    assert_eq!((denial.outcome_code(), denial.valid_until), (75, Some(NOW.plus(1))));
    assert!(denial.line(None).contains("not collected yet"));
}

#[test]
fn endless_signatures_end_at_the_limit() {
    // C1, V16
    let image = image(0);
    let garbage =
        |n: usize| -> Vec<Attachment> { (0..n).map(|i| simple_signing(&KEYS[1], Digest::sha256(&image), &i.to_string())).collect() };
    let flood = denial(&evidence(&image, garbage(limits::ATTACHMENTS + 1)), &ci_policy());
    assert_eq!(flood.findings.len(), limits::ATTACHMENTS);
    assert!(matches!(&*flood.reasons, [Reason::EvidenceMissing { gaps, .. }] if gaps[0].failure == Failure::Oversized));
    let within = denial(&evidence(&image, garbage(limits::ATTACHMENTS)), &ci_policy());
    assert_eq!(within.outcome_code(), 12);
    // One manifest with endless layers.
    let one = simple_signing(&KEYS[1], Digest::sha256(&image), "x");
    let text = String::from_utf8(one.manifest.to_vec()).expect("text");
    let (head, rest) = text.split_once("\"layers\":[").expect("layers");
    let (layer, tail) = rest.rsplit_once(']').expect("layers");
    let manifest: Bytes = format!("{head}\"layers\":[{}]{tail}", vec![layer; limits::SIGNATURES + 1].join(",")).into();
    let endless = Attachment { digest: Digest::sha256(&manifest), manifest, ..one };
    let denial = denial(&evidence(&image, vec![endless]), &ci_policy());
    assert!(matches!(&*denial.reasons, [Reason::EvidenceMissing { gaps, .. }] if gaps[0].failure == Failure::Oversized));
}

#[test]
fn oversized_layers_and_endless_indexes_are_gaps() {
    // V17
    let child = image(0);
    let huge = attachment(Location::Referrers, SIMPLE_SIGNING, vec![b' '; limits::EVIDENCE_LAYER_BYTES + 1].into(), "", "");
    let denial = denial(&evidence(&child, vec![huge]), &ci_policy());
    assert!(
        denial
            .reasons
            .iter()
            .all(|r| matches!(r, Reason::EvidenceMissing { gaps, .. } if gaps.iter().any(|g| g.failure == Failure::Oversized)))
    );
    let mut listed = evidence(&child, vec![]);
    listed.parents = (0..=limits::PARENTS).map(|n| parent(&index(&[&child, &image(u8::try_from(n).expect("small"))]), vec![])).collect();
    assert_eq!(scene::denial(&listed, &ci_policy()).outcome_code(), 75);
}

#[test]
fn the_hour_of_a_decision_is_the_callers() {
    let image = image(0);
    let evidence = evidence(&image, vec![cosign_bundle(&KEYS[0], &image)]);
    for now in [i64::MIN, -1, 0, i64::MAX] {
        assert!(matches!(evaluate(&evidence, &ci_policy(), Timestamp(now)), Verdict::Deny(_)), "{now}");
    }
}

#[test]
fn one_signer_may_not_hold_another_ones_key() {
    // C7: the policy itself refuses it.
    use sealgate_verifier::{PolicyError, PolicyParts, Revision};
    let signers = [("a", signer(&KEYS[0])), ("b", signer(&KEYS[0]))].map(|(name, signer): (&str, Signer)| (name.to_owned(), signer)).into();
    let parts = PolicyParts { signers, ..PolicyParts::empty(Revision(Digest::sha256(b""))) };
    assert!(matches!(&*Policy::new(parts).expect_err("shared"), [PolicyError::SharedKey { .. }]));
}
