use super::*;
use crate::digest::Digest;

const PAYLOAD: &[u8] = include_bytes!("../../tests/fixtures/p256/payload.json");
const CONFIG: &[u8] = include_bytes!("../../tests/fixtures/p256/sig-config.json");
const BUNDLE: &[u8] = include_bytes!("../../tests/fixtures/p256/bundle.json");

fn manifest(config: (&str, &[u8]), layers: &[(&str, &[u8])]) -> Manifest {
    let descriptor = |(media_type, bytes): (&str, &[u8])| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, Digest::sha256(bytes), bytes.len())
    };
    let layers = layers.iter().copied().map(descriptor).collect::<Vec<_>>().join(",");
    let text = format!(r#"{{"schemaVersion":2,"config":{},"layers":[{layers}]}}"#, descriptor(config));
    Manifest::parse(text.as_bytes(), None).expect("a manifest")
}

/// The class of a manifest with the empty config and one layer whose bytes are at hand.
fn class(media_type: &str, bytes: &[u8]) -> Class {
    let manifest = manifest((media_type::OCI_EMPTY, b"{}"), &[(media_type, bytes)]);
    classify(&manifest, &[Bytes::copy_from_slice(bytes)])
}

#[test]
fn what_cosign_wrote_is_evidence() {
    let parse = |bytes: &[u8]| Manifest::parse(bytes, None).expect("a manifest");
    let legacy = parse(include_bytes!("../../tests/fixtures/p256/sig-manifest.json"));
    assert!(may_be_evidence(&legacy));
    assert_eq!(classify(&legacy, &[Bytes::from_static(PAYLOAD), Bytes::from_static(CONFIG)]), Class::Evidence);
    assert_eq!(classify(&legacy, &[Bytes::from_static(PAYLOAD)]), Class::Image, "its config was not seen");
    let bundle = parse(include_bytes!("../../tests/fixtures/p256/bundle-manifest.json"));
    assert_eq!(classify(&bundle, &[Bytes::from_static(BUNDLE)]), Class::Evidence);
    assert_eq!(classify(&bundle, &[]), Class::Image, "its layer was not seen");
    match parse(include_bytes!("../../tests/fixtures/p256/fallback-index.json")) {
        Manifest::Index(listing) => assert!(may_be_evidence_listing(&listing)),
        Manifest::Image(_) => panic!("an index"),
    }
}

#[test]
fn labels_do_not_make_evidence_of_other_bytes() {
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0];
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0, 0];
    let mut tar = vec![0; 1024];
    tar[..6].copy_from_slice(b"bin/sh");
    for bytes in [&gzip[..], &zstd, &tar, b"[]", b"\"x\"", b"", b"{", b"{}{}", b"{\"a\":\"\0\"}"] {
        for media_type in [media_type::SIMPLE_SIGNING, media_type::BUNDLE_V03, media_type::JOSE, media_type::COSE, media_type::SPDX] {
            assert_eq!(class(media_type, bytes), Class::Image, "{media_type} {bytes:02x?}");
        }
    }
    for media_type in
        ["", "application/json", "application/vnd.oci.image.layer.v1.tar", "application/vnd.dev.sigstore.bundle.v0.3+json+zstd"]
    {
        assert_eq!(class(media_type, b"{}"), Class::Image, "{media_type}");
    }
    assert_eq!(class(media_type::SPDX, b" {\"a\":1}\n"), Class::Evidence);
}

#[test]
fn an_image_config_alone_and_an_index_are_no_evidence() {
    assert_eq!(classify(&manifest((media_type::OCI_EMPTY, b"{}"), &[]), &[]), Class::Image);
    let config = manifest((media_type::OCI_CONFIG, b"\x1f\x8b"), &[(media_type::SPDX, b"{}")]);
    assert_eq!(classify(&config, &[Bytes::from_static(b"\x1f\x8b"), Bytes::from_static(b"{}")]), Class::Image);
    let index = Manifest::parse(br#"{"schemaVersion":2,"manifests":[]}"#, None).expect("an index");
    assert!(!may_be_evidence(&index));
}

#[test]
fn one_layer_of_another_kind_makes_an_image() {
    let both = manifest((media_type::OCI_EMPTY, b"{}"), &[(media_type::SPDX, b"{}"), ("application/vnd.oci.image.layer.v1.tar", b"{}")]);
    assert!(!may_be_evidence(&both));
    let oversized = format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::EVIDENCE_LAYER_BYTES));
    assert_eq!(class(media_type::SPDX, oversized.as_bytes()), Class::Image);
}

/// JSON whose first 512 bytes are an old-style tar header: every byte printable, the checksum right.
fn json_that_is_tar() -> Vec<u8> {
    let mut header = vec![b'x'; 512];
    header[..6].copy_from_slice(b"{\"a\":\"");
    header[100..148].copy_from_slice(b"0000755 0000000 0000000 00000001000 14722510000 ");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o} ").as_bytes());
    header.extend([b'y'; 510]);
    header.extend(b"\"}");
    header
}

#[test]
fn json_that_is_also_a_tar_archive_is_no_evidence() {
    let polyglot = json_that_is_tar();
    assert!(serde_json::from_slice::<serde_json::Value>(&polyglot).is_ok(), "it is JSON");
    assert_eq!(class(media_type::SPDX, &polyglot), Class::Image);
    let mut spoilt = polyglot;
    spoilt[20] = b'z';
    assert_eq!(class(media_type::SPDX, &spoilt), Class::Evidence, "without its checksum no reader takes it for a tar");
}

#[test]
fn cose_is_known_by_its_structure() {
    let sign1 = [0xd2, 0x84, 0x43, 0xa1, 1, 0x26, 0xa1, 0x18, 33, 0x81, 0x41, 0, 0x42, b'{', b'}', 0x41, 1];
    assert_eq!(class(media_type::COSE, &sign1), Class::Evidence);
    for end in 0..sign1.len() {
        assert_eq!(class(media_type::COSE, &sign1[..end]), Class::Image, "{end} bytes");
    }
    for (at, byte) in [(0, 0xd1), (1, 0x85), (1, 0x9f), (2, 0x5f), (6, 0xbf), (6, 0xbb), (9, 0x9b), (12, 0x5b)] {
        let mut other = sign1;
        other[at] = byte;
        assert_eq!(class(media_type::COSE, &other), Class::Image, "{byte:02x} at {at}");
    }
    assert_eq!(class(media_type::COSE, &[&sign1[..], &[0]].concat()), Class::Image);
    let nested = [&[0xd2, 0x84, 0x40, 0xa1, 1][..], &[0x81; 100], &[0, 0xf6, 0x40]].concat();
    assert_eq!(class(media_type::COSE, &nested), Class::Image);
    // A tar archive inside the bytes of a COSE header.
    let mut tar = vec![0; 1024];
    tar[..5].copy_from_slice(&[0xd2, 0x84, 0x59, 3, 0xfb - 4]);
    tar[148..156].copy_from_slice(b"        ");
    tar[1020..].copy_from_slice(&[0xa0, 0xf6, 0x40, 0]);
    tar.truncate(1023);
    let sum: u32 = tar[..512].iter().map(|b| u32::from(*b)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(cose::is_sign1(&tar), "it is COSE");
    assert_eq!(class(media_type::COSE, &tar), Class::Image);
}
