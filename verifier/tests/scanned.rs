//! Scan status: which findings deny, which sources are asked for, and what the client is told.

mod scene;

use scene::inside::*;
use scene::*;
use sealgate_verifier::{
    Collected, Evidence, EvidenceSource, Failure, FindingStanding, Gap, GraceStart, Packages, Policy, Reason, RequiredSource, ScanPolicy,
    ScanReport, ScanSource, Severity, Treatment, Verdict, Vulnerability, evaluate, limits,
};

fn vulnerable(evidence: &Evidence, policy: &Policy) -> Vec<String> {
    match only_reason(evidence, policy) {
        Reason::Vulnerable { vulnerabilities, .. } => vulnerabilities.into_iter().map(|found| found.id).collect(),
        other => panic!("{other:?}"),
    }
}

fn gaps(evidence: &Evidence, policy: &Policy) -> Vec<Gap> {
    match only_reason(evidence, policy) {
        Reason::EvidenceMissing { gaps, .. } => gaps,
        other => panic!("{other:?}"),
    }
}

#[test]
fn severities_are_judged_as_the_policy_says() {
    for (severity, days, admitted) in [
        (Severity::Critical, 0, false),
        (Severity::High, 6, true),
        (Severity::High, 7, false),
        (Severity::Medium, 29, true),
        (Severity::Medium, 30, false),
        (Severity::Low, 9_999, true),
        (Severity::Negligible, 9_999, true),
        (Severity::Unknown, 0, false),
    ] {
        let evidence = found(vec![vulnerability("CVE-2026-1", severity, days)]);
        assert_eq!(admits(&evidence, &standard_policy()), admitted, "{severity} {days}");
    }
    assert!(admits(&found(vec![]), &standard_policy()));
}

#[test]
fn grace_ends_at_its_second_and_the_verdict_with_it() {
    let end = NOW.plus(DAY);
    let evidence = found(vec![vulnerability("CVE-2026-1", Severity::Medium, 29)]);
    let mut policy = standard();
    policy.max_age = 365 * DAY;
    let policy = policy_with(vec![scanned(policy)], vec![]);
    let verdict = evaluate(&evidence, &policy, end.plus(-1));
    assert!(matches!(verdict, Verdict::Admit(_)));
    assert_eq!(verdict.valid_until(), Some(end));
    let Verdict::Deny(denial) = evaluate(&evidence, &policy, end) else { panic!("admitted") };
    let [Reason::Vulnerable { vulnerabilities, denying: 1, .. }] = &*denial.reasons else { panic!("{denial:?}") };
    assert_eq!((&vulnerabilities[0].standing, vulnerabilities[0].days_left), (&FindingStanding::Overdue { since: end }, Some(0)));
    assert_eq!(denial.outcome_code(), 20);
}

#[test]
fn grace_counts_from_what_the_policy_names_and_else_from_the_earliest_that_is_known() {
    let policy = |from| {
        let mut policy = standard();
        policy.severities.high = Treatment::Grace { seconds: 7 * DAY, from };
        policy_with(vec![scanned(policy)], vec![])
    };
    let at = |days: i64| Some(NOW.plus(-days * DAY));
    let high = |published, fix_available, first_seen| Vulnerability {
        published,
        fix_available,
        first_seen,
        ..vulnerability("CVE-1", Severity::High, 0)
    };
    use GraceStart::{FirstSeen, FixAvailable, Published};
    for (from, finding, admitted) in [
        (Published, high(at(1), at(9), at(9)), true),
        (Published, high(at(8), at(1), at(1)), false),
        (FixAvailable, high(at(99), at(1), at(99)), true),
        (FirstSeen, high(at(99), at(99), at(1)), true),
        (FirstSeen, high(at(99), at(99), at(8)), false),
        (FirstSeen, high(at(8), at(1), None), false),
        (FixAvailable, high(at(1), None, at(2)), true),
        (Published, high(None, None, None), false),
        // A period that begins in the future would never end.
        (Published, high(at(-2), None, None), false),
        (Published, high(at(-2), at(8), None), false),
        // Without a fix the period from a fix has not begun; any other has.
        (FixAvailable, Vulnerability { fixed: None, ..high(at(99), None, at(99)) }, true),
        (Published, Vulnerability { fixed: None, ..high(at(99), None, at(1)) }, false),
    ] {
        assert_eq!(admits(&found(vec![finding.clone()]), &policy(from)), admitted, "{from:?} {finding:?}");
    }
}

