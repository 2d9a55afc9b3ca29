//! What no repository may do.

use super::*;

#[test]
fn a_root_without_both_thresholds_is_refused() {
    let threshold = |error| matches!(error, TufError::Threshold { role: RoleName::Root, needed: 2, found: 0 | 1 });
    // By the new keys alone.
    let mut author = Author::new(b"one");
    let mut trusted = begin(&author);
    author.root.version = 2;
    author.new_root_keys();
    author.issue_root();
    assert!(threshold(update(&mut trusted, &author.files()).expect_err("new keys")));
    // By the old keys alone.
    let mut author = Author::new(b"one");
    let (mut trusted, old) = (begin(&author), author.root.signers.clone());
    author.root.version = 2;
    author.new_root_keys();
    author.root.signers = old;
    author.issue_root();
    assert!(threshold(update(&mut trusted, &author.files()).expect_err("old keys")));
    // By one old key too few.
    let mut author = Author::new(b"one");
    let mut trusted = begin(&author);
    author.root.signers.truncate(1);
    author.rotate(|_| {});
    assert!(threshold(update(&mut trusted, &author.files()).expect_err("one key")));
    assert_eq!(trusted.root_version(), 1);
}

#[test]
fn a_root_out_of_its_turn_is_refused() {
    for (version, file) in [(1, 2), (3, 2), (5, 2)] {
        let mut author = Author::new(b"one");
        let mut trusted = begin(&author);
        author.root.version = version;
        let root = author.root_metadata();
        author.roots.insert(file, root);
        let error = update(&mut trusted, &author.files()).expect_err("another version");
        assert_eq!(error, TufError::RootVersion { expected: 2, found: version });
    }
    let mut author = Author::new(b"one");
    let mut trusted = begin(&author);
    author.rotate(|author| author.root.expires = OVER);
    assert!(matches!(update(&mut trusted, &author.files()), Err(TufError::Expired { role: RoleName::Root, .. })));
}

#[test]
fn no_role_goes_back() {
    let rollback = |what: &str, result: Result<Vec<u8>, TufError>| match result {
        Err(TufError::Rollback { what: found, trusted, found: version }) => assert!(found.contains(what) && version < trusted, "{found}"),
        other => panic!("{what}: {other:?}"),
    };
    let advanced = || {
        let mut author = Author::new(b"one");
        for _ in 0..3 {
            author.advance();
        }
        author.delegated.insert("releases.json".to_owned(), 7);
        author
    };
    rollback("timestamp", meets(&mut advanced(), |author| author.timestamp.version -= 1));
    rollback(
        "snapshot",
        meets(&mut advanced(), |author| {
            author.timestamp.version += 1;
            author.snapshot.version -= 1;
        }),
    );
    rollback(
        "targets.json",
        meets(&mut advanced(), |author| {
            author.advance();
            author.targets.version -= 2;
        }),
    );
    rollback(
        "releases.json",
        meets(&mut advanced(), |author| {
            author.advance();
            author.delegated.insert("releases.json".to_owned(), 6);
        }),
    );
    let removed = meets(&mut advanced(), |author| {
        author.advance();
        author.delegated.clear();
    });
    assert_eq!(removed, Err(TufError::Removed { file: "releases.json".to_owned() }));
    // The same version with other content: the trusted one stays.
    let mut author = advanced();
    let mut trusted = begin(&author);
    update(&mut trusted, &author.files()).expect("honest");
    author.files.insert(TARGET.to_owned(), b"two".to_vec());
    assert_eq!(trusted.new_timestamp(&bytes(&author.files()["timestamp.json"]), NOW), Ok(false));
    assert_eq!((trusted.wanted_snapshot(), trusted.wanted_targets()), (Ok(None), Ok(None)));
}

#[test]
fn what_was_trusted_before_a_restart_still_counts() {
    let mut author = Author::new(b"one");
    author.advance();
    author.advance();
    let mut trusted = begin(&author);
    update(&mut trusted, &author.files()).expect("honest");
    // An update that broke off behind the timestamp: the old snapshot must still be what the next one is compared with.
    author.timestamp.version += 1;
    author.snapshot.version += 1;
    author.targets.version -= 1;
    let files = author.files();
    assert_eq!(trusted.new_timestamp(&bytes(&files["timestamp.json"]), NOW), Ok(true));
    let mut restored = Trusted::restore(&bytes(&author.roots[&1]), &trusted.documents()).expect("restored");
    assert!(
        matches!(restored.target(TARGET, NOW), Err(TufError::Bytes { .. } | TufError::Version { .. })),
        "a broken update authorises nothing"
    );
    assert!(matches!(update(&mut restored, &files), Err(TufError::Rollback { found: 2, trusted: 3, .. })));
    author.timestamp.version -= 2;
    assert!(matches!(update(&mut restored, &author.files()), Err(TufError::Rollback { .. })));
    // What was kept and does not verify is not taken for "nothing was kept".
    let mut kept = trusted.documents();
    kept.timestamp = Some(bytes(&Author::new(b"other").files()["timestamp.json"]));
    assert!(matches!(Trusted::restore(&bytes(&author.roots[&1]), &kept), Err(TufError::Threshold { .. })));
}

