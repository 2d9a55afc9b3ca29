//! Reads a blob's file by position.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::store::blob::BlobReader;

/// Reads a file that stays readable after it was renamed or unlinked.
pub(super) struct FileReader {
    file: Arc<File>,
}

impl FileReader {
    pub(super) const fn new(file: Arc<File>) -> Self {
        Self { file }
    }
}

impl BlobReader for FileReader {
    #[cfg(target_os = "linux")]
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        loop {
            return match preadv2(&*self.file, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
                Ok(count) => Ok(Some(count)),
                Err(Errno::INTR) => continue,
                // Not in the page cache; or a file system or kernel that cannot tell.
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_now(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn is_whole(&self, size: u64) -> bool {
        self.file.metadata().is_ok_and(|found| found.len() == size)
    }
}
