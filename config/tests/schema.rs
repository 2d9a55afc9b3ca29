//! The published schemas accept what the reader accepts, and know the same keys.

use std::fs;

use sealgate_config::schema::{policy_schema, server_schema};
use sealgate_config::{ConfigErrors, ServerConfig, load_policy, template};
use serde_json::{Value, json};

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEpHcmHbITAL48jtzfv3ovy1HZO+qY
40QB8efm1ZRlcPja/0xCmH1ibWA6dwirlTr4X6Ff7a3UrBfa5CcH+YgMwA==
-----END PUBLIC KEY-----
";

/// Whether `value` fits `schema`, for the keywords of JSON Schema 2020-12 that the schemas use, except `pattern`.
fn fits(schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else { return schema == &Value::Bool(true) };
    keywords.iter().all(|(keyword, rule)| match keyword.as_str() {
        "type" => match rule {
            Value::Array(types) => types.iter().any(|t| is(t, value)),
            one => is(one, value),
        },
        "properties" => rule.as_object().expect("properties").iter().all(|(key, schema)| value.get(key).is_none_or(|v| fits(schema, v))),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let known = keywords.get("properties").and_then(Value::as_object);
            members.iter().all(|(key, v)| known.is_some_and(|known| known.contains_key(key)) || fits(rule, v))
        }),
        "required" => value
            .as_object()
            .is_none_or(|members| rule.as_array().expect("required").iter().all(|key| members.contains_key(key.as_str().expect("key")))),
        "oneOf" => rule.as_array().expect("oneOf").iter().filter(|schema| fits(schema, value)).count() == 1,
        "anyOf" => rule.as_array().expect("anyOf").iter().any(|schema| fits(schema, value)),
        "enum" => rule.as_array().expect("enum").contains(value),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| fits(rule, item))),
        "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().expect("minItems")),
        "minimum" => value.as_u64().is_none_or(|n| n >= rule.as_u64().expect("minimum")),
        "maximum" => value.as_u64().is_none_or(|n| n <= rule.as_u64().expect("maximum")),
        "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
        "pattern" | "$schema" | "title" | "description" => true,
        unknown => panic!("keyword {unknown}"),
    })
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        unknown => panic!("type {unknown}"),
    }
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect(text)
}

fn load_server(text: &str) -> Result<ServerConfig, ConfigErrors> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("sealgate.yaml");
    fs::write(&file, text).expect("file");
    ServerConfig::load(Some(&file), &|_| None)
}

fn load_rules(text: &str) -> Result<sealgate_config::LoadedPolicy, ConfigErrors> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("trust-policy.yaml");
    fs::write(&file, text).expect("file");
    fs::write(folder.path().join("sealgate.pub"), KEY).expect("file");
    fs::write(folder.path().join("a \"key\" #1.pub"), KEY).expect("file");
    load_policy(&file)
}

#[test]
fn what_init_writes_loads_without_a_warning_and_fits_the_schemas() {
    let server = template::sealgate_yaml();
    let config = load_server(&server).map_err(|e| e.to_string()).expect("server");
    assert_eq!(config.default_registry, "docker.io");
    assert!(config.policy.is_some());
    assert!(fits(&server_schema(), &yaml(&server)));

    let text = template::trust_policy_yaml(template::KEY_FILE);
    let loaded = load_rules(&text).map_err(|e| e.to_string()).expect("policy");
    assert!(fits(&policy_schema(), &yaml(&text)));
    assert_eq!(sealgate_config::unmatched_rules(&loaded.policy, &config), Vec::<String>::new());
    let nginx = loaded.policy.rule_for(&"docker.io/library/nginx".parse().expect("name")).expect("rule");
    assert_eq!(nginx.mode, sealgate_verifier::Mode::Audit);
    assert!(matches!(nginx.requirements.as_slice(), [sealgate_verifier::Requirement::SignedBy(_)]));
    assert!(loaded.policy.rule_for(&"ghcr.io/a/b".parse().expect("name")).is_none(), "everything else is denied");
    for (image, preset) in [
        ("gcr.io/distroless/static", "distroless"),
        ("registry.k8s.io/pause", "kubernetes"),
        ("cgr.dev/chainguard/nginx", "chainguard"),
        ("quay.io/cilium/cilium", "cilium"),
    ] {
        let image = image.parse().expect("name");
        assert_eq!(loaded.policy.rule_for(&image).expect("rule").mode, sealgate_verifier::Mode::Enforce);
        assert!(loaded.policy.signer(preset).expect(preset).images.iter().all(|images| images.matches(&image)), "{preset}");
    }
    load_rules(&template::trust_policy_yaml("a \"key\" #1.pub")).map_err(|e| e.to_string()).expect("an odd path");
}

