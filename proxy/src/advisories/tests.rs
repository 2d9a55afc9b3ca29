//! Imports of every kind, sound and not.

use std::io::Write;
use std::path::{Path, PathBuf};

use sealgate_scanner::advisories::{AdvisoryView, Ecosystem, Uncovered, match_packages};
use sealgate_scanner::{Package, PackageType};
use sealgate_verifier::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;

mod go_database;
mod loopback;

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc_3339(text).expect("a time")
}

fn now() -> Timestamp {
    at("2026-11-25T00:00:00Z")
}

fn record(id: &str, ecosystem: &str, name: &str, modified: &str, fixed: Option<&str>) -> Value {
    let mut events = vec![json!({"introduced": "0"})];
    events.extend(fixed.map(|fixed| json!({"fixed": fixed})));
    json!({"schema_version": "1.6.0", "id": id, "modified": modified, "affected": [
        {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}]})
}

fn npm(id: &str, name: &str) -> Value {
    record(id, "npm", name, "2026-01-01T00:00:00Z", Some("2.0.0"))
}

/// Writes the entries as a zip and returns its path.
fn zip(folder: &Path, entries: &[(String, Vec<u8>)]) -> PathBuf {
    let path = folder.join("all.zip");
    let mut zip = ZipWriter::new(std::fs::File::create(&path).expect("a file"));
    for (name, bytes) in entries {
        zip.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).expect("an entry");
        zip.write_all(bytes).expect("bytes");
    }
    zip.finish().expect("an archive");
    path
}

fn export(folder: &Path, records: &[Value]) -> PathBuf {
    let entry = |record: &Value| (format!("{}.json", record["id"].as_str().unwrap_or("x")), record.to_string().into_bytes());
    zip(folder, &records.iter().map(entry).collect::<Vec<_>>())
}

struct Scene {
    data: TempDir,
    library: Library,
}

impl Scene {
    fn new() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        Self { library: Library::of_data(data.path()), data }
    }

    fn import(&self, records: &[Value]) -> Result<ImportReport, AdvisoryError> {
        self.import_with(records, &ImportOptions::default(), now())
    }

    fn import_with(&self, records: &[Value], options: &ImportOptions, now: Timestamp) -> Result<ImportReport, AdvisoryError> {
        import(self.library.folder(), &[export(self.data.path(), records)], options, now)
    }

    fn known(&self, ecosystem: Ecosystem, name: &str) -> Vec<String> {
        let known = self.library.snapshot().about(ecosystem, name).expect("an index");
        known.iter().map(|prepared| prepared.entry.advisory.id.clone()).collect()
    }

    /// Files beside the indexes, the lock and the checks: nothing may be left behind.
    fn leftovers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.library.folder()).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "lock" && !name.ends_with(".redb") && !name.ends_with(".checked.json")).collect()
    }
}

#[test]
fn an_import_is_seen_by_the_next_snapshot_and_not_by_the_one_before() {
    let scene = Scene::new();
    assert!(scene.library.snapshot().feeds().is_empty());
    scene.import(&[npm("GHSA-1", "a"), npm("GHSA-2", "b")]).expect("an import");
    let before = scene.library.snapshot();
    let report = scene.import(&[npm("GHSA-1", "a"), npm("GHSA-3", "a"), npm("GHSA-0", "ab")]).expect("an import");
    assert_eq!(report.imported.iter().map(|imported| (imported.feed.records, imported.before)).collect::<Vec<_>>(), [(3, Some(2))]);
    assert_eq!(scene.known(Ecosystem::Npm, "a"), ["GHSA-1", "GHSA-3"]);
    assert_eq!(scene.known(Ecosystem::Npm, "b"), [""; 0]);
    let old = |name| before.about(Ecosystem::Npm, name).expect("an index").len();
    assert_eq!((old("a"), old("b"), old("ab")), (1, 1, 0));
    assert_ne!(before.version(), scene.library.snapshot().version());
    assert_eq!(scene.leftovers(), [""; 0]);
}

