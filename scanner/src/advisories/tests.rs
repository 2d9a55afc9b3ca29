//! Records as OSV's databases write them, against packages as images hold them.

use sealgate_verifier::Timestamp;
use sealgate_verifier::scan::Severity;
use serde_json::{Value, json};

use super::*;
use crate::package::{Location, Package, PackageType, SourcePackage};
use crate::release::Release;

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc_3339(text).expect("a time")
}

fn now() -> Timestamp {
    at("2026-11-25T00:00:00Z")
}

fn read(value: &Value) -> Record {
    osv::read(value.to_string().as_bytes()).expect("a record")
}

fn view(records: &[Value]) -> MemoryView {
    let records: Vec<Record> = records.iter().map(read).collect();
    MemoryView::of(&records, now())
}

fn debian_12() -> Release {
    Release { id: "debian".into(), version_id: "12".into(), ..Release::default() }
}

fn deb(name: &str, version: &str, source: &str) -> Package {
    let mut package = Package::new(PackageType::Deb, "debian", name, version);
    package.source = Some(SourcePackage { name: source.into(), version: version.into() });
    package.location = Location { path: "var/lib/dpkg/status".into(), layer: 0 };
    package
}

/// As security-tracker.debian.org's export has them.
fn debian(id: &str, cves: &[&str], package: &str, release: &str, fixed: Option<&str>, urgency: &str) -> Value {
    let mut events = vec![json!({"introduced": "0"})];
    events.extend(fixed.map(|fixed| json!({"fixed": fixed})));
    json!({
        "schema_version": "1.7.0", "id": id, "upstream": cves, "published": "2024-02-03T04:05:06Z", "modified": "2024-03-01T00:00:00Z",
        "summary": format!("{package} - security update"),
        "affected": [{ "package": {"ecosystem": format!("Debian:{release}"), "name": package, "purl": format!("pkg:deb/debian/{package}?arch=source")},
            "ranges": [{"type": "ECOSYSTEM", "events": events}], "ecosystem_specific": {"urgency": urgency} }]
    })
}

fn ids(report: &MatchReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.id.as_str()).collect()
}

#[test]
fn a_debian_advisory_is_about_the_source_package_of_its_release() {
    let records = [
        debian("DEBIAN-CVE-2024-1", &["CVE-2024-1"], "openssl", "12", Some("3.0.13-1~deb12u1"), "high"),
        debian("DEBIAN-CVE-2024-2", &["CVE-2024-2"], "openssl", "11", Some("9"), "high"),
        debian("DEBIAN-CVE-2024-3", &["CVE-2024-3"], "openssl", "12", None, "unimportant"),
        debian("DEBIAN-CVE-2024-4", &["CVE-2024-4"], "libssl3", "12", None, "high"),
    ];
    let packages = [deb("libssl3", "3.0.11-1~deb12u2", "openssl"), deb("openssl", "3.0.11-1~deb12u2", "openssl")];
    let report = match_packages(&packages, Some(&debian_12()), &view(&records), now());
    assert_eq!(ids(&report), ["CVE-2024-1", "CVE-2024-3"]);
    let first = report.findings.first().expect("a finding");
    assert_eq!((first.package.as_str(), first.installed.as_str()), ("openssl", "3.0.11-1~deb12u2"));
    assert_eq!(first.purls, ["pkg:deb/debian/libssl3@3.0.11-1~deb12u2", "pkg:deb/debian/openssl@3.0.11-1~deb12u2"]);
    assert_eq!(first.fixed, ["3.0.13-1~deb12u1"]);
    assert_eq!((first.rating.severity, &first.rating.source), (Severity::High, &RatingSource::Distribution));
    assert_eq!(first.fix_available, Some(at("2024-03-01T00:00:00Z")));
    assert_eq!(report.findings.last().map(|finding| (finding.rating.severity, finding.fix_available)), Some((Severity::Negligible, None)));
    assert_eq!(report.uncovered, []);

    let updated = [deb("libssl3", "3.0.13-1~deb12u1", "openssl")];
    assert_eq!(ids(&match_packages(&updated, Some(&debian_12()), &view(&records), now())), ["CVE-2024-3"]);
}

