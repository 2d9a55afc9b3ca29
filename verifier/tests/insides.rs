//! Contents, age, and an index whose children must pass.

mod scene;

use std::collections::BTreeSet;

use bytes::Bytes;
use scene::inside::*;
use scene::*;
use sealgate_verifier::media_type::OCI_MANIFEST;
use sealgate_verifier::{
    Contents, ContentsPolicy, Denial, Digest, Evidence, EvidenceSource, Failure, FileCapabilities, Gap, IgnoredSecret, Packages, Policy,
    PolicyParts, Quorum, Reason, Requirement, Revision, SecretFinding, SetId, Severity, TextMatcher, Verdict, evaluate,
};

fn holding(contents: Contents) -> Evidence {
    let mut evidence = found(vec![]);
    evidence.image.contents = fresh(vec![contents]);
    evidence
}

fn secret(kind: &str, path: &str) -> SecretFinding {
    SecretFinding {
        kind: kind.to_owned(),
        layer: Some(Digest::sha256(b"l")),
        path: path.to_owned(),
        deleted: true,
        excerpt: "AKIA****".to_owned(),
    }
}

#[test]
fn each_thing_that_contents_forbid_denies_by_itself() {
    let none = || Some(BTreeSet::new());
    let only = |one: &str| Some(BTreeSet::from([one.to_owned()]));
    let policy = |change: fn(&mut ContentsPolicy)| {
        let mut policy = ContentsPolicy::default();
        change(&mut policy);
        policy
    };
    let with = |change: fn(&mut Contents)| {
        let mut contents = contents();
        change(&mut contents);
        contents
    };
    let setuid = with(|c| c.setuid = vec![SetId { path: "usr/bin/su".to_owned(), mode: 0o4755 }]);
    let capable =
        with(|c| c.capabilities = vec![FileCapabilities { path: "usr/bin/ping".to_owned(), capabilities: vec!["cap_net_raw".to_owned()] }]);
    let cases = [
        (policy(|p| p.non_root = true), with(|c| c.user.uid = Some(0)), "user root"),
        (policy(|p| p.non_root = true), with(|c| (c.user.name, c.user.uid) = (String::new(), None)), "user root"),
        (policy(|p| p.non_root = true), with(|c| c.user.uid = None), "user nginx, whose number is not known"),
        (ContentsPolicy { setuid: none(), ..ContentsPolicy::default() }, setuid.clone(), "setuid file usr/bin/su"),
        (ContentsPolicy { setuid: only("usr/bin/passwd"), ..ContentsPolicy::default() }, setuid.clone(), "setuid file usr/bin/su"),
        (ContentsPolicy { capabilities: none(), ..ContentsPolicy::default() }, capable, "file with capabilities usr/bin/ping"),
        (policy(|p| p.no_shell = true), with(|c| c.shells = vec!["bin/sh".to_owned()]), "shell bin/sh"),
        (
            policy(|p| p.no_package_manager = true),
            with(|c| c.package_managers = vec!["usr/bin/apt".to_owned()]),
            "package manager usr/bin/apt",
        ),
        (policy(|p| p.no_compiler = true), with(|c| c.compilers = vec!["usr/bin/gcc".to_owned()]), "compiler usr/bin/gcc"),
        (
            ContentsPolicy { ports: only("443/tcp"), ..ContentsPolicy::default() },
            with(|c| c.exposed_ports = vec!["443".to_owned(), "22/tcp".to_owned()]),
            "port 22/tcp",
        ),
        (policy(|p| p.max_size = Some(999)), contents(), "1000 bytes, over 999"),
        (policy(|p| p.no_packages = true), contents(), "lists of 100 packages"),
    ];
    for (policy, bad, expected) in cases {
        let policy = policy_with(vec![contents_are(policy)], vec![]);
        let Reason::ContentsDoNotSatisfy { found, .. } = only_reason(&holding(bad.clone()), &policy) else { panic!("{expected}") };
        assert_eq!(found, expected);
        let denial = denial(&holding(bad), &policy);
        assert_eq!(denial.outcome_code(), 22);
    }
    let allowing = ContentsPolicy {
        setuid: only("usr/bin/su"),
        ports: only("443/tcp"),
        max_size: Some(1_000),
        non_root: true,
        ..ContentsPolicy::default()
    };
    let good = Contents { exposed_ports: vec!["443".to_owned()], ..setuid };
    assert!(admits(&holding(good), &policy_with(vec![contents_are(allowing)], vec![])));
    let nothing = policy(|p| p.no_packages = true);
    assert!(admits(&holding(with(|c| c.packages = Packages::NoneRecognised)), &policy_with(vec![contents_are(nothing)], vec![])));
}

