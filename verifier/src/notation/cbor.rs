//! A cursor over CBOR in its plain form: definite lengths, shortest numbers (RFC 8949, section 4.2.1). It calls nothing
//! recursively.

/// Why bytes are not the CBOR that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// Ends too early.
    #[error("CBOR ends too early")]
    Truncated,
    /// An indefinite length, a number longer than it need be, or a reserved form.
    #[error("CBOR: expected definite lengths and shortest numbers")]
    Form,
    /// Another item.
    #[error("CBOR item: expected {expected}")]
    Item {
        /// What should stand there.
        expected: &'static str,
    },
    /// Bytes after the end.
    #[error("CBOR with bytes after its end")]
    Trailing,
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cbor<'a>(&'a [u8]);

impl<'a> Cbor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn end(&self) -> Result<(), CborError> {
        if self.0.is_empty() { Ok(()) } else { Err(CborError::Trailing) }
    }

    fn cut(&mut self, length: usize) -> Result<&'a [u8], CborError> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(CborError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    /// Major type and argument of the next item (RFC 8949, section 3).
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let [initial] = self.cut(1)? else { return Err(CborError::Truncated) };
        let (major, information) = (initial >> 5, initial & 0x1f);
        let length = match information {
            0..=23 => return Ok((major, u64::from(information))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(CborError::Form),
        };
        let argument = self.cut(length)?.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        // Of simple values and floats the argument is no number.
        let shortest = match length {
            _ if major == SIMPLE => length > 1 || argument >= 32,
            1 => argument >= 24,
            2 => argument > 0xff,
            4 => argument > 0xffff,
            _ => argument > 0xffff_ffff,
        };
        if shortest { Ok((major, argument)) } else { Err(CborError::Form) }
    }

    fn argument(&mut self, wanted: u8, expected: &'static str) -> Result<u64, CborError> {
        match self.head()? {
            (major, argument) if major == wanted => Ok(argument),
            _ => Err(CborError::Item { expected }),
        }
    }

    fn string(&mut self, wanted: u8, expected: &'static str) -> Result<&'a [u8], CborError> {
        let length = self.argument(wanted, expected)?;
        self.cut(usize::try_from(length).map_err(|_| CborError::Truncated)?)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        self.string(BYTES, "a byte string")
    }

    pub(super) fn text(&mut self) -> Result<&'a str, CborError> {
        std::str::from_utf8(self.string(TEXT, "a text")?).map_err(|_| CborError::Item { expected: "a text in UTF-8" })
    }

    pub(super) fn integer(&mut self) -> Result<i64, CborError> {
        let error = CborError::Item { expected: "an integer" };
        let (major, argument) = self.head()?;
        let value = i64::try_from(argument).map_err(|_| error)?;
        match major {
            UNSIGNED => Ok(value),
            NEGATIVE => Ok(-1 - value),
            _ => Err(error),
        }
    }

    /// The number of items of an array.
    pub(super) fn array(&mut self) -> Result<u64, CborError> {
        self.argument(ARRAY, "an array")
    }

    /// The number of pairs of a map.
    pub(super) fn map(&mut self) -> Result<u64, CborError> {
        self.argument(MAP, "a map")
    }

    /// Takes the tag `number`.
    pub(super) fn tag(&mut self, number: u64, expected: &'static str) -> Result<(), CborError> {
        if self.argument(TAG, expected)? == number { Ok(()) } else { Err(CborError::Item { expected }) }
    }

    /// Whether the next item is a text.
    pub(super) fn is_text(&self) -> bool {
        self.0.first().is_some_and(|initial| initial >> 5 == TEXT)
    }

    /// Passes over one item, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), CborError> {
        let mut pending: u64 = 1;
        while pending > 0 {
            // Each item takes a byte at least, so a count over what is left ends early.
            if pending > self.0.len() as u64 {
                return Err(CborError::Truncated);
            }
            let (major, argument) = self.head()?;
            pending -= 1;
            let inner = match major {
                BYTES | TEXT => {
                    self.cut(usize::try_from(argument).map_err(|_| CborError::Truncated)?)?;
                    0
                }
                ARRAY => argument,
                MAP => argument.saturating_mul(2),
                TAG => 1,
                _ => 0,
            };
            pending = pending.saturating_add(inner);
        }
        Ok(())
    }
}

/// Appends the head of a byte string and the string (RFC 8949, section 3).
pub(super) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let major = BYTES << 5;
    match bytes.len() as u64 {
        length @ 0..=23 => out.push(major | length.to_le_bytes()[0]),
        length @ 24..=0xff => out.extend([major | 24, length.to_le_bytes()[0]]),
        length @ 0x100..=0xffff => {
            out.push(major | 25);
            out.extend(&length.to_be_bytes()[6..]);
        }
        length @ 0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend(&length.to_be_bytes()[4..]);
        }
        length => {
            out.push(major | 27);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_cbor_is_read() {
        for bad in [&[0x5f, 0xff][..], &[0x18, 23], &[0x19, 0, 0xff], &[0x1a, 0, 0, 0xff, 0xff], &[0x1c], &[0xf8, 31], &[]] {
            assert!(Cbor::new(bad).skip().is_err(), "{bad:?}");
        }
        assert_eq!(Cbor::new(&[0x38, 36]).integer(), Ok(-37));
        assert!(Cbor::new(&[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).integer().is_err());
        assert_eq!(Cbor::new(&[0x61, 0xff]).text(), Err(CborError::Item { expected: "a text in UTF-8" }));
    }

    #[test]
    fn nested_and_vast_items_cost_nothing() {
        let deep = [0x81; 1_000_000];
        assert_eq!(Cbor::new(&deep).skip(), Err(CborError::Truncated));
        assert_eq!(Cbor::new(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]).skip(), Err(CborError::Truncated));
        let mut nested = Cbor::new(&[0xa1, 0x61, b'a', 0x82, 0xc1, 0x01, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(nested.skip().and_then(|()| nested.end()), Ok(()));
    }

    #[test]
    fn byte_strings_are_written_as_they_are_read() {
        for length in [0, 23, 24, 255, 256, 65_535, 65_536] {
            let (bytes, mut out) = (vec![7; length], Vec::new());
            push_bytes(&mut out, &bytes);
            let mut read = Cbor::new(&out);
            assert_eq!(read.bytes(), Ok(bytes.as_slice()));
            assert_eq!(read.end(), Ok(()));
        }
    }
}
