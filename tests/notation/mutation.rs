//! Good envelopes with bits flipped, bytes lost and parts exchanged: none verifies as anything but what it was, and nothing
//! panics. `SEALGATE_TEST_SCALE=full` flips every bit.

use std::ops::Range;

use sealgate_tests::notation::{Envelope, Format};
use sealgate_tests::pki::{Ca, KeyType, ca_params, name, signing_params, timestamping_params};
use sealgate_tests::scale;
use sealgate_tests::timestamp::Authority;
use sealgate_verifier::notation::{NotationSigner, StoreKind, VerifiedNotation};

use crate::scene::{Policy, Scene, acme, now};

/// Mutants of one kind by default.
const SMALL: usize = 1_500;

/// A good envelope, what it verifies as, and the parts of it that nobody signs and that decide nothing.
struct Subject {
    scene: Scene,
    envelope: Envelope,
    signer: NotationSigner,
    verified: VerifiedNotation,
    unsigned: Vec<Range<usize>>,
}

impl Subject {
    fn new(scene: Scene, envelope: Envelope, signer: NotationSigner, unsigned: &[&str]) -> Self {
        let verified = scene.ours(&envelope, &signer, now()).expect("a good signature");
        let unsigned = unsigned.iter().map(|label| value_of(&envelope, label)).collect();
        Self { scene, envelope, signer, verified, unsigned }
    }

    /// Whether `bytes` verify; if so, as the original did.
    fn verifies(&self, bytes: Vec<u8>) -> bool {
        let envelope = Envelope { media_type: self.envelope.media_type.clone(), bytes };
        match self.scene.ours(&envelope, &self.signer, now()) {
            Ok(verified) => {
                assert_eq!(verified, self.verified);
                true
            }
            Err(_) => false,
        }
    }
}

/// The label and value of an unprotected header.
fn value_of(envelope: &Envelope, label: &str) -> Range<usize> {
    let find = |needle: &[u8]| envelope.bytes.windows(needle.len()).position(|part| part == needle).expect("the label");
    if envelope.media_type == "application/jose+json" {
        let start = find(format!("\"{label}\":\"").as_bytes());
        let value = start + label.len() + 4;
        let length = envelope.bytes[value..].iter().position(|byte| *byte == b'"').expect("the end");
        return start..value + length + 1;
    }
    // In CBOR: the label's head before it, the value's head after it.
    let label_start = find(label.as_bytes());
    let value = label_start + label.len();
    let (head, length) = match envelope.bytes[value] & 0x1f {
        24 => (2, usize::from(envelope.bytes[value + 1])),
        25 => (3, usize::from(envelope.bytes[value + 1]) << 8 | usize::from(envelope.bytes[value + 2])),
        short => (1, usize::from(short)),
    };
    label_start - 2..value + head + length
}

fn subjects() -> Vec<Subject> {
    const AGENT: &str = "io.cncf.notary.signingAgent";
    let mut subjects = vec![];
    for format in Format::ALL {
        let (scene, (ca, identity)) = (Scene::new(), acme());
        let envelope = scene.sign(&identity, format, &["--expiry", "1h"]);
        subjects.push(Subject::new(scene, envelope, Policy::strict(ca.root_pem()).signer(), &[AGENT]));

        let (scene, (ca, identity)) = (Scene::new(), acme());
        let tsa = Ca::root(ca_params(name("Time", "root")), KeyType::P256);
        let authority = Authority::start(&tsa.issue(&timestamping_params(name("Time", "tsa")), KeyType::P256));
        let root = scene.notation.file("tsa.pem", tsa.root_pem());
        let root = root.to_str().expect("a path");
        let envelope = scene.sign(&identity, format, &["--timestamp-url", &authority.url(), "--timestamp-root-cert", root]);
        let signer = Policy::strict(ca.root_pem()).and(StoreKind::Tsa, tsa.root_pem()).signer();
        // A token has parts of its own that nobody signs: its version, its list of hashes, certificates that are not needed.
        subjects.push(Subject::new(scene, envelope, signer, &[AGENT, "io.cncf.notary.timestampSignature"]));
    }
    subjects
}

