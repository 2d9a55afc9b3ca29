//! Every reason that a denial can give has a case, named after what happened.

mod scene;

use std::collections::{BTreeMap, BTreeSet};

use scene::*;
use sealgate_verifier::{
    AttestationType, Attested, Condition, Digest, Evidence, Failure, Pointer, Policy, Quorum, Reason, Requirement, SignedBy, TextMatcher,
};

/// Names every variant once: in the list of all and in a match without a wildcard, so that a new reason does not compile without a name,
/// and does not pass without a case.
macro_rules! reasons {
    ($($variant:ident),* $(,)?) => {
        const ALL: &[&str] = &[$(stringify!($variant)),*];

        fn name(reason: &Reason) -> &'static str {
            match reason {
                $(Reason::$variant { .. } => stringify!($variant)),*
            }
        }
    };
}

reasons![
    NoRule,
    DeniedByRule,
    DigestNotListed,
    Unsigned,
    SignaturesDoNotSatisfy,
    Unattested,
    AttestationsDoNotSatisfy,
    AttestationSaysOtherwise,
    AttestationOutOfTime,
    NoAlternative,
    EvidenceMissing,
    Vulnerable,
    Uncovered,
    SecretFound,
    ContentsDoNotSatisfy,
    TooYoung,
    ChildDenied,
    NoPlatform,
    BadManifest,
];

const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// What happened, on which evidence, under which policy, the reason, and the exit code of a command.
struct Case(&'static str, Evidence, Policy, &'static str, u8);

fn of_ci(requirements: Vec<Requirement>) -> Policy {
    policy(vec![("ci", signer(&KEYS[0])), ("qa", signer(&KEYS[1]))], vec![rule(requirements)])
}

fn scanned() -> Attested {
    Attested {
        kind: AttestationType::parse("vuln").expect("a type"),
        by: SignedBy { quorum: Quorum::Any, signers: vec!["ci".to_owned()] },
        conditions: vec![Condition {
            pointer: Pointer::parse("/scanner/result").expect("a pointer"),
            expected: TextMatcher::parse("clean"),
        }],
        max_age: Some(3_600),
    }
}

