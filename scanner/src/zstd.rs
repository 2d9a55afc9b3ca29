//! A zstd stream as a sequence of frames (RFC 8878, section 3): zstd:chunked layers have one for each chunk, and skippable ones.

use std::io::BufRead;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::compression::read_error;
use crate::limits::{FRAMES, ZSTD_WINDOW_BYTES};
use crate::problem::Problem;

/// RFC 8878, section 3.1.1: `Magic_Number`.
pub const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// RFC 8878, section 3.1.2: `0x184D2A50` to `0x184D2A5F`, little-endian.
pub fn is_skippable(first: &[u8]) -> bool {
    matches!(first, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The plain bytes of all frames.
pub struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    open: bool,
    count: u64,
}

impl<R: BufRead> Frames<R> {
    pub fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(ZSTD_WINDOW_BYTES);
        Self { source, decoder, open: false, count: 0 }
    }

    pub const fn source(&self) -> &R {
        &self.source
    }

    /// Frames so far.
    pub const fn count(&self) -> u64 {
        self.count
    }

    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        loop {
            if !self.open && !self.next_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| problem(error.to_string()))?;
            }
            let count = std::io::Read::read(&mut self.decoder, buffer).map_err(|error| problem(error.to_string()))?;
            if self.decoder.is_finished() && self.decoder.can_collect() == 0 {
                self.close()?;
            }
            if count > 0 {
                return Ok(count);
            }
        }
    }

    /// Opens the next frame that holds bytes. `false` at the end of the stream.
    fn next_frame(&mut self) -> Result<bool, Problem> {
        loop {
            if self.source.fill_buf().map_err(|error| read_error(&error))?.is_empty() {
                return Ok(false);
            }
            self.count += 1;
            if self.count > FRAMES {
                return Err(Problem::limit("frames of a layer", self.count, FRAMES));
            }
            let mut magic = [0; 4];
            self.exactly(&mut magic)?;
            if is_skippable(&magic) {
                self.skip()?;
            } else if magic == FRAME {
                let header = std::io::Read::chain(&magic[..], &mut self.source);
                self.decoder.reset(header).map_err(|error| problem(error.to_string()))?;
                self.open = true;
                return Ok(true);
            } else {
                return Err(problem(format!("expected a frame, found {magic:02x?}")));
            }
        }
    }

    fn skip(&mut self) -> Result<(), Problem> {
        let mut length = [0; 4];
        self.exactly(&mut length)?;
        let mut left = u64::from(u32::from_le_bytes(length));
        while left > 0 {
            let have = self.source.fill_buf().map_err(|error| read_error(&error))?.len();
            if have == 0 {
                return Err(problem("cut off in a skippable frame"));
            }
            let take = have.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.source.consume(take);
            left -= take as u64;
        }
        Ok(())
    }

    /// RFC 8878, section 3.1.1: `Content_Checksum`, and the size that the header announces.
    fn close(&mut self) -> Result<(), Problem> {
        self.open = false;
        let expected = self.decoder.get_checksum_from_data();
        if expected.is_some() && expected != self.decoder.get_calculated_checksum() {
            return Err(problem("the checksum differs"));
        }
        Ok(())
    }

    fn exactly(&mut self, into: &mut [u8]) -> Result<(), Problem> {
        self.source.read_exact(into).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => problem("cut off in a frame's header"),
            _ => read_error(&error),
        })
    }
}

fn problem(detail: impl Into<String>) -> Problem {
    Problem::Stream { format: "zstd".to_owned(), detail: detail.into() }
}
