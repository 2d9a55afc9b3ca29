use super::*;

macro_rules! fixture {
    ($file:literal) => {
        include_str!(concat!("../../tests/fixtures/", $file))
    };
}

const KEYS: [(&str, KeyAlgorithm); 5] = [
    (fixture!("p256/key.pub"), KeyAlgorithm::EcdsaP256),
    (fixture!("p384/key.pub"), KeyAlgorithm::EcdsaP384),
    (fixture!("ed25519/key.pub"), KeyAlgorithm::Ed25519),
    (fixture!("rsa2048/key.pub"), KeyAlgorithm::Rsa),
    (fixture!("rsa4096/key.pub"), KeyAlgorithm::Rsa),
];

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", base64::engine::general_purpose::STANDARD.encode(der))
}

#[test]
fn keys_of_each_kind_are_read() {
    for (text, algorithm) in KEYS {
        let key = PublicKey::from_pem(text).expect(text);
        assert_eq!(key.algorithm(), algorithm);
        let der = spki::unwrap_pem(text).expect("PEM");
        assert_eq!(key.id().digest(), Digest::sha256(&der));
        assert_eq!(PublicKey::from_pem(&pem(&der)).expect("one long line").id(), key.id());
        assert_eq!(PublicKey::from_pem(&format!("a comment\n{}", text.replace('\n', "\r\n"))).expect("CRLF").id(), key.id());
    }
}

#[test]
fn other_algorithms_are_refused_by_their_oid() {
    let unsupported = |oid: &str| Err(KeyError::Unsupported { oid: oid.to_owned() });
    assert_eq!(PublicKey::from_pem(fixture!("p521/key.pub")), unsupported("1.3.132.0.35"));
    // secp256k1
    let mut k1 = vec![0x30, 0x56, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 10, 3, 0x42, 0];
    k1.extend([4; 65]);
    assert_eq!(PublicKey::from_der(&k1), unsupported("1.3.132.0.10"));
    // ML-DSA-44 with a short key
    let ml_dsa = [0x30, 16, 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 0x11, 3, 1, 0];
    assert_eq!(PublicKey::from_der(&ml_dsa), unsupported("2.16.840.1.101.3.4.3.17"));
}

#[test]
fn private_keys_and_other_blocks_are_refused_without_repeating_them() {
    let p256 = KEYS[0].0;
    let cases = [
        ("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", KeyError::Private),
        ("-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----", KeyError::Private),
        ("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nc2VjcmV0\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----", KeyError::Private),
        ("-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----", KeyError::Label),
        ("-----BEGIN RSA PUBLIC KEY-----\nc2VjcmV0\n-----END RSA PUBLIC KEY-----", KeyError::Label),
        ("-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n", KeyError::Pem),
        ("-----BEGIN PUBLIC KEY-----\nsec ret!\n-----END PUBLIC KEY-----", KeyError::Pem),
        ("-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n-----END PUBLIC KEY-----", KeyError::Der),
        ("", KeyError::Pem),
        ("secret", KeyError::Pem),
    ];
    for (text, expected) in cases {
        let error = PublicKey::from_pem(text).expect_err(text);
        assert_eq!(error, expected, "{text}");
        assert!(!error.to_string().contains("c2Vjcm") && !error.to_string().contains("secret"));
    }
    assert_eq!(PublicKey::from_pem(&format!("{p256}{p256}")), Err(KeyError::Several { found: 2 }));
}

#[test]
fn a_key_has_one_encoding_only() {
    // C7: a second encoding of one key would be a second principal.
    let der = spki::unwrap_pem(KEYS[0].0).expect("PEM");
    let mut compressed = der[..der.len() - 65].to_vec();
    compressed[1] -= 32;
    let string = compressed.len() - 2;
    compressed[string] -= 32;
    compressed.push(2 | der[der.len() - 1] & 1);
    compressed.extend(&der[der.len() - 64..der.len() - 32]);
    assert_eq!(PublicKey::from_der(&compressed), Err(KeyError::Point { algorithm: "ECDSA P-256" }));
    let mut long_length = vec![0x30, 0x81, der[1]];
    long_length.extend(&der[2..]);
    let trailing = [&der[..], &[0]].concat();
    let mut hybrid = der.clone();
    hybrid[26] = 6;
    for other in [long_length, trailing, hybrid] {
        assert!(PublicKey::from_der(&other).is_err(), "{other:02x?}");
    }
    let rsa = spki::unwrap_pem(KEYS[3].0).expect("PEM");
    let at = rsa.windows(4).position(|w| w == [5, 0, 3, 0x82]).expect("NULL");
    let mut without_null = [&rsa[..at], &rsa[at + 2..]].concat();
    without_null[3] -= 2;
    without_null[5] -= 2;
    assert_eq!(PublicKey::from_der(&without_null), Err(KeyError::Der));
}

#[test]
fn weak_keys_are_refused() {
    let ed25519 = |raw: [u8; 32]| PublicKey::from_der(&[&[0x30, 42, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 33, 0][..], &raw].concat());
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    let mut order_8 = [0; 32];
    order_8.copy_from_slice(&[
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x85,
    ]);
    for weak in [[0; 32], one, minus_one, order_8] {
        assert_eq!(ed25519(weak), Err(KeyError::Weak), "{weak:02x?}");
    }
    let mut not_reduced = minus_one;
    not_reduced[0] = 0xee;
    assert_eq!(ed25519(not_reduced), Err(KeyError::Point { algorithm: "Ed25519" }));
    // RSA with 1024 bits: modulus 0x80 00.. 01.
    let mut modulus = vec![2, 0x81, 129, 0, 0x80];
    modulus.extend([0; 126]);
    modulus.push(1);
    let numbers = [&modulus[..], &[2, 3, 1, 0, 1]].concat();
    let key = [&[0x30, 0x81, 137][..], &numbers].concat();
    let bits = [&[3, 0x81, 141, 0][..], &key].concat();
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0xd, 1, 1, 1, 5, 0];
    let der = [&[0x30, 0x81, 159][..], &algorithm, &bits].concat();
    assert_eq!(PublicKey::from_der(&der), Err(KeyError::RsaSize { found: 1024 }));
}

#[test]
fn debug_output_shows_the_id_only() {
    let key = PublicKey::from_pem(KEYS[0].0).expect("a key");
    assert_eq!(format!("{key:?}"), format!("PublicKey {{ id: KeyId({}), algorithm: EcdsaP256, .. }}", key.id()));
    assert_eq!(key.id().short().len(), 19);
}
