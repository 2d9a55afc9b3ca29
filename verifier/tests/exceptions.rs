//! Exceptions: what they waive, for which images, and until when.

mod scene;

use scene::inside::*;
use scene::*;
use sealgate_verifier::{
    Digest, Evidence, Exception, ExceptionState, FindingStanding, Policy, PolicyError, PolicyParts, Quorum, Reason, Requirement, Revision,
    Severity, Verdict, Vulnerability, Waived, evaluate,
};

fn critical(id: &str, aliases: &[&str]) -> Vulnerability {
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    Vulnerability { aliases, ..vulnerability(id, Severity::Critical, 1) }
}

fn excepting(exceptions: Vec<Exception>) -> Policy {
    policy_with(vec![scanned(standard())], exceptions)
}

#[test]
fn an_exception_clears_its_finding_until_its_end_and_is_shown() {
    let evidence = found(vec![critical("CVE-2026-1", &[])]);
    let mut policy = standard();
    policy.max_age = 99 * DAY;
    let policy = policy_with(vec![scanned(policy)], vec![waiving(&["CVE-2026-1"])]);
    let Verdict::Admit(admission) = evaluate(&evidence, &policy, NOW) else { panic!("denied") };
    let [used] = &*admission.satisfied()[0].exceptions else { panic!("{admission:?}") };
    assert_eq!((&*used.waived, &*used.owner, used.expires), (&["CVE-2026-1".to_owned()][..], "sec@acme.example", NOW.plus(5 * DAY)));
    assert!(matches!(admission.satisfied()[0].vulnerabilities[0].standing, FindingStanding::Waived { .. }));
    let line = admission.line();
    assert!(line.contains("scanned standard (exception by sec@acme.example until "), "{line}");
    assert!(line.contains("for CVE-2026-1: not reachable)"), "{line}");
    assert_eq!(Verdict::Admit(admission).valid_until(), Some(NOW.plus(5 * DAY)));
    let at = |now| matches!(evaluate(&evidence, &policy, now), Verdict::Admit(_));
    assert!(at(NOW.plus(5 * DAY - 1)) && !at(NOW.plus(5 * DAY)), "its last second counts, its end does not");
    // One that is not needed is not used.
    let Verdict::Admit(admission) = evaluate(&found(vec![vulnerability("CVE-2026-1", Severity::Low, 1)]), &policy, NOW) else {
        panic!("denied")
    };
    assert!(admission.satisfied()[0].exceptions.is_empty());
}

#[test]
fn a_finding_is_cleared_when_each_of_its_cves_is_waived() {
    for (finding, waived, cleared) in [
        (critical("CVE-2026-1", &["CVE-2026-2"]), &[&["CVE-2026-1"][..]][..], false),
        (critical("CVE-2026-1", &["CVE-2026-2"]), &[&["CVE-2026-1", "CVE-2026-2"]], true),
        (critical("CVE-2026-1", &["CVE-2026-2"]), &[&["CVE-2026-1"], &["CVE-2026-2"]], true),
        (critical("DSA-1-1", &["CVE-2026-1", "CVE-2026-2"]), &[&["DSA-1-1"]], false),
        (critical("GHSA-x", &["CVE-2026-1"]), &[&["CVE-2026-1"]], true),
        (critical("GHSA-x", &[]), &[&["GHSA-x"]], true),
        (critical("CVE-2026-1", &[]), &[&["CVE-2026-11"]], false),
        (critical("CVE-2026-1", &[]), &[], false),
    ] {
        let exceptions = waived.iter().map(|ids| waiving(ids)).collect();
        assert_eq!(admits(&found(vec![finding.clone()]), &excepting(exceptions)), cleared, "{finding:?} {waived:?}");
    }
    // V23: exceptions together clear what each clears, and nothing else.
    let two = found(vec![critical("CVE-2026-1", &[]), critical("CVE-2026-3", &[])]);
    assert!(!admits(&two, &excepting(vec![waiving(&["CVE-2026-1"]), waiving(&["CVE-2026-2"])])));
}

