//! What holds for all evidence and every kind of signer (verifier/tests/properties.rs has more for keys alone).

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use sealgate_tests::scale;
use sealgate_tests::world::{Kind, NOW, World};
use sealgate_verifier::{Attachment, Digest, Evidence, EvidenceSource, Failure, Gap, Location, Quorum, Verdict, evaluate};

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// An attachment of the pool: whose it is, where it is good for something.
type Item = (Option<usize>, Attachment);

static POOLS: LazyLock<Vec<(Kind, Vec<Item>)>> = LazyLock::new(|| Kind::ALL.map(|kind| (kind, pool(kind))).into());

fn pool(kind: Kind) -> Vec<Item> {
    let mut pool: Vec<Item> = WORLD.signed(kind).into_iter().map(|signed| (Some(signed.by), signed.attachment)).collect();
    let (first, second) = (pool[0].1.clone(), pool[1].1.clone());
    pool.extend(WORLD.worthless(kind).into_iter().map(|attachment| (None, attachment)));
    // Its bytes are another's, or its layer is missing.
    pool.push((None, Attachment { manifest: second.manifest, ..first.clone() }));
    pool.push((None, Attachment { layers: Vec::new(), ..first }));
    pool
}

fn admits(evidence: &Evidence, kind: Kind, quorum: Quorum, trusted: [bool; 3]) -> bool {
    matches!(evaluate(evidence, &WORLD.policy(kind, quorum, trusted), NOW), Verdict::Admit(_))
}

fn quorums() -> impl Strategy<Value = Quorum> {
    prop_oneof![Just(Quorum::Any), Just(Quorum::All), (1_usize..=3).prop_map(Quorum::Threshold)]
}

/// One kind of signer, with some of its pool.
fn scenes() -> impl Strategy<Value = (Kind, Vec<Item>)> {
    let locations = vec![Location::Referrers, Location::FallbackTag, Location::SignatureTag, Location::AttestationTag];
    let item = (any::<prop::sample::Index>(), prop::sample::select(locations));
    (0..Kind::ALL.len(), prop::collection::vec(item, 0..6)).prop_map(|(kind, chosen)| {
        let (kind, pool) = &POOLS[kind];
        let item = |(index, location): (prop::sample::Index, Location)| {
            let (by, attachment) = index.get(pool);
            (*by, Attachment { location, ..attachment.clone() })
        };
        (*kind, chosen.into_iter().map(item).collect())
    })
}

fn evidence(items: &[Item]) -> Evidence {
    WORLD.evidence(items.iter().map(|(_, attachment)| attachment.clone()).collect())
}

fn gaps() -> impl Strategy<Value = Vec<Gap>> {
    let sources =
        vec![EvidenceSource::Signatures, EvidenceSource::Attestations, EvidenceSource::Transparency, EvidenceSource::TagResolution];
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
    prop::collection::vec(gap.prop_map(|(source, failure, place, detail)| Gap { source, failure, place, detail }), 1..4)
}