#[test]
fn unfixed_findings_are_borne_where_the_policy_says_so_and_nowhere_else() {
    let critical = Vulnerability { fixed: None, ..vulnerability("CVE-2026-1", Severity::Critical, 99) };
    let mut bearing = standard();
    bearing.ignore_unfixed = true;
    let bearing = policy_with(vec![scanned(bearing)], vec![]);
    assert!(!admits(&found(vec![critical.clone()]), &standard_policy()));
    let Verdict::Admit(admission) = evaluate(&found(vec![critical]), &bearing, NOW) else { panic!("denied") };
    assert_eq!(admission.satisfied()[0].vulnerabilities[0].standing, FindingStanding::Unfixed);
    assert!(!admits(&found(vec![vulnerability("CVE-2026-1", Severity::Critical, 0)]), &bearing));
}

#[test]
fn a_denial_lists_the_worst_first_with_versions_and_days() {
    let evidence = found(vec![
        vulnerability("CVE-2026-5", Severity::Low, 1),
        vulnerability("CVE-2026-4", Severity::Medium, 20),
        vulnerability("CVE-2026-3", Severity::Medium, 40),
        Vulnerability { fixed: None, ..vulnerability("CVE-2026-2", Severity::Critical, 1) },
        vulnerability("CVE-2026-1", Severity::High, 8),
    ]);
    assert_eq!(vulnerable(&evidence, &standard_policy()), ["CVE-2026-2", "CVE-2026-1", "CVE-2026-3", "CVE-2026-4"]);
    let denial = denial(&evidence, &standard_policy());
    let Reason::Vulnerable { vulnerabilities, denying, .. } = &denial.reasons[0] else { panic!("{denial:?}") };
    let days: Vec<_> = vulnerabilities.iter().map(|found| found.days_left).collect();
    assert_eq!((*denying, days), (3, vec![None, Some(-1), Some(-10), Some(10)]));
    assert!(denial.line(None).contains(
        "expected scanned standard; found CVE-2026-2 critical in openssl 3.0.1, no fixed version; CVE-2026-1 high in openssl 3.0.1, fixed in \
         3.0.2, grace over for 1 day; CVE-2026-3 medium in openssl 3.0.1, fixed in 3.0.2, grace over for 10 days; mend: "
    ));
    assert!(!denial.is_pending());
}

#[test]
fn an_admission_lists_what_it_bears() {
    let evidence = found(vec![vulnerability("CVE-2026-2", Severity::Low, 1), vulnerability("CVE-2026-1", Severity::Medium, 20)]);
    let Verdict::Admit(admission) = evaluate(&evidence, &standard_policy(), NOW) else { panic!("denied") };
    let [satisfied] = admission.satisfied() else { panic!("{admission:?}") };
    let listed: Vec<_> = satisfied.vulnerabilities.iter().map(|found| (&*found.id, found.days_left)).collect();
    assert_eq!((&*satisfied.requirement, listed), ("scanned standard", vec![("CVE-2026-1", Some(10)), ("CVE-2026-2", None)]));
    let json = serde_json::to_value(satisfied).expect("JSON");
    assert_eq!(json["vulnerabilities"][0]["daysLeft"], 10);
    assert_eq!(json["vulnerabilities"][1]["standing"]["standing"], "tracked");
}

#[test]
fn a_scan_is_fresh_until_the_older_of_it_and_its_advisories_is_too_old() {
    let of = |scanned: i64, advisories: i64| {
        let report = ScanReport { scanned_at: NOW.plus(-scanned), advisories_at: Some(NOW.plus(-advisories)), ..report(vec![]) };
        scan_of(vec![report])
    };
    for (scanned, advisories, left) in [(0, 0, Some(DAY)), (DAY - 1, 0, Some(1)), (0, DAY - 1, Some(1)), (DAY, 0, None), (0, DAY, None)] {
        let verdict = evaluate(&of(scanned, advisories), &standard_policy(), NOW);
        match left {
            Some(left) => assert_eq!((matches!(verdict, Verdict::Admit(_)), verdict.valid_until()), (true, Some(NOW.plus(left)))),
            None => assert_eq!(gaps(&of(scanned, advisories), &standard_policy())[0].failure, Failure::Stale),
        }
    }
    // F24
    assert_eq!(gaps(&of(-61, 0), &standard_policy())[0].failure, Failure::Stale);
    assert!(admits(&of(-60, -60), &standard_policy()));
    let undated = scan_of(vec![ScanReport { advisories_at: None, ..report(vec![]) }]);
    assert_eq!(gaps(&undated, &standard_policy())[0].failure, Failure::Stale);
}

