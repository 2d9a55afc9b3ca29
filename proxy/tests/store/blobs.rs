//! The blob contract, against each implementation; then what only files can do wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sealgate::store::blob::{BlobReader, BlobStore};
use sealgate::store::blob_files::FileBlobStore;
use sealgate::store::blob_memory::MemoryBlobStore;
use sealgate_verifier::{Algorithm, Digest};

fn put(store: &dyn BlobStore, bytes: &[u8]) -> Digest {
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(bytes).unwrap();
    writer.commit().unwrap()
}

fn all(reader: &dyn BlobReader) -> Vec<u8> {
    let mut content = Vec::new();
    let mut piece = [0; 7];
    loop {
        let count = match reader.read_now(&mut piece, content.len() as u64).unwrap() {
            Some(count) => count,
            None => reader.read_at(&mut piece, content.len() as u64).unwrap(),
        };
        if count == 0 {
            return content;
        }
        content.extend_from_slice(&piece[..count]);
    }
}

fn contract(store: &dyn BlobStore) {
    let missing = Digest::sha256(b"never stored");
    assert!(store.open(&missing).unwrap().is_none());
    assert!(store.read(&missing, 10).unwrap().is_none());
    store.remove(&missing).unwrap();

    // Readable while it grows, under its digest only after the commit.
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    let reader = writer.reader();
    writer.write(b"hello ").unwrap();
    assert_eq!(all(&*reader), b"hello ");
    writer.write(b"world").unwrap();
    let digest = writer.digest();
    assert_eq!(digest, Digest::sha256(b"hello world"));
    assert!(store.open(&digest).unwrap().is_none());
    assert_eq!(writer.commit().unwrap(), digest);
    assert_eq!(all(&*reader), b"hello world");

    let stored = store.open(&digest).unwrap().unwrap();
    assert_eq!(stored.size, 11);
    assert_eq!(all(&*stored.reader), b"hello world");
    let mut piece = [0; 4];
    assert_eq!(stored.reader.read_at(&mut piece, 9).unwrap(), 2);
    assert_eq!(&piece[..2], b"ld");
    assert_eq!(stored.reader.read_at(&mut piece, u64::from(u32::MAX)).unwrap(), 0);

    assert_eq!(store.read(&digest, 11).unwrap().unwrap().as_ref(), b"hello world");
    assert_eq!(store.read(&digest, 10).unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);

    // Twice the same, the other algorithm, and nothing at all.
    assert_eq!(put(store, b"hello world"), digest);
    let mut writer = store.begin(Algorithm::Sha512).unwrap();
    writer.write(b"hello world").unwrap();
    let long = writer.commit().unwrap();
    assert_eq!(long, Digest::of(Algorithm::Sha512, b"hello world"));
    let empty = put(store, b"");
    assert_eq!(store.open(&empty).unwrap().unwrap().size, 0);
    let mut listed = store.list().unwrap();
    listed.sort();
    let mut expected = vec![(digest, 11), (long, 11), (empty, 0)];
    expected.sort();
    assert_eq!(listed, expected);

    // Dropped before the commit: nothing stays.
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(b"half").unwrap();
    drop(writer);
    assert!(store.open(&Digest::sha256(b"half")).unwrap().is_none());
    assert_eq!(store.list().unwrap().len(), 3);

    // F17: whoever reads goes on when the blob is evicted.
    store.remove(&digest).unwrap();
    assert!(store.open(&digest).unwrap().is_none());
    assert_eq!(all(&*stored.reader), b"hello world");
    assert_eq!(put(store, b"hello world"), digest);
    assert_eq!(all(&*store.open(&digest).unwrap().unwrap().reader), b"hello world");
}

#[test]
fn files_fulfil_the_contract() {
    let data = tempfile::tempdir().unwrap();
    contract(&FileBlobStore::open(data.path()).unwrap().0);
    assert_eq!(count(&data.path().join("tmp")), 0);
    assert_eq!(count(&data.path().join("quarantine")), 0);
}

