//! Who vouches for an image: quorums of signers, and indexes for their children.

mod scene;

use std::collections::BTreeSet;

use bytes::Bytes;
use scene::*;
use sealgate_verifier::{Attachment, Digest, Quorum, Reason, Requirement, Verdict, evaluate};

#[test]
fn quorums_count_distinct_signers() {
    // C7, V10
    let image = image(0);
    let signers = || vec![("a", signer_of(&[&KEYS[0], &KEYS[3]])), ("b", signer(&KEYS[1])), ("c", signer(&KEYS[2]))];
    let names = ["a", "b", "c"];
    let admitted = |quorum, keys: &[usize]| {
        let items = keys.iter().map(|key| cosign_bundle(&KEYS[*key], &image)).collect();
        admits(&evidence(&image, items), &policy(signers(), vec![rule(vec![signed_by(quorum, &names)])]))
    };
    for (quorum, keys, expected) in [
        (Quorum::Any, &[][..], false),
        (Quorum::Any, &[4], false),
        (Quorum::Any, &[1], true),
        (Quorum::Threshold(2), &[0, 0, 0], false), // one key three times
        (Quorum::Threshold(2), &[0, 3], false),    // one signer with two keys
        (Quorum::Threshold(2), &[0, 4], false),
        (Quorum::Threshold(2), &[0, 3, 1], true),
        (Quorum::Threshold(3), &[0, 1, 3], false),
        (Quorum::All, &[0, 1], false),
        (Quorum::All, &[3, 1, 2], true),
    ] {
        assert_eq!(admitted(quorum, keys), expected, "{quorum:?} {keys:?}");
    }
}

#[test]
fn every_requirement_must_hold() {
    let image = image(0);
    let both =
        |second| policy(vec![("a", signer(&KEYS[0])), ("b", signer(&KEYS[1]))], vec![rule(vec![signed_by(Quorum::Any, &["a"]), second])]);
    let items = vec![cosign_bundle(&KEYS[0], &image)];
    let listed = Requirement::Digests(BTreeSet::from([Digest::sha256(&image)]));
    assert!(admits(&evidence(&image, items.clone()), &both(listed)));
    let unlisted = both(Requirement::Digests(BTreeSet::from([Digest::sha256(b"")])));
    assert_eq!(only_reason(&evidence(&image, items.clone()), &unlisted), Reason::DigestNotListed { listed: 1 });
    let denial = denial(&evidence(&image, vec![]), &unlisted);
    assert_eq!((denial.reasons.len(), denial.outcome_code()), (2, 22));
    assert!(!admits(&evidence(&image, items), &both(signed_by(Quorum::Any, &["b"]))));
}

#[test]
fn an_index_vouches_for_its_children_wholly_or_not_at_all() {
    let (child, stranger) = (image(0), image(1));
    let listing = index(&[&child]);
    let two = policy(vec![("a", signer(&KEYS[0])), ("b", signer(&KEYS[1]))], vec![rule(vec![signed_by(Quorum::All, &["a", "b"])])]);
    let with = |own: Vec<Attachment>, parents| {
        let mut evidence = evidence(&child, own);
        evidence.parents = parents;
        evidence
    };
    let by = |keys: &[usize], what: &Bytes| keys.iter().map(|key| cosign_bundle(&KEYS[*key], what)).collect::<Vec<_>>();
    let Verdict::Admit(admission) = evaluate(&with(vec![], vec![parent(&listing, by(&[0], &listing))]), &ci_policy(), NOW) else {
        panic!("denied");
    };
    assert_eq!(admission.via(), Some(Digest::sha256(&listing)));
    assert!(admits(&with(vec![], vec![parent(&listing, by(&[0, 1], &listing))]), &two));
    // Signatures of index and child never add up, nor those of two indexes.
    assert!(!admits(&with(by(&[0], &child), vec![parent(&listing, by(&[1], &listing))]), &two));
    let second = index(&[&child, &stranger]);
    assert!(!admits(&with(vec![], vec![parent(&listing, by(&[0], &listing)), parent(&second, by(&[1], &second))]), &two));
    // An unsigned index does not vouch, whatever it lists (issue 2, proof 4); nor one that does not list the child.
    assert!(!admits(&with(vec![], vec![parent(&listing, vec![])]), &ci_policy()));
    let other = index(&[&stranger]);
    assert!(!admits(&with(vec![], vec![parent(&other, by(&[0], &other))]), &ci_policy()));
    // A signature of the child does not vouch for the index, and the other way round.
    assert!(!admits(&with(vec![], vec![parent(&listing, by(&[0], &child))]), &ci_policy()));
    assert!(!admits(&with(by(&[0], &listing), vec![]), &ci_policy()));
    let mut tampered = parent(&listing, by(&[0], &listing));
    tampered.manifest = other;
    assert!(matches!(only_reason(&with(vec![], vec![tampered]), &ci_policy()), Reason::EvidenceMissing { .. }));
}

#[test]
fn an_index_with_a_wrong_size_or_two_levels_up_does_not_vouch() {
    // A13
    let child = image(0);
    let listing = index(&[&child]);
    let wrong: Bytes =
        String::from_utf8(listing.to_vec()).expect("text").replace(&format!("\"size\":{}", child.len()), "\"size\":7").into();
    let above = index(&[&listing]);
    for indexes in [vec![&wrong], vec![&listing, &above]] {
        let mut evidence = evidence(&child, vec![]);
        evidence.parents = indexes.iter().map(|bytes| parent(bytes, vec![])).collect();
        let last = evidence.parents.last_mut().expect("an index");
        last.attachments.items.push(cosign_bundle(&KEYS[0], indexes[indexes.len() - 1]));
        assert!(!admits(&evidence, &ci_policy()));
    }
}

#[test]
fn a_listed_index_covers_its_children_and_helps_one_requirement_only_as_one() {
    let (child, other) = (image(0), image(1));
    let (first, second) = (index(&[&child]), index(&[&other, &child]));
    let listed = Requirement::Digests(BTreeSet::from([Digest::sha256(&first)]));
    let signed = || policy(vec![("ci", signer(&KEYS[0]))], vec![rule(vec![listed.clone(), signed_by(Quorum::Any, &["ci"])])]);
    let mut evidence = evidence(&child, vec![]);
    evidence.parents = vec![parent(&first, vec![]), parent(&second, vec![cosign_bundle(&KEYS[0], &second)])];
    assert!(admits(&evidence, &policy(vec![], vec![rule(vec![listed.clone()])])));
    // One index is listed, the other one signed: no single index meets both.
    assert_eq!(denial(&evidence, &signed()).reasons.len(), 2);
    evidence.parents[0].attachments.items.push(cosign_bundle(&KEYS[0], &first));
    assert!(admits(&evidence, &signed()));
}