fn config() -> ProptestConfig {
    let cases = u32::try_from(scale(48, 2_000)).expect("small");
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 64, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    // C9
    #[test]
    fn order_and_repetition_change_nothing((kind, items) in scenes(), quorum in quorums(), seed in any::<u64>(), again in prop::collection::vec(any::<prop::sample::Index>(), 0..3)) {
        let policy = WORLD.policy(kind, quorum, [true; 3]);
        let mut other = items.clone();
        if !items.is_empty() {
            other.extend(again.iter().map(|index| index.get(&items).clone()));
        }
        other.sort_by_key(|(_, item)| Digest::sha256(format!("{seed}{:?}{}", item.location, item.digest).as_bytes()));
        prop_assert_eq!(evaluate(&evidence(&other), &policy, NOW), evaluate(&evidence(&items), &policy, NOW));
    }

    // C7, V10: the count is that of distinct signers, however often and in however many forms each signed.
    #[test]
    fn the_quorum_is_what_a_plain_count_of_signers_says((kind, items) in scenes(), quorum in quorums()) {
        // The layer of a torn attachment may come with another copy of it; leave such scenes out.
        prop_assume!(items.iter().all(|(_, item)| !item.layers.is_empty()));
        let signers: BTreeSet<usize> = items.iter().filter_map(|(by, _)| *by).collect();
        let needed = match quorum {
            Quorum::Any => 1,
            Quorum::All => 3,
            Quorum::Threshold(threshold) => threshold,
        };
        prop_assert_eq!(admits(&evidence(&items), kind, quorum, [true; 3]), signers.len() >= needed, "{:?} {:?}", kind, signers);
    }

    /// Nobody who is trusted less, and nothing that is missing, admits more. (An attestation that says otherwise than asked is the exception
    /// that ARCHITECTURE explains; those here say what is asked.)
    #[test]
    fn fewer_signers_or_signatures_never_admit_more((kind, items) in scenes(), quorum in quorums(), trusted in any::<[bool; 3]>(), dropped in any::<prop::sample::Index>()) {
        if !admits(&evidence(&items), kind, quorum, [true; 3]) {
            prop_assert!(!admits(&evidence(&items), kind, quorum, trusted));
            let mut fewer = items;
            if !fewer.is_empty() {
                fewer.remove(dropped.index(fewer.len()));
            }
            prop_assert!(!admits(&evidence(&fewer), kind, quorum, [true; 3]));
        }
    }

    #[test]
    fn a_gap_never_helps_and_never_hides_a_good_signature((kind, items) in scenes(), quorum in quorums(), gaps in gaps()) {
        let mut gapped = evidence(&items);
        gapped.attachments.gaps = gaps;
        prop_assert_eq!(admits(&gapped, kind, quorum, [true; 3]), admits(&evidence(&items), kind, quorum, [true; 3]));
        let line = evaluate(&gapped, &WORLD.policy(kind, quorum, [true; 3]), NOW).line();
        prop_assert!(line.len() <= 700 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", line);
    }

    /// Under the digests that were collected no bit may change, in the manifest or in the layer.
    #[test]
    fn a_flipped_bit_in_the_only_good_evidence_denies(kind in 0..Kind::ALL.len(), which in any::<prop::sample::Index>(), in_layer in any::<bool>(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let (kind, pool) = &POOLS[kind];
        let good: Vec<&Attachment> = pool.iter().filter(|(by, _)| by.is_some()).map(|(_, item)| item).collect();
        let mut changed = (*which.get(&good)).clone();
        prop_assert!(admits(&WORLD.evidence(vec![changed.clone()]), *kind, Quorum::Any, [true; 3]));
        let bytes = if in_layer { &mut changed.layers[0] } else { &mut changed.manifest };
        let mut copy = bytes.to_vec();
        let at = at.index(copy.len());
        copy[at] ^= 1 << bit;
        *bytes = Bytes::from(copy);
        prop_assert!(!admits(&WORLD.evidence(vec![changed]), *kind, Quorum::Any, [true; 3]));
    }

    /// Of the image itself, whoever signed it.
    #[test]
    fn a_flipped_bit_in_the_image_denies(kind in 0..Kind::ALL.len(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u32, rehashed in any::<bool>()) {
        let (kind, pool) = &POOLS[kind];
        let mut changed = WORLD.evidence(vec![which.get(pool).1.clone()]);
        let mut copy = changed.subject.manifest.to_vec();
        let at = at.index(copy.len());
        copy[at] ^= 1 << bit;
        changed.subject.manifest = Bytes::from(copy);
        if rehashed {
            changed.subject.digest = Digest::sha256(&changed.subject.manifest);
        }
        prop_assert!(!admits(&changed, *kind, Quorum::Any, [true; 3]));
    }
}