#[test]
fn a_secret_denies_with_its_own_code_unless_it_is_ignored_and_for_as_long() {
    let ignoring = |kind: &str, path: &str| IgnoredSecret {
        kind: kind.to_owned(),
        path: TextMatcher::parse(path),
        reason: "a test's".to_owned(),
        expires: NOW.plus(DAY),
    };
    let policy = |ignored: Vec<IgnoredSecret>| {
        policy_with(vec![contents_are(ContentsPolicy { secrets: Some(ignored), ..ContentsPolicy::default() })], vec![])
    };
    let evidence = holding(Contents { secrets: vec![secret("private-key", "app/test/key.pem")], ..contents() });
    let denial = denial(&evidence, &policy(vec![]));
    assert!(matches!(&*denial.reasons, [Reason::SecretFound { total: 1, .. }]), "{denial:?}");
    assert_eq!(denial.outcome_code(), 21);
    assert!(denial.line(None).contains("private-key in app/test/key.pem of layer "), "{}", denial.line(None));
    assert!(admits(&evidence, &policy_with(vec![contents_are(ContentsPolicy { non_root: true, ..ContentsPolicy::default() })], vec![])));
    for (kind, path, ignored) in [
        ("private-key", "app/test/*", true),
        ("private-key", "app/test/key.pem", true),
        ("aws-key", "app/test/*", false),
        ("private-key", "app/test/key", false),
        ("private-key", "key.pem", false),
    ] {
        let policy = policy(vec![ignoring(kind, path)]);
        assert_eq!(admits(&evidence, &policy), ignored, "{kind} {path}");
        assert!(!matches!(evaluate(&evidence, &policy, NOW.plus(DAY)), Verdict::Admit(_)), "its end");
    }
    let Verdict::Admit(admission) = evaluate(&evidence, &policy(vec![ignoring("private-key", "app/*")]), NOW) else { panic!("denied") };
    assert!(admission.satisfied()[0].notes[0].contains("a test's"), "{admission:?}");
    assert_eq!(Verdict::Admit(admission).valid_until(), Some(NOW.plus(DAY)));
}

#[test]
fn contents_that_nobody_has_seen_whole_are_a_gap() {
    let policy = policy_with(vec![contents_are(ContentsPolicy { non_root: true, ..ContentsPolicy::default() })], vec![]);
    let unseen = evidence(&image(0), vec![]);
    let denial = denial(&unseen, &policy);
    assert_eq!((denial.is_pending(), denial.outcome_code()), (true, 75));
    let gap = Gap { source: EvidenceSource::Contents, place: "layer 1".to_owned(), failure: Failure::Oversized, detail: String::new() };
    assert!(!admits(&holding(Contents { gaps: vec![gap], ..contents() }), &policy));
    assert!(!admits(&holding(Contents { shells: vec![String::new(); 10_001], ..contents() }), &policy));
    let mut nothing = found(vec![]);
    nothing.image.contents = fresh(vec![]);
    assert!(!admits(&nothing, &policy));
    nothing.image.contents = fresh(vec![contents()]);
    assert!(admits(&nothing, &policy));
    nothing.image.contents.stale_at = NOW;
    assert!(!admits(&nothing, &policy));
}

