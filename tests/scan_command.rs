//! `sealgate advisories` and `sealgate scan` as a user runs them: real Go programs against the whole Go vulnerability database, a Debian
//! image against records in the form of Debian's, and imports that are killed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sealgate_tests::gate::sealgate;
use sealgate_tests::image::{Content, Image};
use sealgate_tests::layer::tar;
use sealgate_tests::process::Process;
use sealgate_tests::program::{Outcome, Program, require};
use sealgate_tests::{layout, scale, sha256};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/osv/go-all.zip")
}

/// A folder with a configuration of its own and an image as an OCI layout.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("sealgate.yaml"), "data: ./data\n").expect("a configuration");
        let layer = tar(files);
        let config =
            json!({ "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [sha256(&layer)] } });
        let config = Content::json("application/vnd.oci.image.config.v1+json", &config);
        let layers = vec![Content::new("application/vnd.oci.image.layer.v1.tar", layer)];
        let manifest = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config.descriptor(),
            "layers": layers.iter().map(Content::descriptor).collect::<Vec<_>>() });
        let manifest = Content::json("application/vnd.oci.image.manifest.v1+json", &manifest);
        layout::write(&folder.path().join("image"), "latest", &Image { manifest, config, layers, architecture: "amd64".to_owned() });
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Program {
        sealgate(words).folder(self.folder.path()).limit(Duration::from_secs(300))
    }

    fn run(&self, words: &[&str]) -> Outcome {
        self.command(words).run()
    }

    fn json(&self, words: &[&str]) -> (Option<i32>, Value) {
        let outcome = self.run(words);
        (outcome.code, serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {}", outcome.text())))
    }

    fn import(&self, source: &Path) {
        drop(self.run(&["advisories", "import", &source.to_string_lossy()]).expect_success());
    }

    fn records(&self) -> Option<u64> {
        let (code, status) = self.json(&["advisories", "status", "--output", "json"]);
        assert_eq!(code, Some(0));
        status.get(0).map(|feed| feed["records"].as_u64().unwrap_or_else(|| panic!("{status}")))
    }
}

/// The toolchain that built a Go program: the text after the mark of its build information (go.dev/src/debug/buildinfo).
fn toolchain(program: &[u8]) -> String {
    let mark = b"\xff Go buildinf:";
    let start = program.windows(mark.len()).position(|bytes| bytes == mark).expect("build information");
    let text: String = program[start + mark.len()..].iter().take(100).map(|byte| char::from(*byte)).collect();
    let name = text.split("go").nth(1).expect("a toolchain");
    name.chars().take_while(|character| character.is_ascii_digit() || *character == '.').collect()
}

/// Numbers and words of a semantic version in an order in which they compare; a release ends above all of its pre-releases.
fn place(version: &str) -> Vec<(u8, u64, String)> {
    let version = version.trim_start_matches('v').split('+').next().unwrap_or_default();
    let (core, before) = version.split_once('-').unwrap_or((version, ""));
    let numbers = core.split('.').map(|part| (1, part.parse().expect("a number"), String::new()));
    let words = before.split('.').map(|word| word.parse().map_or_else(|_| (3, 0, word.to_owned()), |number| (2, number, String::new())));
    let last = if before.is_empty() { vec![(9, 0, String::new())] } else { words.collect() };
    numbers.chain(last).collect()
}

/// The records of the database that affect a module, by reading all of them.
fn affecting(database: &[Value], name: &str, version: &str) -> BTreeSet<String> {
    let of_event = |event: &Value| {
        let (text, starts) =
            event["introduced"].as_str().map_or_else(|| (event["fixed"].as_str().expect("an event"), false), |text| (text, true));
        (if text == "0" { Vec::new() } else { place(text) }, starts)
    };
    let holds = |range: &Value| {
        let events = range["events"].as_array().expect("events").iter().map(of_event);
        events.filter(|(at, _)| *at <= place(version)).max().is_some_and(|(_, starts)| starts)
    };
    let affects =
        |affected: &Value| affected["package"]["name"] == name && affected["ranges"].as_array().expect("ranges").iter().any(holds);
    let live = database.iter().filter(|record| record.get("withdrawn").is_none());
    let hit = live.filter(|record| record["affected"].as_array().expect("a list").iter().any(affects));
    hit.map(|record| record["id"].as_str().expect("an id").to_owned()).collect()
}

