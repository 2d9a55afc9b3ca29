//! Zip archives (PKWARE's APPNOTE.TXT 6.3), as far as reading Java archives takes: stored and deflated members.

use std::io::Read;

/// Members of one archive: the most that it can have without the 64-bit extension.
const MEMBERS: usize = 65_535;
/// Bytes from the end in which the end record is looked for: itself and the longest comment (section 4.3.16).
const END: usize = 22 + 65_535;

/// A member.
pub struct Member<'a> {
    pub name: String,
    method: u16,
    packed: &'a [u8],
}

/// The members of an archive that may stand behind something else (a shell script, in executable Java archives).
pub fn members(file: &[u8]) -> Result<Vec<Member<'_>>, &'static str> {
    let from = file.len().saturating_sub(END);
    let end = from + memchr::memmem::rfind(&file[from..], b"PK\x05\x06").ok_or("expected an end record")?;
    let record = file.get(end..end + 22).ok_or("an end record cut off")?;
    let (count, size, offset) = (u16_at(record, 10)?, u32_at(record, 12)?, u32_at(record, 16)?);
    if count == 0xffff || size == 0xffff_ffff || offset == 0xffff_ffff {
        return Err("the 64-bit extension is not supported");
    }
    let directory = end.checked_sub(size).ok_or("a directory before the file")?;
    let base = directory.checked_sub(offset).ok_or("a directory before its place")?;
    let mut at = directory;
    let mut members = vec![];
    for _ in 0..count.min(MEMBERS) {
        let entry = file.get(at..end).ok_or("a directory cut off")?;
        if !entry.starts_with(b"PK\x01\x02") {
            return Err("expected a directory's entry");
        }
        let (name, extra, comment) = (u16_at(entry, 28)?, u16_at(entry, 30)?, u16_at(entry, 32)?);
        let text = entry.get(46..46 + name).ok_or("a name cut off")?;
        let packed = packed(file, base + u32_at(entry, 42)?, u32_at(entry, 20)?)?;
        let method = u16::try_from(u16_at(entry, 10)?).unwrap_or(u16::MAX);
        members.push(Member { name: crate::path::printable(text), method, packed });
        at += 46 + name + extra + comment;
    }
    Ok(members)
}

/// Section 4.3.7: the local header has lengths of its own for name and extra field.
fn packed(file: &[u8], at: usize, length: usize) -> Result<&[u8], &'static str> {
    let header = file.get(at..).ok_or("a member beyond the file")?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err("expected a member");
    }
    let start = 30 + u16_at(header, 26)? + u16_at(header, 28)?;
    header.get(start..start + length).ok_or("a member beyond the file")
}

impl Member<'_> {
    /// The member's content, at most `limit` bytes.
    pub fn read(&self, limit: u64) -> Result<Vec<u8>, &'static str> {
        let mut content = vec![];
        let read = match self.method {
            0 => self.packed.take(limit + 1).read_to_end(&mut content),
            8 => flate2::read::DeflateDecoder::new(self.packed).take(limit + 1).read_to_end(&mut content),
            _ => return Err("a member packed otherwise than by deflate"),
        };
        read.map_err(|_| "a member that cannot be unpacked")?;
        if content.len() as u64 > limit {
            return Err("a member over the limit");
        }
        Ok(content)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    bytes.get(at..at + 2).map(|bytes| usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))).ok_or("a record cut off")
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    bytes.get(at..at + 4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize).ok_or("a record cut off")
}
