//! Timestamps by RFC 3161 authorities over HTTP (section 3.4).

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use sealgate_verifier::{Digest, limits};

use crate::service::{Post, Service};
use crate::sign::SignError;

/// A TimeStampReq (section 2.4.1) up to its message imprint: version 1, SHA-256 (RFC 5754 §2).
const HEAD: [u8; 24] = [
    0x30, 0x43, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];
/// `certReq` is TRUE: verifiers may need the authority's certificate.
const TAIL: [u8; 3] = [0x01, 0x01, 0xff];
/// A positive INTEGER of eight bytes.
const NONCE_HEAD: [u8; 2] = [0x02, 0x08];

/// Has `message` stamped: a signature, or what holds it. The answer, a TimeStampResp, is checked for this request's nonce only; the finished bundle is verified.
pub(crate) async fn stamp(service: &Service, message: &[u8]) -> Result<Vec<u8>, SignError> {
    let mut nonce = [0u8; 8];
    SystemRandom::new().fill(&mut nonce).map_err(|_| SignError::Random)?;
    // Neither negative nor with a leading zero, so that DER has one form for it (X.690 §8.3.2).
    nonce[0] = nonce[0] & 0x3f | 0x40;
    let nonce = [&NONCE_HEAD[..], &nonce].concat();
    let post = Post {
        content_type: "application/timestamp-query",
        accept: "application/timestamp-reply",
        body: query(message, &nonce),
        secret: None,
    };
    let answer = service.post("", post).await?;
    let answers = answer.len() <= limits::TIMESTAMP_BYTES && answer.windows(nonce.len()).any(|part| part == nonce);
    if answers { Ok(answer.to_vec()) } else { Err(service.unexpected("a timestamp for this request").into()) }
}

fn query(message: &[u8], nonce: &[u8]) -> Bytes {
    Bytes::from([&HEAD[..], Digest::sha256(message).as_bytes(), nonce, &TAIL].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_der_of_its_announced_length() {
        let query = query(b"signature", &[2, 8, 0x41, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(usize::from(query[1]), query.len() - 2);
        assert_eq!(&query[24..56], Digest::sha256(b"signature").as_bytes());
        assert_eq!(usize::from(query[6]), 15 + 34);
    }
}
