//! Distinguished names: from a certificate's DER (RFC 5280, section 4.1.2.4) and from a trust policy's text (RFC 4514, as
//! trust-store-trust-policy.md, "Trusted Identities Constraints", narrows it).
//!
//! A certificate's name is never turned into text and parsed again, and `#hex` values are not decoded at all
//! (CVE-2023-25656: a certificate whose printed name exploded in a parser).

use std::collections::BTreeMap;
use std::fmt;

use super::asn1::{Asn1Error, Reader, dotted, tag};
use crate::limits;
use crate::message::quote;

/// Attribute types with a keyword, in the order in which names are printed.
const TYPES: [(&str, &[u8]); 12] = [
    ("C", &[0x55, 4, 6]),
    ("ST", &[0x55, 4, 8]),
    ("L", &[0x55, 4, 7]),
    ("O", &[0x55, 4, 10]),
    ("OU", &[0x55, 4, 11]),
    ("CN", &[0x55, 4, 3]),
    ("STREET", &[0x55, 4, 9]),
    ("POSTALCODE", &[0x55, 4, 17]),
    ("SERIALNUMBER", &[0x55, 4, 5]),
    ("DC", &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25]),
    ("UID", &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1]),
    ("EMAILADDRESS", &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]),
];
/// Attributes that every name must have.
const MANDATORY: [&str; 3] = ["C", "ST", "O"];

/// Why a name cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not the DER of a name.
    #[error("distinguished name: {0}")]
    Asn1(#[from] Asn1Error),
    /// Over a limit.
    #[error("distinguished name of {found} {unit}: expected at most {limit}")]
    TooLarge {
        /// `bytes` or `attributes`.
        unit: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// Two attributes in one relative name, `A=1+B=2`.
    #[error("distinguished name with several attributes in one part: expected one each")]
    MultiValued,
    /// An attribute type that stands there twice.
    #[error("distinguished name with {attribute} twice: expected each attribute once")]
    Duplicate {
        /// Its keyword or number.
        attribute: String,
    },
    /// An attribute that must be there and is not, or is empty.
    #[error("distinguished name without {attribute}: expected at least C, ST and O")]
    Missing {
        /// Its keyword.
        attribute: &'static str,
    },
    /// A value of a string type that is not read, or malformed.
    #[error("distinguished name with a value of {attribute} that is no readable text")]
    Value {
        /// Its keyword or number.
        attribute: String,
    },
    /// Text that is no name.
    #[error("distinguished name: expected {expected} at byte {at}")]
    Syntax {
        /// What should stand there.
        expected: &'static str,
        /// Offset in bytes.
        at: usize,
    },
    /// A keyword that is not known.
    #[error("distinguished name with the attribute {found:?}: expected a keyword such as C, ST, L, O, OU, CN, or a dotted number")]
    Keyword {
        /// The keyword, shortened.
        found: String,
    },
}

/// A name with every attribute at most once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// By keyword, or by dotted number where there is none.
    attributes: BTreeMap<String, String>,
}

impl Name {
    /// Reads the DER of a name.
    ///
    /// # Errors
    /// When it is malformed, over a limit or ambiguous.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, NameError> {
        check_size("bytes", der.len(), limits::NAME_BYTES)?;
        let mut attributes = BTreeMap::new();
        let mut names = Reader::only(der, tag::SEQUENCE)?;
        while !names.is_empty() {
            let mut set = names.enter(tag::SET)?;
            let mut attribute = set.enter(tag::SEQUENCE)?;
            if !set.is_empty() {
                return Err(NameError::MultiValued);
            }
            let oid = attribute.oid()?;
            let value = attribute.element()?;
            attribute.end()?;
            let keyword = TYPES.iter().find(|(_, known)| *known == oid).map_or_else(|| dotted(oid), |(name, _)| (*name).to_owned());
            let Some(text) = text(value.tag, value.value) else { return Err(NameError::Value { attribute: keyword }) };
            insert(&mut attributes, keyword, text)?;
        }
        Ok(Self { attributes })
    }

    /// Whether country, state and organisation are there, as names that are compared must have.
    pub(super) fn check_complete(&self) -> Result<(), NameError> {
        let missing = |attribute: &&str| self.attributes.get(*attribute).is_none_or(String::is_empty);
        MANDATORY.into_iter().find(missing).map_or(Ok(()), |attribute| Err(NameError::Missing { attribute }))
    }

    /// Whether every attribute of `self` stands in `other` with the same value (notation: the pattern is a subset).
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.attributes.iter().all(|(keyword, value)| other.attributes.get(keyword) == Some(value))
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    /// Reads `C=US, ST=WA, O=Acme` (RFC 4514, section 3, with spaces after the commas).
    fn from_str(text: &str) -> Result<Self, NameError> {
        check_size("bytes", text.len(), limits::NAME_BYTES)?;
        let mut attributes = BTreeMap::new();
        let mut scan = Scan { text, at: 0 };
        loop {
            let keyword = scan.keyword()?;
            let value = scan.value()?;
            insert(&mut attributes, keyword, value)?;
            match scan.next() {
                None => {
                    let name = Self { attributes };
                    name.check_complete()?;
                    return Ok(name);
                }
                Some('+') => return Err(NameError::MultiValued),
                Some(_) => {}
            }
        }
    }
}