/// A scan by a key, finished at so many seconds after the decision.
fn scan(key: usize, seconds: i64, result: &str) -> sealgate_verifier::Attachment {
    let predicate = format!(r#"{{"scanner":{{"result":"{result}"}},"metadata":{{"scanFinishedOn":"{}"}}}}"#, NOW.plus(seconds));
    bundle(r#""publicKey":{}"#, &envelope(&KEYS[key], Digest::sha256(&image(0)), VULN, &predicate), &image(0))
}

fn about(items: Vec<sealgate_verifier::Attachment>) -> Evidence {
    evidence(&image(0), items)
}

fn signatures() -> Vec<Case> {
    let (image, other) = (image(0), image(1));
    let signed = |key: usize| cosign_bundle(&KEYS[key], &image);
    let moved = simple_signing(&KEYS[0], Digest::sha256(&other), "");
    let provenance = bundle(r#""publicKey":{}"#, &dsse(&KEYS[0], Digest::sha256(&image), "https://slsa.dev/provenance/v1"), &image);
    let both = || of_ci(vec![signed_by(Quorum::All, &["ci", "qa"])]);
    let blind = |failure, mut evidence: Evidence| {
        evidence.attachments.gaps.push(gap(failure));
        evidence
    };
    vec![
        Case("nobody_signed", about(vec![]), ci_policy(), "Unsigned", 10), // C8, V7
        Case("somebody_only_attested", about(vec![provenance]), ci_policy(), "Unsigned", 10), // V6, C2
        Case("a_stranger_signed", about(vec![signed(4)]), ci_policy(), "SignaturesDoNotSatisfy", 12),
        Case(
            "another_signer_of_the_policy_signed",
            about(vec![signed(1)]),
            of_ci(vec![signed_by(Quorum::Any, &["ci"])]),
            "SignaturesDoNotSatisfy",
            12,
        ),
        Case("another_image_was_signed", about(vec![moved]), ci_policy(), "SignaturesDoNotSatisfy", 12), // C3, V30
        Case("one_of_two_signed_twice", about(vec![signed(0), message_bundle(&KEYS[0], &image)]), both(), "SignaturesDoNotSatisfy", 12), // C7, V10
        Case("the_registry_was_busy", blind(Failure::RateLimited, about(vec![])), ci_policy(), "EvidenceMissing", 75),
        Case(
            "a_stranger_signed_and_a_page_is_missing",
            blind(Failure::Truncated, about(vec![signed(4)])),
            ci_policy(),
            "EvidenceMissing",
            75,
        ),
    ]
}

fn attestations() -> Vec<Case> {
    let requiring = |attested: Attested| of_ci(vec![Requirement::Attested(attested)]);
    let mut blind = about(vec![]);
    blind.attachments.gaps.push(gap(Failure::Unavailable));
    let alternatives =
        || of_ci(vec![Requirement::AnyOf(vec![vec![signed_by(Quorum::Any, &["ci"])], vec![Requirement::Attested(scanned())]])]);
    vec![
        Case("nobody_attested", about(vec![]), requiring(scanned()), "Unattested", 10),
        Case("it_was_signed_only", about(vec![cosign_bundle(&KEYS[0], &image(0))]), requiring(scanned()), "Unattested", 10), // V6
        Case("another_signer_attested", about(vec![scan(1, -60, "clean")]), requiring(scanned()), "AttestationsDoNotSatisfy", 12),
        Case("it_says_otherwise", about(vec![scan(0, -60, "dirty")]), requiring(scanned()), "AttestationSaysOtherwise", 22),
        Case("it_is_too_old", about(vec![scan(0, -3_600, "clean")]), requiring(scanned()), "AttestationOutOfTime", 22),
        Case("it_is_of_tomorrow", about(vec![scan(0, 86_400, "clean")]), requiring(scanned()), "AttestationOutOfTime", 22), // F24
        Case("the_registry_was_down", blind.clone(), requiring(scanned()), "EvidenceMissing", 75),
        Case("neither_way_was_gone", about(vec![scan(0, -60, "dirty")]), alternatives(), "NoAlternative", 22),
        Case("neither_way_could_be_seen", blind, alternatives(), "NoAlternative", 75),
    ]
}

fn insides() -> Vec<Case> {
    use scene::inside::*;
    use sealgate_verifier::{Contents, ContentsPolicy, Packages, ScanReport, SecretFinding, Severity, evaluate};
    let requiring = |requirement| of_ci(vec![requirement]);
    let scratch = ScanReport { packages: Packages::NoneRecognised, ..report(vec![]) };
    let holding = |change: fn(&mut Contents)| {
        let mut evidence = found(vec![]);
        change(&mut evidence.image.contents.items[0]);
        evidence
    };
    let secret = |contents: &mut Contents| {
        let (kind, path) = ("private-key".to_owned(), "root/.ssh/id_rsa".to_owned());
        contents.secrets.push(SecretFinding { kind, layer: None, path, deleted: true, excerpt: String::new() });
    };
    let contents = |non_root| contents_are(ContentsPolicy { non_root, secrets: Some(vec![]), ..ContentsPolicy::default() });
    let mut young = found(vec![]);
    young.image.first_seen = Ok(NOW);
    let bad = found(vec![vulnerability("CVE-2026-1", Severity::Critical, 0)]);
    let listing = index(&[&image(0)]);
    let judged = evaluate(&bad, &standard_policy(), NOW);
    let of_bad = Evidence { children: vec![judged], ..evidence(&listing, vec![]) };
    vec![
        Case("a_critical_vulnerability_is_found", bad, standard_policy(), "Vulnerable", 20),
        Case("no_list_of_packages_is_found", scan_of(vec![scratch]), standard_policy(), "Uncovered", 20),
        Case("nobody_has_scanned_it", about(vec![]), standard_policy(), "EvidenceMissing", 75), // C14
        Case("it_holds_a_secret", holding(secret), requiring(contents(false)), "SecretFound", 21),
        Case("it_starts_as_root", holding(|contents| contents.user.uid = Some(0)), requiring(contents(true)), "ContentsDoNotSatisfy", 22),
        Case("nobody_has_looked_inside", about(vec![]), requiring(contents(true)), "EvidenceMissing", 75),
        Case("it_is_new", young, requiring(Requirement::Age { min: DAY }), "TooYoung", 22),
        Case("a_child_is_vulnerable", of_bad, standard_policy(), "ChildDenied", 20),
        Case("an_index_lists_nothing", evidence(&index(&[]), vec![]), standard_policy(), "NoPlatform", 22), // C10
    ]
}

fn fixed() -> Vec<Case> {
    let digests = |listed: &[u8]| of_ci(vec![Requirement::Digests(BTreeSet::from([Digest::sha256(listed)]))]);
    let mut swapped = about(vec![cosign_bundle(&KEYS[0], &image(0))]);
    swapped.subject.manifest = image(1);
    // V19, C12: the older image is signed as well, and is not the one that is pinned.
    let pinned = || of_ci(vec![signed_by(Quorum::Any, &["ci"]), Requirement::Digests(BTreeSet::from([Digest::sha256(&image(0))]))]);
    let older = evidence(&image(1), vec![cosign_bundle(&KEYS[0], &image(1))]);
    vec![
        Case("no_rule_matches", about(vec![cosign_bundle(&KEYS[0], &image(0))]), Policy::deny_all(), "NoRule", 22), // C10, V7
        Case("the_rule_denies", about(vec![cosign_bundle(&KEYS[0], &image(0))]), of_ci(vec![Requirement::Deny]), "DeniedByRule", 22),
        Case("another_digest_is_listed", about(vec![]), digests(b"another"), "DigestNotListed", 22),
        Case("an_older_signed_image_is_not_the_pinned_one", older, pinned(), "DigestNotListed", 22),
        Case("the_bytes_are_another_images", swapped, ci_policy(), "BadManifest", 22), // A3
        Case("it_is_no_manifest", evidence(&bytes::Bytes::from_static(b"<html>"), vec![]), ci_policy(), "BadManifest", 22),
    ]
}

#[test]
fn every_reason_has_a_case_and_every_case_its_reason() {
    let mut seen: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Case(case, evidence, policy, reason, code) in [signatures(), attestations(), insides(), fixed()].into_iter().flatten() {
        let denial = denial(&evidence, &policy);
        let found: Vec<&str> = denial.reasons.iter().map(name).collect();
        assert_eq!((&*found, denial.outcome_code()), (&[reason][..], code), "{case}: {:?}", denial.reasons);
        let line = denial.line(None);
        assert!(line.starts_with("DENIED by policy") && line.len() <= 700 && line.is_ascii(), "{case}: {line}");
        seen.entry(reason).or_default().push(case);
    }
    let missing: Vec<&&str> = ALL.iter().filter(|reason| !seen.contains_key(**reason)).collect();
    assert!(missing.is_empty(), "reasons without a case: {missing:?}");
}

#[test]
fn a_pinned_image_that_is_signed_is_admitted() {
    // The counterpart of the rollback above.
    let pinned = of_ci(vec![signed_by(Quorum::Any, &["ci"]), Requirement::Digests(BTreeSet::from([Digest::sha256(&image(0))]))]);
    assert!(admits(&about(vec![cosign_bundle(&KEYS[0], &image(0))]), &pinned));
    assert!(!admits(&about(vec![]), &pinned));
}

#[test]
fn a_tag_decides_nothing() {
    // V30: what is signed is the digest. A tag that points to a signed image serves it under any name; one that points elsewhere gets
    // nothing from the signature of another tag.
    let (signed, unsigned) =
        (about(vec![cosign_bundle(&KEYS[0], &image(0))]), evidence(&image(1), vec![cosign_bundle(&KEYS[0], &image(0))]));
    for tag in [None, Some("1"), Some("latest"), Some("sha256-0")] {
        let named = |evidence: &Evidence| {
            let mut evidence = evidence.clone();
            evidence.subject.tag = tag.map(|tag| tag.parse().expect("a tag"));
            evidence
        };
        assert!(admits(&named(&signed), &ci_policy()) && !admits(&named(&unsigned), &ci_policy()), "{tag:?}");
        assert_eq!(
            sealgate_verifier::evaluate(&named(&unsigned), &ci_policy(), NOW),
            sealgate_verifier::evaluate(&unsigned, &ci_policy(), NOW)
        );
    }
}

#[test]
fn removing_a_key_brings_an_older_attestation_of_its_signer_back() {
    // The one exception to "less trust admits no more" (ARCHITECTURE): bad news counts as long as its key is trusted.
    let with = |keys: &[usize]| {
        let keys: Vec<&Key> = keys.iter().map(|key| &KEYS[*key]).collect();
        policy(vec![("ci", signer_of(&keys))], vec![rule(vec![Requirement::Attested(scanned())])])
    };
    let evidence = about(vec![scan(0, -60, "clean"), scan(3, -30, "dirty")]);
    assert!(!admits(&evidence, &with(&[0, 3])));
    assert!(admits(&evidence, &with(&[0])));
}
