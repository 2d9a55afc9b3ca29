//! Reads files whole, never more of one than its limit.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// Reads at most `limit` bytes of the regular file at `path`; symbolic links are followed, as mounted secrets need it.
///
/// # Errors
/// What is wrong, to follow the path in a sentence: `does not exist`.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, String> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err("is a folder, not a file".to_owned());
    }
    // Opening a FIFO would wait for its writer.
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let mut bytes = Vec::new();
    let cap = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(cap).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > limit {
        return Err(format!("is larger than {} KiB", limit / 1024));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    match (error.kind(), fs::read_link(path)) {
        (io::ErrorKind::NotFound, Ok(target)) => format!("is a symbolic link to {}, which does not exist", target.display()),
        (io::ErrorKind::NotFound, Err(_)) => "does not exist".to_owned(),
        (io::ErrorKind::PermissionDenied, _) => "may not be read by this user".to_owned(),
        (_, Ok(_) | Err(_)) => format!("cannot be read ({error})"),
    }
}