#[test]
fn one_cve_stands_once_whoever_speaks_of_it() {
    let cvss = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    let mut rated = debian("DEBIAN-CVE-2024-1", &["CVE-2024-1"], "curl", "12", Some("7.88.1-10+deb12u6"), "not yet assigned");
    rated["severity"] = json!([{"type": "CVSS_V3", "score": cvss}]);
    let both = debian("DSA-5587-1", &["CVE-2024-1", "CVE-2024-2"], "curl", "12", Some("7.88.1-10+deb12u5"), "");
    let report = match_packages(&[deb("curl", "7.88.1-10", "curl")], Some(&debian_12()), &view(&[both, rated]), now());
    assert_eq!(ids(&report), ["CVE-2024-1", "CVE-2024-2"]);
    let [first, second] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(first.advisories, ["DEBIAN-CVE-2024-1", "DSA-5587-1"]);
    assert_eq!((first.rating.severity, first.rating.score, first.rating.vector.as_deref()), (Severity::Critical, Some(98), Some(cvss)));
    assert_eq!(first.fixed, ["7.88.1-10+deb12u5", "7.88.1-10+deb12u6"]);
    assert_eq!((second.rating.severity, second.advisories.as_slice()), (Severity::Unknown, &["DSA-5587-1".to_owned()][..]));
}