fn database(folder: &Path) -> Vec<Value> {
    let unpacked = folder.join("records");
    let unpacking =
        Program::at(&require("python3")).args(["-m", "zipfile", "-e", &fixture().to_string_lossy(), &unpacked.to_string_lossy()]).run();
    drop(unpacking.expect_success());
    let files = std::fs::read_dir(unpacked).expect("records");
    files.map(|file| serde_json::from_slice(&std::fs::read(file.expect("a file").path()).expect("a record")).expect("JSON")).collect()
}

/// Debian builds Go programs without modules, so that they tell their toolchain only: the standard library that is in them.
#[test]
fn real_go_programs_have_the_vulnerabilities_of_the_standard_library_that_they_were_built_with() {
    let programs =
        ["crane", "oras", "podman", "skopeo"].map(|name| (format!("usr/bin/{name}"), std::fs::read(require(name)).expect("a program")));
    let files: Vec<(&str, &[u8])> = programs.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let scene = Scene::new(&files);
    scene.import(&fixture());
    let (_, scanned) = scene.json(&["scan", "./image", "--format", "json"]);
    let records = database(scene.folder.path());
    let versions: BTreeSet<String> = programs.iter().map(|(_, bytes)| toolchain(bytes)).collect();
    let of_version =
        |version: &String| affecting(&records, "stdlib", version).into_iter().map(|id| (version.clone(), id)).collect::<Vec<_>>();
    let expected: BTreeSet<(String, String)> = versions.iter().flat_map(of_version).collect();
    assert!(versions.len() > 1 && expected.len() > 50, "{versions:?} {}", expected.len());
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut found = BTreeSet::new();
    for finding in scanned["findings"].as_array().expect("findings") {
        assert_eq!(finding["package"], "stdlib");
        let ids =
            finding["advisories"].as_array().into_iter().flatten().chain([&finding["id"]]).map(text).filter(|id| id.starts_with("GO-"));
        found.extend(ids.map(|id| (text(&finding["installed"]), id)));
    }
    assert_eq!(found, expected);
    assert_eq!(scanned["feeds"][0]["ecosystem"], "Go");
}

const STATUS: &str = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 3.0.11-1~deb12u2\n\n\
    Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b2\n\n";
const RELEASE: &str = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";

fn debian() -> Scene {
    Scene::new(&[("etc/os-release", RELEASE.as_bytes()), ("var/lib/dpkg/status", STATUS.as_bytes())])
}

fn record(cve: &str, package: &str, fixed: Option<&str>, urgency: &str) -> Value {
    let mut events = vec![json!({ "introduced": "0" })];
    events.extend(fixed.map(|fixed| json!({ "fixed": fixed })));
    json!({ "schema_version": "1.7.0", "id": format!("DEBIAN-{cve}"), "upstream": [cve], "modified": "2026-03-01T00:00:00Z", "published": "2026-02-01T00:00:00Z",
        "affected": [{ "package": { "ecosystem": "Debian:12", "name": package }, "ranges": [{ "type": "ECOSYSTEM", "events": events }], "ecosystem_specific": { "urgency": urgency } }] })
}

fn feed(scene: &Scene, records: &[Value]) -> PathBuf {
    let folder = scene.path("feed");
    std::fs::create_dir_all(&folder).expect("a folder");
    for record in records {
        std::fs::write(folder.join(format!("{}.json", record["id"].as_str().expect("an id"))), record.to_string()).expect("a record");
    }
    folder
}

