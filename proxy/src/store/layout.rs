//! Reads an OCI image layout (image-spec 1.1) into the blobs: each is hashed, and one whose bytes are not those of its name is refused.
//! Nothing is recorded here, so what nobody goes on with is garbage.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use sealgate_verifier::{Algorithm, Digest};
use serde::Deserialize;

use super::backup::source::{self, Names};
use super::backup::{BackupError, OnProgress};
use super::blob::BlobStore;

/// Bytes of `index.json`: some hundred for each of ten thousand images.
const INDEX_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes that are read at a time.
const PIECE: usize = 256 * 1024;

/// A layout whose blobs are in the store.
#[derive(Debug)]
pub struct Layout {
    /// What `index.json` names.
    pub entries: Vec<LayoutEntry>,
    /// The blobs that came with it, and their bytes.
    pub blobs: HashMap<Digest, u64>,
}

/// One manifest that `index.json` names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutEntry {
    /// Its media type.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// What it is called.
    #[serde(default)]
    pub annotations: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<LayoutEntry>,
}

enum Part {
    Version,
    Index,
    Blob(Digest),
}

fn named(path: &Path) -> Option<Part> {
    let path = path.strip_prefix(".").unwrap_or(path).to_str()?;
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["oci-layout"] => Some(Part::Version),
        ["index.json"] => Some(Part::Index),
        ["blobs", algorithm, hex] => {
            let known = [Algorithm::Sha256, Algorithm::Sha512].iter().any(|known| known.name() == *algorithm);
            format!("{algorithm}:{hex}").parse().ok().filter(|_| known).map(Part::Blob)
        }
        _ => None,
    }
}

/// Reads a layout's folder or tar archive, or `-` for one on stdin.
///
/// # Errors
/// [`BackupError`]: it is no layout, or one of its blobs is not what its name says.
pub fn read_layout(source: &Path, store: &Arc<dyn BlobStore>, progress: OnProgress<'_>) -> Result<Layout, BackupError> {
    let (mut version, mut index, mut blobs, mut done) = (false, None, HashMap::new(), 0);
    source::read(source, Names { named, others: true }, &mut |part, content, size| {
        match part {
            Part::Version => version = true,
            Part::Index => {
                let mut bytes = Vec::new();
                content.take(INDEX_BYTES + 1).read_to_end(&mut bytes).map_err(BackupError::file(source, "read"))?;
                if bytes.len() as u64 > INDEX_BYTES {
                    return Err(BackupError::damaged(format!("index.json is over {INDEX_BYTES} bytes")));
                }
                let parsed = serde_json::from_slice::<Index>(&bytes);
                index = Some(parsed.map_err(|error| BackupError::damaged(format!("index.json: {error}")))?);
            }
            Part::Blob(digest) => {
                keep(store, content, size, &digest)?;
                blobs.insert(digest, size);
            }
        }
        done += size;
        progress(done, done);
        Ok(())
    })?;
    match index {
        Some(Index { manifests }) if version => Ok(Layout { entries: manifests, blobs }),
        Some(_) | None => {
            let problem = "an OCI image layout has the files oci-layout and index.json".to_owned();
            Err(BackupError::NoBackup { path: source.to_owned(), problem })
        }
    }
}

/// Keeps a blob, durably.
fn keep(store: &Arc<dyn BlobStore>, content: &mut dyn Read, size: u64, digest: &Digest) -> Result<(), BackupError> {
    let failed = |error| BackupError::Store(super::StoreError::Blob(error));
    store.make_room(size).map_err(failed)?;
    let mut writer = store.begin(digest.algorithm()).map_err(failed)?;
    let mut piece = vec![0; PIECE];
    loop {
        let count = content.read(&mut piece).map_err(|error| BackupError::damaged(error.to_string()))?;
        if count == 0 {
            break;
        }
        writer.write(piece.get(..count).unwrap_or_default()).map_err(failed)?;
    }
    let found = writer.digest();
    if found != *digest {
        return Err(BackupError::damaged(format!("expected the bytes of {digest}, found those of {found}")));
    }
    writer.commit().map_err(failed).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("written");
    }

    #[test]
    fn a_blob_under_a_false_name_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let store: Arc<dyn BlobStore> = Arc::new(crate::store::blob_memory::MemoryBlobStore::default());
        let (digest, bytes) = (Digest::sha256(b"blob"), b"blob");
        write(folder.path(), "oci-layout", b"{}");
        assert!(matches!(read_layout(folder.path(), &store, &|_, _| {}), Err(BackupError::NoBackup { .. })));
        write(folder.path(), "index.json", format!("{{\"manifests\":[{{\"digest\":\"{digest}\"}}]}}").as_bytes());
        write(folder.path(), &format!("blobs/sha256/{}", digest.hex()), bytes);
        write(folder.path(), "blobs/../../escape", b"x");
        let layout = read_layout(folder.path(), &store, &|_, _| {}).expect("a layout");
        assert_eq!((layout.entries[0].digest, layout.blobs.get(&digest)), (digest, Some(&4)));
        write(folder.path(), &format!("blobs/sha256/{}", digest.hex()), b"evil");
        assert!(matches!(read_layout(folder.path(), &store, &|_, _| {}), Err(BackupError::Damaged { .. })));
        assert_eq!(store.list().expect("a list").len(), 1);
    }
}