#[test]
fn an_exception_counts_for_its_image_alone() {
    let evidence = || found(vec![critical("CVE-2026-1", &[])]);
    let repository = |name: &str| name.parse().expect("a repository");
    let base = || waiving(&["CVE-2026-1"]);
    for (exception, counts) in [
        (base(), true),
        (Exception { digest: None, ..base() }, true),
        (Exception { digest: Some(Digest::sha256(&image(1))), ..base() }, false),
        (Exception { repository: repository("docker.io/library/redis"), ..base() }, false),
        (Exception { repository: repository("docker.io/library/redis"), digest: None, ..base() }, false),
        (Exception { expires: NOW, ..base() }, false),
        (Exception { expires: NOW.plus(1), ..base() }, true),
        (Exception { from: Some(NOW), ..base() }, true),
        (Exception { from: Some(NOW.plus(1)), ..base() }, false),
    ] {
        assert_eq!(admits(&evidence(), &excepting(vec![exception.clone()])), counts, "{exception:?}");
    }
    let later = denial(&evidence(), &excepting(vec![Exception { from: Some(NOW.plus(7)), ..base() }]));
    assert_eq!(later.valid_until, Some(NOW.plus(7)), "the denial ends when the exception begins");
}

#[test]
fn an_exception_for_an_index_covers_what_it_lists() {
    let listing = index(&[&image(0)]);
    let other = index(&[&image(1)]);
    let of = |digest: &bytes::Bytes| excepting(vec![Exception { digest: Some(Digest::sha256(digest)), ..waiving(&["CVE-2026-1"]) }]);
    let child = |listing: &bytes::Bytes| Evidence { parents: vec![parent(listing, vec![])], ..found(vec![critical("CVE-2026-1", &[])]) };
    assert!(admits(&child(&listing), &of(&listing)));
    assert!(!admits(&found(vec![critical("CVE-2026-1", &[])]), &of(&listing)), "an index that nobody has shown");
    assert!(!admits(&child(&other), &of(&other)), "an index that does not list it");
    let mut forged = child(&other);
    forged.parents[0].digest = Digest::sha256(&listing);
    assert!(!admits(&forged, &of(&listing)));
    // Of two indexes none helps the other.
    let wider = index(&[&image(0), &image(1)]);
    let two = [(&listing, "CVE-2026-1"), (&wider, "CVE-2026-2")];
    let exceptions = two.map(|(index, id)| Exception { digest: Some(Digest::sha256(index)), ..waiving(&[id]) }).into();
    let mut both = Evidence {
        parents: vec![parent(&listing, vec![]), parent(&wider, vec![])],
        ..found(vec![critical("CVE-2026-1", &["CVE-2026-2"])])
    };
    assert!(!admits(&both, &excepting(exceptions)));
    both.parents.truncate(1);
    let exceptions = ["CVE-2026-1", "CVE-2026-2"].map(|id| Exception { digest: Some(Digest::sha256(&listing)), ..waiving(&[id]) }).into();
    assert!(admits(&both, &excepting(exceptions)));
}

