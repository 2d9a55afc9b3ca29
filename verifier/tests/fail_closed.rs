//! The fail-closed grid of CASES.md (6 kinds of evidence x 8 failures) as far as the decision goes, and what holds for all scans.

mod scene;

use proptest::prelude::*;
use scene::inside::*;
use scene::*;
use sealgate_verifier::{
    AttestationType, Attested, ContentsPolicy, Evidence, EvidenceSource, Exception, Failure, Gap, ImageFacts, Policy, Quorum, Requirement,
    Severity, SignedBy, Verdict, Vulnerability, evaluate,
};

const SOURCES: [EvidenceSource; 6] = [
    EvidenceSource::Signatures,
    EvidenceSource::Attestations,
    EvidenceSource::Scanner,
    EvidenceSource::Transparency,
    EvidenceSource::Contents,
    EvidenceSource::TagResolution,
];
const FAILURES: [Failure; 8] = [
    Failure::Refused,
    Failure::Timeout,
    Failure::RateLimited,
    Failure::Unavailable,
    Failure::Truncated,
    Failure::Malformed,
    Failure::Stale,
    Failure::Oversized,
];

fn attested() -> Requirement {
    Requirement::Attested(Attested {
        kind: AttestationType::parse("slsaprovenance1").expect("a type"),
        by: SignedBy { quorum: Quorum::Any, signers: vec!["ci".to_owned()] },
        conditions: vec![],
        max_age: None,
    })
}

/// Everything that a rule can ask for.
fn asking_for_everything() -> Policy {
    let contents = contents_are(ContentsPolicy { non_root: true, ..ContentsPolicy::default() });
    policy_with(vec![signed_by(Quorum::Any, &["ci"]), attested(), scanned(standard()), contents, Requirement::Age { min: DAY }], vec![])
}

