//! What the gate calls, in memory and on each engine.

use bytes::Bytes;
use sealgate::store::{AttachmentRecord, EvidenceRecord, Outcome, Store, TagRecord};
use sealgate_verifier::{Digest, EvidenceSource, Failure, Gap, Location, Revision, Timestamp};

use crate::sample::{ENGINES, decision, digest, evidence, image, index, open, repository, runtime, tag};

async fn tells_what_it_was_told(store: &Store) {
    let (nginx, other) = (repository("nginx"), repository("docker.io/library/nginx-extras"));
    let latest = tag("latest");
    assert_eq!(store.tag(&nginx, &latest).unwrap(), None);
    store.confirm_tag(&nginx, &latest, Timestamp(5)).unwrap();
    assert_eq!(store.tag(&nginx, &latest).unwrap(), None);

    let (first, second) = (digest("first"), digest("second"));
    store.move_tag(&nginx, &latest, first, Timestamp(10)).await.unwrap();
    let moved = TagRecord { digest: first, moved_at: Timestamp(10), confirmed_at: Timestamp(10) };
    assert_eq!(store.tag(&nginx, &latest).unwrap(), Some(moved));
    assert_eq!(store.tag(&other, &latest).unwrap(), None);
    // To where it points: a confirmation, no transition.
    let head = store.ledger_head();
    store.move_tag(&nginx, &latest, first, Timestamp(20)).await.unwrap();
    assert_eq!(store.ledger_head(), head);
    assert_eq!(store.tag(&nginx, &latest).unwrap(), Some(TagRecord { confirmed_at: Timestamp(20), ..moved }));
    // A clock that ran back never makes a tag older or fresher than it was (F24).
    store.confirm_tag(&nginx, &latest, Timestamp(15)).unwrap();
    assert_eq!(store.tag(&nginx, &latest).unwrap().unwrap().confirmed_at, Timestamp(20));
    store.move_tag(&nginx, &latest, second, Timestamp(30)).await.unwrap();
    let moved = TagRecord { digest: second, moved_at: Timestamp(30), confirmed_at: Timestamp(30) };
    assert_eq!(store.tag(&nginx, &latest).unwrap(), Some(moved));
    store.move_tag(&nginx, &tag("1.27"), second, Timestamp(31)).await.unwrap();
    store.move_tag(&other, &tag("0"), first, Timestamp(31)).await.unwrap();
    let names: Vec<_> = store.tags(&nginx, 10).unwrap().into_iter().map(|(tag, _)| tag.to_string()).collect();
    assert_eq!(names, ["1.27", "latest"]);
    assert_eq!(store.tags(&nginx, 1).unwrap().len(), 1);
    assert_eq!(store.high_water(), Timestamp(31));
}

async fn knows_what_lists_what(store: &Store) {
    let (nginx, other) = (repository("nginx"), repository("ghcr.io/acme/nginx"));
    let base = digest("base layer");
    let (a, a_bytes, a_manifest) = image("a", &[base, digest("layer a"), base]);
    let (b, b_bytes, b_manifest) = image("b", &[base]);
    let (list, list_bytes, list_manifest) = index("list", &[a, b]);
    let now = Timestamp(40);
    store.store_manifest(&nginx, &a, a_bytes.clone(), &a_manifest, now).await.unwrap();
    store.store_manifest(&nginx, &b, b_bytes, &b_manifest, now).await.unwrap();
    store.store_manifest(&nginx, &list, list_bytes.clone(), &list_manifest, now).await.unwrap();
    let head = store.ledger_head();
    store.store_manifest(&nginx, &a, a_bytes.clone(), &a_manifest, Timestamp(50)).await.unwrap();
    assert_eq!(store.ledger_head(), head);

    let record = store.manifest(&nginx, &a).unwrap().unwrap();
    assert_eq!((record.size, record.stored_at), (a_bytes.len() as u64, now));
    assert_eq!(record.media_type, sealgate_verifier::media_type::OCI_MANIFEST);
    assert_eq!(store.blobs().read(&a, 1000).unwrap().unwrap(), a_bytes);
    let mut both = vec![a, b];
    both.sort();
    assert_eq!(store.manifests_listing_blob(&nginx, &base).unwrap(), both);
    assert_eq!(store.manifests_listing_blob(&nginx, &digest("config of a")).unwrap(), [a]);
    assert_eq!(store.indexes_listing(&nginx, &a).unwrap(), [list]);
    assert_eq!(store.indexes_of(&nginx, 10).unwrap(), [list]);
    // Nothing of it in another repository, although the bytes are shared.
    assert_eq!(store.manifest(&other, &a).unwrap(), None);
    assert!(store.manifests_listing_blob(&other, &base).unwrap().is_empty());
    assert!(store.indexes_listing(&other, &a).unwrap().is_empty());
    assert!(store.indexes_of(&other, 10).unwrap().is_empty());

    assert_eq!(store.possession(&nginx, &base).unwrap(), None);
    store.record_possession(&nginx, &base, 123, now).await.unwrap();
    assert_eq!(store.possession(&nginx, &base).unwrap(), Some(123));
    assert_eq!(store.possession(&other, &base).unwrap(), None);
    let head = store.ledger_head();
    store.record_possession(&nginx, &base, 123, now).await.unwrap();
    assert_eq!(store.ledger_head(), head);
}

