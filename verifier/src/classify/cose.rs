//! The shape of a COSE_Sign1 structure (RFC 9052, section 4.2; CBOR: RFC 8949), as Notation writes it: definite lengths,
//! tagged 18. Only the shape is checked; no signature is.

/// Arrays, maps and tags inside each other. Notation's headers have three.
const DEPTH: usize = 16;

/// Whether `bytes` are exactly one tagged COSE_Sign1: `18([bstr, map, bstr / nil, bstr])`.
pub(super) fn is_sign1(bytes: &[u8]) -> bool {
    let mut reader = Reader { rest: bytes };
    sign1(&mut reader).is_some() && reader.rest.is_empty()
}

fn sign1(reader: &mut Reader<'_>) -> Option<()> {
    (reader.head()? == (Major::Tag, 18)).then_some(())?;
    (reader.head()? == (Major::Array, 4)).then_some(())?;
    reader.bytes()?;
    let (major, pairs) = reader.head()?;
    (major == Major::Map).then_some(())?;
    for _ in 0..pairs.checked_mul(2)? {
        reader.item(DEPTH)?;
    }
    if reader.rest.first() == Some(&0xf6) {
        reader.skip(1)?;
    } else {
        reader.bytes()?;
    }
    reader.bytes()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Major {
    Unsigned,
    Negative,
    Bytes,
    Text,
    Array,
    Map,
    Tag,
    Simple,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn skip(&mut self, count: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    /// An item's major type and argument (RFC 8949, section 3). Indefinite lengths are refused.
    fn head(&mut self) -> Option<(Major, u64)> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        let major = match first >> 5 {
            0 => Major::Unsigned,
            1 => Major::Negative,
            2 => Major::Bytes,
            3 => Major::Text,
            4 => Major::Array,
            5 => Major::Map,
            6 => Major::Tag,
            _ => Major::Simple,
        };
        let more = match first & 31 {
            small @ 0..=23 => return Some((major, u64::from(small))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return None,
        };
        let argument = self.rest.get(..more)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        self.skip(more as u64)?;
        Some((major, argument))
    }

    fn bytes(&mut self) -> Option<()> {
        match self.head()? {
            (Major::Bytes, len) => self.skip(len),
            _ => None,
        }
    }

    fn item(&mut self, depth: usize) -> Option<()> {
        let deeper = depth.checked_sub(1)?;
        let (major, argument) = self.head()?;
        let inner = match major {
            Major::Unsigned | Major::Negative | Major::Simple => 0,
            Major::Bytes | Major::Text => return self.skip(argument),
            Major::Array => argument,
            Major::Map => argument.checked_mul(2)?,
            Major::Tag => 1,
        };
        // Each inner item takes at least a byte, so a forged count ends with the input.
        for _ in 0..inner {
            self.item(deeper)?;
        }
        Some(())
    }
}