#[test]
fn what_a_scan_does_not_know_is_never_clean() {
    let policy = standard_policy();
    let base = report(vec![]);
    let uncovered = ScanReport { uncovered: vec!["no known advisories cover plan9".to_owned()], ..base.clone() };
    let empty = ScanReport { packages: Packages::NoneRecognised, ..base.clone() };
    for report in [uncovered, empty] {
        let denial = denial(&scan_of(vec![report]), &policy);
        assert!(matches!(&*denial.reasons, [Reason::Uncovered { .. }]), "{denial:?}");
        assert_eq!((denial.outcome_code(), denial.is_pending()), (20, false));
    }
    let gap = Gap { source: EvidenceSource::Scanner, place: "layer 2".to_owned(), failure: Failure::Truncated, detail: String::new() };
    let gapped = ScanReport { gaps: vec![gap.clone()], ..base.clone() };
    assert_eq!(gaps(&scan_of(vec![gapped]), &policy), [gap]);
    let over = ScanReport { vulnerabilities: vec![vulnerability("CVE-1", Severity::Low, 0); limits::VULNERABILITIES + 1], ..base };
    assert_eq!(gaps(&scan_of(vec![over]), &policy)[0].failure, Failure::Oversized);
}

#[test]
fn an_image_without_packages_passes_where_the_rule_expects_it_and_holds_none() {
    use sealgate_verifier::ContentsPolicy;
    let scratch = || {
        let mut evidence = scan_of(vec![ScanReport { packages: Packages::NoneRecognised, ..report(vec![]) }]);
        evidence.image.contents.items[0].packages = Packages::NoneRecognised;
        evidence
    };
    let expecting = contents_are(ContentsPolicy { no_packages: true, ..ContentsPolicy::default() });
    assert!(!admits(&scratch(), &standard_policy()));
    let both = policy_with(vec![scanned(standard()), expecting.clone()], vec![]);
    assert!(admits(&scratch(), &both));
    assert!(!admits(&found(vec![]), &both), "an image with packages is not what the rule expects");
    // One alternative's word counts in it alone.
    let elsewhere = sealgate_verifier::Requirement::AnyOf(vec![
        vec![scanned(standard())],
        vec![expecting, signed_by(sealgate_verifier::Quorum::Any, &["ci"])],
    ]);
    assert!(!admits(&scratch(), &policy_with(vec![elsewhere], vec![])));
}

#[test]
fn every_source_must_be_fresh_and_the_worst_finding_wins() {
    let mut two = standard();
    two.sources.push(RequiredSource::Scanner("trivy".to_owned()));
    let policy = policy_with(vec![scanned(two)], vec![]);
    let trivy = |vulnerabilities| ScanReport {
        source: ScanSource::Scanner { name: "trivy".to_owned() },
        advisories_at: None,
        ..report(vulnerabilities)
    };
    assert!(admits(&scan_of(vec![report(vec![]), trivy(vec![])]), &policy));
    assert_eq!(gaps(&scan_of(vec![report(vec![])]), &policy)[0].place, "scanner trivy");
    assert_eq!(gaps(&scan_of(vec![trivy(vec![])]), &policy)[0].place, "built-in scan");
    let critical = vulnerability("CVE-2026-1", Severity::Critical, 0);
    let low = Vulnerability { severity: Severity::Low, ..critical.clone() };
    assert!(!admits(&scan_of(vec![report(vec![low.clone()]), trivy(vec![critical.clone()])]), &policy));
    assert!(!admits(&scan_of(vec![report(vec![critical.clone()]), trivy(vec![low])]), &policy));
    let stale = ScanReport { scanned_at: NOW.plus(-2 * DAY), ..trivy(vec![]) };
    assert_eq!(gaps(&scan_of(vec![report(vec![]), stale]), &policy)[0].failure, Failure::Stale);
    // Of one source the newest report counts; of two with one time, both.
    let old = ScanReport { scanned_at: NOW.plus(-60), ..report(vec![critical.clone()]) };
    assert!(admits(&scan_of(vec![old, report(vec![])]), &standard_policy()));
    assert!(!admits(&scan_of(vec![report(vec![critical]), report(vec![])]), &standard_policy()));
    // A source that nobody names is nobody's business.
    assert!(admits(&scan_of(vec![report(vec![]), trivy(vec![vulnerability("CVE-1", Severity::Critical, 0)])]), &standard_policy()));
}

