//! How a layer is compressed: its media type and its first bytes must say the same.
//!
//! Container engines look at the bytes and ignore the label; other readers do the opposite. A layer on which they differ
//! would be scanned as one thing and run as another.

use std::io::{BufRead, BufReader, Read};

use crate::limits::{FRAMES, LAYER_PLAIN_BYTES, RATIO, RATIO_FREE_BYTES};
use crate::problem::Problem;
use crate::zstd::Frames;

/// Bytes that are read from a layer at a time.
const BUFFER: usize = 64 * 1024;
/// Bytes that tell the formats apart.
const MAGIC: usize = 4;

/// A layer's compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar archive.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// What a layer's media type says (image-spec 1.1, layer.md; Docker image manifest version 2, schema 2).
    ///
    /// # Errors
    /// [`Problem::MediaType`] for foreign, encrypted and unknown layers.
    pub fn of_media_type(media_type: &str) -> Result<Self, Problem> {
        match media_type {
            "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => Ok(Self::Plain),
            "application/vnd.oci.image.layer.v1.tar+gzip"
            | "application/vnd.docker.image.rootfs.diff.tar.gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" => Ok(Self::Gzip),
            "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Self::Zstd),
            other => Err(Problem::MediaType { found: other.chars().take(sealgate_verifier::limits::QUOTED).collect() }),
        }
    }

    /// What the first bytes are. A tar archive begins with a path, so that only an attacker's begins with another magic.
    #[must_use]
    pub fn of_bytes(first: &[u8]) -> Self {
        if first.starts_with(&[0x1f, 0x8b, 0x08]) {
            Self::Gzip
        } else if first.starts_with(&crate::zstd::FRAME) || crate::zstd::is_skippable(first) {
            Self::Zstd
        } else {
            Self::Plain
        }
    }

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "nothing",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The plain bytes of a layer, bounded in number and in growth.
pub struct Plain<R: Read> {
    decoder: Decoder<Counted<R>>,
    out: u64,
}

#[expect(clippy::large_enum_variant, reason = "one for each layer under way")]
enum Decoder<R: Read> {
    Plain(BufReader<R>),
    Gzip(flate2::bufread::MultiGzDecoder<BufReader<R>>),
    Zstd(Frames<BufReader<R>>),
}

impl<R: Read> Plain<R> {
    /// Opens `bytes` as `expected`, which is what the media type says; without it, as what they are.
    ///
    /// # Errors
    /// [`Problem::Compression`] where label and bytes differ, [`Problem::Read`].
    pub fn open(bytes: R, expected: Option<Compression>) -> Result<Self, Problem> {
        let mut reader = BufReader::with_capacity(BUFFER, Counted { inner: bytes, count: 0 });
        let first = peek(&mut reader)?;
        let format = Compression::of_bytes(&first);
        if let Some(expected) = expected.filter(|expected| *expected != format) {
            return Err(Problem::Compression { expected: expected.name().to_owned(), found: format.name().to_owned() });
        }
        let decoder = match format {
            Compression::Plain => Decoder::Plain(reader),
            Compression::Gzip => Decoder::Gzip(flate2::bufread::MultiGzDecoder::new(reader)),
            Compression::Zstd => Decoder::Zstd(Frames::new(reader)),
        };
        Ok(Self { decoder, out: 0 })
    }

    /// Reads plain bytes; 0 at the end.
    ///
    /// # Errors
    /// [`Problem::Stream`], [`Problem::Read`], or a limit.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        let count = match &mut self.decoder {
            Decoder::Plain(reader) => retry(|| reader.read(buffer)).map_err(|error| read_error(&error))?,
            Decoder::Gzip(reader) => retry(|| reader.read(buffer)).map_err(|error| stream_error("gzip", &error))?,
            Decoder::Zstd(frames) => frames.read(buffer)?,
        };
        self.out += count as u64;
        self.check()?;
        Ok(count)
    }

    fn check(&self) -> Result<(), Problem> {
        if self.out > LAYER_PLAIN_BYTES {
            return Err(Problem::limit("plain bytes of a layer", self.out, LAYER_PLAIN_BYTES));
        }
        let (read, members) = match &self.decoder {
            Decoder::Plain(_) => return Ok(()),
            Decoder::Gzip(reader) => (reader.get_ref().get_ref().count, 0),
            Decoder::Zstd(frames) => (frames.source().get_ref().count, frames.count()),
        };
        if members > FRAMES {
            return Err(Problem::limit("frames of a layer", members, FRAMES));
        }
        if self.out > RATIO_FREE_BYTES && self.out / RATIO > read {
            return Err(Problem::limit("growth of a layer, times", self.out / read.max(1), RATIO));
        }
        Ok(())
    }
}

/// What stood at the beginning, without taking it. A reader may give it in pieces.
fn peek<R: Read>(reader: &mut BufReader<Counted<R>>) -> Result<Vec<u8>, Problem> {
    let first = retry(|| reader.fill_buf().map(|bytes| bytes[..bytes.len().min(MAGIC)].to_vec())).map_err(|error| read_error(&error))?;
    Ok(first)
}

fn retry<T>(mut read: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

pub(crate) fn read_error(error: &std::io::Error) -> Problem {
    Problem::Read { detail: error.to_string() }
}

fn stream_error(format: &str, error: &std::io::Error) -> Problem {
    Problem::Stream { format: format.to_owned(), detail: error.to_string() }
}

/// A source whose bytes are counted. It fills what it is asked for, so that the first read is never short of the magic.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.inner.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.count += filled as u64;
        Ok(filled)
    }
}

#[cfg(test)]
mod tests;
