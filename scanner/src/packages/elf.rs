//! Programs (System V ABI, "Object Files"): only as much of ELF as finds a section by its name.

/// The first bytes of a program.
pub const MAGIC: [u8; 4] = *b"\x7fELF";
/// Sections of one program. Those with the most, built with a section for each function, have some 65,000.
const SECTIONS: usize = 65_536;

/// The content of the section called `name`.
pub fn section<'a>(file: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let elf = Elf { file, wide: *file.get(4)? == 2, little: *file.get(5)? == 1 };
    let (table, size, count, names) = if elf.wide {
        (elf.word(40, 8)?, elf.word(58, 2)?, elf.word(60, 2)?, elf.word(62, 2)?)
    } else {
        (elf.word(32, 4)?, elf.word(46, 2)?, elf.word(48, 2)?, elf.word(50, 2)?)
    };
    let header = |index: usize| table.checked_add(index.checked_mul(size)?);
    // With 0xff00 sections or more, number and index stand in the first section's header.
    let first = header(0)?;
    let count = if count == 0 { elf.field(first, Field::Size)? } else { count };
    let names = if names == 0xffff { elf.field(first, Field::Link)? } else { names };
    let names = elf.content(header(names)?)?;
    (0..count.min(SECTIONS)).find_map(|index| {
        let at = header(index)?;
        let found = names.get(elf.word(at, 4)?..)?.split(|byte| *byte == 0).next()?;
        if found == name.as_bytes() { elf.content(at) } else { None }
    })
}

struct Elf<'a> {
    file: &'a [u8],
    /// 64 bits.
    wide: bool,
    /// The least byte first.
    little: bool,
}

#[derive(Clone, Copy)]
enum Field {
    Offset,
    Size,
    Link,
}

impl<'a> Elf<'a> {
    fn word(&self, at: usize, width: usize) -> Option<usize> {
        let bytes = self.file.get(at..at.checked_add(width)?)?;
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let value = if self.little { bytes.iter().rev().fold(0, fold) } else { bytes.iter().fold(0, fold) };
        usize::try_from(value).ok()
    }

    fn field(&self, header: usize, field: Field) -> Option<usize> {
        let (at, width) = match (field, self.wide) {
            (Field::Offset, true) => (24, 8),
            (Field::Offset, false) => (16, 4),
            (Field::Size, true) => (32, 8),
            (Field::Size, false) => (20, 4),
            (Field::Link, true) => (40, 4),
            (Field::Link, false) => (24, 4),
        };
        self.word(header.checked_add(at)?, width)
    }

    fn content(&self, header: usize) -> Option<&'a [u8]> {
        let (offset, size) = (self.field(header, Field::Offset)?, self.field(header, Field::Size)?);
        self.file.get(offset..offset.checked_add(size)?)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A 64-bit little-endian program with one section of content beside that of the names.
    pub fn program(name: &str, content: &[u8]) -> Vec<u8> {
        let names = format!("\0.shstrtab\0{name}\0");
        let (names_at, content_at) = (64, 64 + names.len());
        let table = (content_at + content.len()).next_multiple_of(8);
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[40..48].copy_from_slice(&(table as u64).to_le_bytes());
        for (at, value) in [(58, 64u16), (60, 3), (62, 1)] {
            file[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(names.as_bytes());
        file.extend_from_slice(content);
        file.resize(table, 0);
        for (name, offset, size) in [(0u32, 0, 0), (1, names_at, names.len()), (11, content_at, content.len())] {
            let mut header = [0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(size as u64).to_le_bytes());
            file.extend_from_slice(&header);
        }
        file
    }

    #[test]
    fn a_section_is_found_by_its_name() {
        let file = program(".dep-v0", b"content");
        assert_eq!(section(&file, ".dep-v0"), Some(&b"content"[..]));
        assert_eq!(section(&file, ".text"), None);
    }

    #[test]
    fn cut_and_damaged_programs_have_no_section_and_end() {
        let file = program(".dep-v0", b"content");
        for length in 0..file.len() - 64 {
            let _ = section(&file[..length], ".dep-v0");
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] = 0xff;
            let _ = section(&damaged, ".dep-v0");
        }
    }
}
