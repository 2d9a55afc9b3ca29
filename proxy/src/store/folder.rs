//! The data folder: its lock, its format, its sub-folders.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::{FORMAT, StoreError};

fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Folder { path, action, source }
}

/// Makes a folder and those above it with mode 0700. One that is there keeps its mode.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let existed = path.is_dir();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path, "created"))?;
    if !existed && let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        sync(parent).map_err(failed(parent, "synced"))?;
    }
    Ok(())
}

/// Says in the log when others can look into the data folder. It is not changed: it may be a volume's root or shared on purpose.
pub(super) fn warn_if_open(path: &Path) {
    if let Ok(found) = std::fs::metadata(path)
        && found.permissions().mode() & 0o077 != 0
    {
        let mode = format!("{:04o}", found.permissions().mode() & 0o7777);
        tracing::warn!(folder = %path.display(), mode, "others on this machine can look into the data folder; chmod 0700 closes it");
    }
}

/// Makes a folder's entries durable.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The folder belongs to this process while this lives (flock(2); the kernel gives it free at any end of the process).
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed(&path, "opened"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let owner = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::Locked { folder: folder.to_owned(), owner });
            }
            Err(error) => return Err(failed(&path, "locked")(error.into())),
        }
        // Only a hint for the message above: a full disk must not keep the gate from starting.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// The format that the folder says it has; none for a folder without a store.
pub(super) fn format(folder: &Path) -> Result<Option<u32>, StoreError> {
    let path = folder.join("format");
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(64).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(StoreError::UnreadableFormat { path, found: "no text".to_owned() });
        }
        Err(error) => return Err(failed(&path, "read")(error)),
    }
    match text.strip_prefix("sealgate store ").and_then(|rest| rest.trim_end().parse::<u32>().ok()) {
        Some(found) if found > FORMAT => Err(StoreError::NewerFormat { folder: folder.to_owned(), found, supported: FORMAT }),
        // Format 1 is the first: there is nothing older to migrate yet.
        Some(found) if found >= 1 => Ok(Some(found)),
        Some(_) | None => Err(StoreError::UnreadableFormat { path, found: text.trim_end().to_owned() }),
    }
}

/// Writes the format as the last step of making a store.
pub(super) fn write_format(folder: &Path) -> Result<(), StoreError> {
    let path = folder.join("format");
    let fresh: PathBuf = folder.join("format.new");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        writeln!(file, "sealgate store {FORMAT}")?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        sync(folder)
    };
    write().map_err(failed(&path, "written"))
}

/// Moves a damaged folder to `<name>.damaged`, in place of an older one, so that it can be looked at.
pub(super) fn move_away(path: &Path) -> Result<(), StoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".damaged");
    let aside = path.with_file_name(name);
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(failed(&aside, "removed"))?;
    }
    match std::fs::rename(path, &aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, "moved away")(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
