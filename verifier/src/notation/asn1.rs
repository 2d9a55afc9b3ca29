//! A cursor over DER (X.690, section 10): definite, minimal lengths and low tag numbers only. It copies nothing and calls
//! nothing recursively, so hostile nesting costs nothing.

use std::cmp::Ordering;

/// Why bytes are not the DER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Asn1Error {
    /// Ends too early.
    #[error("DER ends too early")]
    Truncated,
    /// A length that is indefinite, not minimal or over 4 GiB.
    #[error("DER length: expected a definite, minimal one")]
    Length,
    /// Another element.
    #[error("DER element: expected tag {expected:#04x}, found {found:#04x}")]
    Tag {
        /// The tag byte that should stand there.
        expected: u8,
        /// The one that does.
        found: u8,
    },
    /// Bytes after the last element.
    #[error("DER with bytes after its end")]
    Trailing,
    /// An element whose content breaks its type's rules.
    #[error("DER {expected} is malformed")]
    Content {
        /// The type.
        expected: &'static str,
    },
}

/// Tag bytes (X.690, section 8.1.2).
pub(super) mod tag {
    pub(in super::super) const BOOLEAN: u8 = 0x01;
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const BIT_STRING: u8 = 0x03;
    pub(in super::super) const OCTET_STRING: u8 = 0x04;
    pub(in super::super) const NULL: u8 = 0x05;
    pub(in super::super) const OID: u8 = 0x06;
    pub(in super::super) const ENUMERATED: u8 = 0x0a;
    pub(in super::super) const UTF8_STRING: u8 = 0x0c;
    pub(in super::super) const PRINTABLE_STRING: u8 = 0x13;
    pub(in super::super) const IA5_STRING: u8 = 0x16;
    pub(in super::super) const UTC_TIME: u8 = 0x17;
    pub(in super::super) const GENERALIZED_TIME: u8 = 0x18;
    pub(in super::super) const SEQUENCE: u8 = 0x30;
    pub(in super::super) const SET: u8 = 0x31;

    /// Context-specific and primitive.
    pub(in super::super) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// Context-specific and constructed.
    pub(in super::super) const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// Its tag byte.
    pub(super) tag: u8,
    /// Its content.
    pub(super) value: &'a [u8],
    /// Tag, length and content.
    pub(super) whole: &'a [u8],
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the one element with `tag` that `bytes` are.
    pub(super) fn only(bytes: &'a [u8], tag: u8) -> Result<Self, Asn1Error> {
        let mut reader = Self(bytes);
        let value = reader.take(tag)?;
        reader.end()?;
        Ok(Self(value))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), Asn1Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Asn1Error::Trailing) }
    }

    /// The next element, of any type.
    pub(super) fn element(&mut self) -> Result<Element<'a>, Asn1Error> {
        let [tag, length, rest @ ..] = self.0 else { return Err(Asn1Error::Truncated) };
        // High tag numbers occur in none of the structures that are read.
        if tag & 0x1f == 0x1f {
            return Err(Asn1Error::Content { expected: "tag" });
        }
        let (length, rest) = match *length {
            short @ 0..=0x7f => (usize::from(short), rest),
            long => long_length(usize::from(long & 0x7f), rest)?,
        };
        let (value, after) = rest.split_at_checked(length).ok_or(Asn1Error::Truncated)?;
        let whole = self.0.get(..self.0.len() - after.len()).ok_or(Asn1Error::Truncated)?;
        self.0 = after;
        Ok(Element { tag: *tag, value, whole })
    }

    /// The whole of the next element, which must have `tag`.
    pub(super) fn whole(&mut self, tag: u8) -> Result<Element<'a>, Asn1Error> {
        let element = self.element()?;
        if element.tag == tag { Ok(element) } else { Err(Asn1Error::Tag { expected: tag, found: element.tag }) }
    }

    /// The content of the next element, which must have `tag`.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Asn1Error> {
        self.whole(tag).map(|element| element.value)
    }

    /// The same as a reader.
    pub(super) fn enter(&mut self, tag: u8) -> Result<Self, Asn1Error> {
        self.take(tag).map(Self)
    }

    /// The next element's content, where it has `tag`.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Asn1Error> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    /// A BOOLEAN that stands there only when it is TRUE (X.690, section 11.5: a default is not encoded).
    pub(super) fn flag(&mut self) -> Result<bool, Asn1Error> {
        match self.optional(tag::BOOLEAN)? {
            None => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(Asn1Error::Content { expected: "BOOLEAN" }),
        }
    }

    /// An INTEGER's content: two's complement, minimal.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], Asn1Error> {
        minimal(self.take(tag::INTEGER)?)
    }

    /// An OBJECT IDENTIFIER's content.
    pub(super) fn oid(&mut self) -> Result<&'a [u8], Asn1Error> {
        self.take(tag::OID)
    }

    /// A BIT STRING of whole bytes.
    pub(super) fn bits(&mut self) -> Result<&'a [u8], Asn1Error> {
        match self.take(tag::BIT_STRING)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(Asn1Error::Content { expected: "BIT STRING" }),
        }
    }

    /// `UTCTime` or `GeneralizedTime` (RFC 5280, section 4.1.2.5).
    pub(super) fn time(&mut self) -> Result<crate::time::Timestamp, Asn1Error> {
        let element = self.element()?;
        let time = match element.tag {
            tag::UTC_TIME => super::date::utc_time(element.value),
            tag::GENERALIZED_TIME => super::date::generalized_time(element.value),
            found => return Err(Asn1Error::Tag { expected: tag::UTC_TIME, found }),
        };
        time.ok_or(Asn1Error::Content { expected: "time" })
    }
}