/// A fixed sequence of numbers (Marsaglia, xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below a usize")
    }
}

#[test]
fn a_flipped_bit_never_verifies() {
    for subject in subjects() {
        let bits = subject.envelope.bytes.len() * 8;
        let count = scale(SMALL, bits).min(bits);
        for index in 0..count {
            let bit = index * bits / count;
            let mut bytes = subject.envelope.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let unsigned = subject.unsigned.iter().any(|range| range.contains(&(bit / 8)));
            assert!(!subject.verifies(bytes) || unsigned, "bit {bit} of {}", subject.envelope.media_type);
        }
    }
}

#[test]
fn a_shortened_or_lengthened_envelope_never_verifies() {
    for subject in subjects() {
        let length = subject.envelope.bytes.len();
        let count = scale(300, length).min(length);
        for index in 0..count {
            let at = index * length / count;
            assert!(!subject.verifies(subject.envelope.bytes[..at].to_vec()), "cut at {at}");
            let doubled = [&subject.envelope.bytes[..at], &subject.envelope.bytes[at..], &subject.envelope.bytes[at..]].concat();
            assert!(!subject.verifies(doubled), "doubled from {at}");
        }
    }
}

#[test]
fn random_bytes_and_splices_never_verify() {
    let mut numbers = Numbers(0x5ea1_6a7e);
    for subject in subjects() {
        for _ in 0..scale(SMALL, 100_000) {
            let length = subject.envelope.bytes.len();
            let mut bytes = subject.envelope.bytes.clone();
            // Moves a piece of itself over another, and sets a few bytes.
            let (from, to) = (numbers.below(length), numbers.below(length));
            let piece = 1 + numbers.below(64).min(length - from.max(to) - 1);
            bytes.copy_within(from..from + piece, to);
            for _ in 0..numbers.below(4) {
                let at = numbers.below(length);
                bytes[at] = u8::try_from(numbers.below(256)).expect("a byte");
            }
            let changed = bytes.iter().zip(&subject.envelope.bytes).enumerate().filter(|(_, (a, b))| a != b);
            let signed_part = changed.map(|(at, _)| at).any(|at| !subject.unsigned.iter().any(|range| range.contains(&at)));
            assert!(!subject.verifies(bytes) || !signed_part, "{from} {to} {piece}");
            let noise: Vec<u8> = (0..numbers.below(200)).map(|_| u8::try_from(numbers.below(256)).expect("a byte")).collect();
            assert!(!subject.verifies(noise));
        }
    }
}

#[test]
fn one_envelopes_parts_do_not_fit_another() {
    // Payload, headers and signature of two good envelopes by the same key.
    let (scene, (ca, identity)) = (Scene::new(), acme());
    let first = scene.sign(&identity, Format::Jws, &[]);
    let other = Scene::new().sign(&identity, Format::Jws, &["--expiry", "2h"]);
    let read = |envelope: &Envelope| serde_json::from_slice::<serde_json::Value>(&envelope.bytes).expect("JWS");
    let signer = Policy::strict(ca.root_pem()).signer();
    for field in ["payload", "protected", "signature"] {
        let mut mixed = read(&first);
        mixed[field] = read(&other)[field].clone();
        let envelope = Envelope { bytes: mixed.to_string().into_bytes(), ..first.clone() };
        assert!(scene.ours(&envelope, &signer, now()).is_err(), "{field}");
    }
    // A certificate of the same name for another key.
    let twin = ca.issue(&signing_params(name("Acme", "release")), KeyType::P256).chain_der();
    let mut mixed = read(&first);
    mixed["header"]["x5c"] = twin.iter().map(|der| serde_json::json!(base64(der))).collect();
    let envelope = Envelope { bytes: mixed.to_string().into_bytes(), ..first };
    assert!(scene.ours(&envelope, &signer, now()).is_err());
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
