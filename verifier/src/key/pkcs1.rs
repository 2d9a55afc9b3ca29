//! RSASSA-PKCS1-v1_5 over a digest (RFC 8017, section 8.2.2): ring hashes the message itself, so the public operation is done here. Nothing
//! in it is secret, and the encoded message is compared whole, never parsed.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use spki::der::asn1::UintRef;
use spki::der::{Reader as _, SliceReader};

/// DER of DigestInfo before the digest (RFC 8017, section 9.2, note 1), by the digest's length.
const DIGEST_INFO: [(usize, &[u8; 19]); 3] = [
    (32, b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"),
    (48, b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"),
    (64, b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"),
];

/// Whether `signature` is by the RSAPublicKey `key` (RFC 8017, appendix A.1.1) over a message with this digest.
pub(super) fn verify(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let (modulus, exponent) = numbers(key)?;
    // Step 1: the length of the modulus in octets.
    if signature.len() != modulus.len() {
        return None;
    }
    // Step 2: RSAVP1, of a representative below the modulus.
    let bits = u32::try_from(modulus.len().checked_mul(8)?).ok()?;
    let number = |bytes: &[u8]| BoxedUint::from_be_slice(bytes, bits).ok();
    let (modulus_number, representative) = (number(modulus)?, number(signature)?);
    if representative >= modulus_number {
        return None;
    }
    let params = BoxedMontyParams::new_vartime(Option::<Odd<BoxedUint>>::from(Odd::new(modulus_number))?);
    let message = BoxedMontyForm::new(representative, &params).pow(&BoxedUint::from_be_slice_vartime(exponent)).retrieve();
    let message = message.to_be_bytes();
    let message = message.get(message.len().checked_sub(modulus.len())?..)?;
    // Steps 3 and 4: the one encoding that there is (section 9.2).
    (message == encode(digest, modulus.len())?).then_some(())
}

fn numbers(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(key).ok()?;
    let (modulus, exponent) =
        reader.sequence(|inner| Ok::<_, spki::der::Error>((inner.decode::<UintRef<'_>>()?, inner.decode::<UintRef<'_>>()?))).ok()?;
    Some((modulus.as_bytes(), exponent.as_bytes()))
}

/// EMSA-PKCS1-v1_5.
fn encode(digest: &[u8], length: usize) -> Option<Vec<u8>> {
    let (_, info) = DIGEST_INFO.iter().find(|(bytes, _)| *bytes == digest.len())?;
    let padding = length.checked_sub(info.len() + digest.len() + 3).filter(|padding| *padding >= 8)?;
    let mut encoded = vec![0, 1];
    encoded.resize(2 + padding, 0xff);
    encoded.push(0);
    encoded.extend_from_slice(*info);
    encoded.extend_from_slice(digest);
    Some(encoded)
}