#[test]
fn an_import_that_fails_leaves_what_was_there() {
    let scene = Scene::new();
    let many: Vec<Value> = (0..10).map(|at| npm(&format!("GHSA-{at}"), "a")).collect();
    scene.import(&many).expect("an import");
    let version = scene.library.snapshot().version();
    let mut broken = many.clone();
    broken[3]["modified"] = json!("yesterday");
    assert!(matches!(scene.import(&broken), Err(AdvisoryError::Malformed { malformed: 1, records: 10, .. })));
    broken[3] = many[3].clone();
    broken[3]["affected"][0]["ranges"][0]["events"] = json!([{"introduced": "x.y"}]);
    assert!(matches!(scene.import(&broken), Err(AdvisoryError::Malformed { malformed: 1, .. })));
    assert!(matches!(scene.import(&many[..4]), Err(AdvisoryError::Shrunk { found: 4, before: 10, .. })));
    let older: Vec<Value> = (0..10).map(|at| record(&format!("GHSA-{at}"), "npm", "a", "2025-01-01T00:00:00Z", None)).collect();
    assert!(matches!(scene.import(&older), Err(AdvisoryError::Older { .. })));
    assert!(matches!(scene.import(&[]), Err(AdvisoryError::Nothing { .. })));
    let not_a_zip = scene.data.path().join("not.zip");
    std::fs::write(&not_a_zip, b"PK\x03\x04 and no more").expect("a file");
    assert!(matches!(import(scene.library.folder(), &[not_a_zip], &ImportOptions::default(), now()), Err(AdvisoryError::Archive { .. })));
    assert_eq!(scene.library.snapshot().version(), version);
    assert_eq!(scene.leftovers(), [""; 0]);
    let replace = ImportOptions { replace: true, ..ImportOptions::default() };
    scene.import_with(&many[..4], &replace, now()).expect("an import");
    assert_eq!(scene.known(Ecosystem::Npm, "a").len(), 4);
}

#[test]
fn few_malformed_records_are_named_and_are_gaps_of_their_package() {
    let scene = Scene::new();
    let mut records: Vec<Value> = (0..300).map(|at| npm(&format!("GHSA-{at:03}"), "a")).collect();
    records[7]["affected"][0]["package"]["name"] = json!("b");
    records[7]["affected"][0]["ranges"][0]["events"] = json!([{"introduced": "0"}, {"fixed": "one"}]);
    records[8] = json!({"id": "GHSA-008"});
    let report = scene.import(&records).expect("an import");
    assert_eq!((report.records, report.malformed), (300, 2));
    assert_eq!(report.named.iter().map(|malformed| malformed.record.as_str()).collect::<Vec<_>>(), ["GHSA-007", "GHSA-008.json"]);
    let feed = scene.library.snapshot().feed(Ecosystem::Npm).expect("an index").expect("a feed");
    assert_eq!((feed.records, feed.malformed), (299, 2));
    let found = match_packages(&[Package::new(PackageType::Npm, "", "b", "3.0.0")], None, &scene.library.snapshot(), now());
    assert!(matches!(found.uncovered.as_slice(), [Uncovered::Advisory { advisory, .. }] if advisory == "GHSA-007"), "{found:?}");
}

#[test]
fn a_part_of_a_database_does_not_pass_for_all_of_it() {
    let scene = Scene::new();
    let mut both = npm("GHSA-1", "a");
    let python = record("x", "PyPI", "a", "2026-01-01T00:00:00Z", None)["affected"][0].clone();
    both["affected"].as_array_mut().expect("a list").push(python);
    let report = scene.import(&[both.clone(), npm("GHSA-2", "b")]).expect("an import");
    assert_eq!((report.imported.len(), report.partial.as_slice()), (1, &[Ecosystem::PyPI][..]));
    assert!(scene.library.snapshot().feed(Ecosystem::PyPI).expect("no index").is_none());
    let mixed = [npm("GHSA-2", "b"), record("PYSEC-1", "PyPI", "c", "2026-01-01T00:00:00Z", None)];
    assert!(matches!(scene.import(&mixed), Err(AdvisoryError::Mixed { .. })));
    let named = ImportOptions { ecosystems: vec![Ecosystem::Npm, Ecosystem::PyPI], replace: false };
    assert_eq!(scene.import_with(&mixed, &named, now()).expect("an import").imported.len(), 2);
    let missing = ImportOptions { ecosystems: vec![Ecosystem::Go], replace: false };
    assert!(matches!(scene.import_with(&mixed, &missing, now()), Err(AdvisoryError::Missing { ecosystem: Ecosystem::Go })));
    assert_eq!(scene.leftovers(), [""; 0]);
}

