//! cosign's encrypted private keys: PEM around a JSON envelope (`go-securesystemslib/encrypted`) that holds PKCS#8 DER under
//! scrypt (RFC 7914) and NaCl secretbox (XSalsa20-Poly1305).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_secretbox::aead::{AeadInPlace, KeyInit};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use ring::rand::SecureRandom;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// PEM label that cosign 2 and 3 write.
pub const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// PEM label that cosign 1 wrote.
pub const LEGACY_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// Bytes of a key file. An RSA-8192 key in this envelope takes under 10 KiB.
pub const KEY_FILE_BYTES: usize = 64 * 1024;
/// Bytes that scrypt may fill, 128·N·r (RFC 7914 §6). The heaviest parameters that cosign knows (N = 2^17, r = 8) need 128 MiB.
pub const KDF_MEMORY_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes that scrypt may write in all, 128·N·r·p: bounds the time, as memory alone does not.
pub const KDF_WORK_BYTES: u64 = 1024 * 1024 * 1024;
/// Bytes of a salt. cosign writes 32.
const SALT_BYTES: usize = 1024;
/// Parameters that `cosign generate-key-pair` 3.1 writes; its reader refuses any that it does not write itself.
const WRITTEN: Params = Params { n: 65_536, r: 8, p: 1 };

/// Why a text is no encrypted key that can be opened. No variant carries a byte of the key or the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CosignKeyError {
    /// The envelope is not the JSON that cosign writes.
    #[error("the encrypted key is damaged: {problem}")]
    Envelope {
        /// What was expected.
        problem: &'static str,
    },
    /// Another key derivation or cipher.
    #[error("the encrypted key uses {found:?}: expected {expected}")]
    Unsupported {
        /// The one that is supported.
        expected: &'static str,
        /// What stands there, cut to 40 characters.
        found: String,
    },
    /// Parameters that would exhaust memory or time.
    #[error("the encrypted key asks for scrypt N={n} r={r} p={p}: refused, over the limit of 256 MiB of memory or 1 GiB of work")]
    TooCostly {
        /// scrypt's cost.
        n: u64,
        /// scrypt's block size.
        r: u32,
        /// scrypt's parallelism.
        p: u32,
    },
    /// Wrong password, or tampered ciphertext: secretbox cannot tell which.
    #[error("the key cannot be decrypted: wrong password, or the file was changed")]
    Decrypt,
    /// The system has no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