#[test]
fn memory_fulfils_the_contract() {
    contract(&MemoryBlobStore::default());
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn path(data: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    data.join("blobs/sha256").join(&hex[..2]).join(hex)
}

#[test]
fn a_damaged_blob_is_quarantined_and_missing_and_can_be_stored_again() {
    // A5, F18, F23
    let good = b"some layer".to_vec();
    let mut flipped = good.clone();
    flipped[3] ^= 4;
    for damage in [flipped, good[..5].to_vec(), Vec::new(), [good.clone(), vec![0]].concat()] {
        let data = tempfile::tempdir().unwrap();
        let digest = put(&FileBlobStore::open(data.path()).unwrap().0, &good);
        fs::write(path(data.path(), &digest), &damage).unwrap();

        let (store, _) = FileBlobStore::open(data.path()).unwrap();
        assert!(store.open(&digest).unwrap().is_none(), "{damage:?}");
        assert_eq!((store.quarantined(), count(&data.path().join("quarantine"))), (1, 1));
        assert!(store.list().unwrap().is_empty());
        assert_eq!(put(&store, &good), digest);
        assert_eq!(all(&*store.open(&digest).unwrap().unwrap().reader), good);

        // A whole read hashes every time, also what was checked before.
        fs::write(path(data.path(), &digest), &damage).unwrap();
        assert!(store.read(&digest, 100).unwrap().is_none(), "{damage:?}");
        assert!(store.open(&digest).unwrap().is_none());
        assert_eq!(store.quarantined(), 2);
    }
}

#[test]
fn a_fetched_blob_replaces_a_file_that_nobody_checked() {
    // F18: a zero-size file of that name, and no open before the new bytes come.
    let data = tempfile::tempdir().unwrap();
    let digest = put(&FileBlobStore::open(data.path()).unwrap().0, b"layer");
    fs::write(path(data.path(), &digest), b"").unwrap();
    let (store, _) = FileBlobStore::open(data.path()).unwrap();
    put(&store, b"layer");
    assert_eq!(all(&*store.open(&digest).unwrap().unwrap().reader), b"layer");
}

#[test]
fn sixteen_first_openers_agree_about_a_damaged_blob() {
    let data = tempfile::tempdir().unwrap();
    let digest = put(&FileBlobStore::open(data.path()).unwrap().0, &vec![7; 3_000_000]);
    fs::write(path(data.path(), &digest), vec![8; 3_000_000]).unwrap();
    let (store, _) = FileBlobStore::open(data.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert!(store.open(&digest).unwrap().is_none()));
        }
    });
    assert_eq!(store.quarantined(), 1);
}

#[test]
fn leftovers_are_removed_and_nobody_else_can_read_the_files() {
    let data = tempfile::tempdir().unwrap();
    let (store, _) = FileBlobStore::open(data.path()).unwrap();
    let digest = put(&store, b"private");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path(data.path(), &digest)), 0o600);
    for folder in ["blobs", "blobs/sha256", "tmp", "quarantine"] {
        assert_eq!(mode(&data.path().join(folder)), 0o700, "{folder}");
    }
    // As after a kill: the writer never gets to its end.
    let mut writer = store.begin(Algorithm::Sha256).unwrap();
    writer.write(b"half").unwrap();
    std::mem::forget(writer);
    assert_eq!(count(&data.path().join("tmp")), 1);
    let (_, leftovers) = FileBlobStore::open(data.path()).unwrap();
    assert_eq!((leftovers, count(&data.path().join("tmp"))), (1, 0));
}

#[test]
fn a_warm_file_is_read_without_waiting() {
    let data = tempfile::tempdir().unwrap();
    let (store, _) = FileBlobStore::open(data.path()).unwrap();
    let digest = put(&store, &[1; 65_536]);
    let blob = store.open(&digest).unwrap().unwrap();
    let mut buffer = vec![0; 65_536];
    assert_eq!(blob.reader.read_at(&mut buffer, 0).unwrap(), 65_536);
    match blob.reader.read_now(&mut buffer, 0).unwrap() {
        Some(read) => assert_eq!(read, 65_536),
        None => eprintln!("skipped: this file system cannot tell whether a read would wait"),
    }
    assert_eq!(blob.reader.read_at(&mut buffer, 65_536).unwrap(), 0);
}