#[test]
fn a_fix_is_available_since_it_was_first_seen() {
    let scene = Scene::new();
    let with = |modified: &str, fixed| [record("GHSA-1", "npm", "a", modified, fixed)];
    let available = || scene.library.snapshot().about(Ecosystem::Npm, "a").expect("an index")[0].entry.affected.fix_available;
    let import = |records: &[Value], day: &str| scene.import_with(records, &ImportOptions::default(), at(day)).map(drop);
    import(&with("2026-01-01T00:00:00Z", None), "2026-01-02T00:00:00Z").expect("an import");
    assert_eq!(available(), None);
    import(&with("2026-03-01T00:00:00Z", Some("2.0.0")), "2026-03-02T00:00:00Z").expect("an import");
    assert_eq!(available(), Some(at("2026-03-01T00:00:00Z")));
    // Later changes of the record do not begin the time anew, and dates from the future do not begin it late.
    import(&with("2026-05-01T00:00:00Z", Some("2.0.1")), "2026-05-02T00:00:00Z").expect("an import");
    assert_eq!(available(), Some(at("2026-03-01T00:00:00Z")));
    let future = Scene::new();
    future.import_with(&with("2099-01-01T00:00:00Z", Some("2.0.0")), &ImportOptions::default(), now()).expect("an import");
    assert_eq!(future.library.snapshot().about(Ecosystem::Npm, "a").expect("an index")[0].entry.affected.fix_available, Some(now()));
}

#[test]
fn a_damaged_index_is_a_gap_and_never_clean() {
    let scene = Scene::new();
    scene.import(&[npm("GHSA-1", "a")]).expect("an import");
    let file = scene.library.folder().join("npm.redb");
    let sound = std::fs::read(&file).expect("the index");
    let package = [Package::new(PackageType::Npm, "", "a", "1.0.0")];
    let judge = || {
        let report = match_packages(&package, None, &Library::of_data(scene.data.path()).snapshot(), now());
        (report.findings.len(), report.uncovered)
    };
    assert_eq!(judge(), (1, vec![]));
    let mut meta = sound.clone();
    let at = sound.windows(8).position(|bytes| bytes == b"\"format\"").expect("the description");
    meta[at + 9] = b'9';
    for damaged in [Vec::new(), sound[..sound.len() / 2].to_vec(), vec![0; sound.len()], b"not redb".to_vec(), meta] {
        std::fs::write(&file, &damaged).expect("a file");
        let (findings, gaps) = judge();
        assert!(findings == 0 && matches!(gaps.as_slice(), [Uncovered::UnreadableIndex { ecosystem: Ecosystem::Npm, .. }]), "{gaps:?}");
    }
    // A new import mends it.
    scene.import(&[npm("GHSA-1", "a")]).expect("an import");
    assert_eq!(judge(), (1, vec![]));
}

#[test]
fn bombs_are_bounded() {
    let scene = Scene::new();
    let bomb = vec![b' '; 64 * 1024 * 1024];
    let archive = zip(scene.data.path(), &[("bomb.json".into(), bomb)]);
    assert!(std::fs::metadata(&archive).expect("a file").len() < 100_000);
    let failed = import(scene.library.folder(), &[archive], &ImportOptions::default(), now());
    assert!(matches!(&failed, Err(AdvisoryError::Malformed { first, .. }) if first.contains("more than 16777216 bytes")), "{failed:?}");
    let mut deep = scene.data.path().join("deep");
    for _ in 0..12 {
        deep.push("d");
    }
    std::fs::create_dir_all(&deep).expect("folders");
    let failed = import(scene.library.folder(), &[scene.data.path().join("deep")], &ImportOptions::default(), now());
    assert!(matches!(failed, Err(AdvisoryError::Archive { .. })));
}

#[test]
fn folders_hold_records_and_exports_and_other_files_are_passed_over() {
    let scene = Scene::new();
    let folder = scene.data.path().join("feed");
    std::fs::create_dir_all(folder.join("npm")).expect("a folder");
    std::fs::write(folder.join("GHSA-1.json"), npm("GHSA-1", "a").to_string()).expect("a file");
    std::fs::write(folder.join("README.md"), "# feed").expect("a file");
    export(&folder.join("npm"), &[npm("GHSA-2", "a")]);
    let report = import(scene.library.folder(), &[folder], &ImportOptions::default(), now()).expect("an import");
    assert_eq!((report.records, scene.known(Ecosystem::Npm, "a")), (2, vec!["GHSA-1".to_owned(), "GHSA-2".to_owned()]));
}

#[test]
fn two_imports_at_once_are_refused() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.library.folder()).expect("a folder");
    let lock = std::fs::File::create(scene.library.folder().join("lock")).expect("a file");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).expect("the lock");
    assert!(matches!(scene.import(&[npm("GHSA-1", "a")]), Err(AdvisoryError::Locked { .. })));
    drop(lock);
    scene.import(&[npm("GHSA-1", "a")]).expect("an import");
}