#[test]
fn an_image_is_scanned_to_a_table_json_and_sarif_with_its_own_exit_codes() {
    let scene = debian();
    // Without advisories nothing is known: no pass.
    let ignorant = scene.run(&["scan", "./image"]).expect_failure();
    assert!(ignorant.code == Some(1) && ignorant.stderr.contains("no Debian advisories are imported"), "{}", ignorant.text());

    let records = [
        record("CVE-2026-1", "openssl", Some("3.0.13-1~deb12u1"), "high"),
        record("CVE-2026-2", "bash", None, "unimportant"),
        record("CVE-2026-3", "openssl", Some("3.0.1-1"), "high"),
    ];
    scene.import(&feed(&scene, &records));
    let table = scene.run(&["scan", "./image"]).expect_success();
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines[1].starts_with("high        CVE-2026-1  openssl  3.0.11-1~deb12u2  3.0.13-1~deb12u1"), "{}", table.text());
    assert!(lines[2].starts_with("negligible  CVE-2026-2  bash     5.2.15-2+b2"), "{}", table.text());
    assert!(lines[4].contains("2 packages, 1 high, 1 negligible (advisories: Debian of "), "{}", table.text());

    assert_eq!(scene.run(&["scan", "./image", "--exit-code"]).code, Some(20));
    assert_eq!(scene.run(&["scan", "./image", "--exit-code", "--severity", "critical,medium"]).code, Some(0));
    assert_eq!(scene.run(&["scan", "./image", "--severity", "severe"]).code, Some(2));
    let (code, found) = scene.json(&["scan", "./image", "--format", "json", "--exit-code", "--severity", "negligible", "--ignore-unfixed"]);
    assert_eq!((code, found["findings"].as_array().map(Vec::len), found["packages"].as_u64()), (Some(0), Some(0), Some(2)));

    let (code, sarif) = scene.json(&["scan", "./image", "--format", "sarif"]);
    let run = &sarif["runs"][0];
    assert_eq!(
        (code, run["results"].as_array().map(Vec::len), &run["invocations"][0]["executionSuccessful"]),
        (Some(0), Some(2), &json!(true))
    );
    assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "var/lib/dpkg/status");
    // For a check against the schema by other means.
    if let Some(path) = std::env::var_os("SEALGATE_KEEP_SARIF") {
        std::fs::write(path, sarif.to_string()).expect("a copy");
    }
}

#[test]
fn advisories_that_are_published_later_are_found_in_the_same_image() {
    let scene = debian();
    scene.import(&feed(&scene, &[record("CVE-2026-1", "zlib", None, "low")]));
    assert_eq!(scene.run(&["scan", "./image", "--exit-code"]).code, Some(0));
    scene.import(&feed(&scene, &[record("CVE-2026-9", "bash", None, "high")]));
    let (code, found) = scene.json(&["scan", "./image", "--exit-code", "--format", "json"]);
    assert_eq!((code, &found["findings"][0]["id"]), (Some(20), &json!("CVE-2026-9")));
}

#[test]
fn an_import_that_is_killed_leaves_the_advisories_of_before_or_the_new_ones() {
    let scene = debian();
    assert_eq!(scene.records(), None);
    let mut seen = BTreeSet::new();
    let kills = scale(8, 60);
    for number in 0..kills {
        let mut command = Command::new(sealgate_tests::gate::binary());
        command.args(["advisories", "import", &fixture().to_string_lossy()]).current_dir(scene.folder.path());
        let mut import = Process::spawn(&mut command, &scene.path("log"));
        // Spread over what an import takes, from its first step to past its last.
        std::thread::sleep(Duration::from_millis(40 * u64::try_from(number).unwrap_or(0) % 2_400));
        import.kill();
        drop(import);
        seen.insert(scene.records());
    }
    scene.import(&fixture());
    let whole = scene.records();
    assert!(whole.is_some_and(|records| records > 4_000), "{whole:?}");
    assert!(seen.iter().all(|records| records.is_none() || *records == whole), "{seen:?}");
    let names = std::fs::read_dir(scene.path("data/advisories")).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    assert_eq!(names.collect::<BTreeSet<_>>(), ["go.redb", "lock"].map(Into::into).into());
}

#[test]
fn dpkg_orders_the_versions_of_this_machine_as_the_matcher_does() {
    use sealgate_scanner::version::Scheme;
    let list = Program::at(&require("dpkg-query")).args(["-W", "-f", "${Version}\n"]).run().expect_success();
    let mut versions: Vec<&str> = list.stdout.lines().filter(|line| !line.is_empty()).collect();
    versions.sort_unstable();
    versions.dedup();
    assert!(versions.len() > 100, "{}", versions.len());
    let dpkg = require("dpkg");
    for at in 0..scale(250, 4_000) {
        // Neighbours by text differ late; others differ early.
        let left = versions[at % versions.len()];
        let right = versions[(at + 1 + (at / versions.len()) * 37) % versions.len()];
        let order = Scheme::Dpkg.compare(left, right).expect("versions");
        let operator = if order.is_lt() {
            "lt"
        } else if order.is_gt() {
            "gt"
        } else {
            "eq"
        };
        let outcome = Command::new(&dpkg).args(["--compare-versions", left, operator, right]).status().expect("dpkg");
        assert!(outcome.success(), "{left} {operator} {right}");
    }
}