#[test]
fn an_image_is_old_enough_at_its_second() {
    let policy = policy_with(vec![Requirement::Age { min: 3 * DAY }], vec![]);
    let mut evidence = found(vec![]);
    for (age, old_enough) in [(3 * DAY, true), (3 * DAY - 1, false), (0, false), (-DAY, false)] {
        evidence.image.first_seen = Ok(NOW.plus(-age));
        assert_eq!(admits(&evidence, &policy), old_enough, "{age}");
    }
    evidence.image.first_seen = Ok(NOW.plus(-DAY));
    let denial = denial(&evidence, &policy);
    let [Reason::TooYoung { until, .. }] = &*denial.reasons else { panic!("{denial:?}") };
    assert_eq!(
        (*until, denial.valid_until, denial.outcome_code(), denial.is_pending()),
        (NOW.plus(2 * DAY), Some(NOW.plus(600)), 22, false)
    );
    assert!(denial.line(None).contains("expected age at least 3d; found first seen here "), "{}", denial.line(None));
    evidence.image.first_seen = scene::evidence(&image(0), vec![]).image.first_seen;
    let denial = scene::denial(&evidence, &policy);
    assert!(matches!(&*denial.reasons, [Reason::EvidenceMissing { .. }]), "{denial:?}");
}

/// An index with one image for each of these platforms.
fn index_for(platforms: &[&str]) -> (Bytes, Vec<Bytes>) {
    let images: Vec<Bytes> = (0_u8..).take(platforms.len()).map(image).collect();
    let entry = |(platform, image): (&&str, &Bytes)| {
        let extra = match platform.split_once('/') {
            Some((os, architecture)) => format!(r#","platform":{{"os":"{os}","architecture":"{architecture}"}}"#),
            None => String::new(),
        };
        descriptor(OCI_MANIFEST, image, &extra)
    };
    let entries: Vec<String> = platforms.iter().zip(&images).map(entry).collect();
    (format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(",")).into(), images)
}

fn signed_and_scanned() -> Policy {
    policy_with(vec![signed_by(Quorum::Any, &["ci"]), scanned(standard())], vec![])
}

/// The verdict on a child of a signed index.
fn child(listing: &Bytes, image: &Bytes, vulnerable: bool, policy: &Policy) -> Verdict {
    let findings = if vulnerable { vec![vulnerability("CVE-2026-1", Severity::Critical, 0)] } else { vec![] };
    let mut evidence = inside(image, facts(vec![report(findings)]));
    evidence.parents = vec![parent(listing, vec![cosign_bundle(&KEYS[0], listing)])];
    evaluate(&evidence, policy, NOW)
}

