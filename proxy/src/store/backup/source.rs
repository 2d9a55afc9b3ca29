//! Where a backup or a layout is read from: a folder, or a tar archive. Only files that such a thing has are looked at, under names that
//! are checked: an archive may hold anything.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use sealgate_verifier::{Algorithm, Digest};

use super::{BackupError, LIST, MANIFEST};

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Manifest,
    List,
    /// A segment of the ledger, by its file name.
    Ledger(String),
    Blob(Digest),
}

impl Part {
    /// What a path inside a backup is; none for anything else.
    pub(super) fn named(path: &Path) -> Option<Self> {
        let mut names = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => names.push(name.to_str()?),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        match names.as_slice() {
            [name] if *name == MANIFEST => Some(Self::Manifest),
            [name] if *name == LIST => Some(Self::List),
            ["ledger", name] if *name == "base.json" => Some(Self::Ledger((*name).to_owned())),
            ["ledger", name] => {
                let digits = name.strip_suffix(".jsonl")?;
                let valid = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
                valid.then(|| Self::Ledger((*name).to_owned()))
            }
            ["blobs", algorithm, start, hex] => {
                let known = [Algorithm::Sha256, Algorithm::Sha512].iter().any(|known| known.name() == *algorithm);
                let digest = format!("{algorithm}:{hex}").parse().ok().filter(|_| known && hex.starts_with(start) && start.len() == 2)?;
                Some(Self::Blob(digest))
            }
            _ => None,
        }
    }
}

/// Takes one file: what it is, its content and its bytes.
pub(in crate::store) type Take<'t, P> = &'t mut dyn FnMut(P, &mut dyn Read, u64) -> Result<(), BackupError>;

/// The names of `P`'s files.
pub(in crate::store) struct Names<P> {
    /// What a path is; none for what is no part.
    pub(in crate::store) named: fn(&Path) -> Option<P>,
    /// Whether an archive may hold other files as well.
    pub(in crate::store) others: bool,
}

impl<P> Clone for Names<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Names<P> {}

/// Shows each file, in any order.
pub(in crate::store) fn read<P>(source: &Path, names: Names<P>, take: Take<'_, P>) -> Result<(), BackupError> {
    let failed = |error| BackupError::file(source, "read")(error);
    if source == Path::new("-") {
        return read_tar(source, io::stdin(), names, take);
    }
    if fs::metadata(source).map_err(failed)?.is_dir() {
        return read_folder(source, source, names, take);
    }
    read_tar(source, File::open(source).map_err(failed)?, names, take)
}

fn read_tar<P>(source: &Path, from: impl Read, names: Names<P>, take: Take<'_, P>) -> Result<(), BackupError> {
    let broken = |error: io::Error| BackupError::damaged(format!("{} is no whole tar archive: {error}", source.display()));
    let mut archive = tar::Archive::new(from);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            continue;
        }
        let part = entry.path().ok().and_then(|path| (names.named)(&path));
        let size = entry.size();
        match part {
            Some(part) => take(part, &mut entry, size)?,
            None if names.others => {}
            None => {
                let found = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(BackupError::damaged(format!("no backup has a file {found:?}")));
            }
        }
    }
    Ok(())
}

fn read_folder<P>(root: &Path, folder: &Path, names: Names<P>, take: Take<'_, P>) -> Result<(), BackupError> {
    let failed = |error| BackupError::file(folder, "read")(error);
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map_err(failed)?;
    paths.sort();
    for path in paths {
        let failed = |error| BackupError::file(&path, "read")(error);
        // Not followed: a link could lead anywhere.
        let kind = fs::symlink_metadata(&path).map_err(failed)?.file_type();
        if kind.is_dir() {
            read_folder(root, &path, names, take)?;
        } else if kind.is_file()
            && let Some(part) = path.strip_prefix(root).ok().and_then(names.named)
        {
            let mut file = File::open(&path).map_err(failed)?;
            let size = file.metadata().map_err(failed)?.len();
            take(part, &mut file, size)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backups_own_names_are_parts() {
        let hex = "ab".repeat(32);
        let blob: Digest = format!("sha256:{hex}").parse().expect("a digest");
        for (path, part) in [
            ("backup.json".to_owned(), Some(Part::Manifest)),
            ("./blobs.list".to_owned(), Some(Part::List)),
            ("ledger/00000000000000000000.jsonl".to_owned(), Some(Part::Ledger("00000000000000000000.jsonl".to_owned()))),
            (format!("blobs/sha256/ab/{hex}"), Some(Part::Blob(blob))),
            (format!("blobs/sha256/cd/{hex}"), None),
            (format!("blobs/md5/ab/{hex}"), None),
            ("ledger/base.json".to_owned(), Some(Part::Ledger("base.json".to_owned()))),
            ("../backup.json".to_owned(), None),
            ("/backup.json".to_owned(), None),
            ("ledger/../../x.jsonl".to_owned(), None),
            ("ledger/1.jsonl".to_owned(), None),
            ("control.sock".to_owned(), None),
        ] {
            assert_eq!(Part::named(Path::new(&path)), part, "{path}");
        }
    }
}
