//! Java archives: the `pom.properties` that Maven writes into them, else name and version of file and manifest (JAR File
//! Specification). Archives inside of archives are read as well.

use super::{Contribution, zip};
use crate::package::{Package, PackageType};
use crate::problem::Problem;

/// Archives inside each other: an `ear` holds a `war`, that a `jar`, that the archives that it was shaded with.
const DEPTH: usize = 4;
/// Bytes that all archives in one archive may unpack to. The largest fat archives have some 300 MiB.
const NESTED_BYTES: u64 = 512 << 20;
/// Bytes of a `pom.properties` or manifest. Manifests with a digest for each class have some 3 MiB.
const TEXT_BYTES: u64 = 16 << 20;

/// Whether a name is that of a Java archive.
pub fn is_archive(name: &str) -> bool {
    [".jar", ".war", ".ear", ".jpi", ".hpi"].iter().any(|ending| name.ends_with(ending))
}

/// Reads an archive.
pub fn archive(path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let mut left = NESTED_BYTES;
    let mut contribution = Contribution::default();
    read(path, bytes, 0, &mut left, &mut contribution.packages)?;
    Ok(contribution)
}

fn read(path: &str, bytes: &[u8], depth: usize, left: &mut u64, into: &mut Vec<Package>) -> Result<(), Problem> {
    let malformed = |detail: &str| Problem::malformed(path, "Java archive", detail);
    if depth > DEPTH {
        return Err(Problem::limit(format!("archives inside each other in {path:?}"), depth, DEPTH));
    }
    let mut named = vec![];
    let mut manifest = None;
    for member in zip::members(bytes).map_err(malformed)? {
        if member.name == "META-INF/MANIFEST.MF" {
            manifest = Some(member.read(TEXT_BYTES).map_err(malformed)?);
        } else if member.name.starts_with("META-INF/maven/") && member.name.ends_with("/pom.properties") {
            named.extend(properties(&member.read(TEXT_BYTES).map_err(malformed)?));
        } else if is_archive(&member.name) {
            let inner = member.read(*left).map_err(malformed)?;
            *left -= inner.len() as u64;
            read(&format!("{path}!/{}", member.name), &inner, depth + 1, left, into)?;
        }
    }
    if named.is_empty() {
        let manifest = manifest.map(|bytes| attributes(&bytes)).unwrap_or_default();
        named.extend(by_name(path, &manifest));
    }
    for mut package in named {
        path.clone_into(&mut package.location.path);
        into.push(package);
    }
    Ok(())
}

/// Maven Archiver's `pom.properties`.
fn properties(bytes: &[u8]) -> Option<Package> {
    let text = String::from_utf8_lossy(bytes);
    let value = |key: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('=').map(|value| value.trim().to_owned()))
    };
    Some(Package::new(PackageType::Maven, value("groupId")?, value("artifactId")?, value("version")?))
}

/// `ARTIFACT-VERSION.jar`, with what the manifest says of group and version.
fn by_name(path: &str, manifest: &[(String, String)]) -> Option<Package> {
    let name = path.rsplit('/').next()?;
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let attribute = |key: &str| manifest.iter().find(|(found, _)| found == key).map(|(_, value)| value.clone());
    let dash = stem.match_indices('-').find(|(at, _)| stem[at + 1..].starts_with(|first: char| first.is_ascii_digit()));
    let (artifact, version) = dash.map_or((stem, None), |(at, _)| (&stem[..at], Some(stem[at + 1..].to_owned())));
    let version = version.or_else(|| attribute("Implementation-Version")).or_else(|| attribute("Bundle-Version"))?;
    let group = attribute("Implementation-Vendor-Id").unwrap_or_default();
    Some(Package::new(PackageType::Maven, group, artifact, version))
}