#[test]
fn a_signed_index_passes_when_each_image_of_the_policys_platforms_does() {
    let policy = signed_and_scanned();
    let (listing, images) = index_for(&["linux/amd64", "linux/arm64", "linux/s390x", "unknown/unknown"]);
    let with = |children: Vec<Verdict>| Evidence { children, ..evidence(&listing, vec![cosign_bundle(&KEYS[0], &listing)]) };
    let good = |index: usize| child(&listing, &images[index], false, &policy);
    let bad = |index: usize| child(&listing, &images[index], true, &policy);
    assert!(admits(&with(vec![good(0), good(1)]), &policy));
    assert!(admits(&with(vec![good(1), bad(2), good(0)]), &policy), "another platform is judged when it is asked for");
    let verdict = evaluate(&with(vec![good(0), good(1)]), &policy, NOW);
    assert_eq!(verdict.valid_until(), Some(NOW.plus(600)));
    let denial = denial(&with(vec![good(0), bad(1)]), &policy);
    let [Reason::ChildDenied { platform, digest, .. }] = &*denial.reasons else { panic!("{denial:?}") };
    assert_eq!((&**platform, *digest, denial.outcome_code()), ("linux/arm64", Digest::sha256(&images[1]), 20));
    // A child that nobody has judged, or that somebody has judged otherwise too, or whose verdict has ended.
    for children in [vec![], vec![good(0)], vec![good(0), good(0)], vec![good(0), good(1), bad(1)]] {
        assert!(!admits(&with(children), &policy));
    }
    let all = with(vec![good(0), good(1)]);
    assert!(matches!(evaluate(&all, &policy, NOW.plus(599)), Verdict::Admit(_)));
    assert!(matches!(evaluate(&all, &policy, NOW.plus(600)), Verdict::Deny(_)));
    let pending = scene::denial(&with(vec![]), &policy);
    assert_eq!((pending.is_pending(), pending.outcome_code(), pending.reasons.len()), (true, 75, 2));
    // An unsigned index is denied for that, whatever its children.
    let unsigned = scene::denial(&Evidence { children: vec![good(0), good(1)], ..evidence(&listing, vec![]) }, &policy);
    assert_eq!((unsigned.outcome_code(), unsigned.is_pending()), (10, false));
}

#[test]
fn an_admission_counts_for_its_own_repository_and_policy_only() {
    let policy = signed_and_scanned();
    let (listing, images) = index_for(&["linux/amd64"]);
    let with = |children: Vec<Verdict>| Evidence { children, ..evidence(&listing, vec![cosign_bundle(&KEYS[0], &listing)]) };
    let other_policy = {
        let signers = [("ci".to_owned(), signer(&KEYS[0]))].into();
        let rules = vec![rule(vec![Requirement::Allow])];
        Policy::new(PolicyParts { signers, rules, ..PolicyParts::empty(Revision(Digest::sha256(b"other"))) }).expect("a policy")
    };
    let by_another = evaluate(&inside(&images[0], facts(vec![])), &other_policy, NOW);
    assert!(matches!(&by_another, Verdict::Admit(_)));
    assert!(!admits(&with(vec![by_another]), &policy));
    let mut elsewhere = inside(&images[0], facts(vec![report(vec![])]));
    elsewhere.subject.repository = "docker.io/library/redis".parse().expect("a repository");
    elsewhere.attachments = collected(vec![cosign_bundle(&KEYS[0], &images[0])]);
    let elsewhere = evaluate(&elsewhere, &policy, NOW);
    assert!(matches!(&elsewhere, Verdict::Admit(_)));
    assert!(!admits(&with(vec![elsewhere]), &policy));
    assert!(admits(&with(vec![child(&listing, &images[0], false, &policy)]), &policy));
}

#[test]
fn an_index_without_an_image_for_the_policys_platforms_is_denied() {
    // C10: nothing at all is not everything.
    let policy = signed_and_scanned();
    let with = |platforms: &[&str]| {
        let (listing, images) = index_for(platforms);
        let children = images.iter().map(|image| child(&listing, image, false, &policy)).collect();
        Evidence { children, ..evidence(&listing, vec![cosign_bundle(&KEYS[0], &listing)]) }
    };
    for platforms in [&[][..], &["windows/amd64"], &["unknown/unknown"]] {
        let denial: Denial = denial(&with(platforms), &policy);
        assert!(matches!(&*denial.reasons, [Reason::NoPlatform { .. }]), "{denial:?}");
        assert_eq!(denial.outcome_code(), 22);
    }
    assert!(admits(&with(&["any"]), &policy), "a child without a platform is asked for");
    let (listing, _) = index_for(&["any"]);
    assert!(!admits(&evidence(&listing, vec![cosign_bundle(&KEYS[0], &listing)]), &policy));
    // A rule that asks nothing of platforms' images asks nothing of children.
    assert!(admits(&evidence(&listing, vec![cosign_bundle(&KEYS[0], &listing)]), &ci_policy()));
}