async fn keeps_evidence_and_decisions(store: &Store) {
    let nginx = repository("nginx");
    let subject = digest("subject");
    assert_eq!(store.evidence(&nginx, &subject).unwrap(), None);
    let gap = Gap {
        source: EvidenceSource::Signatures,
        place: "referrers API".to_owned(),
        failure: Failure::Timeout,
        detail: "none\nin \"time\"".to_owned(),
    };
    let attachment = AttachmentRecord { location: Location::SignatureTag, digest: digest("sig"), layers: vec![digest("payload")] };
    let record = EvidenceRecord { attachments: vec![attachment], gaps: vec![gap], ..evidence(60) };
    store.store_evidence(&nginx, &subject, record.clone()).await.unwrap();
    assert_eq!(store.evidence(&nginx, &subject).unwrap(), Some(record));

    let denied = decision("01D", &nginx, subject, Outcome::Denied, 61);
    let admitted = decision("01E", &nginx, subject, Outcome::Admitted, 62);
    assert_eq!(store.verdict(&nginx, &subject).unwrap(), None);
    store.record_verdict(denied.clone()).await.unwrap();
    store.record_verdict(admitted.clone()).await.unwrap();
    assert_eq!(store.verdict(&nginx, &subject).unwrap().as_ref(), Some(&admitted));
    assert_eq!(store.decision("01D").unwrap(), Some(denied));
    assert_eq!(store.decision("01X").unwrap(), None);
    assert_eq!(store.verdict(&repository("ghcr.io/a/b"), &subject).unwrap(), None);

    let (old, new) = (Revision(digest("old")), Revision(digest("new")));
    store.record_policy(old, Timestamp(63)).await.unwrap();
    store.record_policy(new, Timestamp(63)).await.unwrap();
    let head = store.ledger_head();
    store.record_policy(new, Timestamp(64)).await.unwrap();
    assert_eq!((store.ledger_head(), store.policy().unwrap()), (head, Some(new)));
}

async fn refuses_bytes_under_a_false_name(store: &Store) {
    let (digest, _, manifest) = image("true", &[]);
    let false_bytes = Bytes::from_static(b"false");
    let refused = store.store_manifest(&repository("nginx"), &digest, false_bytes.clone(), &manifest, Timestamp(70)).await;
    assert!(refused.is_err());
    assert_eq!(store.manifest(&repository("nginx"), &digest).unwrap(), None);
    assert!(store.blobs().read(&Digest::sha256(&false_bytes), 100).unwrap().is_none());
}

fn everything(store: &Store) {
    runtime().block_on(async {
        tells_what_it_was_told(store).await;
        knows_what_lists_what(store).await;
        keeps_evidence_and_decisions(store).await;
        refuses_bytes_under_a_false_name(store).await;
    });
}

#[test]
fn a_store_in_memory_tells_what_it_was_told() {
    everything(&Store::in_memory());
}

#[test]
fn a_store_on_each_engine_tells_what_it_was_told() {
    for engine in ENGINES {
        let data = tempfile::tempdir().unwrap();
        everything(&open(data.path(), engine).0);
    }
}

#[test]
fn a_hundred_tasks_that_move_one_tag_leave_an_unbroken_history() {
    let store = Store::in_memory();
    let runtime = runtime();
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let store = store.clone();
            let to = digest(&number.to_string());
            runtime.spawn(async move { store.move_tag(&repository("nginx"), &tag("latest"), to, Timestamp(number)).await.unwrap() })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert_eq!(store.ledger_head().seq, 100);
}