/// The main section; a line that begins with a space continues the one before.
fn attributes(bytes: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let mut attributes: Vec<(String, String)> = vec![];
    for line in text.lines().take_while(|line| !line.is_empty()) {
        match (line.strip_prefix(' '), line.split_once(": "), attributes.last_mut()) {
            (Some(more), _, Some((_, value))) => value.push_str(more),
            (None, Some((key, value)), _) => attributes.push((key.to_owned(), value.to_owned())),
            _ => {}
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An archive of deflated members.
    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut file, mut directory) = (vec![], vec![]);
        for (name, content) in members {
            let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::default());
            encoder.write_all(content).expect("memory");
            let packed = encoder.finish().expect("memory");
            let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            common.extend_from_slice(&(packed.len() as u32).to_le_bytes());
            common.extend_from_slice(&(content.len() as u32).to_le_bytes());
            common.extend_from_slice(&(name.len() as u16).to_le_bytes());
            common.extend_from_slice(&[0, 0]);
            directory.extend_from_slice(
                &[b"PK\x01\x02\x14\0", &common[..], &[0; 10], &(file.len() as u32).to_le_bytes(), name.as_bytes()].concat(),
            );
            file.extend_from_slice(&[b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat());
        }
        let (count, size, offset) = (members.len() as u16, directory.len() as u32, file.len() as u32);
        file.extend_from_slice(&directory);
        file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        file.extend_from_slice(
            &[&count.to_le_bytes()[..], &count.to_le_bytes(), &size.to_le_bytes(), &offset.to_le_bytes(), &[0, 0]].concat(),
        );
        file
    }

    const POM: &[u8] = b"#Generated\nartifactId=log4j-core\ngroupId=org.apache.logging.log4j\nversion=2.14.1\n";

    fn told(path: &str, bytes: &[u8]) -> Vec<(String, String)> {
        archive(path, bytes).expect("an archive").packages.iter().map(|p| (p.purl(), p.location.path.clone())).collect()
    }

    #[test]
    fn archives_inside_of_archives_are_read() {
        let inner = zip(&[("META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties", POM)]);
        let outer = zip(&[("BOOT-INF/lib/log4j-core-2.14.1.jar", &inner), ("META-INF/MANIFEST.MF", b"Implementation-Version: 3\r\n")]);
        let script = [b"#!/bin/sh\nexec java -jar $0\n", &outer[..]].concat();
        let expected = [
            ("pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "app.jar!/BOOT-INF/lib/log4j-core-2.14.1.jar"),
            ("pkg:maven/app@3", "app.jar"),
        ];
        let expected = expected.map(|(purl, path)| (purl.to_owned(), path.to_owned()));
        assert_eq!(told("app.jar", &outer), expected);
        assert_eq!(told("app.jar", &script), expected, "offsets count from the archive, not from the file");
    }

    #[test]
    fn without_a_pom_name_and_manifest_tell() {
        let jar = zip(&[("META-INF/MANIFEST.MF", b"Implementation-Vendor-Id: com.acme.ve\n ry.long\nBundle-Version: 9\n\nName: x\n")]);
        assert_eq!(told("lib/tool-kit-1.2.3.jar", &jar)[0].0, "pkg:maven/com.acme.very.long/tool-kit@1.2.3");
        assert_eq!(told("lib/tool.jar", &jar)[0].0, "pkg:maven/com.acme.very.long/tool@9");
        assert_eq!(told("lib/tool.jar", &zip(&[("x", b"")])), []);
    }

    #[test]
    fn bombs_and_damage_end() {
        // A11
        let nested = (0..6).fold(zip(&[("x", b"")]), |inner, _| zip(&[("a.jar", &inner)]));
        assert!(matches!(archive("a.jar", &nested), Err(Problem::Limit { .. })));
        let bomb = zip(&[("META-INF/MANIFEST.MF", &vec![b' '; 17 << 20])]);
        assert!(matches!(archive("a.jar", &bomb), Err(Problem::Malformed { .. })));
        let jar = zip(&[("META-INF/maven/a/b/pom.properties", POM), ("a/b.jar", &zip(&[("x", b"")]))]);
        for at in 0..jar.len() {
            let mut damaged = jar.clone();
            damaged[at] = 0xff;
            let _ = archive("a.jar", &damaged);
            assert!(archive("a.jar", &jar[..at]).is_err(), "cut at {at}");
        }
    }
}
