//! How long it takes to judge stored package lists again when advisories change: 100, 1,000 and 10,000 images of 200 packages each.
//!
//! `cargo bench -p sealgate --bench rejudge` (`-- --quick` for the smallest). The advisories are an index on disk in OSV's form with the
//! size of Debian's tracker: 3,000 source packages with 20 advisories each, in 2 releases. The lists share bases as images do: of each
//! list 160 packages are those of one of 50 bases, 40 are its own. The package lists are read from JSON, as they are stored.

use std::path::Path;
use std::time::{Duration, Instant};

use sealgate::advisories::{ImportOptions, Library, import};
use sealgate_scanner::advisories::match_packages;
use sealgate_scanner::{Package, PackageType, Release, SourcePackage};
use sealgate_verifier::Timestamp;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp(1_795_600_000);
const SOURCES: usize = 3_000;
const ADVISORIES: usize = 20;
const BASES: usize = 50;
const PACKAGES: usize = 200;
const SHARED: usize = 160;

/// Always the same numbers (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap_or(0)
    }
}

/// Most installed versions are above most fixes: an image has some tens of findings.
fn record(source: usize, number: usize, numbers: &mut Numbers) -> Value {
    let affected = |release: &str, fixed: usize| {
        json!({ "package": { "ecosystem": format!("Debian:{release}"), "name": format!("source-{source}") },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": format!("1.{fixed}.0-1+deb{release}u1") }] }],
            "ecosystem_specific": { "urgency": "medium" } })
    };
    json!({ "id": format!("DEBIAN-CVE-2026-{}", source * ADVISORIES + number), "upstream": [format!("CVE-2026-{}", source * ADVISORIES + number)],
        "modified": "2026-11-01T00:00:00Z", "published": "2026-10-01T00:00:00Z", "summary": "a flaw",
        "affected": [affected("12", numbers.below(20)), affected("13", numbers.below(20))] })
}

fn index(folder: &Path) -> Library {
    let path = folder.join("debian");
    std::fs::create_dir_all(&path).expect("a folder");
    let mut numbers = Numbers(5);
    for source in 0..SOURCES {
        for number in 0..ADVISORIES {
            let record = record(source, number, &mut numbers);
            std::fs::write(path.join(format!("{source}-{number}.json")), record.to_string()).expect("a file");
        }
    }
    let library = Library::of_data(folder);
    let begun = Instant::now();
    let report = import(library.folder(), &[path], &ImportOptions::default(), NOW).expect("an import");
    assert_eq!((report.records, report.malformed), (SOURCES * ADVISORIES, 0));
    println!("import of {} records: {:.1} s", report.records, begun.elapsed().as_secs_f64());
    library
}

fn package(numbers: &mut Numbers) -> Package {
    let (source, version) = (format!("source-{}", numbers.below(SOURCES)), format!("1.{}.0-1", 18 + numbers.below(3)));
    let mut package = Package::new(PackageType::Deb, "debian", format!("lib{source}"), version.clone());
    package.qualifiers.insert("arch".to_owned(), "amd64".to_owned());
    package.qualifiers.insert("distro".to_owned(), "debian-12".to_owned());
    package.location.path = "var/lib/dpkg/status".to_owned();
    package.source = Some(SourcePackage { name: source, version });
    package
}

/// Stored lists, one after the other, as JSON.
struct Lists {
    bases: Vec<Vec<Package>>,
    numbers: Numbers,
    at: usize,
}

impl Lists {
    fn new() -> Self {
        let mut numbers = Numbers(7);
        let bases = (0..BASES).map(|_| (0..SHARED).map(|_| package(&mut numbers)).collect()).collect();
        Self { bases, numbers, at: 0 }
    }

    fn next(&mut self) -> Vec<u8> {
        let own = (SHARED..PACKAGES).map(|_| package(&mut self.numbers)).collect::<Vec<_>>();
        self.at += 1;
        serde_json::to_vec(&[self.bases[self.at % BASES].clone(), own].concat()).expect("plain data")
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let folder = tempfile::tempdir().expect("a folder");
    let library = index(folder.path());
    let release = Release { id: "debian".to_owned(), version_id: "12".to_owned(), ..Release::default() };
    println!("{:>8} {:>10} {:>10} {:>12} {:>12} {:>12}", "images", "seconds", "ms/image", "findings", "packages/s", "RSS KiB");
    for count in if quick { &[100][..] } else { &[100, 1_000, 10_000] } {
        let mut lists = Lists::new();
        // A new snapshot, as after an import: nothing is cached.
        let snapshot = Library::of_data(folder.path()).snapshot();
        let (mut findings, mut spent) = (0, Duration::ZERO);
        for _ in 0..*count {
            let list = lists.next();
            let begun = Instant::now();
            let packages: Vec<Package> = serde_json::from_slice(&list).expect("a list");
            let report = match_packages(&packages, Some(&release), &snapshot, NOW);
            spent += begun.elapsed();
            assert!(report.uncovered.is_empty(), "{:?}", report.uncovered);
            findings += report.findings.len();
        }
        let seconds = spent.as_secs_f64();
        assert!(findings > *count, "{findings}");
        let (images, packages) = (*count as f64, (*count * PACKAGES) as f64);
        println!(
            "{count:>8} {seconds:>10.2} {:>10.3} {findings:>12} {:>12.0} {:>12}",
            seconds * 1000.0 / images,
            packages / seconds,
            resident_kib()
        );
    }
    drop(library);
}
