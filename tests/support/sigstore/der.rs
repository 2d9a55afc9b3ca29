//! DER, as much of it as the fake authorities write.

/// A value with its tag and length (X.690, section 8.1).
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=127) => bytes.push(short),
        Ok(one) => bytes.extend([0x81, one]),
        Err(_) => bytes.extend([&[0x82][..], &u16::try_from(length).expect("under 64 KiB").to_be_bytes()].concat()),
    }
    bytes.extend_from_slice(content);
    bytes
}

/// SEQUENCE.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// SET OF, in the order that DER asks for (X.690, section 11.6).
pub fn set(parts: &[&[u8]]) -> Vec<u8> {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    tlv(0x31, &parts.concat())
}

/// A small INTEGER that is not negative.
pub fn integer(number: u8) -> Vec<u8> {
    assert!(number < 128);
    tlv(2, &[number])
}

/// OCTET STRING.
pub fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(4, bytes)
}

/// OBJECT IDENTIFIER.
pub fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(arcs[0] * 40 + arcs[1]).expect("a small first arc")];
    for arc in &arcs[2..] {
        let mut digits = vec![u8::try_from(arc & 0x7f).expect("seven bits")];
        let mut rest = arc >> 7;
        while rest > 0 {
            digits.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
            rest >>= 7;
        }
        bytes.extend(digits.iter().rev());
    }
    tlv(6, &bytes)
}

/// The content of the first value in `bytes`, and the whole value.
pub fn first(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match bytes[1] {
        short @ 0..=127 => (2, usize::from(short)),
        0x81 => (3, usize::from(bytes[2])),
        0x82 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
        other => panic!("a length of {other:#x}"),
    };
    (&bytes[header..header + length], &bytes[..header + length])
}