#[test]
fn aliases_join_records_of_several_databases() {
    let affected = json!([{ "package": {"ecosystem": "Go", "name": "example.org/m"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.2.0"}]}] }]);
    let record =
        |id: &str, aliases: &[&str]| json!({"id": id, "modified": "2024-01-01T00:00:00Z", "aliases": aliases, "affected": affected});
    let records = [
        record("GO-2024-1", &["GHSA-aaaa-bbbb-cccc"]),
        record("GHSA-aaaa-bbbb-cccc", &["CVE-2024-9"]),
        record("GO-2024-2", &["GHSA-dddd-eeee-ffff"]),
        record("GHSA-dddd-eeee-ffff", &[]),
    ];
    let package = Package::new(PackageType::Golang, "example.org", "m", "v1.1.0");
    let report = match_packages(&[package], None, &view(&records), now());
    assert_eq!(ids(&report), ["CVE-2024-9", "GHSA-dddd-eeee-ffff"]);
    assert_eq!(report.findings[0].advisories, ["GHSA-aaaa-bbbb-cccc", "GO-2024-1"]);
    assert!(report.findings[1].is("GHSA-dddd-eeee-ffff"));
}

fn simple(id: &str, ecosystem: &str, name: &str, kind: &str, fixed: &str) -> Value {
    json!({"id": id, "modified": "2024-01-01T00:00:00Z", "database_specific": {"severity": "MODERATE"}, "affected": [
        {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": kind, "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]})
}

#[test]
fn each_ecosystem_has_its_own_names_and_order() {
    let records = [
        simple("GHSA-npm", "npm", "@babel/core", "SEMVER", "7.10.0"),
        simple("PYSEC-1", "PyPI", "Zope.Interface", "ECOSYSTEM", "5.0.post1"),
        simple("RUSTSEC-1", "crates.io", "time", "SEMVER", "0.2.23"),
        simple("GHSA-mvn", "Maven:https://repo1.maven.org/maven2", "org.slf4j:slf4j-api", "ECOSYSTEM", "2.0.0-alpha10"),
        simple("GO-1", "Go", "stdlib", "SEMVER", "1.21.0-rc.3"),
        simple("GO-2", "Go", "golang.org/x/net", "SEMVER", "0.0.0-20220906165146-f3363e06e74c"),
    ];
    let package = Package::new;
    let old = [
        package(PackageType::Npm, "@babel", "core", "7.9.9"),
        package(PackageType::Pypi, "", "zope_interface", "5.0"),
        package(PackageType::Cargo, "", "time", "0.2.22"),
        package(PackageType::Maven, "org.slf4j", "slf4j-api", "2.0.0-alpha9"),
        package(PackageType::Golang, "", "stdlib", "1.21.0-rc.2"),
        package(PackageType::Golang, "golang.org/x", "net", "v0.0.0-20220826154423-83b083e8dc8b"),
    ];
    let report = match_packages(&old, None, &view(&records), now());
    let expected = ["GHSA-mvn", "GHSA-npm", "GO-1", "GO-2", "PYSEC-1", "RUSTSEC-1"];
    assert_eq!(ids(&report), expected);
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.rating.severity == Severity::Medium && finding.rating.source == RatingSource::Database)
    );
    assert_eq!(report.uncovered, []);
    let new = [
        package(PackageType::Npm, "@babel", "core", "7.10.0"),
        package(PackageType::Npm, "", "core", "7.9.9"),
        package(PackageType::Pypi, "", "zope.interface", "5.0.post1"),
        package(PackageType::Cargo, "", "time", "0.2.23"),
        package(PackageType::Maven, "org.slf4j", "slf4j-api", "2.0.0"),
        package(PackageType::Golang, "", "stdlib", "1.21.0"),
        package(PackageType::Golang, "golang.org/x", "net", "v0.1.0"),
    ];
    assert_eq!(ids(&match_packages(&new, None, &view(&records), now())), [""; 0]);
}

#[test]
fn an_rpm_is_known_by_its_binary_and_its_source_name_with_its_epoch() {
    let records = [
        simple("RHSA-1", "Red Hat:enterprise_linux:9::baseos", "openssl-libs", "ECOSYSTEM", "1:3.0.7-27.el9"),
        simple("RHSA-2", "Red Hat:enterprise_linux:9::baseos", "openssl", "ECOSYSTEM", "1:3.0.7-28.el9"),
        simple("RHSA-3", "Red Hat:enterprise_linux:8::baseos", "openssl", "ECOSYSTEM", "1:9-1.el8"),
        simple("RHSA-4", "Red Hat:rhel_eus:9.2::baseos", "openssl", "ECOSYSTEM", "1:9-1.el9_2"),
    ];
    let mut libs = Package::new(PackageType::Rpm, "redhat", "openssl-libs", "3.0.7-25.el9_3");
    libs.qualifiers.insert("epoch".into(), "1".into());
    libs.source = Some(SourcePackage { name: "openssl".into(), version: "1:3.0.7-25.el9_3".into() });
    let rhel = Release { id: "rhel".into(), version_id: "9.3".into(), ..Release::default() };
    let report = match_packages(&[libs.clone()], Some(&rhel), &view(&records), now());
    assert_eq!(ids(&report), ["RHSA-1", "RHSA-2"]);
    // Without its epoch it would seem older than any fix.
    libs.version = "3.0.7-28.el9".into();
    libs.source = Some(SourcePackage { name: "openssl".into(), version: "1:3.0.7-28.el9".into() });
    assert_eq!(ids(&match_packages(&[libs], Some(&rhel), &view(&records), now())), [""; 0]);
}

#[test]
fn what_no_feed_covers_is_a_gap() {
    let records = [debian("DSA-1", &[], "bash", "12", None, ""), simple("GHSA-1", "npm", "a", "SEMVER", "1.0.0")];
    let view = view(&records);
    let gaps = |packages: &[Package], release: Option<&Release>| match_packages(packages, release, &view, now()).uncovered;
    let release = |id: &str, version: &str| Release { id: id.into(), version_id: version.into(), ..Release::default() };
    let package = [deb("bash", "5.2.15-2", "bash")];
    assert_eq!(gaps(&package, Some(&debian_12())), []);
    assert_eq!(gaps(&package, None), [Uncovered::UnknownRelease { kind: PackageType::Deb, count: 1 }]);
    assert_eq!(gaps(&package, Some(&release("devuan", "5"))), [Uncovered::UnknownDistribution { distribution: "devuan-5".into() }]);
    assert_eq!(
        gaps(&package, Some(&release("debian", "13"))),
        [Uncovered::ReleaseWithoutFeed { ecosystem: Ecosystem::Debian, release: "13".into() }]
    );
    assert_eq!(
        gaps(&package, Some(&release("debian", "11"))),
        [
            Uncovered::ReleaseWithoutFeed { ecosystem: Ecosystem::Debian, release: "11".into() },
            Uncovered::EndOfLife { ecosystem: Ecosystem::Debian, release: "11".into(), since: "2026-08-31T23:59:59Z".into() },
        ]
    );
    assert_eq!(
        gaps(&package, Some(&release("alpine", "3.22.1"))),
        [Uncovered::ForeignPackages { kind: PackageType::Deb, ecosystem: Ecosystem::Alpine, count: 1 }]
    );
    assert_eq!(gaps(&package, Some(&release("ubuntu", "24.04"))), [Uncovered::NoAdvisories { ecosystem: Ecosystem::Ubuntu, count: 1 }]);
    let python = [Package::new(PackageType::Pypi, "", "a", "1")];
    assert_eq!(gaps(&python, None), [Uncovered::NoAdvisories { ecosystem: Ecosystem::PyPI, count: 1 }]);
}

#[test]
fn a_version_that_cannot_be_compared_is_a_gap_only_where_advisories_speak_of_the_package() {
    let view = view(&[simple("GO-1", "Go", "example.org/m", "SEMVER", "1.0.0")]);
    let package = |name: &str| [Package::new(PackageType::Golang, "example.org", name, "(devel)")];
    let report = match_packages(&package("m"), None, &view, now());
    assert!(matches!(report.uncovered.as_slice(), [Uncovered::Version { package, .. }] if package == "example.org/m"), "{report:?}");
    assert_eq!(match_packages(&package("other"), None, &view, now()).uncovered, []);
}

#[test]
fn a_record_that_cannot_be_understood_is_a_gap_for_its_package() {
    let mut records = vec![simple("GO-bad", "Go", "example.org/m", "SEMVER", "not a version")];
    let mut none = simple("GO-none", "Go", "example.org/n", "SEMVER", "1.0.0");
    none["affected"][0].as_object_mut().expect("an object").remove("ranges");
    records.push(none);
    let packages = ["m", "n", "o"].map(|name| Package::new(PackageType::Golang, "example.org", name, "v1.0.0"));
    let report = match_packages(&packages, None, &view(&records), now());
    assert_eq!(ids(&report), [""; 0]);
    let advisories: Vec<_> = report.uncovered.iter().map(|gap| matches!(gap, Uncovered::Advisory { .. })).collect();
    assert_eq!(advisories, [true, true], "{report:?}");
}

#[test]
fn a_withdrawn_record_says_nothing_and_a_listed_version_does() {
    let mut withdrawn = simple("GHSA-w", "npm", "a", "SEMVER", "9.0.0");
    withdrawn["withdrawn"] = json!("2024-05-05T00:00:00Z");
    let mut listed = simple("PYSEC-l", "PyPI", "b", "GIT", "deadbeef");
    listed["affected"][0]["versions"] = json!(["1.0", "1.1rc1", "weird version"]);
    let view = view(&[withdrawn, listed]);
    let found = |version: &str| {
        let packages = [Package::new(PackageType::Npm, "", "a", "1.0.0"), Package::new(PackageType::Pypi, "", "b", version)];
        ids(&match_packages(&packages, None, &view, now())).join(" ")
    };
    assert_eq!(
        (found("1.0"), found("1.0.0"), found("1.1c1"), found("weird version")),
        ("PYSEC-l".into(), "PYSEC-l".into(), "PYSEC-l".into(), "PYSEC-l".into())
    );
    assert_eq!(found("1.2"), "");
}

#[test]
fn what_the_distribution_patches_itself_is_judged_by_its_own_advisories() {
    let view = view(&[
        simple("PYSEC-1", "PyPI", "requests", "ECOSYSTEM", "2.31.0"),
        debian("DSA-1", &[], "requests", "12", Some("2.28.1+dfsg-2"), ""),
    ]);
    let mut python = Package::new(PackageType::Pypi, "", "requests", "2.28.1");
    let distribution = deb("python3-requests", "2.28.1+dfsg-1", "requests");
    assert_eq!(ids(&match_packages(&[python.clone(), distribution.clone()], Some(&debian_12()), &view, now())), ["DSA-1", "PYSEC-1"]);
    python.owner = Some("python3-requests".into());
    assert_eq!(ids(&match_packages(&[python, distribution], Some(&debian_12()), &view, now())), ["DSA-1"]);
}

#[test]
fn findings_come_worst_first_and_the_order_of_packages_does_not_matter() {
    let mut records = vec![
        simple("GHSA-b", "npm", "a", "SEMVER", "9.0.0"),
        simple("GHSA-a", "npm", "a", "SEMVER", "9.0.0"),
        simple("GHSA-c", "npm", "b", "SEMVER", "9.0.0"),
    ];
    records[2]["database_specific"]["severity"] = json!("CRITICAL");
    let mut packages = vec![
        Package::new(PackageType::Npm, "", "a", "1.0.0"),
        Package::new(PackageType::Npm, "", "b", "1.0.0"),
        Package::new(PackageType::Npm, "", "a", "2.0.0"),
    ];
    packages[2].location.path = "app/node_modules/a/package.json".into();
    let view = view(&records);
    let report = match_packages(&packages, None, &view, now());
    assert_eq!(ids(&report), ["GHSA-c", "GHSA-a", "GHSA-a", "GHSA-b", "GHSA-b"]);
    packages.reverse();
    assert_eq!(match_packages(&packages, None, &view, now()), report);
    // As JSON and back.
    let text = serde_json::to_string(&report).expect("json");
    assert_eq!(serde_json::from_str::<MatchReport>(&text).expect("a report"), report);
}

#[test]
fn malformed_records_are_refused_with_what_was_expected() {
    let record = |change: &dyn Fn(&mut Value)| {
        let mut value = simple("GHSA-1", "npm", "a", "SEMVER", "1.0.0");
        change(&mut value);
        osv::read(value.to_string().as_bytes())
    };
    assert!(record(&|_| {}).is_ok());
    assert!(matches!(record(&|value| value["id"] = json!("")), Err(OsvError::Field { field: "id", .. })));
    assert!(matches!(record(&|value| value["id"] = json!("a b")), Err(OsvError::Field { field: "id", .. })));
    assert!(matches!(record(&|value| value["modified"] = json!("yesterday")), Err(OsvError::Field { field: "modified", .. })));
    assert!(matches!(record(&|value| value["withdrawn"] = json!("maybe")), Err(OsvError::Field { field: "withdrawn", .. })));
    assert!(matches!(record(&|value| value["affected"] = json!({})), Err(OsvError::Json(_))));
    assert!(matches!(record(&|value| value["affected"][0]["ranges"][0]["events"] = json!("x")), Err(OsvError::Json(_))));
    assert!(matches!(osv::read(b""), Err(OsvError::Json(_))));
    assert!(matches!(osv::read(&vec![b' '; osv::MAX_RECORD_BYTES + 1]), Err(OsvError::TooLarge { .. })));
    let problem = |change: &dyn Fn(&mut Value)| record(change).expect("a record").entries[0].affected.problem.clone();
    assert_eq!(problem(&|_| {}), None);
    assert!(problem(&|value| value["affected"][0]["ranges"][0]["type"] = json!("OTHER")).is_some());
    assert!(problem(&|value| value["affected"][0]["ranges"][0]["events"] = json!([{"fixed": "1.0.0"}])).is_some());
    assert!(problem(&|value| value["affected"][0]["ranges"][0]["events"] = json!([{"introduced": "0", "fixed": "1.0.0"}])).is_some());
    assert!(problem(&|value| value["affected"][0]["ranges"][0]["events"] = json!([{}])).is_some());
    // Other ecosystems and Git-only entries without a package are counted, and no gap.
    let other =
        record(&|value| value["affected"] = json!([{"package": {"ecosystem": "Hackage", "name": "x"}}, {"ranges": []}])).expect("a record");
    assert_eq!((other.entries.len(), other.elsewhere), (0, 2));
    // A date that is a placeholder is none.
    let dates = record(&|value| value["modified"] = json!("0001-01-01T00:00:00Z")).expect("a record");
    assert_eq!((dates.modified, dates.entries[0].affected.fix_available), (None, None));
}

/// A view that counts how often it is asked about packages.
struct Counting(MemoryView, std::cell::Cell<usize>);

impl AdvisoryView for Counting {
    fn feed(&self, ecosystem: Ecosystem) -> Result<Option<Feed>, String> {
        self.0.feed(ecosystem)
    }

    fn about(&self, ecosystem: Ecosystem, name: &str) -> Result<std::sync::Arc<[Prepared]>, String> {
        self.1.set(self.1.get() + 1);
        self.0.about(ecosystem, name)
    }
}

/// Were merging quadratic, this would take minutes.
#[test]
fn a_source_with_very_many_advisories_and_binaries_is_looked_up_once() {
    let count = 10_000;
    let records: Vec<Value> =
        (0..count).map(|at| debian(&format!("DEBIAN-CVE-2024-{at}"), &[&format!("CVE-2024-{at}")], "linux", "12", None, "")).collect();
    let view = Counting(view(&records), std::cell::Cell::new(0));
    let packages: Vec<Package> = (0..30).map(|at| deb(&format!("linux-image-{at}"), "6.1.1-1", "linux")).collect();
    let report = match_packages(&packages, Some(&debian_12()), &view, now());
    assert_eq!((report.findings.len(), report.findings[0].purls.len(), view.1.get()), (count, 30, 1));
}

#[test]
fn advisories_are_joined_through_others_whatever_their_order() {
    let affected =
        json!([{ "package": {"ecosystem": "npm", "name": "a"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}] }]);
    let record =
        |id: &str, aliases: &[&str]| json!({"id": id, "modified": "2024-01-01T00:00:00Z", "aliases": aliases, "affected": affected});
    // A and B share X, C and D share Y, and E joins them all.
    let records =
        [record("A", &["X"]), record("C", &["Y"]), record("B", &["X"]), record("D", &["Y"]), record("E", &["D", "B"]), record("F", &["Z"])];
    let report = match_packages(&[Package::new(PackageType::Npm, "", "a", "1.0.0")], None, &view(&records), now());
    assert_eq!(ids(&report), ["A", "F"]);
    assert_eq!((report.findings[0].advisories.join(""), report.findings[0].aliases.join("")), ("BCDE".to_owned(), "XY".to_owned()));
}
