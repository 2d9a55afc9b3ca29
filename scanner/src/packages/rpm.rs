//! rpm's database in SQLite: a table of headers (rpm's documentation, "RPM v4 Package format", "Header structure").

use super::sqlite::{Database, Value};
use super::{Contribution, file_key, may_hold_others};
use crate::limits::PACKAGES;
use crate::package::{Package, PackageType, SourcePackage};
use crate::problem::Problem;

// rpmtag.h.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCH: u32 = 1022;
const SOURCE_RPM: u32 = 1044;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;
const MODULARITY: u32 = 5096;
/// Entries of one header: `hdrchkTags` of rpm.
const ENTRIES: usize = 0xffff;

/// Reads `rpmdb.sqlite`.
pub fn database(path: &str, bytes: &[u8]) -> Result<Contribution, Problem> {
    let malformed = |detail: &str| Problem::malformed(path, "rpm database", detail);
    let mut contribution = Contribution::default();
    let mut over = false;
    let read = Database::open(bytes).and_then(|database| {
        database.table("Packages", &mut |row| {
            let [_, Value::Bytes(blob), ..] = row.as_slice() else { return Err("expected a row with a header") };
            over |= contribution.packages.len() > PACKAGES;
            if !over {
                header(blob, &mut contribution)?;
            }
            Ok(())
        })
    });
    read.map_err(malformed)?;
    if over {
        return Err(Problem::limit(format!("packages of {path:?}"), PACKAGES + 1, PACKAGES));
    }
    Ok(contribution)
}

struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

fn header(blob: &[u8], into: &mut Contribution) -> Result<(), &'static str> {
    let word = |at: usize| blob.get(at..at + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize);
    let (entries, size) = word(0).zip(word(4)).ok_or("a header cut off")?;
    if entries > ENTRIES {
        return Err("a header of too many entries");
    }
    let data = 8 + 16 * entries;
    let header =
        Header { index: blob.get(8..data).ok_or("a header cut off")?, data: blob.get(data..data + size).ok_or("a header cut off")? };
    let name = header.string(NAME).ok_or("a package without a name")?;
    // Keys are kept as packages, and hold nothing.
    if name == "gpg-pubkey" {
        return Ok(());
    }
    let (version, release) = header.string(VERSION).zip(header.string(RELEASE)).ok_or("a package without version and release")?;
    let mut package = Package::new(PackageType::Rpm, "", name, format!("{version}-{release}"));
    let epoch = header.number(EPOCH, 0);
    package.source = header.string(SOURCE_RPM).and_then(|file| source(&file, epoch));
    package.qualifiers.extend(header.string(ARCH).map(|arch| ("arch".to_owned(), arch)));
    package.qualifiers.extend(epoch.map(|epoch| ("epoch".to_owned(), epoch.to_string())));
    package.qualifiers.extend(header.string(MODULARITY).map(|label| ("rpmmod".to_owned(), label)));
    let folders = header.strings(DIR_NAMES);
    for (index, file) in header.strings(BASE_NAMES).iter().enumerate() {
        let folder =
            header.number(DIR_INDEXES, index).and_then(|folder| folders.get(folder as usize)).ok_or("a file without its folder")?;
        let path = format!("{folder}{file}");
        let path = path.strip_prefix('/').unwrap_or(&path);
        into.files.push(file_key(path));
        if may_hold_others(path) {
            into.owned.push((path.to_owned(), package.name.clone()));
        }
    }
    into.packages.push(package);
    Ok(())
}

/// `NAME-VERSION-RELEASE.src.rpm`.
fn source(file: &str, epoch: Option<u32>) -> Option<SourcePackage> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let epoch = epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
    Some(SourcePackage { name: name.to_owned(), version: format!("{epoch}{version}-{release}") })
}

impl<'a> Header<'a> {
    /// Type, data from the entry's offset on, and number of values.
    fn entry(&self, tag: u32) -> Option<(u32, &'a [u8], usize)> {
        let words = |entry: &[u8]| -> Vec<u32> { entry.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect() };
        self.index.as_chunks::<16>().0.iter().find_map(|entry| match words(entry).as_slice() {
            [found, kind, offset, count] if *found == tag => Some((*kind, self.data.get(*offset as usize..)?, *count as usize)),
            _ => None,
        })
    }

    /// A string (type 6).
    fn string(&self, tag: u32) -> Option<String> {
        let (6, data, _) = self.entry(tag)? else { return None };
        data.split(|byte| *byte == 0).next().map(crate::path::printable).filter(|text| !text.is_empty())
    }

    /// An array of strings (type 8).
    fn strings(&self, tag: u32) -> Vec<String> {
        match self.entry(tag) {
            Some((8, data, count)) => data.split(|byte| *byte == 0).take(count).map(crate::path::printable).collect(),
            _ => vec![],
        }
    }

    /// One of some 32-bit numbers (type 4).
    fn number(&self, tag: u32, index: usize) -> Option<u32> {
        let (4, data, count) = self.entry(tag)? else { return None };
        let at = (index < count).then_some(index * 4)?;
        data.get(at..at + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_packages_file_name_is_taken_apart() {
        let source = source("perl-Text-Tabs+Wrap-2013.0523-460.el9.src.rpm", Some(1)).expect("a source");
        assert_eq!((source.name.as_str(), source.version.as_str()), ("perl-Text-Tabs+Wrap", "1:2013.0523-460.el9"));
    }

    /// SQLite's own work: pages of 512 bytes, headers that overflow them, a tree of two levels.
    const DATABASE: &[u8] = include_bytes!("../../../tests/fuzz/seeds/package_sources/3");

    #[test]
    fn a_database_of_many_pages_is_read_and_a_damaged_one_ends() {
        let bytes = &DATABASE[1..];
        let packages = database("rpmdb.sqlite", bytes).expect("a database").packages;
        assert_eq!((packages.len(), packages[39].name.as_str(), packages[39].version.as_str()), (40, "n39", "1-2"));
        for length in (0..bytes.len()).step_by(97) {
            assert!(database("rpmdb.sqlite", &bytes[..length]).is_err(), "{length}");
        }
        for at in (0..bytes.len()).step_by(11) {
            let mut damaged = bytes.to_vec();
            damaged[at] = 0xff;
            let _ = database("rpmdb.sqlite", &damaged);
        }
    }

    #[test]
    fn damaged_headers_end() {
        let mut blob = vec![0, 0, 0, 2, 0, 0, 0, 16];
        for (tag, offset) in [(NAME, 0u32), (VERSION, 4)] {
            for word in [tag, 6, offset, 1] {
                blob.extend_from_slice(&word.to_be_bytes());
            }
        }
        blob.extend_from_slice(b"pkg\x001.2");
        blob.resize(8 + 32 + 16, 0);
        assert_eq!(header(&blob, &mut Contribution::default()), Err("a package without version and release"));
        for at in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[at] = 0xff;
            assert!(header(&damaged, &mut Contribution::default()).is_err());
            assert!(header(&blob[..at], &mut Contribution::default()).is_err());
        }
    }
}