#[test]
fn break_glass_waives_signatures_and_nothing_else() {
    let unsigned = || found(vec![]);
    let policy = |exceptions| policy_with(vec![signed_by(Quorum::Any, &["ci"]), scanned(standard())], exceptions);
    let end = NOW.plus(DAY);
    let Verdict::Admit(admission) = evaluate(&unsigned(), &policy(vec![break_glass(end)]), NOW) else { panic!("denied") };
    assert_eq!((admission.satisfied()[0].by.len(), &*admission.satisfied()[0].exceptions[0].waived), (0, &["signed-by".to_owned()][..]));
    assert_eq!(Verdict::Admit(admission).valid_until(), Some(end));
    assert!(!matches!(evaluate(&unsigned(), &policy(vec![break_glass(end)]), end), Verdict::Admit(_)));
    assert!(matches!(only_reason(&unsigned(), &policy(vec![waiving(&["CVE-2026-1"])])), Reason::Unsigned { .. }));
    let vulnerable = found(vec![critical("CVE-2026-1", &[])]);
    assert!(matches!(only_reason(&vulnerable, &policy(vec![break_glass(end)])), Reason::Vulnerable { .. }));
    let attested = Requirement::Attested(sealgate_verifier::Attested {
        kind: sealgate_verifier::AttestationType::parse("vuln").expect("a type"),
        by: sealgate_verifier::SignedBy { quorum: Quorum::Any, signers: vec!["ci".to_owned()] },
        conditions: vec![],
        max_age: None,
    });
    assert!(!admits(&unsigned(), &policy_with(vec![attested], vec![break_glass(end)])));
    for denied in [Requirement::Deny, Requirement::Digests([Digest::sha256(b"x")].into())] {
        assert!(!admits(&unsigned(), &policy_with(vec![denied], vec![break_glass(end)])));
    }
    // A signature is preferred, also an index's.
    let listing = index(&[&image(0)]);
    let signed = Evidence { parents: vec![parent(&listing, vec![cosign_bundle(&KEYS[0], &listing)])], ..unsigned() };
    let Verdict::Admit(admission) = evaluate(&signed, &policy(vec![break_glass(end)]), NOW) else { panic!("denied") };
    assert_eq!((&*admission.satisfied()[0].by, admission.satisfied()[0].exceptions.len()), (&["ci".to_owned()][..], 0));
}

#[test]
fn an_exception_that_cannot_be_is_refused() {
    let base = || waiving(&["CVE-2026-1"]);
    let glass = || break_glass(NOW);
    for (exception, problem) in [
        (waiving(&[]), "`waive` is empty"),
        (Exception { reason: " ".to_owned(), ..base() }, "without a reason or an owner"),
        (Exception { owner: String::new(), ..base() }, "without a reason or an owner"),
        (Exception { from: Some(base().expires), ..base() }, "ends before it begins"),
        (Exception { from: None, ..glass() }, "at most 7 days"),
        (Exception { from: Some(NOW.plus(-7 * DAY - 1)), ..glass() }, "over 7 days"),
    ] {
        let parts = PolicyParts { exceptions: vec![base(), exception], ..PolicyParts::empty(Revision(Digest::sha256(b""))) };
        let errors = Policy::new(parts).expect_err(problem);
        assert!(matches!(&*errors, [PolicyError::Exception { index: 1, problem: found, .. }] if found.contains(problem)), "{errors:?}");
    }
    let parts = PolicyParts { exceptions: vec![base(), glass()], ..PolicyParts::empty(Revision(Digest::sha256(b""))) };
    assert!(Policy::new(parts).is_ok());
    let parts = PolicyParts { platforms: vec![], ..PolicyParts::empty(Revision(Digest::sha256(b""))) };
    assert_eq!(Policy::new(parts).expect_err("no platform"), [PolicyError::NoPlatform]);
}

#[test]
fn an_exceptions_state_is_that_of_its_time() {
    let exception = Exception { from: Some(NOW), expires: NOW.plus(30 * DAY), ..waiving(&["CVE-2026-1"]) };
    for (seconds, state) in [
        (-1, ExceptionState::NotYet),
        (0, ExceptionState::Active),
        (16 * DAY, ExceptionState::Active),
        (16 * DAY + 1, ExceptionState::EndsSoon),
        (30 * DAY - 1, ExceptionState::EndsSoon),
        (30 * DAY, ExceptionState::Ended),
    ] {
        assert_eq!(exception.state(NOW.plus(seconds)), state, "{seconds}");
    }
    assert_eq!((exception.waive.to_string(), Waived::SignedBy.to_string()), ("CVE-2026-1".to_owned(), "signed-by".to_owned()));
}
