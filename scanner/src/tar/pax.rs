//! PAX extended headers (POSIX.1-2017, pax, "pax Extended Header"): records `LENGTH KEY=VALUE\n`.

use super::wrong;
use crate::limits::PAX_RECORDS;
use crate::problem::Problem;

/// The records that say what an entry is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pax {
    pub path: Option<Vec<u8>>,
    pub target: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub capability: Option<Vec<u8>>,
    pub sparse: Option<Sparse>,
}

/// GNU's sparse formats 0.0, 0.1 and 1.0 (GNU tar manual, "Storing Sparse Files").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sparse {
    pub path: Option<Vec<u8>>,
    pub size: Option<u64>,
}

impl Pax {
    pub fn parse(content: &[u8], at: u64) -> Result<Self, Problem> {
        let mut pax = Self::default();
        let mut seen = SparseRecords::default();
        let mut rest = content;
        let mut records = 0;
        while !rest.is_empty() {
            records += 1;
            if records > PAX_RECORDS {
                return Err(Problem::limit("records of a PAX header", records, PAX_RECORDS));
            }
            let (key, value, after) = record(rest).ok_or_else(|| wrong(at, "a PAX record: expected LENGTH KEY=VALUE"))?;
            rest = after;
            pax.take(key, value, &mut seen, at)?;
        }
        pax.sparse = seen.finish();
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8], seen: &mut SparseRecords, at: u64) -> Result<(), Problem> {
        match key {
            b"path" => self.path = name(value, at)?,
            b"linkpath" => self.target = name(value, at)?,
            b"size" => self.size = Some(decimal(value, at)?),
            b"SCHILY.xattr.security.capability" => self.capability = Some(value.to_vec()),
            b"GNU.sparse.major" => seen.major = Some(value.to_vec()),
            b"GNU.sparse.minor" => seen.minor = Some(value.to_vec()),
            b"GNU.sparse.map" => seen.map = true,
            b"GNU.sparse.name" => seen.sparse.path = name(value, at)?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => seen.sparse.size = Some(decimal(value, at)?),
            // Times, owners, comments and other attributes change nothing that is read here.
            _ => {}
        }
        Ok(())
    }

    /// Go ignores global headers and GNU tar obeys them, so one that renames or resizes has two meanings.
    pub fn refuse_global(&self, at: u64) -> Result<(), Problem> {
        let Self { path: None, target: None, size: None, capability: None, sparse: None } = self else {
            return Err(wrong(at, "a global PAX header that renames or resizes what follows"));
        };
        Ok(())
    }
}

/// The records that make an entry sparse only together.
#[derive(Default)]
struct SparseRecords {
    major: Option<Vec<u8>>,
    minor: Option<Vec<u8>>,
    map: bool,
    sparse: Sparse,
}

impl SparseRecords {
    /// As Go's readGNUSparsePAXHeaders: a version, or a map; any other record alone says nothing.
    fn finish(self) -> Option<Sparse> {
        let version = (self.major.as_deref(), self.minor.as_deref());
        let known = matches!(version, (Some(b"0"), Some(b"0" | b"1")) | (Some(b"1"), Some(b"0")));
        (known || self.map).then_some(self.sparse)
    }
}

fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
    let (line, rest) = text.split_at_checked(length)?;
    let fields = line.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = fields.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&fields[..equals], &fields[equals + 1..]);
    (!key.is_empty()).then_some((key, value, rest))
}

/// An empty value takes back what stood before; a name with a NUL is none.
fn name(value: &[u8], at: u64) -> Result<Option<Vec<u8>>, Problem> {
    if value.contains(&0) {
        return Err(wrong(at, "a name with a NUL"));
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn decimal(value: &[u8], at: u64) -> Result<u64, Problem> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| wrong(at, "a PAX record: expected a decimal size"))
}
