//! COSE envelopes, `COSE_Sign1_Tagged` (signature-envelope-cose.md; RFC 9052, section 4.2).

use super::algorithm::EnvelopeAlgorithm;
use super::cbor::{Cbor, CborError, push_bytes};
use super::envelope::{
    AUTHENTIC_SIGNING_TIME, EXPIRY, Envelope, Headers, PLUGIN, PLUGIN_MIN_VERSION, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP,
};
use super::error::NotationError;
use crate::limits;
use crate::time::Timestamp;

/// The tag of COSE_Sign1 (RFC 9052, section 2).
const SIGN1: u64 = 18;
/// The tag of an epoch-based date and time (RFC 8949, section 3.4.2).
const EPOCH: u64 = 1;
const ALGORITHM: i64 = 1;
const CRITICAL: i64 = 2;
const CONTENT_TYPE: i64 = 3;
/// `x5chain` (RFC 9360, section 2).
const CHAIN: i64 = 33;

/// Why bytes are no envelope in COSE.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Malformed.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// Not an array of four.
    #[error("array of {found}: expected the four parts of a COSE_Sign1")]
    Parts {
        /// Its length.
        found: u64,
    },
    /// A header that stands there twice, in one map or in both.
    #[error("header {label} twice: expected once")]
    Duplicate {
        /// Its label, shortened.
        label: String,
    },
}

/// A header's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label<'a> {
    Number(i64),
    Text(&'a str),
}

impl std::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => crate::message::quote(text).fmt(f),
        }
    }
}

impl<'a> Label<'a> {
    fn read(cbor: &mut Cbor<'a>) -> Result<Self, CborError> {
        if cbor.is_text() { cbor.text().map(Self::Text) } else { cbor.integer().map(Self::Number) }
    }
}

/// What the two header maps may both hold.
#[derive(Default)]
struct Found<'a> {
    seen: Vec<Label<'a>>,
    certificates: Option<Vec<Vec<u8>>>,
    timestamp: Option<Vec<u8>>,
    headers: Headers,
}

/// Reads an envelope.
pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, NotationError> {
    let parts = Parts::read(bytes)?;
    let missing = |header| NotationError::MissingHeader { header };
    Ok(Envelope {
        attributes: parts.found.headers.check()?,
        payload: parts.payload.to_vec(),
        signature: parts.signature.to_vec(),
        certificates: parts.found.certificates.ok_or_else(|| missing("x5chain"))?,
        timestamp: parts.found.timestamp,
        signed: to_be_signed(parts.protected, parts.payload),
    })
}

/// A `COSE_Sign1`.
struct Parts<'a> {
    protected: &'a [u8],
    found: Found<'a>,
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, NotationError> {
        let mut cbor = Cbor::new(bytes);
        cbor.tag(SIGN1, "the tag of COSE_Sign1, 18").map_err(CoseError::from)?;
        let parts = cbor.array().map_err(CoseError::from)?;
        if parts != 4 {
            return Err(CoseError::Parts { found: parts }.into());
        }
        let mut found = Found::default();
        let protected = cbor.bytes().map_err(CoseError::from)?;
        let mut inner = Cbor::new(protected);
        found.map(&mut inner, true)?;
        inner.end().map_err(CoseError::from)?;
        found.map(&mut cbor, false)?;
        let payload = cbor.bytes().map_err(CoseError::from)?;
        let signature = cbor.bytes().map_err(CoseError::from)?;
        cbor.end().map_err(CoseError::from)?;
        Ok(Self { protected, found, payload, signature })
    }
}

/// `Sig_structure` (RFC 9052, section 4.4): the protected headers and the payload as they stand in the envelope.
fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    // An array of four, and the text "Signature1".
    let mut out = [b"\x84\x6a".as_slice(), b"Signature1"].concat();
    push_bytes(&mut out, protected);
    push_bytes(&mut out, &[]);
    push_bytes(&mut out, payload);
    out
}

