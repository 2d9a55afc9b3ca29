//! Who pulled what: lines of JSON in `access/`, written every ten seconds. No transition and no part of any decision: it may lose its tail
//! (DESIGN §10).

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sealgate_verifier::{Digest, Repository, Timestamp};
use serde::Serialize;

/// Bytes of the file that is written to.
const FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Files that are kept, the newest among them.
const FILES: usize = 8;
/// Different pulls between two writes that are told apart; of more only their number is kept.
const WINDOW: usize = 50_000;
/// The file that is written to.
const CURRENT: &str = "current.jsonl";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Pull {
    repository: Repository,
    digest: Digest,
    by: Option<Arc<str>>,
}

#[derive(Default)]
struct Window {
    pulls: HashMap<Pull, u64>,
    /// Pulls beyond [`WINDOW`].
    others: u64,
}

/// The log.
pub(super) struct AccessLog {
    folder: PathBuf,
    window: Mutex<Window>,
}

#[derive(Serialize)]
struct Line<'a> {
    /// When it was written: at most ten seconds later.
    time: Timestamp,
    repository: &'a Repository,
    digest: &'a Digest,
    /// Who; absent for clients without a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    pulls: u64,
}

impl AccessLog {
    pub(super) fn new(data: &Path) -> Self {
        Self { folder: data.join("access"), window: Mutex::default() }
    }

    /// Notes that a manifest was pulled.
    pub(super) fn note(&self, repository: &Repository, digest: &Digest, by: Option<&str>) {
        let pull = Pull { repository: repository.clone(), digest: *digest, by: by.map(Arc::from) };
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.pulls.len() >= WINDOW && !window.pulls.contains_key(&pull) {
            window.others += 1;
            return;
        }
        *window.pulls.entry(pull).or_default() += 1;
    }

    /// Writes what was noted. What cannot be written is lost.
    ///
    /// # Errors
    /// I/O errors.
    pub(super) fn flush(&self, now: Timestamp) -> io::Result<()> {
        let window = std::mem::take(&mut *self.window.lock().unwrap_or_else(PoisonError::into_inner));
        if window.pulls.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for (pull, pulls) in &window.pulls {
            let line = Line { time: now, repository: &pull.repository, digest: &pull.digest, by: pull.by.as_deref(), pulls: *pulls };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
        }
        if window.others > 0 {
            lines.extend_from_slice(format!("{{\"time\":{},\"others\":{}}}\n", now.0, window.others).as_bytes());
        }
        let mut file = self.open(now)?;
        file.write_all(&lines)
    }

    fn open(&self, now: Timestamp) -> io::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let current = self.folder.join(CURRENT);
        if fs::metadata(&current).is_ok_and(|found| found.len() >= FILE_BYTES) {
            fs::rename(&current, self.folder.join(format!("{:020}.jsonl", now.0)))?;
            self.prune()?;
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(current)
    }

    fn prune(&self) -> io::Result<()> {
        let mut old: Vec<PathBuf> = fs::read_dir(&self.folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.file_name().is_some_and(|name| name != CURRENT))
            .collect();
        old.sort();
        let surplus = (old.len() + 1).saturating_sub(FILES);
        old.iter().take(surplus).try_for_each(fs::remove_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_are_counted_and_old_files_go() {
        let data = tempfile::tempdir().expect("a folder");
        let log = AccessLog::new(data.path());
        let repository: Repository = "docker.io/library/nginx".parse().expect("a repository");
        let digest = Digest::sha256(b"manifest");
        assert!(log.flush(Timestamp(1)).is_ok() && !data.path().join("access").exists(), "nothing to write");
        (0..3).for_each(|_| log.note(&repository, &digest, Some("ci")));
        log.note(&repository, &digest, None);
        log.flush(Timestamp(7)).expect("written");
        let current = data.path().join("access").join(CURRENT);
        let text = fs::read_to_string(&current).expect("a log");
        let mut lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        lines.sort_by_key(|line| line["pulls"].as_u64());
        assert_eq!((lines[0]["by"].as_str(), lines[1]["by"].as_str(), &lines[1]["pulls"]), (None, Some("ci"), &3.into()));
        for time in 10..30 {
            fs::OpenOptions::new().write(true).open(&current).expect("open").set_len(FILE_BYTES).expect("grown");
            log.note(&repository, &digest, None);
            log.flush(Timestamp(time)).expect("written");
        }
        assert_eq!(fs::read_dir(data.path().join("access")).expect("a folder").count(), FILES);
    }
}
