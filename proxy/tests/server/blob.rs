//! A blob in memory whose reads can be made to wait, to fall short and to be counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sealgate::store::blob::BlobReader;

/// `size` bytes of a pattern.
pub struct PatternBlob {
    pub size: u64,
    /// Whether each read has to wait for a disk.
    pub cold: bool,
    pub reads: AtomicU64,
}

impl PatternBlob {
    pub fn warm(size: u64) -> Arc<Self> {
        Arc::new(Self { size, cold: false, reads: AtomicU64::new(0) })
    }

    pub fn cold(size: u64) -> Arc<Self> {
        Arc::new(Self { size, cold: true, reads: AtomicU64::new(0) })
    }
}

/// The byte at `position`: neighbouring pieces differ.
pub fn pattern(position: u64) -> u8 {
    (position.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
}

impl BlobReader for PatternBlob {
    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
        if self.cold { Ok(None) } else { self.read_at(buffer, offset).map(Some) }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let count = (buffer.len() as u64).min(self.size.saturating_sub(offset)) as usize;
        for (byte, position) in buffer[..count].iter_mut().zip(offset..) {
            *byte = pattern(position);
        }
        Ok(count)
    }
}
