//! Small disks of a test's own: one that can be filled, and one whose power can be cut. They are mounted, which needs root.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::program::Program;

/// A mounted file system. Dropping it unmounts it.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    /// The file that holds it, where it is no tmpfs.
    image: Option<PathBuf>,
}

/// What fills a disk.
#[derive(Debug)]
pub struct Filler(PathBuf);

impl Disk {
    /// A tmpfs of so many MiB.
    #[must_use]
    pub fn memory(mib: u64) -> Self {
        let disk = Self { folder: tempfile::tempdir().expect("a folder for a disk"), image: None };
        disk.mount(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"]);
        disk
    }

    /// An ext4 of so many MiB on a loop device, without a journal: what nobody asks to be synced stays in memory for half a minute, and a
    /// name that was given without syncing its folder is lost with the power.
    #[must_use]
    pub fn block(mib: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a disk");
        let image = folder.path().join("image");
        File::create(&image).and_then(|file| file.set_len(mib << 20)).expect("a file for a disk");
        let _ = Program::new("mkfs.ext4").args(["-q", "-F", "-O", "^has_journal"]).arg(&image).run().expect_success();
        Self { folder, image: Some(image) }.mounted()
    }

    fn mounted(self) -> Self {
        let image = self.image.clone().expect("a block device's file");
        self.mount(["-o".as_ref(), "loop".as_ref(), image.as_os_str()]);
        self
    }

    fn mount<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) {
        fs::create_dir_all(self.path()).expect("a mount point");
        let _ = Program::new("mount").args(arguments).arg(self.path()).run().expect_success();
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// What a power cut at this moment would leave of a block device, repaired as at a start and mounted.
    #[must_use]
    pub fn cut(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder for a disk");
        let image = folder.path().join("image");
        let _ =
            Program::new("cp").arg("--sparse=always").arg(self.image.as_ref().expect("a block device")).arg(&image).run().expect_success();
        let checked = Program::new("e2fsck").args(["-f", "-y"]).arg(&image).run();
        // 0: clean; 1: errors corrected (e2fsck(8)).
        assert!(matches!(checked.code, Some(0 | 1)), "{}", checked.text());
        Self { folder, image: Some(image) }.mounted()
    }

    /// Fills it but for `leave` bytes.
    #[must_use]
    pub fn fill(&self, leave: u64) -> Filler {
        let path = self.path().join("filler");
        let mut file = File::create(&path).expect("a filler");
        for piece in [1 << 20, 4096, 1] {
            let bytes = vec![1; piece];
            while file.write_all(&bytes).is_ok() {}
        }
        let size = file.metadata().expect("its size").len();
        file.set_len(size.saturating_sub(leave)).expect("a shorter filler");
        Filler(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a gate that still runs on it ends by itself.
        let _ = Program::new("umount").arg("-l").arg(self.path()).run();
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("the filler");
    }
}

/// How many files a folder has.
#[must_use]
pub fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).count()
}