#[test]
fn a_pull_before_the_scan_ends_is_pending_and_never_admitted() {
    // C14, F26
    let unscanned = evidence(&image(0), vec![]);
    let denial = denial(&unscanned, &standard_policy());
    assert_eq!((denial.is_pending(), denial.outcome_code()), (true, 75));
    assert!(denial.line(None).contains("scan results: not collected yet"), "{}", denial.line(None));
    // What waiting does not mend is not pending.
    let signed = policy_with(vec![signed_by(sealgate_verifier::Quorum::Any, &["ci"]), scanned(standard())], vec![]);
    let denial = scene::denial(&unscanned, &signed);
    assert_eq!((denial.is_pending(), denial.outcome_code()), (false, 10));
    // A stored scan whose search has ended is a gap again.
    let mut stale = found(vec![]);
    stale.image.scans.stale_at = NOW;
    assert!(gaps(&stale, &standard_policy()).iter().any(|gap| gap.failure == Failure::Stale));
    stale.image.scans = Collected { stale_at: NOW.plus(1), collected_at: NOW.plus(61), ..stale.image.scans };
    assert!(!admits(&stale, &standard_policy()));
}

#[test]
fn a_huge_scan_is_judged_and_the_verdict_stays_small() {
    let each = |index: usize| vulnerability(&format!("CVE-2026-{index:05}"), Severity::Critical, 0);
    let evidence = found((0..limits::VULNERABILITIES).map(each).collect());
    let denial = denial(&evidence, &standard_policy());
    let [Reason::Vulnerable { vulnerabilities, denying, .. }] = &*denial.reasons else { panic!("no") };
    assert_eq!((vulnerabilities.len(), *denying), (limits::LISTED, limits::VULNERABILITIES));
    assert!(denial.line(None).len() <= limits::DENIAL_LINE);
    let mut many = standard();
    many.sources = (0..6).map(|index| RequiredSource::Scanner(index.to_string())).collect();
    let full = |index: usize| ScanReport {
        source: ScanSource::Scanner { name: index.to_string() },
        ..report((0..limits::VULNERABILITIES).map(each).collect())
    };
    let evidence = scan_of((0..6).map(full).collect());
    assert!(gaps(&evidence, &policy_with(vec![scanned(many)], vec![])).iter().any(|gap| gap.failure == Failure::Oversized));
    let reports = vec![report(vec![]); limits::SCAN_REPORTS + 1];
    assert_eq!(gaps(&scan_of(reports), &standard_policy())[0].failure, Failure::Oversized);
}

#[test]
fn a_scan_policy_that_cannot_be_is_refused() {
    let bad: [fn(&mut ScanPolicy); 6] = [
        |policy| policy.sources.clear(),
        |policy| policy.sources.push(RequiredSource::BuiltIn),
        |policy| policy.sources.push(RequiredSource::AttestedBy(vec![])),
        |policy| policy.max_age = 0,
        |policy| policy.severities.low = Treatment::Grace { seconds: 0, from: GraceStart::Published },
        |policy| policy.vex = vec!["nobody".to_owned()],
    ];
    for change in bad {
        let mut policy = standard();
        change(&mut policy);
        let parts = sealgate_verifier::PolicyParts {
            signers: [("ci".to_owned(), signer(&KEYS[0]))].into(),
            rules: vec![rule(vec![scanned(policy.clone())])],
            ..sealgate_verifier::PolicyParts::empty(sealgate_verifier::Revision(sealgate_verifier::Digest::sha256(b"")))
        };
        assert_eq!(Policy::new(parts).expect_err("refused").len(), 1, "{policy:?}");
    }
}
