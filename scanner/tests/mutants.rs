//! Damaged layers and damaged files that list packages: the walk ends, in order, and what it says can be stored.
//!
//! The seeds are the fuzz targets' (`tests/fuzz`), which go further where nightly Rust is installed.
#![expect(clippy::disallowed_methods, reason = "the ban is the crate's own; its tests read their seeds")]

use std::path::Path;

use sealgate_scanner::{Report, Walk};
use sealgate_verifier::{Descriptor, Digest};

const TYPES: [&str; 3] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
];
/// Where the content of a seed of `package_sources` stands, by its first byte.
const PATHS: [&str; 14] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/x.list",
    "lib/apk/db/installed",
    "var/lib/rpm/rpmdb.sqlite",
    "node_modules/x/package.json",
    "package-lock.json",
    "x.dist-info/METADATA",
    "Cargo.lock",
    "usr/bin/x",
    "app.jar",
    "etc/os-release",
    "etc/passwd",
    "etc/shadow",
    "app/.env",
];

fn rounds() -> usize {
    if std::env::var("SEALGATE_TEST_SCALE").is_ok_and(|scale| scale == "full") { 20_000 } else { 300 }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("seeds").map(|entry| entry.expect("a seed").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

/// xorshift64 (Marsaglia, 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or_default() % limit.max(1)
    }

    /// Some bytes changed, a piece left out, repeated or moved, or the end cut off.
    fn mutant(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let (at, length) = (self.below(bytes.len()), self.below(40));
            let end = (at + length).min(bytes.len());
            match self.below(5) {
                0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (length % 8)),
                1 => bytes.iter_mut().skip(at).take(length % 5).for_each(|byte| *byte = 0xff),
                2 => drop(bytes.drain(at..end)),
                3 => {
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(bytes.len() - length.min(bytes.len() / 2)),
            }
        }
        bytes
    }
}

fn walk(media_type: &str, bytes: &[u8], configuration: &[u8]) -> Report {
    let descriptor = Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::sha256(bytes),
        size: bytes.len() as u64,
        artifact_type: None,
        platform: None,
        annotations: Default::default(),
        urls: vec![],
    };
    let mut walk = Walk::new();
    walk.configuration(configuration, &Default::default());
    walk.layer(&descriptor, bytes);
    // The second layer meets what the first left.
    walk.layer(&descriptor, bytes);
    walk.finish()
}

fn check(report: &Report) {
    for package in &report.packages {
        let path = package.location.path.split("!/").next().unwrap_or_default();
        assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "A12: {package:?}");
        assert!(package.purl().starts_with("pkg:"));
    }
    let stored = serde_json::to_vec(report).expect("JSON");
    assert_eq!(&serde_json::from_slice::<Report>(&stored).expect("a report"), report);
    assert!(report.contents().over_limit().is_none());
}

fn header(path: &str, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644\0");
    put(124, &format!("{size:011o}\0"));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[test]
fn damaged_layers_end_in_a_report() {
    let mut random = Random(0x5ea1_9a7e);
    let (mut whole, mut broken) = (0, 0);
    for seed in seeds("layer") {
        let media_type = TYPES[usize::from(seed[0])];
        assert!(walk(media_type, &seed[1..], b"{}").packages.len() == 1, "the seed itself is whole");
        for _ in 0..rounds() {
            let report = walk(media_type, &random.mutant(&seed[1..]), b"{}");
            check(&report);
            if report.is_complete() { whole += 1 } else { broken += 1 }
        }
    }
    assert!(broken > whole, "{broken} with gaps, {whole} without");
}

#[test]
fn damaged_files_that_list_packages_end_in_a_report() {
    let mut random = Random(0x0bad_c0de);
    let seeds = seeds("package_sources");
    assert_eq!(seeds.len(), PATHS.len());
    for seed in seeds {
        let path = PATHS[usize::from(seed[0])];
        for _ in 0..rounds() {
            let content = random.mutant(&seed[1..]);
            let mut layer = header(path, content.len()).to_vec();
            layer.extend_from_slice(&content);
            layer.resize(layer.len().next_multiple_of(512), 0);
            let report = walk(TYPES[0], &layer, &content);
            check(&report);
            assert_eq!(report.layers[0].files, 1, "the archive is whole whatever its file holds: {:?}", report.gaps);
        }
    }
}
