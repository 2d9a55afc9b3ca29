//! SQLite's file format, as far as reading one table takes ("Database File Format", sqlite.org): no index, no write-ahead log.

/// Levels of a table's tree. With 65,536 pages of 512 bytes it has under 8.
const DEPTH: usize = 32;
/// "Database File Format", section 1.3: the database header.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// A database in memory.
pub struct Database<'a> {
    bytes: &'a [u8],
    page: usize,
    /// Bytes of a page that hold content.
    usable: usize,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Integer(i64),
    Bytes(Vec<u8>),
    /// NULL, and numbers that nobody asks for.
    Other,
}

impl<'a> Database<'a> {
    /// Opens a database; the error says what was expected.
    pub fn open(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let header = bytes.get(..100).ok_or("expected a header of 100 bytes")?;
        if header[..16] != *MAGIC {
            return Err("expected SQLite's magic");
        }
        let page = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = page.saturating_sub(usize::from(header[20]));
        if !page.is_power_of_two() || page < 512 || usable < 480 {
            return Err("expected a page size");
        }
        if header[56..60] != [0, 0, 0, 1] {
            return Err("expected text in UTF-8");
        }
        Ok(Self { bytes, page, usable })
    }

    /// The rows of a table, each as its values.
    pub fn table(&self, name: &str, row: &mut dyn FnMut(Vec<Value>) -> Result<(), &'static str>) -> Result<(), &'static str> {
        let mut root = None;
        // Section 2.6: sqlite_schema has type, name, tbl_name, rootpage and sql.
        self.rows(1, &mut |schema| {
            if let [Value::Bytes(kind), Value::Bytes(found), _, Value::Integer(page), ..] = schema.as_slice()
                && kind == b"table"
                && found == name.as_bytes()
            {
                root = usize::try_from(*page).ok();
            }
            Ok(())
        })?;
        self.rows(root.ok_or("expected the table of packages")?, row)
    }

    fn rows(&self, root: usize, row: &mut dyn FnMut(Vec<Value>) -> Result<(), &'static str>) -> Result<(), &'static str> {
        let mut visits = self.bytes.len() / self.page + 1;
        let mut pages = vec![(root, 0)];
        while let Some((number, depth)) = pages.pop() {
            visits = visits.checked_sub(1).ok_or("pages in a circle")?;
            if depth > DEPTH {
                return Err("a tree of too many levels");
            }
            let page = self.page(number)?;
            // The first page begins with the database's header.
            let at = if number == 1 { 100 } else { 0 };
            let cells = usize::from(u16_at(page, at + 3)?);
            match page.get(at) {
                // Section 1.6: an interior page of a table, then a leaf.
                Some(5) => {
                    pages.push((u32_at(page, at + 8)?, depth + 1));
                    for cell in (0..cells).rev() {
                        let cell = usize::from(u16_at(page, at + 12 + 2 * cell)?);
                        pages.push((u32_at(page, cell)?, depth + 1));
                    }
                }
                Some(13) => {
                    for cell in 0..cells {
                        let cell = usize::from(u16_at(page, at + 8 + 2 * cell)?);
                        row(record(&self.payload(page, cell)?)?)?;
                    }
                }
                _ => return Err("expected a page of a table"),
            }
        }
        Ok(())
    }

    fn page(&self, number: usize) -> Result<&'a [u8], &'static str> {
        let start = number.checked_sub(1).and_then(|index| index.checked_mul(self.page)).ok_or("expected a page's number")?;
        self.bytes.get(start..start + self.page).ok_or("a page beyond the file's end")
    }

    /// Section 1.6, "Cell Payload Overflow Pages".
    fn payload(&self, page: &[u8], cell: usize) -> Result<Vec<u8>, &'static str> {
        let mut rest = page.get(cell..).ok_or("a cell beyond its page")?;
        let length = usize::try_from(varint(&mut rest)?).map_err(|_| "a payload beyond the file")?;
        varint(&mut rest)?;
        if length > self.bytes.len() {
            return Err("a payload beyond the file");
        }
        let most = self.usable - 35;
        let local = if length <= most {
            length
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let fitting = least + (length - least) % (self.usable - 4);
            if fitting <= most { fitting } else { least }
        };
        let mut payload = rest.get(..local).ok_or("a payload beyond its page")?.to_vec();
        let mut next = if local < length { u32_at(rest, local)? } else { 0 };
        while payload.len() < length {
            let page = self.page(next)?;
            next = u32_at(page, 0)?;
            let take = (length - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(&page[4..4 + take]);
        }
        Ok(payload)
    }
}

/// Section 2.1, "Record Format".
fn record(payload: &[u8]) -> Result<Vec<Value>, &'static str> {
    let mut rest = payload;
    let length = usize::try_from(varint(&mut rest)?).map_err(|_| "a record's header")?;
    let header_left = length.checked_sub(payload.len() - rest.len()).ok_or("a record's header")?;
    let (mut header, mut body) = rest.split_at_checked(header_left).ok_or("a record's header beyond it")?;
    let mut values = vec![];
    while !header.is_empty() {
        let kind = varint(&mut header)?;
        let width = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return Err("a reserved type"),
            kind => (kind - 12) / 2,
        };
        let (bytes, after) =
            usize::try_from(width).ok().and_then(|width| body.split_at_checked(width)).ok_or("a value beyond its record")?;
        body = after;
        values.push(match kind {
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(bytes.iter().fold(if bytes[0] & 0x80 == 0 { 0 } else { -1 }, |sum, byte| sum << 8 | i64::from(*byte))),
            0 | 7 => Value::Other,
            _ => Value::Bytes(bytes.to_vec()),
        });
    }
    Ok(values)
}

/// Section 1.6: big-endian groups of seven bits, nine bytes at most.
fn varint(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let mut value = 0u64;
    for index in 0..9 {
        let byte = *rest.get(index).ok_or("a number cut off")?;
        if index == 8 {
            *rest = &rest[9..];
            return Ok(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Ok(value);
        }
    }
    Err("a number of too many bytes")
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, &'static str> {
    let bytes = bytes.get(at..at + 2).ok_or("a page cut off")?;
    Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    let bytes = bytes.get(at..at + 4).ok_or("a page cut off")?;
    Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}
