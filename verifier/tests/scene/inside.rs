//! What is inside images, and policies about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use sealgate_verifier::{
    Collected, ConfiguredUser, Contents, ContentsPolicy, Digest, Evidence, Exception, GraceStart, ImageFacts, Packages, Policy,
    PolicyParts, RequiredSource, Requirement, Revision, ScanPolicy, ScanReport, ScanSource, Severities, Severity, Signer, Timestamp,
    Treatment, Vulnerability, Waived,
};

use super::{KEYS, NAME, NOW, evidence, image, rule, signer};

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// The seed's policy, by the built-in matcher alone: critical denies, high has 7 days from a fix, medium 30 from publication, low is
/// tracked, unknown denies.
pub fn standard() -> ScanPolicy {
    let grace = |days: i64, from| Treatment::Grace { seconds: days * DAY, from };
    ScanPolicy {
        name: "standard".to_owned(),
        sources: vec![RequiredSource::BuiltIn],
        severities: Severities {
            critical: Treatment::Deny,
            high: grace(7, GraceStart::FixAvailable),
            medium: grace(30, GraceStart::Published),
            low: Treatment::Track,
            negligible: Treatment::Track,
            unknown: Treatment::Deny,
        },
        ignore_unfixed: false,
        max_age: DAY,
        wait: 30,
        vex: vec!["ci".to_owned()],
    }
}

/// `scanned` by `policy`.
pub fn scanned(policy: ScanPolicy) -> Requirement {
    Requirement::Scanned(Arc::new(policy))
}

/// `contents` by `policy`.
pub fn contents_are(policy: ContentsPolicy) -> Requirement {
    Requirement::Contents(Arc::new(policy))
}

/// `ci` and `qa` hold the first two keys; one rule with these requirements; these exceptions.
pub fn policy_with(requirements: Vec<Requirement>, exceptions: Vec<Exception>) -> Policy {
    let signers: BTreeMap<String, Signer> = [("ci", 0), ("qa", 1)].map(|(name, key)| (name.to_owned(), signer(&KEYS[key]))).into();
    let parts =
        PolicyParts { signers, rules: vec![rule(requirements)], exceptions, ..PolicyParts::empty(Revision(Digest::sha256(b"test"))) };
    Policy::new(parts).expect("a policy")
}

/// The seed's policy alone.
pub fn standard_policy() -> Policy {
    policy_with(vec![scanned(standard())], Vec::new())
}

/// A vulnerability of `openssl`, published and fixed `days` ago.
pub fn vulnerability(id: &str, severity: Severity, days: i64) -> Vulnerability {
    let then = Some(NOW.plus(-days * DAY));
    Vulnerability {
        id: id.to_owned(),
        aliases: Vec::new(),
        package: "openssl".to_owned(),
        purls: vec!["pkg:deb/debian/libssl3@3.0.1?arch=amd64".to_owned()],
        installed: "3.0.1".to_owned(),
        fixed: Some("3.0.2".to_owned()),
        severity,
        severity_source: "CVSS:3.1 9.8".to_owned(),
        published: then,
        fix_available: then,
        first_seen: then,
    }
}

/// A fresh report of the built-in matcher.
pub fn report(vulnerabilities: Vec<Vulnerability>) -> ScanReport {
    ScanReport {
        source: ScanSource::BuiltIn,
        scanned_at: NOW,
        advisories_at: Some(NOW),
        packages: Packages::Recognised { count: 100 },
        uncovered: Vec::new(),
        gaps: Vec::new(),
        vulnerabilities,
    }
}

/// The contents of a good image.
pub fn contents() -> Contents {
    Contents {
        user: ConfiguredUser { name: "nginx".to_owned(), uid: Some(101) },
        setuid: Vec::new(),
        capabilities: Vec::new(),
        shells: Vec::new(),
        package_managers: Vec::new(),
        compilers: Vec::new(),
        exposed_ports: Vec::new(),
        size: 1_000,
        created: None,
        entrypoint: Vec::new(),
        base: None,
        packages: Packages::Recognised { count: 100 },
        secrets: Vec::new(),
        gaps: Vec::new(),
    }
}

/// Freshly collected items of any kind.
pub fn fresh<T>(items: Vec<T>) -> Collected<T> {
    Collected { items, gaps: Vec::new(), collected_at: NOW, stale_at: NOW.plus(100 * DAY) }
}

/// Facts with these reports, good contents, and a first sight ten days ago.
pub fn facts(reports: Vec<ScanReport>) -> ImageFacts {
    ImageFacts { scans: fresh(reports), contents: fresh(vec![contents()]), first_seen: Ok(NOW.plus(-10 * DAY)) }
}

/// Evidence on the first image with these reports.
pub fn scan_of(reports: Vec<ScanReport>) -> Evidence {
    inside(&image(0), facts(reports))
}

/// Evidence on the first image with these findings of the built-in matcher.
pub fn found(vulnerabilities: Vec<Vulnerability>) -> Evidence {
    scan_of(vec![report(vulnerabilities)])
}

/// Evidence on an image with these facts.
pub fn inside(manifest: &Bytes, image: ImageFacts) -> Evidence {
    Evidence { image, ..evidence(manifest, Vec::new()) }
}

/// An exception for the first image that waives these.
pub fn waiving(ids: &[&str]) -> Exception {
    Exception {
        repository: NAME.parse().expect("a repository"),
        digest: Some(Digest::sha256(&image(0))),
        waive: Waived::Vulnerabilities(ids.iter().map(|id| (*id).to_owned()).collect()),
        reason: "not reachable".to_owned(),
        owner: "sec@acme.example".to_owned(),
        from: None,
        expires: NOW.plus(5 * DAY),
    }
}

/// A break-glass exception for the first image.
pub fn break_glass(expires: Timestamp) -> Exception {
    Exception { waive: Waived::SignedBy, from: Some(expires.plus(-7 * DAY)), expires, ..waiving(&[]) }
}
