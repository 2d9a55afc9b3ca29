//! Where records come from: a JSON file, a zip export, or a folder of both.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use sealgate_scanner::advisories::osv::MAX_RECORD_BYTES;
use zip::ZipArchive;

use super::AdvisoryError;

/// Bytes of one zip export. Origin: OSV's largest exports (Ubuntu, SUSE) were below 1 GB in 2026.
pub const MAX_ARCHIVE_BYTES: u64 = 4 * 1024 * 1024 * 1024;
/// Files of one archive or folder. Origin: the whole of OSV had below 700,000 records in 2026.
const MAX_FILES: usize = 2_000_000;
/// Bytes of all records of one archive, unpacked. Origin: JSON of advisories deflates to a tenth; twice that of the largest archive.
const MAX_UNPACKED_BYTES: u64 = 20 * MAX_ARCHIVE_BYTES;
/// Folders within folders. Origin: OSV's layout has two levels.
const MAX_DEPTH: usize = 8;

/// Hands each record's name and bytes to `record`; bytes that are too many are handed over as an error text. Returns the number of
/// files seen.
///
/// # Errors
/// A file, folder or archive that cannot be read as a whole, or an error of `record`.
pub(super) fn each_record(path: &Path, record: &mut Visitor<'_>) -> Result<usize, AdvisoryError> {
    let mut files = 0;
    walk(path, 0, &mut files, record)?;
    Ok(files)
}

/// What is done with a record.
pub(super) type Visitor<'a> = dyn FnMut(&str, Result<&[u8], String>) -> Result<(), AdvisoryError> + 'a;

fn walk(path: &Path, depth: usize, files: &mut usize, record: &mut Visitor<'_>) -> Result<(), AdvisoryError> {
    let kind = std::fs::metadata(path).map_err(AdvisoryError::io(path, "read"))?;
    if kind.is_file() {
        return file(path, depth == 0, files, record);
    }
    if depth >= MAX_DEPTH {
        return Err(AdvisoryError::Archive { path: path.to_owned(), problem: format!("more than {MAX_DEPTH} folders deep") });
    }
    let entries = std::fs::read_dir(path).map_err(AdvisoryError::io(path, "read"))?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(AdvisoryError::io(path, "read"))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    entries.iter().try_for_each(|entry| walk(&entry.path(), depth + 1, files, record))
}

/// A file that was named must be one of the two kinds; others in a folder are passed over.
fn file(path: &Path, named: bool, files: &mut usize, record: &mut Visitor<'_>) -> Result<(), AdvisoryError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("zip") => archive(path, files, record),
        Some("json") => {
            count(path, files)?;
            let opened = File::open(path).map_err(AdvisoryError::io(path, "opened"))?;
            let bytes = bounded(opened).map_err(AdvisoryError::io(path, "read"))?;
            record(&path.to_string_lossy(), checked(&bytes))
        }
        Some(_) | None if named => {
            Err(AdvisoryError::Archive { path: path.to_owned(), problem: "expected a folder, a .json record or a .zip export".to_owned() })
        }
        Some(_) | None => Ok(()),
    }
}

fn count(path: &Path, files: &mut usize) -> Result<(), AdvisoryError> {
    *files += 1;
    if *files > MAX_FILES {
        return Err(AdvisoryError::Archive { path: path.to_owned(), problem: format!("more than {MAX_FILES} files") });
    }
    Ok(())
}

/// One byte more than a record may have shows that there are too many.
fn bounded(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_RECORD_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn checked(bytes: &[u8]) -> Result<&[u8], String> {
    if bytes.len() > MAX_RECORD_BYTES { Err(format!("more than {MAX_RECORD_BYTES} bytes")) } else { Ok(bytes) }
}

/// The sizes that the archive claims are not believed: what comes out is counted.
fn archive(path: &Path, files: &mut usize, record: &mut Visitor<'_>) -> Result<(), AdvisoryError> {
    let wrong = |problem: String| AdvisoryError::Archive { path: path.to_owned(), problem };
    let opened = File::open(path).map_err(AdvisoryError::io(path, "opened"))?;
    let size = opened.metadata().map_err(AdvisoryError::io(path, "read"))?.len();
    if size > MAX_ARCHIVE_BYTES {
        return Err(wrong(format!("{size} bytes: expected at most {MAX_ARCHIVE_BYTES}")));
    }
    let mut zip = ZipArchive::new(BufReader::new(opened)).map_err(|error| wrong(format!("no zip archive: {error}")))?;
    // Entries that share bytes are how a small archive claims to be large (42.zip's successors).
    if zip.has_overlapping_files().map_err(|error| wrong(error.to_string()))? {
        return Err(wrong("entries that share bytes".to_owned()));
    }
    let mut unpacked: u64 = 0;
    for at in 0..zip.len() {
        let entry = zip.by_index(at).map_err(|error| wrong(format!("entry {at}: {error}")))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        count(path, files)?;
        let bytes = bounded(entry).map_err(|error| wrong(format!("{name}: {error}")))?;
        unpacked += bytes.len() as u64;
        if unpacked > MAX_UNPACKED_BYTES {
            return Err(wrong(format!("more than {MAX_UNPACKED_BYTES} bytes unpacked")));
        }
        record(&name, checked(&bytes))?;
    }
    Ok(())
}
