use bytes::Bytes;

use super::*;
use crate::time::Timestamp;

fn changed(from: &str, to: &str) -> Result<Trusted, TufError> {
    let text = std::str::from_utf8(PUBLIC).expect("text");
    assert!(text.contains(from), "{from}");
    Trusted::begin(&Bytes::from(text.replacen(from, to, 1)))
}

#[test]
fn the_embedded_roots_are_signed_by_themselves() {
    for (bytes, version) in [(PUBLIC, 16), (GITHUB, 9)] {
        let trusted = Trusted::begin(&Bytes::from_static(bytes)).expect("a root");
        assert_eq!(trusted.root_version(), version);
        assert_eq!(trusted.wanted_root().path, format!("{}.root.json", version + 1));
        assert!(trusted.check_root(Timestamp::from_rfc_3339("2026-11-25T00:00:00Z").expect("a time")).is_ok());
        assert!(matches!(trusted.check_root(trusted.expires()), Err(TufError::Expired { role: RoleName::Root, .. })));
        // Nothing is listed before the other roles are there.
        assert!(matches!(trusted.target("trusted_root.json", Timestamp(0)), Err(TufError::NotListed { .. })));
        assert_eq!(Trusted::restore(&Bytes::from_static(bytes), &trusted.documents()).expect("restored").root_version(), version);
    }
}

#[test]
fn nothing_signed_can_be_changed() {
    for (from, to) in [
        ("\"version\": 16", "\"version\": 17"),
        ("\"expires\": \"2027", "\"expires\": \"2037"),
        ("\"threshold\": 3", "\"threshold\": 2"),
        ("@bobcallaway", "@someone"),
        ("\"consistent_snapshot\": true", "\"consistent_snapshot\": false"),
    ] {
        assert!(matches!(changed(from, to), Err(TufError::Threshold { role: RoleName::Root, needed: 2 | 3, found: 0 })), "{from}");
    }
    // What is not signed: white space, and the order of keys.
    assert!(changed("{", "{ ").is_ok());
}

#[test]
fn what_two_readers_could_read_differently_is_no_metadata() {
    for (from, to) in [
        ("\"signed\"", "\"Signed\""),
        ("\"version\": 16", "\"version\": 16, \"version\": 16"),
        ("\"version\": 16", "\"version\": 16.0"),
        ("\"version\": 16", "\"version\": -16"),
        ("\"version\": 16", "\"version\": 0"),
        ("\"_type\": \"root\"", "\"_type\": \"targets\""),
        ("\"spec_version\": \"1.0", "\"spec_version\": \"2.0"),
        ("\"threshold\": 3", "\"threshold\": 0"),
        ("\"expires\": \"2027-04-22T", "\"expires\": \"2027-04-32T"),
    ] {
        assert!(matches!(changed(from, to), Err(TufError::Malformed { .. } | TufError::Json { .. })), "{from} -> {to}");
    }
    for bad in [&b""[..], b"{}", b"[]", b"{\"signed\":[],\"signatures\":[]}"] {
        assert!(Trusted::begin(&Bytes::copy_from_slice(bad)).is_err());
    }
    let long = Bytes::from(vec![b' '; crate::limits::TUF_ROOT_BYTES + 1]);
    assert!(matches!(Trusted::begin(&long), Err(TufError::Oversized { .. })));
}
