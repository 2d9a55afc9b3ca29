use super::*;
use crate::media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

fn descriptor(size: &str, extra: &str) -> String {
    format!(r#"{{"mediaType":"x","digest":"sha256:{}","size":{size}{extra}}}"#, "a".repeat(64))
}

fn image(extra: &str) -> String {
    format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]{extra}}}"#, descriptor("3", ""), descriptor("4", ""))
}

fn index(extra: &str) -> String {
    format!(r#"{{"schemaVersion":2,"manifests":[{}]{extra}}}"#, descriptor("4", ""))
}

fn parse(text: &str, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes(), content_type)
}

#[test]
fn each_kind_is_read() {
    let manifest = parse(&image(""), None).expect("an OCI manifest without a media type");
    assert_eq!((manifest.media_type(), manifest.is_index(), manifest.blobs().count()), (OCI_MANIFEST, false, 2));
    let manifest = parse(&index(""), Some("application/vnd.oci.image.index.v1+json; charset=utf-8")).expect("an index");
    assert_eq!((manifest.media_type(), manifest.is_index(), manifest.children().len()), (OCI_INDEX, true, 1));
    for (text, docker) in [(image as fn(&str) -> String, DOCKER_MANIFEST), (index, DOCKER_LIST)] {
        let text = text(&format!(r#","mediaType":"{docker}""#));
        assert_eq!(parse(&text, Some(docker)).expect("docker's").media_type(), docker);
        assert_eq!(parse(&text, None).expect("docker's").media_type(), docker);
    }
}

#[test]
fn optional_parts_are_kept() {
    let subject = format!(r#","subject":{},"artifactType":"a/b","annotations":{{"Size":"k"}}"#, descriptor("9", r#","urls":["u"]"#));
    let manifest = parse(&image(&subject), None).expect("a manifest");
    let subject = manifest.subject().expect("a subject");
    assert_eq!((subject.size, subject.urls.len(), manifest.artifact_type()), (9, 1, Some("a/b")));
    assert_eq!(manifest.annotations().len(), 1);
    let null = image(r#","subject":null,"annotations":null"#);
    assert!(parse(&null, None).expect("null is absent").subject().is_none());
}

#[test]
fn a_document_that_is_both_image_and_index_is_refused() {
    // A1, V27, CVE-2021-41190
    let both = [
        image(r#","manifests":[]"#),
        image(r#","manifests":null"#),
        index(r#","layers":[]"#),
        index(r#","config":null"#),
        image(r#","fsLayers":[]"#),
        image(r#","history":[]"#),
        index(r#","signatures":[]"#),
        image(r#","blobs":[]"#),
    ];
    for text in both {
        assert!(matches!(parse(&text, None), Err(ManifestError::Ambiguous { .. })), "{text}");
    }
    for text in [image(r#","Manifests":[]"#), index(r#","LAYERS":[]"#), image(",\"layer\u{17f}\":[]")] {
        assert!(
            matches!(parse(&text, None), Err(ManifestError::Json(JsonError::Spelling { .. } | JsonError::DuplicateKey { .. }))),
            "{text}"
        );
    }
}

#[test]
fn media_types_that_contradict_each_other_are_refused() {
    // A2, V27
    let typed = |media_type: &str| image(&format!(r#","mediaType":"{media_type}""#));
    for (text, content_type) in [
        (typed(OCI_INDEX), None),
        (typed(OCI_MANIFEST), Some(OCI_INDEX)),
        (typed(OCI_MANIFEST), Some(DOCKER_MANIFEST)),
        (typed(OCI_MANIFEST), Some("application/json")),
        (typed("application/vnd.oci.artifact.manifest.v1+json"), None),
        (image(""), Some(OCI_INDEX)),
        (image(""), Some(DOCKER_MANIFEST)),
        (image(""), Some("text/html")),
        (index(""), Some(OCI_MANIFEST)),
    ] {
        assert!(matches!(parse(&text, content_type), Err(ManifestError::MediaType { .. })), "{text} {content_type:?}");
    }
}

#[test]
fn wrong_versions_and_missing_keys_are_refused() {
    for (text, schema) in [
        (image("").replace(":2,", ":1,"), true),
        (image("").replace("\"schemaVersion\":2,", ""), true),
        (image("").replace(":2,", ":2.0,"), true),
        (r#"{"schemaVersion":2}"#.to_owned(), false),
        (format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, descriptor("1", "")), false),
        (format!(r#"{{"schemaVersion":2,"config":{}}}"#, descriptor("1", "")), false),
        (r#"{"schemaVersion":2,"config":null,"layers":[]}"#.to_owned(), false),
    ] {
        let error = parse(&text, None).expect_err(&text);
        let expected =
            if schema { matches!(error, ManifestError::SchemaVersion { .. }) } else { matches!(error, ManifestError::Missing { .. }) };
        assert!(expected, "{text}: {error}");
    }
}

#[test]
fn hostile_descriptors_are_refused() {
    // A6, A13, V28
    let layer =
        |descriptor: String| format!(r#"{{"schemaVersion":2,"config":{0},"layers":[{0},{descriptor}]}}"#, self::descriptor("1", ""));
    for size in ["-1", "1.5", "1e3", "18446744073709551616", "1099511627777"] {
        let error = parse(&layer(descriptor(size, "")), None).expect_err(size);
        assert!(matches!(&error, ManifestError::Size { place, .. } if place == "layers[1]"), "{size}: {error}");
    }
    let bad_digest = descriptor("1", "").replace("sha256:a", "sha256:A");
    assert!(matches!(parse(&layer(bad_digest), None), Err(ManifestError::Digest { .. })));
    for bad in [r#"["x","sha256:aa",1]"#.to_owned(), "null".to_owned(), "1".to_owned(), r#"{"size":1}"#.to_owned()] {
        assert!(matches!(parse(&layer(bad), None), Err(ManifestError::Json(JsonError::Fields { .. }))));
    }
}

#[test]
fn embedded_data_must_be_what_the_digest_says() {
    let with = |data: &str, size: usize| {
        format!(
            r#"{{"schemaVersion":2,"layers":[],"config":{{"mediaType":"x","digest":"{}","size":{size},"data":"{data}"}}}}"#,
            Digest::sha256(b"{}")
        )
    };
    assert!(parse(&with("e30=", 2), None).is_ok());
    for (data, size) in [("e30=", 3), ("e31=", 2), ("!", 2), ("e30", 2)] {
        assert!(matches!(parse(&with(data, size), None), Err(ManifestError::Data { .. })), "{data} {size}");
    }
}

#[test]
fn limits_hold() {
    // A8, A9, A10
    let list = |n: usize| vec![descriptor("1", ""); n].join(",");
    let index = |n: usize| format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, list(n));
    let image = |n: usize| format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, descriptor("1", ""), list(n));
    assert!(parse(&index(crate::limits::INDEX_CHILDREN), None).is_ok());
    assert!(matches!(parse(&index(10_000), None), Err(ManifestError::TooMany { found: 10_000, .. })));
    assert!(parse(&image(crate::limits::LAYERS), None).is_ok());
    assert!(matches!(parse(&image(crate::limits::LAYERS + 1), None), Err(ManifestError::TooMany { .. })));
    let large = " ".repeat(crate::limits::MANIFEST_BYTES + 1);
    assert!(matches!(parse(&large, None), Err(ManifestError::TooLarge { .. })));
    let deep = format!(r#"{{"schemaVersion":2,"x":{}"#, "[".repeat(10_000));
    assert!(matches!(parse(&deep, None), Err(ManifestError::Json(JsonError::Depth { .. }))));
}

#[test]
fn foreign_locations_are_read_up_to_a_limit() {
    // A8: three bytes each on the wire.
    let limit = crate::limits::URLS;
    let with =
        |count: usize| image(&format!(r#","subject":{}"#, descriptor("9", &format!(r#","urls":[{}]"#, vec![r#""""#; count].join(",")))));
    assert_eq!(parse(&with(limit), None).expect("a manifest").subject().map(|subject| subject.urls.len()), Some(limit));
    let many = parse(&with(1_000_000), None);
    assert_eq!(many, Err(ManifestError::TooMany { what: "urls", found: 1_000_000, limit }));
    for bad in [r#","urls":"x""#, r#","urls":{"a":"b"}"#, r#","urls":[1]"#] {
        assert!(matches!(parse(&image(&format!(r#","subject":{}"#, descriptor("9", bad))), None), Err(ManifestError::Json(_))), "{bad}");
    }
    assert!(parse(&image(&format!(r#","subject":{}"#, descriptor("9", r#","urls":null"#))), None).is_ok());
}

#[test]
fn a_parsed_manifest_weighs_what_it_takes() {
    let entries = (0..1_000).map(|n| format!("\"{n:x}\":\"\"")).collect::<Vec<_>>().join(",");
    let plain = parse(&image(""), None).expect("a manifest").footprint();
    let grown = parse(&image(&format!(r#","annotations":{{{entries}}}"#)), None).expect("a manifest").footprint();
    // Two strings and a tree's share are over 64 bytes each, whatever stands on the wire.
    assert!(grown - plain >= 64 * 1_000, "{plain} {grown}");
}

#[test]
fn other_documents_are_refused() {
    // F30
    for text in ["", "<html></html>", "[]", "null", "\"x\"", "{}x", "[2]"] {
        assert!(parse(text, None).is_err(), "{text}");
    }
}