#[test]
fn what_has_expired_stops_the_update() {
    let expired = |role: RoleName, change: &dyn Fn(&mut Author)| {
        let mut fresh = Author::new(b"one");
        change(&mut fresh);
        let found = update(&mut begin(&fresh), &fresh.files());
        assert!(matches!(found, Err(TufError::Expired { role: of, .. }) if of == role), "{role} at first: {found:?}");
        let later = meets(&mut Author::new(b"one"), |author| {
            author.advance();
            change(author);
        });
        assert!(matches!(later, Err(TufError::Expired { role: of, .. }) if of == role), "{role} later: {later:?}");
    };
    expired(RoleName::Timestamp, &|author| author.timestamp.expires = OVER);
    expired(RoleName::Snapshot, &|author| author.snapshot.expires = OVER);
    expired(RoleName::Targets, &|author| author.targets.expires = OVER);
    // A frozen repository: nothing new, and what was trusted runs out. The very second of expiry is over (5.4.4: "higher than").
    for role in [RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets] {
        let mut author = Author::new(b"one");
        let change: &mut sealgate_tests::tuf::Role = match role {
            RoleName::Snapshot => &mut author.snapshot,
            RoleName::Targets => &mut author.targets,
            RoleName::Root | RoleName::Timestamp => &mut author.timestamp,
        };
        change.expires = "2026-12-01T00:00:00Z";
        let mut trusted = begin(&author);
        update(&mut trusted, &author.files()).expect("fresh");
        let end = Timestamp::from_rfc_3339("2026-12-01T00:00:00Z").expect("a time");
        assert_eq!(trusted.expires(), end);
        assert!(trusted.target(TARGET, end.plus(-1)).is_ok());
        assert!(matches!(trusted.target(TARGET, end), Err(TufError::Expired { role: of, .. }) if of == role));
    }
}

#[test]
fn the_right_keys_sign_each_role() {
    for role in [RoleName::Timestamp, RoleName::Snapshot, RoleName::Targets] {
        let by = |change: &dyn Fn(&mut sealgate_tests::tuf::Role, &Author)| {
            let mut author = Author::new(b"one");
            let before = author.clone();
            let changed = match role {
                RoleName::Snapshot => &mut author.snapshot,
                RoleName::Targets => &mut author.targets,
                RoleName::Root | RoleName::Timestamp => &mut author.timestamp,
            };
            change(changed, &before);
            update(&mut begin(&before), &author.files())
        };
        let refused = |result| matches!(result, Err(TufError::Threshold { role: of, needed: 1, found: 0 }) if of == role);
        assert!(refused(by(&|role, _| role.signers = vec![std::sync::Arc::new(Signer::p256())])), "{role}: a stranger");
        assert!(refused(by(&|role, author| role.signers = author.root.signers.clone())), "{role}: the root's keys");
        assert!(refused(by(&|role, _| role.signers.clear())), "{role}: nobody");
    }
}

#[test]
fn one_key_counts_once_whatever_it_is_called() {
    let mut author = Author::new(b"one");
    let root = json_of(&author.roots[&1]);
    let key = std::sync::Arc::clone(&author.root.keys[0]);
    let mut signed = root["signed"].clone();
    // The same key under two key ids, both of which the root role names.
    signed["keys"]["alias"] = key_value(&key);
    signed["roles"]["root"]["keyids"] = json!([key_id(&key), "alias"]);
    let twice = sign(&signed, &[(key_id(&key), &key), ("alias".to_owned(), &key)]);
    assert_eq!(Trusted::begin(&bytes(&twice)).expect_err("one person"), TufError::Threshold { role: RoleName::Root, needed: 2, found: 1 });
    // Two signatures of one key id.
    let repeated = sign(&root["signed"], &[(key_id(&key), &key), (key_id(&key), &key)]);
    assert_eq!(Trusted::begin(&bytes(&repeated)).expect_err("twice"), TufError::RepeatedSignature { role: RoleName::Root });
    // A role that names one key id twice.
    let mut doubled = root["signed"].clone();
    doubled["roles"]["root"]["keyids"] = json!([key_id(&key), key_id(&key)]);
    let doubled = sign(&doubled, &[(key_id(&key), &key)]);
    assert!(matches!(Trusted::begin(&bytes(&doubled)), Err(TufError::Malformed { .. })));
    // A key id under which the root has another key.
    let other = Signer::p256();
    let mut swapped = root["signed"].clone();
    swapped["keys"][key_id(&key)] = key_value(&other);
    let swapped = sign(&swapped, &[(key_id(&key), &key), (key_id(&author.root.keys[1]), &author.root.keys[1])]);
    assert!(matches!(Trusted::begin(&bytes(&swapped)), Err(TufError::Threshold { found: 1, .. })));
    // One signature too many that is not valid does no harm.
    author.root.signers.push(std::sync::Arc::new(other));
    assert!(Trusted::begin(&bytes(&author.root_metadata())).is_ok());
    // A threshold that no honest root has.
    let mut none = root["signed"].clone();
    none["roles"]["timestamp"]["threshold"] = json!(0);
    let signers: Vec<_> = author.root.keys.iter().map(|key| (key_id(key), &**key)).collect();
    assert!(matches!(Trusted::begin(&bytes(&sign(&none, &signers))), Err(TufError::Malformed { .. })));
}

