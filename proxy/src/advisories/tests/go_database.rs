//! The whole Go vulnerability database, against a second matcher that shares nothing with the first: it knows records as plain JSON,
//! walks over all of them, and compares versions its own way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::*;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/osv/go-all.zip")
}

fn records() -> Vec<Value> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(fixture()).expect("the fixture")).expect("an archive");
    let count = zip.len();
    let read = |at| {
        let mut text = String::new();
        zip.by_index(at).expect("an entry").read_to_string(&mut text).expect("text");
        serde_json::from_str(&text).expect("a record")
    };
    (0..count).map(read).collect()
}

type Key = Vec<(u8, u64, String)>;

/// Numbers and words of a semantic version, so that vectors compare as versions do: a release ends in a mark above all identifiers.
fn slow(version: &str) -> Key {
    let version = version.trim_start_matches('v').split('+').next().unwrap_or_default();
    let (core, before) = version.split_once('-').unwrap_or((version, ""));
    let mut key: Key = core.split('.').map(|part| (1, part.parse().expect("a number"), String::new())).collect();
    while key.len() < 3 {
        key.push((1, 0, String::new()));
    }
    if before.is_empty() {
        key.push((9, 0, String::new()));
    }
    for word in before.split('.').filter(|word| !word.is_empty()) {
        key.push(word.parse().map_or_else(|_| (3, 0, word.to_owned()), |number| (2, number, String::new())));
    }
    key
}

/// By intervals: the affected versions are those of the last event at or below them.
fn slow_affects(affected: &Value, version: &str) -> bool {
    affected["ranges"].as_array().expect("ranges").iter().any(|range| {
        let mut last: Option<(Key, bool)> = None;
        for event in range["events"].as_array().expect("events") {
            let (text, starts) =
                event["introduced"].as_str().map_or_else(|| (event["fixed"].as_str().expect("an event"), false), |text| (text, true));
            let place = if text == "0" { Vec::new() } else { slow(text) };
            if place <= slow(version) && last.as_ref().is_none_or(|(known, _)| *known <= place) {
                last = Some((place, starts));
            }
        }
        last.is_some_and(|(_, starts)| starts)
    })
}

fn package(name: &str, version: &str) -> Package {
    let (namespace, name) = name.rsplit_once('/').unwrap_or(("", name));
    Package::new(PackageType::Golang, namespace, name, version)
}

#[test]
fn the_whole_database_is_imported_and_a_second_matcher_agrees_on_every_boundary() {
    let data = tempfile::tempdir().expect("a folder");
    let library = Library::of_data(data.path());
    let report = import(library.folder(), &[fixture()], &ImportOptions::default(), now()).expect("an import");
    let records = records();
    let withdrawn = records.iter().filter(|record| record.get("withdrawn").is_some()).count();
    assert_eq!((report.records, report.withdrawn, report.malformed), (records.len(), withdrawn, 0), "{:?}", report.named);
    assert_eq!(
        report.imported.iter().map(|imported| (imported.feed.ecosystem, imported.feed.records)).collect::<Vec<_>>(),
        [(Ecosystem::Go, records.len() - withdrawn)]
    );

    // Each module at each version that an event names, and below and above all.
    let mut cases: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut about: BTreeMap<&str, Vec<(&str, &Value)>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.get("withdrawn").is_none()) {
        for affected in record["affected"].as_array().expect("a list") {
            let name = affected["package"]["name"].as_str().expect("a name");
            about.entry(name).or_default().push((record["id"].as_str().expect("an id"), affected));
            let versions = cases.entry(name).or_default();
            versions.extend(["v0.0.0-00010101000000-000000000000".to_owned(), "v999.0.0+incompatible".to_owned()]);
            for event in affected["ranges"].as_array().expect("ranges").iter().flat_map(|range| range["events"].as_array().expect("events"))
            {
                let version = event.as_object().expect("an event").values().next().and_then(Value::as_str).expect("a version");
                versions.extend((version != "0").then(|| version.to_owned()));
            }
        }
    }
    let snapshot = library.snapshot();
    let (mut compared, mut hits) = (0, 0);
    for (name, versions) in &cases {
        for version in versions {
            let expected: BTreeSet<String> =
                about[name].iter().filter(|(_, affected)| slow_affects(affected, version)).map(|(id, _)| (*id).to_owned()).collect();
            let report = match_packages(&[package(name, version)], None, &snapshot, now());
            let found: BTreeSet<String> = report
                .findings
                .iter()
                .flat_map(|finding| finding.advisories.iter().chain([&finding.id]))
                .filter(|id| id.starts_with("GO-"))
                .cloned()
                .collect();
            assert_eq!(found, expected, "{name} {version}");
            assert_eq!(report.uncovered, [], "{name} {version}");
            compared += 1;
            hits += expected.len();
        }
    }
    assert!(compared > 7_000 && hits > 70_000, "{compared} {hits}");
}

#[test]
fn each_cve_of_a_well_known_module_stands_once_with_its_fix() {
    let data = tempfile::tempdir().expect("a folder");
    let library = Library::of_data(data.path());
    import(library.folder(), &[fixture()], &ImportOptions::default(), now()).expect("an import");
    let packages = [package("golang.org/x/net", "v0.16.0"), package("stdlib", "1.21.2")];
    let report = match_packages(&packages, None, &library.snapshot(), now());
    let ids: Vec<_> = report.findings.iter().map(|finding| (&finding.id, &finding.package)).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    // HTTP/2 rapid reset: in both, fixed in x/net 0.17.0 and Go 1.21.3 (GO-2023-2102).
    let fixed = |package: &str| {
        report
            .findings
            .iter()
            .find(|finding| finding.package == package && finding.is("CVE-2023-39325"))
            .map(|finding| finding.fixed.clone())
    };
    assert_eq!(fixed("golang.org/x/net"), Some(vec!["0.17.0".to_owned()]));
    assert_eq!(fixed("stdlib"), Some(vec!["1.21.3".to_owned()]));
}