/// Each commented line that is an example becomes part of the file; so examples cannot rot.
#[test]
fn the_commented_examples_are_valid_too() {
    let uncomment = |text: &str, wanted: fn(&str) -> bool| -> String {
        let line = |line: &str| {
            let bare = line.trim_start().strip_prefix("# ").unwrap_or_default();
            if wanted(bare) { line.replacen("# ", "", 1) } else { line.to_owned() }
        };
        text.lines().map(|l| line(l) + "\n").collect()
    };
    let server = uncomment(&template::sealgate_yaml(), |l| {
        ["public-url:", "store:", "registry.acme.example:", "lab.example:", "evidence:", "shutdown-grace:", "limits:"]
            .iter()
            .any(|k| l.starts_with(k))
    });
    let server = server.replace("ca: certs/acme.pem, ", "");
    let config = load_server(&server).map_err(|e| e.to_string()).expect("server");
    assert_eq!(config.registries.len(), 8);
    assert!(fits(&server_schema(), &yaml(&server)));
    let policy = uncomment(&template::trust_policy_yaml(template::KEY_FILE), |l| {
        [
            "- images:",
            "  require:",
            "    - signed-by:",
            "    - attested:",
            "    - digests:",
            "app:",
            "  issuer:",
            "  identity-regexp:",
            "  claims:",
        ]
        .iter()
        .any(|k| l.starts_with(k))
    });
    let loaded = load_rules(&policy).map_err(|e| format!("{policy}{e}")).expect("policy");
    assert_eq!(loaded.policy.rules().len(), 8);
    assert!(fits(&policy_schema(), &yaml(&policy)));
}

/// The keys that the reader's message lists as valid, for a document with the key `zzzz` at one place.
fn reader_keys(errors: &ConfigErrors) -> Vec<String> {
    let unknown = errors.0.iter().find(|e| e.problem.contains("unknown key")).expect("unknown key");
    let (_, list) = unknown.mend.as_ref().expect("mend").split_once("alid keys here: ").expect("list");
    let mut keys: Vec<String> = list.split(", ").map(|key| key.trim_matches('`').to_owned()).collect();
    keys.sort();
    keys
}

fn schema_keys(schema: &Value, pointer: &str) -> Vec<String> {
    let mut keys: Vec<String> =
        schema.pointer(pointer).expect(pointer)["properties"].as_object().expect("properties").keys().cloned().collect();
    keys.sort();
    keys
}

