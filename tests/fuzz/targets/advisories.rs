//! OSV records as databases publish them: any bytes are a record or an error, a record survives being stored, and comparing with it ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate_scanner::advisories::{MatchReport, MemoryView, match_packages, osv};
use sealgate_scanner::{Package, PackageType};
use sealgate_verifier::Timestamp;

fuzz_target!(|data: &[u8]| {
    let Ok(record) = osv::read(data) else { return };
    let entries = serde_json::to_vec(&record.entries).expect("plain data");
    assert_eq!(serde_json::from_slice::<Vec<sealgate_scanner::advisories::Entry>>(&entries).expect("what was written"), record.entries);
    let view = MemoryView::of([&record], Timestamp(0));
    let kinds = [PackageType::Npm, PackageType::Pypi, PackageType::Cargo, PackageType::Golang, PackageType::Maven];
    let packages: Vec<Package> = record
        .entries
        .iter()
        .flat_map(|entry| kinds.map(|kind| (kind, entry)))
        .take(64)
        .map(|(kind, entry)| Package::new(kind, "", &entry.affected.name, "1.2.3"))
        .collect();
    let report = match_packages(&packages, None, &view, Timestamp(0));
    let text = serde_json::to_vec(&report).expect("plain data");
    assert_eq!(serde_json::from_slice::<MatchReport>(&text).expect("what was written"), report);
});
