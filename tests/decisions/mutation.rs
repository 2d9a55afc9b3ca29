//! Mutants of every kind of good evidence, through the whole decision: none is admitted, unless it differs only where nothing vouches
//! for what stands there. (verifier/tests/sigstore_mutation.rs does the same with recorded bundles, tests/notation/mutation.rs with every bit
//! of an envelope.)

use bytes::Bytes;
use sealgate_tests::evidence::with_manifest;
use sealgate_tests::scale;
use sealgate_tests::world::{Kind, NOW, World};
use sealgate_verifier::{Attachment, Evidence, Policy, Quorum, Verdict, evaluate};
use serde_json::Value;

use crate::essence::{essence, restore};
use crate::mutant::{Random, flip, mutate};
use crate::proven::{Proven, agent};
use crate::real;

/// Good evidence, and who decides on it.
struct Subject {
    name: String,
    attachment: Attachment,
    evidence: Box<dyn Fn(Attachment) -> Evidence>,
    policy: Policy,
    /// Whether certificates, log entries and timestamps are read.
    vouched: bool,
    /// Whether a time of signing is needed.
    timed: bool,
}

impl Subject {
    fn admits(&self, attachment: Attachment) -> bool {
        matches!(evaluate(&(self.evidence)(attachment), &self.policy, NOW), Verdict::Admit(_))
    }

    /// What the evidence proves.
    fn proven(&self, attachment: &Attachment) -> Proven {
        Proven::of(attachment, self.vouched, agent(&self.attachment.layers[0]))
    }

    /// Whether both prove the same.
    fn same(&self, mutant: &Attachment) -> bool {
        let own = self.proven(&self.attachment);
        let mut other = self.proven(mutant);
        if let (Proven::Bundle(mutant), Proven::Bundle(own)) = (&mut other, &own)
            && self.vouched
        {
            restore(mutant, own, self.timed);
        }
        if let (Proven::Annotated { timestamp: mutant @ None, .. }, Proven::Annotated { timestamp, .. }) = (&mut other, &own) {
            // Beside a log's promise a timestamp may be left out.
            *mutant = timestamp.clone();
        }
        other == own
    }
}

fn subjects() -> Vec<Subject> {
    let world: &'static World = Box::leak(Box::default());
    let mut subjects = Vec::new();
    for image in real::images() {
        let policy = image.policy();
        for attachment in image.attachments() {
            let image = image.clone();
            let evidence = Box::new(move |attachment| image.evidence(vec![attachment]));
            let name = format!("{} {}", attachment.digest, attachment.location.name());
            subjects.push(Subject { name, attachment, evidence, policy: policy.clone(), vouched: true, timed: true });
        }
    }
    for kind in Kind::ALL {
        for signed in world.signed(kind).into_iter().filter(|signed| signed.by < 2) {
            let by_key = matches!(kind, Kind::Keyed | Kind::Logged) || (kind == Kind::Attested && signed.by == 0);
            subjects.push(Subject {
                name: format!("{kind:?}, {} by {}", signed.form, signed.by),
                attachment: signed.attachment,
                evidence: Box::new(|attachment| world.evidence(vec![attachment])),
                policy: world.policy(kind, Quorum::Any, [true; 3]),
                vouched: kind == Kind::Logged || !by_key,
                timed: !by_key,
            });
        }
    }
    subjects
}

/// `attachment` with another layer, which its manifest names.
fn with_layer(attachment: &Attachment, layer: Vec<u8>) -> Attachment {
    let mut manifest: Value = serde_json::from_slice(&attachment.manifest).expect("JSON");
    let layers = manifest["layers"].as_array_mut().expect("layers");
    let old = sealgate_tests::sha256(&attachment.layers[0]);
    for descriptor in layers.iter_mut().filter(|layer| layer["digest"] == *old) {
        descriptor["digest"] = Value::from(sealgate_tests::sha256(&layer));
        descriptor["size"] = Value::from(layer.len());
    }
    with_manifest(attachment.location, manifest.to_string(), Bytes::from(layer))
}

/// One change somewhere: in the manifest, in the layer, in what an annotation or a field of the layer encodes.
fn change(attachment: &Attachment, random: &mut Random) -> Attachment {
    let layer = &attachment.layers[0];
    match random.below(4) {
        0 => {
            let mut manifest = attachment.manifest.to_vec();
            flip(&mut manifest, random);
            with_manifest(attachment.location, manifest, layer.clone())
        }
        1 if serde_json::from_slice::<Value>(layer).is_ok() => with_layer(attachment, mutate(layer, random)),
        2 => match annotation(attachment, random) {
            Some(manifest) => with_manifest(attachment.location, manifest, layer.clone()),
            None => with_layer(attachment, flipped(layer, random)),
        },
        _ => with_layer(attachment, flipped(layer, random)),
    }
}

fn flipped(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    flip(&mut bytes, random);
    bytes
}

/// The manifest with one annotation of its layer changed: a bit of its text, of what a PEM block holds, or a value of a document.
fn annotation(attachment: &Attachment, random: &mut Random) -> Option<Vec<u8>> {
    let mut manifest: Value = serde_json::from_slice(&attachment.manifest).ok()?;
    let annotations = manifest["layers"][0]["annotations"].as_object_mut()?;
    let count = annotations.len();
    let text = annotations.values_mut().nth(random.below(count))?;
    let old = text.as_str().filter(|text| !text.is_empty())?.to_owned();
    let changed = match random.below(3) {
        0 if serde_json::from_str::<Value>(&old).is_ok_and(|value| value.is_object()) => mutate(old.as_bytes(), random),
        1 => crate::proven::flip_pem(&old, random).unwrap_or_else(|| flipped(old.as_bytes(), random)),
        _ => flipped(old.as_bytes(), random),
    };
    *text = Value::from(String::from_utf8_lossy(&changed));
    serde_json::to_vec(&manifest).ok()
}

// V1, V2, V3, V10, V13, V15, V22, C4, C5
#[test]
fn no_mutant_of_good_evidence_is_admitted() {
    let (subjects, mut random) = (subjects(), Random(0x5ea1_ca5e));
    let each = scale(6_000, 160_000) / subjects.len();
    let (mut denied, mut same) = (0_usize, 0_usize);
    for subject in &subjects {
        assert!(subject.admits(subject.attachment.clone()), "{}", subject.name);
        for _ in 0..each {
            let mutant = change(&subject.attachment, &mut random);
            if !subject.admits(mutant.clone()) {
                denied += 1;
                continue;
            }
            let text = || format!("{}\n{}", String::from_utf8_lossy(&mutant.manifest), String::from_utf8_lossy(&mutant.layers[0]));
            assert!(subject.same(&mutant), "{} is admitted although it differs:\n{}", subject.name, text());
            same += 1;
        }
    }
    println!("{} subjects: {denied} mutants denied, {same} differ only where nothing vouches", subjects.len());
    assert!(denied > same, "{denied} denied, {same} the same");
}

#[test]
fn what_proves_nothing_is_told_from_what_does() {
    // The mutation test is only as good as this comparison.
    let bundle: Value = serde_json::json!({ "mediaType": "m", "verificationMaterial": { "publicKey": { "hint": "a" } }, "messageSignature": { "signature": "AAAAAAAAAAAAAAAAAAAAAAAA" } });
    let mut other = bundle.clone();
    other["verificationMaterial"]["publicKey"]["hint"] = Value::from("b");
    assert_eq!(essence(&bundle), essence(&other));
    other["messageSignature"]["signature"] = Value::from("AAAAAAAAAAAAAAAAAAAAAAAB");
    assert_ne!(essence(&bundle), essence(&other));
}
