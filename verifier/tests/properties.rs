//! What holds for all evidence, not only for the cases that somebody thought of.

mod scene;

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use scene::*;
use sealgate_verifier::{
    Attachment, Collected, Digest, Evidence, EvidenceSource, Failure, Gap, Location, Manifest, Policy, PublicKey, Quorum, Verdict,
    classify, evaluate,
};

/// Good signatures by each of the five keys in each form, and some that are good for nothing.
static POOL: LazyLock<Vec<Attachment>> = LazyLock::new(|| {
    let (image, other) = (image(0), image(1));
    let digest = Digest::sha256(&image);
    let good = KEYS.iter().flat_map(|key| [cosign_bundle(key, &image), message_bundle(key, &image), simple_signing(key, digest, "x")]);
    let elsewhere = KEYS.iter().flat_map(|key| [cosign_bundle(key, &other), simple_signing(key, Digest::sha256(&other), "x")]);
    let attested = KEYS.iter().map(|key| bundle(r#""publicKey":{}"#, &dsse(key, digest, "https://slsa.dev/provenance/v1"), &image));
    let mut pool: Vec<Attachment> = good.chain(elsewhere).chain(attested).collect();
    let mut corrupt = pool[0].clone();
    corrupt.manifest = pool[1].manifest.clone();
    let mut torn = pool[2].clone();
    torn.layers.clear();
    pool.extend([corrupt, torn]);
    pool
});

/// Signers a, b and c; a has two keys; the fifth key is nobody's. `keys` says which of the keys are trusted.
fn three_signers(keys: &[bool; 4], quorum: Quorum) -> Option<Policy> {
    let of = |indexes: &[usize]| indexes.iter().filter(|i| keys[**i]).map(|i| &KEYS[*i]).collect::<Vec<_>>();
    let signers = [("a", of(&[0, 3])), ("b", of(&[1])), ("c", of(&[2]))];
    if signers.iter().any(|(_, keys)| keys.is_empty()) {
        return None;
    }
    let signers = signers.into_iter().map(|(name, keys)| (name, signer_of(&keys))).collect();
    Some(policy(signers, vec![rule(vec![signed_by(quorum, &["a", "b", "c"])])]))
}

const ALL: [bool; 4] = [true; 4];

fn quorums() -> impl Strategy<Value = Quorum> {
    prop_oneof![Just(Quorum::Any), Just(Quorum::All), (1_usize..=3).prop_map(Quorum::Threshold)]
}

fn locations() -> impl Strategy<Value = Location> {
    prop::sample::select(vec![Location::Referrers, Location::FallbackTag, Location::SignatureTag, Location::AttestationTag])
}

fn items() -> impl Strategy<Value = Vec<Attachment>> {
    let item = (0..POOL.len(), locations()).prop_map(|(index, location)| Attachment { location, ..POOL[index].clone() });
    prop::collection::vec(item, 0..8)
}

fn gaps() -> impl Strategy<Value = Vec<Gap>> {
    let sources = vec![
        EvidenceSource::Signatures,
        EvidenceSource::Attestations,
        EvidenceSource::Scanner,
        EvidenceSource::Transparency,
        EvidenceSource::Contents,
        EvidenceSource::TagResolution,
    ];
    let failures = vec![
        Failure::Refused,
        Failure::Timeout,
        Failure::RateLimited,
        Failure::Unavailable,
        Failure::Truncated,
        Failure::Malformed,
        Failure::Stale,
        Failure::Oversized,
        Failure::NotCollected,
    ];
    let gap = (prop::sample::select(sources), prop::sample::select(failures), ".*", ".*");
    prop::collection::vec(gap.prop_map(|(source, failure, place, detail)| Gap { source, place, failure, detail }), 0..4)
}

/// Evidence on the first image, with up to two indexes above it that carry a random part of their own signatures.
fn scenes() -> impl Strategy<Value = Evidence> {
    (items(), prop::collection::vec((any::<u8>(), prop::collection::vec(0_usize..5, 0..4)), 0..3)).prop_map(|(items, parents)| {
        let mut evidence = evidence(&image(0), items);
        evidence.parents = parents
            .into_iter()
            .map(|(seed, keys)| {
                let listing = index(&[&image(0), &image(seed)]);
                let items = keys.into_iter().map(|key| cosign_bundle(&KEYS[key], &listing)).collect();
                parent(&listing, items)
            })
            .collect();
        evidence
    })
}

fn config() -> ProptestConfig {
    let cases = option_env!("SEALGATE_CASES").and_then(|cases| cases.parse().ok()).unwrap_or(48);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    // C9
    #[test]
    fn order_and_repetition_change_nothing(scene in scenes(), quorum in quorums(), again in prop::collection::vec(any::<prop::sample::Index>(), 0..3), seed in any::<u64>()) {
        let policy = three_signers(&ALL, quorum).expect("a policy");
        let expected = evaluate(&scene, &policy, NOW);
        let mut other = scene.clone();
        let repeat = |items: &mut Vec<Attachment>| {
            for index in again.iter().filter(|_| !items.is_empty()).map(|index| index.index(items.len())).collect::<Vec<_>>() {
                items.push(items[index].clone());
            }
            items.sort_by_key(|item| Digest::sha256(format!("{seed}{:?}{:?}", item.location, item.digest).as_bytes()));
        };
        repeat(&mut other.attachments.items);
        other.parents.extend(scene.parents.first().cloned());
        other.parents.reverse();
        for parent in &mut other.parents {
            repeat(&mut parent.attachments.items);
        }
        prop_assert_eq!(evaluate(&other, &policy, NOW), expected);
    }

    #[test]
    fn fewer_keys_or_signatures_never_admit_more(scene in scenes(), quorum in quorums(), keys in any::<[bool; 4]>(), drop in any::<prop::sample::Index>()) {
        let all = three_signers(&ALL, quorum).expect("a policy");
        if !admits(&scene, &all) {
            if let Some(fewer) = three_signers(&keys, quorum) {
                prop_assert!(!admits(&scene, &fewer));
            }
            let mut less = scene.clone();
            if !less.attachments.items.is_empty() {
                less.attachments.items.remove(drop.index(less.attachments.items.len()));
            }
            prop_assert!(!admits(&less, &all));
            less.parents.pop();
            prop_assert!(!admits(&less, &all));
        }
    }

    #[test]
    fn a_gap_never_helps(scene in scenes(), quorum in quorums(), gaps in gaps()) {
        let policy = three_signers(&ALL, quorum).expect("a policy");
        let mut gapped = scene.clone();
        gapped.attachments.gaps = gaps;
        prop_assert_eq!(admits(&gapped, &policy), admits(&scene, &policy));
        let verdict = evaluate(&gapped, &policy, NOW);
        let line = verdict.line();
        prop_assert!(line.len() <= 700 && line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{}", line);
    }

    #[test]
    fn the_quorum_is_what_a_plain_count_of_good_signers_says(items in items(), quorum in quorums()) {
        let policy = three_signers(&ALL, quorum).expect("a policy");
        let digest = Digest::sha256(&image(0));
        // The first fifteen of the pool are good: three forms for each key.
        let good = |item: &&Attachment| POOL[..15].iter().position(|good| good.digest == item.digest && good.manifest == item.manifest && !item.layers.is_empty());
        let signers: std::collections::BTreeSet<_> = items.iter().filter_map(|item| good(&item)).filter_map(|index| ["a", "b", "c", "a"].get(index / 3)).collect();
        let needed = match quorum {
            Quorum::Any => 1,
            Quorum::All => 3,
            Quorum::Threshold(threshold) => threshold,
        };
        // A layer that another copy of the attachment brings counts as well; leave such scenes out.
        prop_assume!(items.iter().all(|item| !item.layers.is_empty()));
        prop_assert_eq!(admits(&evidence(&image(0), items), &policy), signers.len() >= needed, "{:?} {}", signers, digest);
    }

    #[test]
    fn a_changed_byte_in_the_only_good_evidence_denies(which in 0_usize..3, in_layer in any::<bool>(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut changed = POOL[which].clone();
        let bytes = if in_layer { &mut changed.layers[0] } else { &mut changed.manifest };
        let mut copy = bytes.to_vec();
        let at = at.index(copy.len());
        copy[at] ^= 1 << bit;
        *bytes = copy.into();
        // Under the digests that were collected: no byte of anything may change.
        prop_assert!(!admits(&evidence(&image(0), vec![changed]), &ci_policy()));
    }

    #[test]
    fn a_changed_byte_in_the_subject_denies(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut evidence = evidence(&image(0), vec![POOL[0].clone()]);
        let mut copy = evidence.subject.manifest.to_vec();
        let at = at.index(copy.len());
        copy[at] ^= 1 << bit;
        evidence.subject.manifest = copy.into();
        prop_assert!(!admits(&evidence, &ci_policy()));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in "[\\[\\]{}:,\"\\\\a-f0-9eE+.u\u{17f}\u{212a} -]{0,200}", pem in "(-----BEGIN [A-Z ]{0,12}-----)?[A-Za-z0-9+/=\n]{0,120}(-----END PUBLIC KEY-----)?") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let parsed = Manifest::parse(bytes, Some("application/vnd.oci.image.index.v1+json"));
            prop_assert!(parsed.is_err() || bytes.contains(&b'm'));
            let _ = sealgate_verifier::bundle::Bundle::parse(bytes);
            let _ = sealgate_verifier::dsse::Envelope::parse(bytes);
            let _ = sealgate_verifier::statement::Statement::parse(bytes);
            let _ = sealgate_verifier::simple_signing::Payload::parse(bytes);
            let _ = PublicKey::from_der(bytes);
            // Where this scan says yes, serde_json says yes.
            if sealgate_verifier::json::check(bytes, &sealgate_verifier::json::Keys::GRAMMAR).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_ok() || bytes.iter().any(|b| matches!(b, b'e' | b'E')));
            }
        }
        let _ = PublicKey::from_pem(&pem);
        let _ = KEYS[0].public.verify(&bytes, text.as_bytes());
        let bytes = Bytes::from(bytes);
        let attachment = Attachment { location: Location::Referrers, digest: Digest::sha256(&bytes), manifest: bytes.clone(), layers: vec![bytes.clone()] };
        let mut hostile = evidence(&bytes, vec![attachment.clone()]);
        hostile.parents = vec![parent(&bytes, vec![attachment.clone()])];
        prop_assert!(matches!(evaluate(&hostile, &ci_policy(), NOW), Verdict::Deny(_)));
        let mut beside = evidence(&image(0), vec![attachment, POOL[0].clone()]);
        beside.attachments.gaps.clear();
        prop_assert!(admits(&beside, &ci_policy()), "garbage hides nothing");
    }

    #[test]
    fn random_bytes_are_never_classified_as_evidence(bytes in prop::collection::vec(any::<u8>(), 1..300), media_type in prop::sample::select(vec!["application/cose", "application/jose+json", "application/spdx+json"])) {
        let bytes = Bytes::from(bytes);
        let attachment = attachment(Location::Referrers, media_type, bytes.clone(), "", "");
        let manifest = Manifest::parse(&attachment.manifest, None).expect("a manifest");
        prop_assert_eq!(classify(&manifest, &[bytes]), sealgate_verifier::Class::Image);
    }

    #[test]
    fn any_time_gives_a_verdict(now in any::<i64>(), collected_at in any::<i64>(), stale_at in any::<i64>()) {
        let image = image(0);
        let mut evidence = evidence(&image, vec![POOL[0].clone()]);
        evidence.attachments = Collected { collected_at: sealgate_verifier::Timestamp(collected_at), stale_at: sealgate_verifier::Timestamp(stale_at), ..evidence.attachments };
        let verdict = evaluate(&evidence, &ci_policy(), sealgate_verifier::Timestamp(now));
        let usable = now < stale_at && collected_at <= now.saturating_add(60);
        prop_assert_eq!(matches!(verdict, Verdict::Admit(_)), usable);
    }
}