fn long_length(bytes: usize, rest: &[u8]) -> Result<(usize, &[u8]), Asn1Error> {
    if !(1..=4).contains(&bytes) {
        return Err(Asn1Error::Length);
    }
    let (digits, rest) = rest.split_at_checked(bytes).ok_or(Asn1Error::Truncated)?;
    let length = digits.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    // The shortest form: no leading zero, and nothing that one byte could say.
    if digits.first() == Some(&0) || length < 0x80 {
        return Err(Asn1Error::Length);
    }
    Ok((usize::try_from(length).map_err(|_| Asn1Error::Length)?, rest))
}

fn minimal(value: &[u8]) -> Result<&[u8], Asn1Error> {
    match value {
        [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(Asn1Error::Content { expected: "INTEGER" }),
        value => Ok(value),
    }
}

/// A non-negative INTEGER's content as a number.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    let value = value.strip_prefix(&[0]).unwrap_or(value);
    if value.len() > 8 {
        return None;
    }
    Some(value.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Like [`number`], of an INTEGER's content that may be negative, which gives none.
pub(super) fn natural(value: &[u8]) -> Option<u64> {
    if value.first().is_some_and(|byte| *byte >= 0x80) { None } else { number(value) }
}

/// The bits of an INTEGER that is not negative.
pub(super) fn bit_length(value: &[u8]) -> usize {
    let value = match value.iter().position(|byte| *byte != 0) {
        Some(start) => value.get(start..).unwrap_or_default(),
        None => return 0,
    };
    let first = value.first().map_or(0, |byte| byte.leading_zeros() as usize);
    value.len() * 8 - first
}

/// Orders serial numbers for a search; any total order does.
pub(super) fn order(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// An object identifier for messages: dotted, or a word where it is malformed.
pub(super) fn dotted(oid: &[u8]) -> String {
    spki::ObjectIdentifier::from_bytes(oid).map_or_else(|_| "malformed".to_owned(), |oid| oid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_der_is_read() {
        for bad in [
            &[0x30, 0x80, 0, 0][..],
            &[0x30, 0x81, 0x01, 0],
            &[0x30, 0x82, 0x00, 0x80],
            &[0x30, 0x85, 1, 0, 0, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x01],
            &[0x30],
            &[],
            &[0x3f, 0x81, 0x01, 0x00],
        ] {
            assert!(Reader::new(bad).element().is_err(), "{bad:?}");
        }
        assert_eq!(Reader::only(&[0x30, 0, 0], tag::SEQUENCE).err(), Some(Asn1Error::Trailing));
        let long = [&[0x04, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert_eq!(Reader::new(&long).take(tag::OCTET_STRING), Ok(&[7; 0x80][..]));
        assert_eq!(Reader::new(&long).take(tag::INTEGER), Err(Asn1Error::Tag { expected: 2, found: 4 }));
    }

    #[test]
    fn integers_are_minimal() {
        for bad in [&[2, 0][..], &[2, 2, 0, 0x7f], &[2, 2, 0xff, 0x80]] {
            assert!(Reader::new(bad).integer().is_err(), "{bad:?}");
        }
        assert_eq!(Reader::new(&[2, 2, 0, 0x80]).integer(), Ok(&[0, 0x80][..]));
        assert_eq!(number(&[0, 0x80]), Some(128));
        assert_eq!(number(&[1; 9]), None);
        assert_eq!(natural(&[0x80]), None);
        assert_eq!(bit_length(&[0, 0x80, 0]), 16);
        assert_eq!(bit_length(&[0x01, 0]), 9);
        assert_eq!(bit_length(&[]), 0);
    }
}
