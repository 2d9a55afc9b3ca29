use super::*;
use crate::sigstore::window::parse_time;

fn changed(from: &str, to: &str) -> Result<TrustRoot, TrustRootError> {
    let text = std::str::from_utf8(PUBLIC).expect("text");
    assert!(text.contains(from), "{from}");
    TrustRoot::from_json(text.replacen(from, to, 1).as_bytes())
}

#[test]
fn the_embedded_root_is_read_whole_and_has_a_date() {
    let root = TrustRoot::public().expect("a trust root");
    assert_eq!((root.authorities.len(), root.ct_logs.len(), root.logs.len(), root.timestamp_authorities.len()), (2, 2, 2, 1));
    assert_eq!(root.digest(), Digest::sha256(PUBLIC));
    assert!(parse_time(&format!("{}T00:00:00Z", TrustRoot::PUBLIC_DATE)).is_some());
}

#[test]
fn githubs_root_has_timestamps_and_no_logs() {
    let root = TrustRoot::github().expect("a trust root");
    assert_eq!((root.ct_logs.len(), root.logs.len(), root.lists_ct_logs, root.lists_logs), (0, 0, false, false));
    assert!(!root.authorities.is_empty() && !root.timestamp_authorities.is_empty());
    assert!(parse_time(&format!("{}T00:00:00Z", TrustRoot::GITHUB_DATE)).is_some());
}

#[test]
fn half_a_trust_root_is_none() {
    // V36: also what two readers could read differently.
    for (from, to) in [
        ("version=0.1", "version=0.9"),
        ("\"start\"", "\"begin\""),
        ("\"start\": \"2", "\"start\": \"x2"),
        ("\"end\": \"2", "\"end\": \"1"),
        ("\"keyId\": \"", "\"keyId\": \"AAAA"),
        ("\"certificates\"", "\"certificate\""),
        ("\"tlogs\"", "\"TLogs\""),
        ("\"tlogs\"", "\"ctlogs\""),
    ] {
        assert!(changed(from, to).is_err(), "{from} -> {to}");
    }
    assert!(TrustRoot::from_json(b"").is_err());
}

#[test]
fn a_key_that_cannot_be_verified_is_left_out_and_its_log_still_required() {
    let root = changed("\"hashAlgorithm\": \"SHA2_256\"", "\"hashAlgorithm\": \"SHA3_256\"").expect("a trust root");
    assert!(root.logs.len() == 1 && root.lists_logs);
}
