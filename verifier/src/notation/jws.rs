//! JWS envelopes, in the flattened JSON serialization (signature-envelope-jws.md; RFC 7515, section 7.2.2).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::EnvelopeAlgorithm;
use super::date::rfc3339;
use super::envelope::{
    AUTHENTIC_SIGNING_TIME, EXPIRY, Envelope, Headers, PLUGIN, PLUGIN_MIN_VERSION, SIGNING_SCHEME, SIGNING_TIME, TIMESTAMP,
};
use super::error::NotationError;
use crate::json::{self, Keys, Object};
use crate::limits;
use crate::time::Timestamp;

const ENVELOPE: Keys = Keys { known: &["payload", "protected", "header", "signature", "x5c", TIMESTAMP], maps: &[], compared: usize::MAX };
const PROTECTED: Keys = Keys {
    known: &["alg", "cty", "crit", SIGNING_SCHEME, SIGNING_TIME, AUTHENTIC_SIGNING_TIME, EXPIRY, PLUGIN, PLUGIN_MIN_VERSION],
    maps: &[],
    compared: usize::MAX,
};

/// "no additional top level fields are supported"
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEnvelope {
    payload: String,
    protected: String,
    header: Object<WireHeader>,
    signature: String,
}

#[derive(Deserialize)]
struct WireHeader {
    x5c: Vec<String>,
    #[serde(rename = "io.cncf.notary.timestampSignature", default)]
    timestamp: Option<String>,
}

/// Reads an envelope. Every field must be base64 in its one canonical form, so that nothing in it can be altered.
pub(super) fn parse(bytes: &[u8]) -> Result<Envelope, NotationError> {
    let wire: WireEnvelope = json::read(bytes, &ENVELOPE).map_err(NotationError::Jws)?;
    let Object(header) = wire.header;
    if header.x5c.len() > limits::CHAIN {
        return Err(NotationError::ChainLength { found: header.x5c.len(), limit: limits::CHAIN });
    }
    let attributes = headers(&base64url("protected", &wire.protected)?)?.check()?;
    Ok(Envelope {
        attributes,
        payload: base64url("payload", &wire.payload)?,
        signature: base64url("signature", &wire.signature)?,
        certificates: header.x5c.iter().map(|text| base64("x5c", text)).collect::<Result<_, _>>()?,
        timestamp: header.timestamp.as_deref().map(|text| base64(TIMESTAMP, text)).transpose()?,
        // RFC 7515, section 5.1, step 8: the JWS Signing Input.
        signed: [wire.protected.as_bytes(), b".", wire.payload.as_bytes()].concat(),
    })
}

fn base64url(field: &'static str, text: &str) -> Result<Vec<u8>, NotationError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotationError::Base64 { field })
}

fn base64(field: &'static str, text: &str) -> Result<Vec<u8>, NotationError> {
    STANDARD.decode(text).map_err(|_| NotationError::Base64 { field })
}

fn headers(protected: &[u8]) -> Result<Headers, NotationError> {
    let mut fields: BTreeMap<String, Value> = json::read(protected, &PROTECTED).map_err(NotationError::Jws)?;
    if fields.len() > limits::ENVELOPE_HEADERS {
        return Err(NotationError::Headers { found: fields.len(), limit: limits::ENVELOPE_HEADERS });
    }
    let algorithm = text(&mut fields, "alg")?;
    let unsupported = NotationError::Header { header: "alg", expected: "PS256, PS384, PS512, ES256, ES384 or ES512" };
    Ok(Headers {
        algorithm: algorithm.map(|name| EnvelopeAlgorithm::from_jws(&name).ok_or(unsupported)).transpose()?,
        content_type: text(&mut fields, "cty")?,
        scheme: text(&mut fields, SIGNING_SCHEME)?,
        signing_time: time(&mut fields, SIGNING_TIME)?,
        authentic_signing_time: time(&mut fields, AUTHENTIC_SIGNING_TIME)?,
        expiry: time(&mut fields, EXPIRY)?,
        plugin: text(&mut fields, PLUGIN)?.or(text(&mut fields, PLUGIN_MIN_VERSION)?),
        critical: critical(&mut fields)?,
    })
}

fn text(fields: &mut BTreeMap<String, Value>, header: &'static str) -> Result<Option<String>, NotationError> {
    match fields.remove(header) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(NotationError::Header { header, expected: "a string" }),
    }
}

fn time(fields: &mut BTreeMap<String, Value>, header: &'static str) -> Result<Option<Timestamp>, NotationError> {
    let malformed = NotationError::Header { header, expected: "a date and time of RFC 3339" };
    text(fields, header)?.map(|text| rfc3339(&text).ok_or(malformed)).transpose()
}

fn critical(fields: &mut BTreeMap<String, Value>) -> Result<Option<Vec<String>>, NotationError> {
    let malformed = || NotationError::Header { header: "crit", expected: "an array of strings" };
    let Some(value) = fields.remove("crit") else { return Ok(None) };
    let Value::Array(names) = value else { return Err(malformed()) };
    let name = |value| if let Value::String(name) = value { Ok(name) } else { Err(malformed()) };
    names.into_iter().map(name).collect::<Result<_, _>>().map(Some)
}