/// Everything that it asks for.
fn whole() -> Evidence {
    let digest = sealgate_verifier::Digest::sha256(&image(0));
    let provenance = bundle(r#""publicKey":{}"#, &dsse(&KEYS[0], digest, "https://slsa.dev/provenance/v1"), &image(0));
    Evidence { attachments: collected(vec![cosign_bundle(&KEYS[0], &image(0)), provenance]), ..found(vec![]) }
}

/// The evidence without what `source` brings, which failed.
fn without(source: EvidenceSource, failure: Failure) -> Evidence {
    let mut evidence = whole();
    let gap = Gap { source, place: "there".to_owned(), failure, detail: String::new() };
    match source {
        EvidenceSource::Signatures | EvidenceSource::Attestations | EvidenceSource::Transparency | EvidenceSource::TrustRoot => {
            evidence.attachments.items.clear();
            evidence.attachments.gaps = vec![gap];
        }
        EvidenceSource::Scanner => {
            evidence.image.scans.items.clear();
            evidence.image.scans.gaps = vec![gap];
        }
        EvidenceSource::Contents => {
            evidence.image.contents.items.clear();
            evidence.image.contents.gaps = vec![gap];
        }
        EvidenceSource::TagResolution => evidence.image.first_seen = Err(gap),
    }
    evidence
}

#[test]
fn no_failure_of_any_source_is_admitted_and_each_is_named() {
    // F25, F26, C14
    let policy = asking_for_everything();
    assert!(admits(&whole(), &policy));
    let mut cells = 0;
    for source in SOURCES {
        for failure in FAILURES {
            let denial = denial(&without(source, failure), &policy);
            let line = denial.line(None);
            let expected = format!("{}: there {}", source.name(), failure.name());
            assert!(line.contains(&expected), "{line}");
            assert_eq!(denial.outcome_code(), 75, "{line}");
            assert!(!denial.is_pending(), "only what nobody has looked at is pending: {line}");
            cells += 1;
        }
    }
    assert_eq!(cells, 48);
}

#[test]
fn a_gap_beside_a_report_denies_as_well() {
    let policy = asking_for_everything();
    for failure in FAILURES.into_iter().chain([Failure::NotCollected]) {
        for source in [EvidenceSource::Scanner, EvidenceSource::Contents] {
            let gap = Gap { source, place: "there".to_owned(), failure, detail: String::new() };
            let mut evidence = whole();
            match source {
                EvidenceSource::Scanner => evidence.image.scans.gaps.push(gap),
                _ => evidence.image.contents.gaps.push(gap),
            }
            assert!(!admits(&evidence, &policy), "{source:?} {failure:?}");
        }
    }
    let nothing = Evidence { image: ImageFacts::not_collected(NOW), ..whole() };
    assert!(!admits(&nothing, &policy));
}

fn severities() -> impl Strategy<Value = Severity> {
    prop::sample::select(Severity::ALL.to_vec())
}

fn findings() -> impl Strategy<Value = Vec<Vulnerability>> {
    let finding = (0..4_u8, severities(), -3..40_i64, any::<[bool; 4]>(), prop::collection::vec(0..4_u8, 0..3));
    let finding = finding.prop_map(|(id, severity, days, [fixed, published, fix_available, first_seen], aliases)| {
        let base = vulnerability(&format!("CVE-2026-{id}"), severity, days);
        Vulnerability {
            fixed: base.fixed.filter(|_| fixed),
            published: base.published.filter(|_| published),
            fix_available: base.fix_available.filter(|_| fix_available),
            first_seen: base.first_seen.filter(|_| first_seen),
            aliases: aliases.into_iter().map(|alias| format!("CVE-2026-{alias}")).collect(),
            ..base
        }
    });
    prop::collection::vec(finding, 0..6)
}

fn exceptions() -> impl Strategy<Value = Vec<Exception>> {
    let exception = (prop::collection::btree_set(0..4_u8, 1..3), any::<bool>(), -2..9_i64).prop_map(|(ids, digest, days)| {
        let ids: Vec<String> = ids.into_iter().map(|id| format!("CVE-2026-{id}")).collect();
        let base = waiving(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        Exception { digest: base.digest.filter(|_| digest), expires: NOW.plus(days * DAY), ..base }
    });
    prop::collection::vec(exception, 0..4)
}

fn gaps() -> impl Strategy<Value = Vec<Gap>> {
    let gap = (prop::sample::select(SOURCES.to_vec()), prop::sample::select(FAILURES.to_vec()), ".*", ".*");
    prop::collection::vec(gap.prop_map(|(source, failure, place, detail)| Gap { source, place, failure, detail }), 1..4)
}

fn judged(exceptions: Vec<Exception>, ignore_unfixed: bool) -> Policy {
    policy_with(vec![scanned(sealgate_verifier::ScanPolicy { ignore_unfixed, ..standard() })], exceptions)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: option_env!("SEALGATE_CASES").and_then(|cases| cases.parse().ok()).unwrap_or(64), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn another_finding_never_admits(findings in findings(), more in findings(), exceptions in exceptions(), ignore in any::<bool>()) {
        let policy = judged(exceptions, ignore);
        let all: Vec<Vulnerability> = findings.iter().chain(&more).cloned().collect();
        prop_assert!(admits(&found(findings), &policy) || !admits(&found(all), &policy));
    }

    #[test]
    fn fewer_exceptions_never_admit(findings in findings(), exceptions in exceptions(), drop in any::<prop::sample::Index>()) {
        let evidence = found(findings);
        if !exceptions.is_empty() && !admits(&evidence, &judged(exceptions.clone(), false)) {
            let mut fewer = exceptions;
            fewer.remove(drop.index(fewer.len()));
            prop_assert!(!admits(&evidence, &judged(fewer, false)));
        }
    }

    #[test]
    fn gaps_never_admit(findings in findings(), exceptions in exceptions(), gaps in gaps(), in_report in any::<bool>()) {
        let policy = judged(exceptions, false);
        let mut gapped = found(findings);
        if in_report { gapped.image.scans.items[0].gaps = gaps } else { gapped.image.scans.gaps = gaps }
        let verdict = evaluate(&gapped, &policy, NOW);
        prop_assert!(matches!(verdict, Verdict::Deny(_)));
        let line = verdict.line();
        prop_assert!(line.len() <= 700 && line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", line);
    }

    #[test]
    fn the_order_of_findings_and_exceptions_decides_nothing(findings in findings(), exceptions in exceptions()) {
        let (mut reversed, mut other) = (findings.clone(), exceptions.clone());
        reversed.reverse();
        other.reverse();
        let (one, two) = (evaluate(&found(findings), &judged(exceptions, false), NOW), evaluate(&found(reversed), &judged(other, false), NOW));
        prop_assert_eq!(matches!(one, Verdict::Admit(_)), matches!(two, Verdict::Admit(_)));
        prop_assert_eq!(one.valid_until(), two.valid_until());
    }

    #[test]
    fn an_admission_holds_until_its_end(findings in findings(), exceptions in exceptions(), part in 0..1_000_i64) {
        let (evidence, policy) = (found(findings), judged(exceptions, false));
        let verdict = evaluate(&evidence, &policy, NOW);
        if let (Verdict::Admit(_), Some(until)) = (&verdict, verdict.valid_until()) {
            let within = NOW.plus(until.since(NOW).saturating_sub(1).max(0) / 1_000 * part);
            prop_assert!(matches!(evaluate(&evidence, &policy, within), Verdict::Admit(_)), "at {}, before {}", within, until);
        }
    }

    #[test]
    fn any_time_and_any_scan_give_a_verdict(now in any::<i64>(), scanned_at in any::<i64>(), advisories_at in any::<Option<i64>>(), seen in any::<i64>(), dates in any::<[Option<i64>; 3]>()) {
        use sealgate_verifier::Timestamp;
        let mut evidence = whole();
        let [published, fix_available, first_seen] = dates.map(|date| date.map(Timestamp));
        let finding = Vulnerability { published, fix_available, first_seen, ..vulnerability("CVE-2026-1", Severity::High, 0) };
        evidence.image.scans.items[0].vulnerabilities = vec![finding];
        evidence.image.scans.items[0].scanned_at = Timestamp(scanned_at);
        evidence.image.scans.items[0].advisories_at = advisories_at.map(Timestamp);
        evidence.image.first_seen = Ok(Timestamp(seen));
        let _ = evaluate(&evidence, &asking_for_everything(), Timestamp(now)).line();
    }
}
