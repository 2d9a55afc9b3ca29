//! One header block (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format").

use super::{EntryKind, wrong};
use crate::problem::Problem;

/// Bytes of a block.
pub const BLOCK: usize = 512;

/// A block whose checksum is right.
pub struct Header([u8; BLOCK]);

impl Header {
    pub fn parse(block: [u8; BLOCK], at: u64) -> Result<Self, Problem> {
        let expected = octal(&block[148..156]).ok_or_else(|| wrong(at, "expected an octal checksum"))?;
        let others = || block.iter().enumerate().map(|(index, byte)| if (148..156).contains(&index) { b' ' } else { *byte });
        let unsigned: u64 = others().map(u64::from).sum();
        // Old Sun tars summed signed bytes; Go's reader takes both.
        let signed: i64 = others().map(|byte| i64::from(byte.cast_signed())).sum();
        if expected != unsigned && i64::try_from(expected) != Ok(signed) {
            return Err(wrong(at, format!("checksum {unsigned}: expected {expected}")));
        }
        Ok(Self(block))
    }

    pub const fn kind(&self) -> u8 {
        self.0[156]
    }

    fn is_posix(&self) -> bool {
        self.0[257..263] == *b"ustar\0"
    }

    fn is_gnu(&self) -> bool {
        self.0[257..265] == *b"ustar  \0"
    }

    pub fn path(&self) -> Vec<u8> {
        let name = string(&self.0[..100]);
        // The star format has times where ustar has the prefix's end.
        let end = if self.0[508..] == *b"tar\0" { 476 } else { 500 };
        let prefix = if self.is_posix() { string(&self.0[345..end]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub fn target(&self) -> Vec<u8> {
        string(&self.0[157..257]).to_vec()
    }

    pub fn size(&self, at: u64) -> Result<u64, Problem> {
        number(&self.0[124..136]).ok_or_else(|| wrong(at, "expected a size"))
    }

    pub fn mode(&self, at: u64) -> Result<u32, Problem> {
        let mode = number(&self.0[100..108]).ok_or_else(|| wrong(at, "expected a mode"))?;
        Ok(u32::try_from(mode & 0o7777).unwrap_or_default())
    }

    pub fn uid(&self, at: u64) -> Result<u64, Problem> {
        number(&self.0[108..116]).ok_or_else(|| wrong(at, "expected an owner"))
    }

    /// `realsize` of GNU's old sparse format.
    pub fn real_size(&self, at: u64) -> Result<u64, Problem> {
        if !self.is_gnu() {
            return Err(wrong(at, "a sparse entry: expected GNU's magic"));
        }
        number(&self.0[483..495]).ok_or_else(|| wrong(at, "expected a sparse file's size"))
    }

    /// `isextended` of GNU's old sparse format.
    pub const fn is_extended(&self) -> bool {
        self.0[482] != 0
    }

    pub fn entry_kind(&self, path: &[u8]) -> Result<EntryKind, Problem> {
        match self.kind() {
            // Old tars have no type for folders but the slash.
            0 if path.ends_with(b"/") => Ok(EntryKind::Directory),
            0 | b'0' | b'7' | b'S' => Ok(EntryKind::File),
            b'1' => Ok(EntryKind::HardLink),
            b'2' => Ok(EntryKind::Symlink),
            b'3' | b'4' | b'6' => Ok(EntryKind::Special),
            b'5' => Ok(EntryKind::Directory),
            other => Err(Problem::EntryType { path: String::from_utf8_lossy(path).into_owned(), found: char::from(other) }),
        }
    }
}

fn string(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal text, or GNU's base-256 with the highest bit set. Negative and overlong numbers are none.
fn number(field: &[u8]) -> Option<u64> {
    let [first, rest @ ..] = field else { return None };
    if first & 0x80 == 0 {
        return octal(field);
    }
    if first & 0x40 != 0 {
        return None;
    }
    rest.iter().try_fold(u64::from(first & 0x3f), |sum, byte| Some(sum.checked_mul(256)? | u64::from(*byte)))
}

/// Leading spaces and zeros are allowed, spaces and NULs end it; an empty field is zero, as in Go.
fn octal(field: &[u8]) -> Option<u64> {
    let text = field.trim_ascii_start();
    let end = text.iter().position(|byte| *byte == 0 || *byte == b' ').unwrap_or(text.len());
    text[..end].iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
