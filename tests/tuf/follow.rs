//! What an honest repository may do.

use super::*;

#[test]
fn an_honest_repository_is_followed_from_version_to_version() {
    for consistent in [true, false] {
        let mut author = Author::new(b"one");
        author.rotate(|author| author.consistent = consistent);
        let mut trusted = begin(&author);
        assert_eq!(update(&mut trusted, &author.files()).expect("the first"), b"one");
        assert_eq!(update(&mut trusted, &author.files()).expect("nothing new"), b"one");
        author.replace(b"two");
        assert_eq!(update(&mut trusted, &author.files()).expect("the second"), b"two");
        // A new timestamp over the same snapshot is the usual day.
        author.timestamp.version += 1;
        let files = author.files();
        let _ = trusted.new_timestamp(&bytes(&files["timestamp.json"]), NOW).expect("a timestamp");
        assert_eq!((trusted.wanted_snapshot(), trusted.wanted_targets()), (Ok(None), Ok(None)));
        // What was kept is all that a restart needs.
        let mut restored = Trusted::restore(&bytes(&author.roots[&1]), &trusted.documents()).expect("restored");
        assert_eq!(update(&mut restored, &author.files()).expect("after a restart"), b"two");
    }
}

#[test]
fn the_root_may_rotate_through_many_versions() {
    let mut author = Author::new(b"one");
    let mut trusted = begin(&author);
    for _ in 0..5 {
        author.rotate(Author::new_root_keys);
        author.rotate(|author| Author::new_key(&mut author.timestamp));
        author.rotate(|author| author.root.threshold = 3);
        author.rotate(|author| author.root.threshold = 1);
    }
    // A root in between may have expired (5.3.10 looks at the last one only).
    author.rotate(|author| author.root.expires = OVER);
    author.rotate(|author| author.root.expires = sealgate_tests::tuf::FAR);
    assert_eq!(update(&mut trusted, &author.files()).expect("the last"), b"one");
    assert_eq!((trusted.root_version(), trusted.documents().roots.len()), (23, 22));
    // A program that begins with a later root goes on with what was kept.
    let later = bytes(&author.roots[&20]);
    assert_eq!(Trusted::restore(&later, &trusted.documents()).expect("restored").root_version(), 23);
}

#[test]
fn a_role_whose_keys_are_replaced_may_begin_again() {
    // 5.3.11: whoever stole a key may have signed version 1,000,000.
    let mut author = Author::new(b"one");
    author.timestamp.version = 1_000_000;
    author.snapshot.version = 1_000_000;
    let recovered = meets(&mut author, |author| {
        author.rotate(|author| {
            Author::new_key(&mut author.timestamp);
            Author::new_key(&mut author.snapshot);
        });
        (author.timestamp.version, author.snapshot.version) = (2, 2);
    });
    assert_eq!(recovered.expect("a new beginning"), b"one");
    // Not by a new root alone.
    let mut author = Author::new(b"one");
    author.timestamp.version = 1_000_000;
    let rolled = meets(&mut author, |author| {
        author.rotate(Author::new_root_keys);
        author.timestamp.version = 2;
    });
    assert!(matches!(rolled, Err(TufError::Rollback { .. })));
}

/// Every file below `folder`, by its path there.
fn read(folder: &std::path::Path, prefix: &str, files: &mut Files) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).expect("a file"));
        }
    }
}

#[test]
fn a_repository_that_python_tuf_made_is_followed() {
    let mut files = Files::new();
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("python_tuf"), "", &mut files);
    let mut trusted = Trusted::begin(&bytes(&files["1.root.json"])).expect("the first root");
    let target = update(&mut trusted, &files).expect("the repository");
    assert!(target.starts_with(br#"{"made by": "python-tuf""#) && trusted.root_version() == 2);
    // Keys of every kind count: the second root needs two of the first one's, and neither of the two that signed is enough.
    let mut alone = json_of(&files["2.root.json"]);
    for kept in 0..2 {
        let mut alone = alone.clone();
        let signatures = alone["signatures"].as_array_mut().expect("signatures");
        let keep = signatures.remove(kept);
        *signatures = vec![keep, signatures.pop().expect("the newcomer's")];
        let mut trusted = Trusted::begin(&bytes(&files["1.root.json"])).expect("the first root");
        let error = trusted.new_root(&bytes(alone.to_string().as_bytes())).expect_err("one old key");
        assert_eq!(error, TufError::Threshold { role: RoleName::Root, needed: 2, found: 1 });
    }
    alone["signed"]["x-unknown"]["a"] = json!("another");
    let mut trusted = Trusted::begin(&bytes(&files["1.root.json"])).expect("the first root");
    assert!(matches!(trusted.new_root(&bytes(alone.to_string().as_bytes())), Err(TufError::Threshold { found: 0, .. })));
}
