use super::*;
use crate::limits;

const KEYS: Keys = Keys { known: &["layers", "size", "links"], maps: &["annotations"], compared: usize::MAX };

fn scan(text: &str) -> Result<(), JsonError> {
    check(text.as_bytes(), &KEYS)
}

#[test]
fn well_formed_values_pass() {
    for good in [
        "{}",
        " [ ] ",
        "null",
        "-0.5e+10",
        "0",
        r#"{"a":[1,2,{"b":"\u00e9\ud83d\ude00\n"}],"c":{"a":true,"b":false}}"#,
        r#"{"layers":1,"annotations":{"Layers":"x"}}"#,
        "\"\u{7f}é\"",
    ] {
        assert_eq!(scan(good), Ok(()), "{good}");
        assert!(serde_json::from_str::<serde_json::Value>(good).is_ok(), "{good}");
    }
}

#[test]
fn malformed_values_are_refused() {
    // A9
    for bad in [
        "",
        " ",
        "{",
        "}",
        "{}x",
        "{} {}",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "NaN",
        "tru",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\n\"",
        "\"\0\"",
        "\u{feff}{}",
        "// c\n{}",
        "{\"a\" 1}",
        "[1 2]",
    ] {
        assert!(scan(bad).is_err(), "{bad:?}");
    }
    assert_eq!(check(b"\"\xff\"", &KEYS), Err(JsonError::Utf8 { at: 1 }));
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    // A9
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    assert_eq!(scan(&deep(limits::JSON_DEPTH)), Ok(()));
    assert_eq!(scan(&deep(limits::JSON_DEPTH + 1)), Err(JsonError::Depth { limit: limits::JSON_DEPTH }));
    assert_eq!(scan(&"{\"a\":".repeat(1_000_000)), Err(JsonError::Depth { limit: limits::JSON_DEPTH }));
}

#[test]
fn duplicate_keys_are_refused_as_go_compares_them() {
    // A9, V36
    for bad in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"A":2}"#,
        r#"{"x":{"a":1,"\u0061":2}}"#,
        "{\"skip\":1,\"\u{17f}\u{212a}ip\":2}",
        r#"{"x":1,"annotations":{"b":1,"B":2}}"#,
    ] {
        assert!(matches!(scan(bad), Err(JsonError::DuplicateKey { .. })), "{bad}");
    }
    assert_eq!(scan(r#"{"a":{"a":1},"b":{"a":1}}"#), Ok(()));
    assert_eq!(scan(r#"{"a":{"a":1,"b":2},"b":[{"a":1},{"a":2}],"c":{"a":{"a":3}}}"#), Ok(()));
    // Objects with few keys and with many are compared in different ways; a nested one must not disturb the outer one.
    for count in [2, 15, 16, 17, 18, 200] {
        let keys: Vec<String> = (0..count).map(|i| format!(r#""k{i}":{{"k0":{{}},"k1":[]}}"#)).collect();
        let with = |extra: &str| format!("{{{}{extra}}}", keys.join(","));
        assert_eq!(scan(&with("")), Ok(()));
        for bad in ["k0", "K1", "\\u212a1", "\u{212a}0", &format!("K{}", count - 1)] {
            assert!(matches!(scan(&with(&format!(r#","{bad}":1"#))), Err(JsonError::DuplicateKey { .. })), "{count} {bad}");
        }
    }
}

#[test]
fn known_keys_in_another_spelling_are_refused() {
    // A1: Go clients read `Layers` into the field `layers`.
    for bad in [
        r#"{"Layers":[]}"#,
        r#"{"x":[{"SIZE":1}]}"#,
        "{\"layer\u{17f}\":1}",
        "{\"lin\u{212a}s\":1}",
        r#"{"annotations":{"x":{"Layers":1}}}"#,
        r#"{"\u004cayers":1}"#,
    ] {
        assert!(matches!(scan(bad), Err(JsonError::Spelling { .. })), "{bad}");
    }
}

#[test]
fn below_the_compared_depth_only_the_grammar_counts() {
    let keys = Keys { compared: 1, ..KEYS };
    assert_eq!(check(br#"{"predicate":{"a":1,"A":2,"Size":3}}"#, &keys), Ok(()));
    assert!(check(br#"{"predicate":{"a":1,"b":}}"#, &keys).is_err());
    assert!(check(br#"{"Size":{}}"#, &keys).is_err());
    assert!(check(br#"{"a":{},"A":{}}"#, &keys).is_err());
}

#[test]
fn a_document_with_endless_keys_is_refused() {
    // A8
    let keys = |n: usize| format!("{{{}}}", (0..n).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","));
    assert_eq!(scan(&keys(limits::JSON_KEYS)), Ok(()));
    assert_eq!(scan(&keys(limits::JSON_KEYS + 1)), Err(JsonError::Keys { limit: limits::JSON_KEYS }));
    assert_eq!(check(keys(limits::JSON_KEYS + 1).as_bytes(), &Keys::GRAMMAR), Ok(()));
}

#[test]
fn an_object_is_not_read_from_an_array_of_its_fields() {
    #[derive(Debug, Deserialize)]
    struct Pair {
        #[expect(dead_code, reason = "only its presence matters")]
        a: u8,
    }
    assert!(serde_json::from_slice::<Pair>(b"[1]").is_ok(), "serde's own struct takes an array");
    assert!(read::<Pair>(b"[1]", &KEYS).is_err());
    assert!(read::<Pair>(br#"{"a":1}"#, &KEYS).is_ok());
}
