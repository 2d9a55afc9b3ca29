//! What is trusted of one TUF repository, in one file that is replaced whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sealgate_verifier::sigstore::TrustRoot;
use sealgate_verifier::tuf::{Documents, Trusted};
use sealgate_verifier::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// The folder in the data folder.
const FOLDER: &str = "trust-roots";
/// Of the file's form. A newer one is refused, as the store's is.
const FORMAT: u32 = 1;
/// Bytes of a file: a chain of the longest kind, all of it at its limits, would be larger, and is not believed.
const BYTES: u64 = 64 * 1024 * 1024;

/// What is trusted.
#[derive(Debug, Clone)]
pub struct State {
    /// The metadata.
    pub trusted: Trusted,
    /// The target that was last verified under it, and when.
    pub good: Option<Good>,
}

/// A target that was verified.
#[derive(Debug, Clone)]
pub struct Good {
    /// Its bytes.
    pub bytes: Bytes,
    /// What they say.
    pub root: TrustRoot,
    /// When the last refresh succeeded, whether or not it found anything new.
    pub refreshed_at: Timestamp,
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system's word.
    #[error("{path} cannot be {action}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
    /// It was written by a newer program.
    #[error("{path} has format {found}, and this program knows {FORMAT}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Its bytes are not what was written, or do not follow from the root with which trust begins.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// The second line of the file; the first is the SHA-256 of it. Metadata is JSON, and so text.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    /// SHA-256 of the root with which trust began.
    anchor: Digest,
    roots: Vec<String>,
    timestamp: Option<String>,
    snapshot: Option<String>,
    targets: Option<String>,
    target: Option<String>,
    refreshed_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The file of one trust root.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
}

impl StateFile {
    /// The file of the root called `name` (a name of the configuration, without slashes).
    #[must_use]
    pub fn new(data: &Path, name: &str) -> Self {
        Self { path: data.join(FOLDER).join(format!("{name}.json")) }
    }

    /// What was kept, none where nothing was. Everything is verified again, from `anchor` on.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was written.
    pub fn load(&self, anchor: &Bytes) -> Result<Option<State>, StateError> {
        let Some(text) = self.read()? else { return Ok(None) };
        let damaged = |problem: String| StateError::Damaged { path: self.path.clone(), problem };
        let (hash, json) = text.split_once('\n').ok_or_else(|| damaged("it has no checksum".to_owned()))?;
        if Digest::sha256(json.as_bytes()).hex() != hash {
            return Err(damaged("its checksum is another".to_owned()));
        }
        let Format { format } = serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
        if format > FORMAT {
            return Err(StateError::Newer { path: self.path.clone(), found: format });
        }
        let stored: Stored = serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
        let documents = Documents {
            roots: stored.roots.into_iter().map(Bytes::from).collect(),
            timestamp: stored.timestamp.map(Bytes::from),
            snapshot: stored.snapshot.map(Bytes::from),
            targets: stored.targets.map(Bytes::from),
        };
        let trusted = match Trusted::restore(anchor, &documents) {
            Ok(trusted) => trusted,
            // Trust begins elsewhere now: a newer program, or another repository under the name.
            Err(error) if stored.anchor != Digest::sha256(anchor) => {
                tracing::info!(path = %self.path.display(), %error, "what was kept does not follow from the new TUF root; starting anew");
                return Ok(None);
            }
            Err(error) => return Err(damaged(error.to_string())),
        };
        let good = match stored.target.zip(stored.refreshed_at) {
            Some((target, refreshed_at)) => {
                let root = TrustRoot::from_json(target.as_bytes()).map_err(|error| damaged(error.to_string()))?;
                Some(Good { bytes: target.into(), root, refreshed_at })
            }
            None => None,
        };
        Ok(Some(State { trusted, good }))
    }

    fn read(&self) -> Result<Option<String>, StateError> {
        let mut text = String::new();
        match File::open(&self.path).and_then(|file| file.take(BYTES).read_to_string(&mut text)) {
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(StateError::Damaged { path: self.path.clone(), problem: "it is no text".to_owned() })
            }
            Err(source) => Err(StateError::File { path: self.path.clone(), action: "read", source }),
        }
    }

    /// Replaces the file: durable when this returns, and whole at every moment.
    ///
    /// # Errors
    /// The system's word; the old file is still there.
    pub fn save(&self, anchor: &Bytes, state: &State) -> Result<(), StateError> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let Documents { roots, timestamp, snapshot, targets } = state.trusted.documents();
        let stored = Stored {
            format: FORMAT,
            anchor: Digest::sha256(anchor),
            roots: roots.iter().map(text).collect(),
            timestamp: timestamp.as_ref().map(text),
            snapshot: snapshot.as_ref().map(text),
            targets: targets.as_ref().map(text),
            target: state.good.as_ref().map(|good| text(&good.bytes)),
            refreshed_at: state.good.as_ref().map(|good| good.refreshed_at),
        };
        let failed = |source| StateError::File { path: self.path.clone(), action: "written", source };
        let json = serde_json::to_string(&stored).map_err(|error| failed(error.into()))?;
        self.replace(&format!("{}\n{json}", Digest::sha256(json.as_bytes()).hex())).map_err(failed)
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            if let Some(above) = folder.parent() {
                File::open(above)?.sync_all()?;
            }
        }
        let fresh = self.path.with_extension("json.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        File::open(folder)?.sync_all()
    }

    /// Moves a damaged file to `NAME.json.damaged`, so that it can be looked at.
    pub fn move_away(&self) {
        if let Err(error) = std::fs::rename(&self.path, self.path.with_extension("json.damaged")) {
            tracing::warn!(path = %self.path.display(), %error, "a damaged file could not be moved away");
        }
    }
}