struct Kdf {
    name: String,
    params: Params,
    salt: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Params {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl Params {
    /// Checks the bounds before anything is multiplied in narrower types or allocated.
    fn checked(self) -> Result<scrypt::Params, CosignKeyError> {
        let Self { n, r, p } = self;
        let too_costly = CosignKeyError::TooCostly { n, r, p };
        let memory = 128u64.checked_mul(n).and_then(|bytes| bytes.checked_mul(u64::from(r)));
        let work = memory.and_then(|bytes| bytes.checked_mul(u64::from(p)));
        if memory.is_none_or(|bytes| bytes > KDF_MEMORY_BYTES) || work.is_none_or(|bytes| bytes > KDF_WORK_BYTES) {
            return Err(too_costly);
        }
        // RFC 7914 §2: N is a power of two larger than 1.
        if n < 2 || !n.is_power_of_two() || r == 0 || p == 0 {
            return Err(CosignKeyError::Envelope { problem: "scrypt's N must be a power of two, r and p at least 1" });
        }
        let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| too_costly.clone())?;
        scrypt::Params::new(log_n, r, p).map_err(|_| too_costly)
    }
}

/// Derives the secretbox of `password`. The caller has checked the parameters.
fn secretbox(password: &[u8], salt: &[u8], params: &scrypt::Params) -> Result<XSalsa20Poly1305, CosignKeyError> {
    let mut key = Zeroizing::new([0u8; 32]);
    scrypt::scrypt(password, salt, params, key.as_mut_slice())
        .map_err(|_| CosignKeyError::Envelope { problem: "scrypt refuses the parameters" })?;
    XSalsa20Poly1305::new_from_slice(key.as_slice()).map_err(|_| CosignKeyError::Envelope { problem: "the derived key has a wrong length" })
}

fn expect_name(found: &str, expected: &'static str) -> Result<(), CosignKeyError> {
    if found == expected {
        return Ok(());
    }
    Err(CosignKeyError::Unsupported { expected, found: found.chars().take(40).collect() })
}

/// Opens the JSON envelope inside a PEM block of [`LABEL`] or [`LEGACY_LABEL`]. Returns PKCS#8 DER.
///
/// # Errors
/// See [`CosignKeyError`].
pub fn decrypt(envelope: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, CosignKeyError> {
    let damaged = |problem| CosignKeyError::Envelope { problem };
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| damaged("expected JSON with kdf, cipher and ciphertext"))?;
    expect_name(&envelope.kdf.name, "scrypt")?;
    expect_name(&envelope.cipher.name, "nacl/secretbox")?;
    let params = envelope.kdf.params.checked()?;
    let salt = STANDARD.decode(&envelope.kdf.salt).map_err(|_| damaged("the salt is not base64"))?;
    if salt.is_empty() || salt.len() > SALT_BYTES {
        return Err(damaged("the salt is empty or too long"));
    }
    let nonce = STANDARD.decode(&envelope.cipher.nonce).map_err(|_| damaged("the nonce is not base64"))?;
    let nonce: [u8; XSalsa20Poly1305::NONCE_SIZE] = nonce.try_into().map_err(|_| damaged("the nonce must have 24 bytes"))?;
    let mut text = Zeroizing::new(STANDARD.decode(&envelope.ciphertext).map_err(|_| damaged("the ciphertext is not base64"))?);
    let secretbox = secretbox(password, &salt, &params)?;
    secretbox.decrypt_in_place(&Nonce::from(nonce), b"", &mut *text).map_err(|_| CosignKeyError::Decrypt)?;
    Ok(text)
}

/// Encrypts PKCS#8 DER under `password` as `cosign generate-key-pair` does. Returns the PEM text.
///
/// # Errors
/// [`CosignKeyError::Random`] when the system has no random bytes.
pub fn encrypt(pkcs8: &[u8], password: &[u8], random: &dyn SecureRandom) -> Result<String, CosignKeyError> {
    let mut salt = [0u8; 32];
    let mut nonce = [0u8; XSalsa20Poly1305::NONCE_SIZE];
    random.fill(&mut salt).map_err(|_| CosignKeyError::Random)?;
    random.fill(&mut nonce).map_err(|_| CosignKeyError::Random)?;
    let secretbox = secretbox(password, &salt, &WRITTEN.checked()?)?;
    // Room for the tag, so that no copy of the plaintext is left behind by a reallocation.
    let mut text = Zeroizing::new(Vec::with_capacity(pkcs8.len() + XSalsa20Poly1305::TAG_SIZE));
    text.extend_from_slice(pkcs8);
    secretbox.encrypt_in_place(&Nonce::from(nonce), b"", &mut *text).map_err(|_| CosignKeyError::Decrypt)?;
    let envelope = Envelope {
        kdf: Kdf { name: "scrypt".to_owned(), params: WRITTEN, salt: STANDARD.encode(salt) },
        cipher: Cipher { name: "nacl/secretbox".to_owned(), nonce: STANDARD.encode(nonce) },
        ciphertext: STANDARD.encode(&*text),
    };
    let json = serde_json::to_vec(&envelope).map_err(|_| CosignKeyError::Envelope { problem: "it cannot be written as JSON" })?;
    Ok(crate::key::pem(LABEL, &json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;

    /// Written by `cosign generate-key-pair` 3.1 under the password "secret"; a key made for this test.
    const BY_COSIGN: &str = r#"{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":"evFlCwaklaAonQG9lckxLMGzOQY/MDJb+27/lEL8t4k="},"cipher":{"name":"nacl/secretbox","nonce":"ogkiXuq1rRuvCNgmHxOTj/ki00bVOV+l"},"ciphertext":"YMIqY3JSoLC+LiymcH04TPo/pzCDP7xPrctqXghdv5eOoynonGZ3+5y8Vw8uQuKW4yrFtdrzXjhoqcOow3judLw7NhwEoadHjffcU4PTuFS32DMJ2pyQk1I9biCmb4wjfAiOaOgBGrLJ5GiaZSD7w4gKHb75K49FIboqefuWMbaUonNHsMjkr6lSZkGYFz1iWNcjSkL2tsSJTQ=="}"#;

    fn envelope_of(pem: &str) -> Vec<u8> {
        crate::key::PemBlock::first(pem).expect("a PEM block").der.to_vec()
    }

    #[test]
    fn a_key_that_cosign_encrypted_opens_with_its_password_only() {
        let der = decrypt(BY_COSIGN.as_bytes(), b"secret").expect("the right password");
        assert_eq!(der.first(), Some(&0x30));
        assert_eq!(decrypt(BY_COSIGN.as_bytes(), b"Secret"), Err(CosignKeyError::Decrypt));
        assert_eq!(decrypt(BY_COSIGN.as_bytes(), b""), Err(CosignKeyError::Decrypt));
    }

    #[test]
    fn what_is_encrypted_here_opens_again_and_shows_nothing() {
        let pem = encrypt(b"private bytes", b"pass", &SystemRandom::new()).expect("encrypts");
        assert!(pem.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
        let envelope = envelope_of(&pem);
        assert_eq!(decrypt(&envelope, b"pass").expect("opens").as_slice(), b"private bytes");
        assert!(!String::from_utf8_lossy(&envelope).contains(&STANDARD.encode(b"private bytes")));
    }

    #[test]
    fn one_flipped_bit_of_the_ciphertext_is_refused() {
        let mut envelope: Envelope = serde_json::from_str(BY_COSIGN).expect("JSON");
        let good = STANDARD.decode(&envelope.ciphertext).expect("base64");
        for position in [0, 15, 16, good.len() - 1] {
            let mut bad = good.clone();
            bad[position] ^= 1;
            envelope.ciphertext = STANDARD.encode(bad);
            let text = serde_json::to_vec(&envelope).expect("JSON");
            assert_eq!(decrypt(&text, b"secret"), Err(CosignKeyError::Decrypt), "byte {position}");
        }
        envelope.ciphertext = STANDARD.encode(&good[..8]);
        assert_eq!(decrypt(&serde_json::to_vec(&envelope).expect("JSON"), b"secret"), Err(CosignKeyError::Decrypt));
    }

    #[test]
    fn parameters_that_would_exhaust_memory_are_refused_before_any_is_taken() {
        for (n, r, p) in [
            (1u64 << 40, 8u32, 1u32),
            (1 << 22, 8, 1),
            (65_536, 1 << 20, 1),
            (65_536, 8, u32::MAX),
            (u64::MAX, u32::MAX, u32::MAX),
            (1 << 63, 2, 1),
            (2, 1 << 20, 1 << 13),
        ] {
            let text = BY_COSIGN.replace(r#""N":65536,"r":8,"p":1"#, &format!(r#""N":{n},"r":{r},"p":{p}"#));
            assert_eq!(decrypt(text.as_bytes(), b"secret"), Err(CosignKeyError::TooCostly { n, r, p }));
        }
        for params in
            [r#""N":65535,"r":8,"p":1"#, r#""N":0,"r":8,"p":1"#, r#""N":1,"r":8,"p":1"#, r#""N":2,"r":0,"p":1"#, r#""N":2,"r":1,"p":0"#]
        {
            let text = BY_COSIGN.replace(r#""N":65536,"r":8,"p":1"#, params);
            assert!(matches!(decrypt(text.as_bytes(), b"secret"), Err(CosignKeyError::Envelope { .. })), "{params}");
        }
    }

    #[test]
    fn other_shapes_are_refused_by_name() {
        let unsupported = |from: &str, to: &str| decrypt(BY_COSIGN.replace(from, to).as_bytes(), b"secret");
        assert!(matches!(unsupported("scrypt", "pbkdf2"), Err(CosignKeyError::Unsupported { expected: "scrypt", .. })));
        assert!(matches!(unsupported("nacl/secretbox", "none"), Err(CosignKeyError::Unsupported { .. })));
        assert!(matches!(unsupported("ogki", ""), Err(CosignKeyError::Envelope { .. })));
        assert!(matches!(unsupported("evFl", "!!!!"), Err(CosignKeyError::Envelope { .. })));
        assert!(matches!(unsupported(r#""N":65536"#, r#""N":-1"#), Err(CosignKeyError::Envelope { .. })));
        assert!(matches!(decrypt(b"{}", b"secret"), Err(CosignKeyError::Envelope { .. })));
        assert!(matches!(decrypt(b"", b"secret"), Err(CosignKeyError::Envelope { .. })));
    }
}