#[test]
fn metadata_of_different_moments_is_not_mixed() {
    let mut author = Author::new(b"one");
    let mut trusted = begin(&author);
    let old = author.files();
    author.replace(b"two");
    let new = author.files();
    trusted.new_timestamp(&bytes(&new["timestamp.json"]), NOW).expect("the new timestamp");
    assert!(matches!(trusted.new_snapshot(&bytes(&old["1.snapshot.json"]), NOW), Err(TufError::Bytes { .. })));
    assert_eq!(trusted.new_targets(&bytes(&new["2.targets.json"]), NOW), Err(TufError::NotListed { what: "targets.json".to_owned() }));
    trusted.new_snapshot(&bytes(&new["2.snapshot.json"]), NOW).expect("the new snapshot");
    assert!(matches!(trusted.new_targets(&bytes(&old["1.targets.json"]), NOW), Err(TufError::Bytes { .. })));
    trusted.new_targets(&bytes(&new["2.targets.json"]), NOW).expect("the new targets");
    let target = trusted.target(TARGET, NOW).expect("the target");
    assert!(matches!(target.check(b"one"), Err(TufError::Bytes { property: "sha256", .. })), "the target was swapped");
    assert!(matches!(target.check(b"twoo"), Err(TufError::Bytes { property: "length", .. })));
    assert!(matches!(trusted.target("another.json", NOW), Err(TufError::NotListed { .. })));
    // A version that differs where no hash is given.
    let mut author = Author::new(b"one");
    let pinless = json!({ "_type": "timestamp", "spec_version": "1.0", "version": 1, "expires": sealgate_tests::tuf::FAR, "meta": { "snapshot.json": { "version": 2 } } });
    let signer = std::sync::Arc::clone(&author.timestamp.keys[0]);
    let mut trusted = begin(&author);
    trusted.new_timestamp(&bytes(&sign(&pinless, &[(key_id(&signer), &signer)])), NOW).expect("a timestamp without hashes");
    let error = trusted.new_snapshot(&bytes(&author.snapshot_metadata(&author.targets_metadata())), NOW).expect_err("version 1");
    assert_eq!(error, TufError::Version { role: RoleName::Snapshot, expected: 2, found: 1 });
    author.snapshot.version = 2;
    assert!(trusted.new_snapshot(&bytes(&author.snapshot_metadata(&author.targets_metadata())), NOW).is_ok());
}

#[test]
fn nothing_is_larger_than_its_limit() {
    let author = Author::new(b"one");
    let files = author.files();
    let padded = |name: &str, limit: usize| {
        let mut bytes = files[name].clone();
        bytes.resize(limit + 1, b' ');
        Bytes::from(bytes)
    };
    let mut trusted = begin(&author);
    assert!(matches!(Trusted::begin(&padded("1.root.json", limits::TUF_ROOT_BYTES)), Err(TufError::Oversized { .. })));
    let timestamp = padded("timestamp.json", limits::TUF_TIMESTAMP_BYTES);
    assert!(matches!(trusted.new_timestamp(&timestamp, NOW), Err(TufError::Oversized { .. })));
    trusted.new_timestamp(&bytes(&files["timestamp.json"]), NOW).expect("a timestamp");
    // No more is read than is signed for.
    let wanted = trusted.wanted_snapshot().expect("a snapshot").expect("wanted");
    assert_eq!(wanted.limit, files["1.snapshot.json"].len());
    let mut huge = Author::new(b"one");
    huge.files.insert(TARGET.to_owned(), vec![b' '; limits::TUF_TARGET_BYTES + 1]);
    assert!(matches!(update(&mut begin(&huge), &huge.files()), Err(TufError::Oversized { .. })));
}

#[test]
fn no_byte_of_the_metadata_can_be_changed() {
    let author = Author::new(b"one");
    let files = author.files();
    for name in ["1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"] {
        let original = json_of(&files[name]);
        for at in 0..files[name].len() {
            let mut changed = files.clone();
            changed.get_mut(name).expect("a file")[at] ^= 1;
            let begun = Trusted::begin(&bytes(&changed["1.root.json"]));
            let outcome = begun.and_then(|mut trusted| update(&mut trusted, &changed));
            // A bit that says nothing (a signature beyond the threshold, white space) changes nothing that is believed.
            let same = serde_json::from_slice::<Value>(&changed[name]).is_ok_and(|found| found["signed"] == original["signed"]);
            assert!(outcome.is_err() || (same && name == "1.root.json"), "{name}, byte {at}");
        }
    }
}