fn objects(schema: &Value) -> usize {
    let here = usize::from(schema.get("additionalProperties") == Some(&json!(false)));
    let inner = match schema {
        Value::Object(members) => members.values().map(objects).sum(),
        Value::Array(items) => items.iter().map(objects).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    here + inner
}

#[test]
fn reader_and_schema_know_the_same_keys_at_every_place() {
    let server = [
        ("zzzz: 1", ""),
        ("admin: { zzzz: 1 }", "/properties/admin"),
        ("tls: { zzzz: 1 }", "/properties/tls"),
        ("auth: { zzzz: 1 }", "/properties/auth"),
        ("auth: { oidc: [{ zzzz: 1 }] }", "/properties/auth/properties/oidc/items"),
        ("auth: { grants: [{ zzzz: 1 }] }", "/properties/auth/properties/grants/items"),
        ("store: { zzzz: 1 }", "/properties/store"),
        ("watch: { images: nginx, zzzz: 1 }", "/properties/watch"),
        ("evidence: { zzzz: 1 }", "/properties/evidence"),
        ("limits: { zzzz: 1 }", "/properties/limits"),
        ("trust-root: { zzzz: 1 }", "/properties/trust-root"),
        ("trust-root: { repositories: { a: { zzzz: 1 } } }", "/properties/trust-root/properties/repositories/additionalProperties"),
        ("registries: { a.b: { zzzz: 1 } }", "/properties/registries/additionalProperties"),
        ("registries: { a.b: { credentials: [{ zzzz: 1 }] } }", "/properties/registries/additionalProperties/properties/credentials/items"),
    ];
    for (text, pointer) in server {
        assert_eq!(reader_keys(&load_server(text).expect_err(text)), schema_keys(&server_schema(), pointer), "{text}");
        assert!(!fits(&server_schema(), &yaml(text)), "{text}");
    }
    assert_eq!(objects(&server_schema()), server.len(), "a place is missing above");
    let signer = "/properties/signers/additionalProperties";
    let mut policy = vec![
        ("zzzz: 1".to_owned(), String::new()),
        ("trust-stores: { a: { zzzz: 1 } }".to_owned(), "/properties/trust-stores/additionalProperties".to_owned()),
        ("signers: { a: { zzzz: 1 } }".to_owned(), signer.to_owned()),
        ("signers: { a: { keys: [{ zzzz: 1 }] } }".to_owned(), format!("{signer}/properties/keys/items")),
        ("signers: { a: { issuer: https://x, claims: { zzzz: 1 } } }".to_owned(), format!("{signer}/properties/claims")),
        ("signers: { a: { notation: { zzzz: 1 } } }".to_owned(), format!("{signer}/properties/notation")),
        ("baseline: { zzzz: 1 }".to_owned(), "/properties/baseline".to_owned()),
        ("rules: [{ zzzz: 1 }]".to_owned(), "/properties/rules/items".to_owned()),
    ];
    let scan = "/properties/scan-policies/additionalProperties";
    policy.push(("exceptions: [{ zzzz: 1 }]".to_owned(), "/properties/exceptions/items".to_owned()));
    policy.push(("scan-policies: { s: { zzzz: 1 } }".to_owned(), scan.to_owned()));
    policy.push(("scan-policies: { s: { sources: [{ zzzz: 1 }] } }".to_owned(), format!("{scan}/properties/sources/items/anyOf/1")));
    for severity in ["critical", "high", "medium", "low", "negligible", "unknown"] {
        policy.push((format!("scan-policies: {{ s: {{ {severity}: {{ zzzz: 1 }} }} }}"), format!("{scan}/properties/{severity}/anyOf/1")));
    }
    let rule = "/properties/rules/items/properties/require/items/anyOf/1";
    for (before, after, place) in
        [("rules: [{ require: [", "] }]", rule), ("baseline: { require: [", "] }", "/properties/baseline/properties/require/items")]
    {
        let alternative = format!("{place}/properties/any-of/items/items");
        for (open, close, place) in [("", "", place), ("{ any-of: [[", "]] }", &alternative)] {
            for (inner, below) in [
                ("{ zzzz: 1 }", ""),
                ("{ signed-by: { zzzz: 1 } }", "/properties/signed-by"),
                ("{ attested: { zzzz: 1 } }", "/properties/attested"),
                ("{ attested: { by: { zzzz: 1 } } }", "/properties/attested/properties/by"),
                ("{ contents: { zzzz: 1 } }", "/properties/contents"),
                ("{ contents: { setuid: { zzzz: 1 } } }", "/properties/contents/properties/setuid/anyOf/1"),
                ("{ contents: { capabilities: { zzzz: 1 } } }", "/properties/contents/properties/capabilities/anyOf/1"),
                ("{ contents: { secrets: { zzzz: 1 } } }", "/properties/contents/properties/secrets/anyOf/1"),
                (
                    "{ contents: { secrets: { ignore: [{ zzzz: 1 }] } } }",
                    "/properties/contents/properties/secrets/anyOf/1/properties/ignore/items",
                ),
                ("{ age: { zzzz: 1 } }", "/properties/age"),
            ] {
                policy.push((format!("{before}{open}{inner}{close}{after}"), format!("{place}{below}")));
            }
        }
    }
    for (text, pointer) in &policy {
        assert_eq!(reader_keys(&load_rules(text).expect_err(text)), schema_keys(&policy_schema(), pointer), "{text}");
        assert!(!fits(&policy_schema(), &yaml(text)), "{text}");
    }
    assert_eq!(objects(&policy_schema()), policy.len(), "a place is missing above");
}

#[test]
fn the_schema_refuses_what_the_reader_refuses_for_its_shape() {
    for text in [
        "rules: []",
        "{ version: 2, rules: [] }",
        "{ version: 1, rules: {} }",
        "{ version: 1, mode: warn, rules: [] }",
        "{ version: 1, rules: [], exceptions: [{ image: a.io/b, waive: CVE-2026-1234, reason: r, owner: o }] }",
        "{ version: 1, rules: [], scan-policies: { s: { high: warn } } }",
        "{ version: 1, rules: [], scan-policies: { s: { sources: [trivy] } } }",
        "{ version: 1, rules: [{ images: [\"**\"], require: [{ contents: { user: root } }] }] }",
        "{ version: 1, rules: [{ images: [\"**\"] }] }",
        "{ version: 1, rules: [{ images: [\"**\"], require: [alow] }] }",
        "{ version: 1, rules: [{ images: [\"**\"], require: [{ scanned: { max-age: 1d } }] }] }",
        "{ version: 1, rules: [{ images: [\"**\"], require: [{ digests: [], signed-by: { any: [a] } }] }] }",
        "{ version: 1, rules: [{ images: [\"**\"], require: [{ signed-by: { any: [a], all: [a] } }] }] }",
        "{ version: 1, rules: [{ images: [\"**\"], require: [{ signed-by: { threshold: 1 } }] }] }",
        "{ version: 1, rules: [], signers: { a: {} } }",
        "{ version: 1, rules: [], signers: { a: { key: x, keys: [] } } }",
    ] {
        assert!(!fits(&policy_schema(), &yaml(text)), "schema: {text}");
        assert!(load_rules(text).is_err(), "reader: {text}");
    }
    let good = "{ version: 1, platforms: [linux/amd64], scan-policies: { s: { sources: [built-in, { scanner: t }], high: { grace: 7d }, low: track } }, \
                rules: [{ images: [\"**\"], require: [{ scanned: s }, { age: { min: 3d } }, { contents: { user: non-root, setuid: none, \
                capabilities: { allow: [a] }, ports: [80/tcp], max-size: 1GiB, secrets: { ignore: [{ kind: k, path: p, reason: r, expires: \
                2026-12-31 }] } } }] }], exceptions: [{ image: a.io/b, waive: [CVE-2026-1234], reason: r, owner: o, expires: 2026-12-31 }] }";
    assert!(fits(&policy_schema(), &yaml(good)) && load_rules(good).is_ok());
    for text in [
        "tls: { key: a }",
        "limits: { max-connections: 0 }",
        "store: { index: x }",
        "registries: { a.b: { default: 1 } }",
        "registries: []",
    ] {
        assert!(!fits(&server_schema(), &yaml(text)), "schema: {text}");
        assert!(load_server(text).is_err(), "reader: {text}");
    }
    assert!(fits(&server_schema(), &yaml("registries: { ghcr.io: }")));
}
