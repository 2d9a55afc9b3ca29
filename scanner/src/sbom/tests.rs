use super::*;
use crate::package::PackageType;
use crate::report::Gap;
use crate::{Problem, Release, SourceReport};

fn report() -> Report {
    let mut libc = Package::new(PackageType::Deb, "debian", "libc6", "2.36-9+deb12u4");
    libc.source = Some(SourcePackage { name: "glibc".to_owned(), version: "2.36-9+deb12u4".to_owned() });
    libc.qualifiers.insert("arch".to_owned(), "amd64".to_owned());
    let mut twice = Package::new(PackageType::Npm, "@babel", "core", "7.1.0");
    twice.location.path = "a/node_modules/@babel/core/package.json".to_owned();
    let mut other = twice.clone();
    other.location.path = "b/node_modules/@babel/core/package.json".to_owned();
    let source = SourceReport { kind: "dpkg status".to_owned(), path: "var/lib/dpkg/status".to_owned(), layer: 0, packages: 1 };
    Report {
        release: Some(Release { id: "debian".to_owned(), version_id: "12".to_owned(), ..Release::default() }),
        packages: vec![libc, twice, other],
        sources: vec![source],
        ..Report::default()
    }
}

fn subject() -> Subject {
    Subject { name: "lab.example/app:1".to_owned(), digest: Digest::sha256(b"manifest"), version: "0.1.0".to_owned() }
}

#[test]
fn a_package_stands_once_with_every_place() {
    let document = cyclonedx(&report(), &subject());
    let purls: Vec<_> = document["components"].as_array().expect("components").iter().map(|c| c["purl"].as_str().unwrap_or("os")).collect();
    assert_eq!(purls, ["os", "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64", "pkg:npm/%40babel/core@7.1.0"]);
    assert_eq!(document["components"][2]["properties"].as_array().map(Vec::len), Some(2));
    assert_eq!(document["components"][2]["group"], "@babel");
    let document = spdx(&report(), &subject());
    assert_eq!(document["packages"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["relationships"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["packages"][1]["sourceInfo"], "built from glibc 2.36-9+deb12u4; found in  of layer ");
}

#[test]
fn the_same_image_gives_the_same_bytes_and_another_another_number() {
    let other = Subject { digest: Digest::sha256(b"other"), ..subject() };
    for write in [cyclonedx, spdx] {
        assert_eq!(write(&report(), &subject()).to_string(), write(&report(), &subject()).to_string());
    }
    assert_ne!(cyclonedx(&report(), &subject())["serialNumber"], cyclonedx(&report(), &other)["serialNumber"]);
    assert_ne!(spdx(&report(), &subject())["documentNamespace"], spdx(&report(), &other)["documentNamespace"]);
}

#[test]
fn a_list_with_gaps_says_so() {
    let mut report = report();
    assert_eq!(cyclonedx(&report, &subject())["compositions"][0]["aggregate"], "unknown");
    report.gaps.push(Gap { layer: Some(1), problem: Problem::Truncated { place: "a file".to_owned() } });
    assert_eq!(cyclonedx(&report, &subject())["compositions"][0]["aggregate"], "incomplete");
    assert!(spdx(&report, &subject())["comment"].as_str().is_some_and(|text| text.contains("layer 1: archive cut off in a file")));
    let nothing = cyclonedx(&Report::default(), &subject());
    assert!(nothing["metadata"]["properties"][0]["value"].as_str().is_some_and(|text| text.contains("no package source")));
}
