//! Buffers of the bodies: a bounded pool, so that a warm server neither allocates nor zeroes memory for a piece.
//!
//! How many buffers of the larger classes are in use at once is bounded too. Beyond that a body gets a smaller one: under many
//! stalled downloads the memory of each falls, and nobody waits for a buffer that a stalled client holds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Largest piece on a connection that carries many streams, since each stalled stream holds one.
pub(super) const MULTIPLEXED: usize = 64 * 1024;

/// Buffers of one size.
struct Class {
    /// Bytes of each buffer.
    size: usize,
    /// Most buffers in use at once.
    most: usize,
    /// Most buffers kept for reuse.
    kept: usize,
    in_use: AtomicUsize,
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Class {
    const fn new(size: usize, most: usize, kept: usize) -> Self {
        Self { size, most, kept, in_use: AtomicUsize::new(0), idle: Mutex::new(Vec::new()) }
    }

    /// Claims a buffer, if the bound allows one more.
    fn claim(&self) -> Option<Vec<u8>> {
        if self.in_use.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.in_use.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Some(idle.unwrap_or_else(|| vec![0; self.size]))
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.kept {
            idle.push(buffer);
        }
    }
}

/// 256 KiB: where inline reads reach sendfile's rate (research: 1.02 of nginx), 64 MiB in use and 8 MiB kept at most.
static LARGE: Class = Class::new(256 * 1024, 256, 32);
/// 64 KiB: small layers and HTTP/2; 128 MiB in use and 4 MiB kept at most.
static MEDIUM: Class = Class::new(64 * 1024, 2048, 64);
/// 16 KiB: configs, and everybody once the others are used up. Bounded by the number of connections.
static SMALL: Class = Class::new(16 * 1024, usize::MAX, 64);

/// A buffer on loan from the pool. It goes back when it is dropped, also as [`Bytes`].
pub(super) struct Piece {
    class: &'static Class,
    buffer: Vec<u8>,
    /// Bytes that count: what was wanted, then what was filled.
    length: usize,
}

impl Piece {
    /// A buffer for up to `want` bytes. It may be shorter.
    pub(super) fn take(want: u64) -> Self {
        let larger = [&LARGE, &MEDIUM].into_iter().zip([MEDIUM.size, SMALL.size]);
        for (class, next) in larger {
            if want > next as u64
                && let Some(buffer) = class.claim()
            {
                return Self::new(class, buffer, want);
            }
        }
        let buffer = SMALL.claim().unwrap_or_else(|| vec![0; SMALL.size]);
        Self::new(&SMALL, buffer, want)
    }

    fn new(class: &'static Class, buffer: Vec<u8>, want: u64) -> Self {
        let length = usize::try_from(want).map_or(buffer.len(), |want| want.min(buffer.len()));
        Self { class, buffer, length }
    }

    /// Where to read into: at most what was wanted.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.length).unwrap_or_default()
    }

    /// The first `filled` bytes as shared bytes, without a copy.
    pub(super) fn into_bytes(mut self, filled: usize) -> Bytes {
        self.length = filled.min(self.length);
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.class.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_the_class_of_what_is_wanted() {
        for (want, size) in [(1, 16), (16 * 1024, 16), (16 * 1024 + 1, 64), (64 * 1024, 64), (64 * 1024 + 1, 256), (u64::MAX, 256)] {
            assert_eq!(Piece::take(want).buffer.len(), size * 1024, "{want}");
        }
    }

    #[test]
    fn a_class_that_is_used_up_lends_no_more_and_keeps_few() {
        let class: &'static Class = Box::leak(Box::new(Class::new(8, 3, 2)));
        let lent: Vec<_> = std::iter::from_fn(|| class.claim()).collect();
        assert_eq!(lent.len(), 3);
        for buffer in lent {
            class.give_back(buffer);
        }
        assert_eq!(class.idle.lock().unwrap().len(), 2);
        assert_eq!(class.in_use.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn bytes_of_an_earlier_use_never_show() {
        let mut piece = Piece::take(4);
        piece.space().copy_from_slice(b"1234");
        assert_eq!(piece.into_bytes(4).as_ref(), b"1234");
        let piece = Piece::take(4);
        assert_eq!(piece.into_bytes(0).as_ref(), b"");
    }
}