impl fmt::Display for Name {
    /// RFC 4514, most general attribute first, whatever the order in the certificate.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = TYPES.iter().filter_map(|(keyword, _)| self.attributes.get_key_value(*keyword));
        let others = self.attributes.iter().filter(|(keyword, _)| !TYPES.iter().any(|(known, _)| known == keyword));
        for (index, (keyword, value)) in known.chain(others).enumerate() {
            write!(f, "{}{keyword}=", if index == 0 { "" } else { ", " })?;
            let last = value.chars().count().saturating_sub(1);
            for (at, c) in value.chars().enumerate() {
                let outer_space = c == ' ' && (at == 0 || at == last);
                if outer_space || (c == '#' && at == 0) || matches!(c, ',' | ';' | '\\' | '+' | '"' | '<' | '>' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

fn check_size(unit: &'static str, found: usize, limit: usize) -> Result<(), NameError> {
    if found > limit { Err(NameError::TooLarge { unit, found, limit }) } else { Ok(()) }
}

fn insert(attributes: &mut BTreeMap<String, String>, keyword: String, value: String) -> Result<(), NameError> {
    check_size("attributes", attributes.len() + 1, limits::NAME_ATTRIBUTES)?;
    match attributes.entry(keyword) {
        std::collections::btree_map::Entry::Occupied(entry) => Err(NameError::Duplicate { attribute: entry.key().clone() }),
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
    }
}

/// The text of a `DirectoryString` or `IA5String`. The older string types have no one reading.
fn text(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        tag::UTF8_STRING => String::from_utf8(value.to_vec()).ok(),
        tag::PRINTABLE_STRING | tag::IA5_STRING if value.is_ascii() => String::from_utf8(value.to_vec()).ok(),
        _ => None,
    }
}

/// One pass over a name's text.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..).and_then(|rest| rest.chars().next())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    const fn expected(&self, expected: &'static str) -> NameError {
        NameError::Syntax { expected, at: self.at }
    }

    fn keyword(&mut self) -> Result<String, NameError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some((keyword, _)) = rest.split_once('=') else { return Err(self.expected("TYPE=value")) };
        self.at += keyword.len() + 1;
        let keyword = keyword.trim_matches(' ').to_ascii_uppercase();
        // notation takes `S`, as Windows tools print it, for `ST`.
        if keyword == "S" {
            return Ok("ST".to_owned());
        }
        let number = keyword.contains('.') && spki::ObjectIdentifier::new(&keyword).is_ok();
        if number || TYPES.iter().any(|(known, _)| *known == keyword) {
            return Ok(keyword);
        }
        Err(NameError::Keyword { found: quote(&keyword) })
    }

    /// A value up to an unescaped separator, which stays unread.
    fn value(&mut self) -> Result<String, NameError> {
        while self.peek() == Some(' ') {
            self.at += 1;
        }
        if self.peek() == Some('#') {
            return Err(self.expected("a text, not a #hex value"));
        }
        let (mut value, mut kept) = (String::new(), 0);
        while let Some(c) = self.peek() {
            match c {
                ',' | ';' | '+' => break,
                '"' | '<' | '>' | '\0' => return Err(self.expected("an escaped character")),
                '\\' => {
                    self.at += 1;
                    value.push(self.escaped()?);
                    kept = value.len();
                }
                _ => {
                    self.at += c.len_utf8();
                    value.push(c);
                    kept = if c == ' ' { kept } else { value.len() };
                }
            }
        }
        value.truncate(kept);
        if value.is_empty() { Err(self.expected("a value")) } else { Ok(value) }
    }

    /// After a backslash (RFC 4514, section 3, `pair`); hex pairs only for ASCII, so that a pair is one character.
    fn escaped(&mut self) -> Result<char, NameError> {
        if let Some(c) = self.peek().filter(|c| " \"#+,;<=>\\".contains(*c)) {
            self.at += c.len_utf8();
            return Ok(c);
        }
        let byte = self.text.get(self.at..self.at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_graphic() || byte == b' ' => {
                self.at += 2;
                Ok(char::from(byte))
            }
            _ => Err(self.expected("an escaped character")),
        }
    }
}

#[cfg(test)]
mod tests;