impl<'a> Found<'a> {
    /// Reads one header map. RFC 9052, section 3: a label stands in one of them only.
    fn map(&mut self, cbor: &mut Cbor<'a>, protected: bool) -> Result<(), NotationError> {
        let pairs = cbor.map().map_err(CoseError::from)?;
        let total = usize::try_from(pairs).unwrap_or(usize::MAX).saturating_add(self.seen.len());
        if total > limits::ENVELOPE_HEADERS {
            return Err(NotationError::Headers { found: total, limit: limits::ENVELOPE_HEADERS });
        }
        for _ in 0..pairs {
            let label = Label::read(cbor).map_err(CoseError::from)?;
            if self.seen.contains(&label) {
                return Err(CoseError::Duplicate { label: label.to_string() }.into());
            }
            self.seen.push(label);
            match label {
                // "Optionally, this header can be presented in the protected header."
                Label::Number(CHAIN) => self.certificates = Some(certificates(cbor)?),
                Label::Text(TIMESTAMP) if !protected => self.timestamp = Some(cbor.bytes().map_err(CoseError::from)?.to_vec()),
                label if protected => self.protected(label, cbor)?,
                _ => cbor.skip().map_err(CoseError::from)?,
            }
        }
        Ok(())
    }

    fn protected(&mut self, label: Label<'a>, cbor: &mut Cbor<'a>) -> Result<(), NotationError> {
        let headers = &mut self.headers;
        match label {
            Label::Number(ALGORITHM) => {
                let unsupported = NotationError::Header { header: "alg", expected: "-7, -35, -36, -37, -38 or -39" };
                let number = cbor.integer().map_err(CoseError::from)?;
                headers.algorithm = Some(EnvelopeAlgorithm::from_cose(number).ok_or(unsupported)?);
            }
            Label::Number(CRITICAL) => headers.critical = Some(critical(cbor)?),
            Label::Number(CONTENT_TYPE) => headers.content_type = Some(text(cbor)?),
            Label::Text(SIGNING_SCHEME) => headers.scheme = Some(text(cbor)?),
            Label::Text(SIGNING_TIME) => headers.signing_time = Some(time(cbor)?),
            Label::Text(AUTHENTIC_SIGNING_TIME) => headers.authentic_signing_time = Some(time(cbor)?),
            Label::Text(EXPIRY) => headers.expiry = Some(time(cbor)?),
            Label::Text(PLUGIN | PLUGIN_MIN_VERSION) => headers.plugin = Some(text(cbor)?),
            Label::Number(_) | Label::Text(_) => cbor.skip().map_err(CoseError::from)?,
        }
        Ok(())
    }
}

fn text(cbor: &mut Cbor<'_>) -> Result<String, CoseError> {
    Ok(cbor.text()?.to_owned())
}

fn time(cbor: &mut Cbor<'_>) -> Result<Timestamp, CoseError> {
    cbor.tag(EPOCH, "an epoch-based date and time, tag 1")?;
    Ok(Timestamp(cbor.integer()?))
}

fn certificates(cbor: &mut Cbor<'_>) -> Result<Vec<Vec<u8>>, NotationError> {
    let count = cbor.array().map_err(CoseError::from)?;
    let found = usize::try_from(count).unwrap_or(usize::MAX);
    if found > limits::CHAIN {
        return Err(NotationError::ChainLength { found, limit: limits::CHAIN });
    }
    Ok((0..count).map(|_| cbor.bytes().map(<[u8]>::to_vec)).collect::<Result<_, _>>().map_err(CoseError::from)?)
}

fn critical(cbor: &mut Cbor<'_>) -> Result<Vec<String>, NotationError> {
    let count = cbor.array().map_err(CoseError::from)?;
    let found = usize::try_from(count).unwrap_or(usize::MAX);
    if found > limits::ENVELOPE_HEADERS {
        return Err(NotationError::Headers { found, limit: limits::ENVELOPE_HEADERS });
    }
    let label = |_| match Label::read(cbor)? {
        Label::Text(text) => Ok(text.to_owned()),
        Label::Number(number) => Ok(format!("label {number}")),
    };
    Ok((0..count).map(label).collect::<Result<_, CborError>>().map_err(CoseError::from)?)
}
