//! `sealgate.yaml`: what loads, what is refused, and with which words.

mod server_file;

use std::fs;
use std::time::Duration;

use sealgate_config::{Hosted, IndexKind, PushAccess, RegistryKind, ServerConfig};
use server_file::{load, load_with, upstream};

#[test]
fn without_a_file_the_defaults_hold() {
    let config = ServerConfig::load(None, &|_| None).expect("defaults");
    assert_eq!(config.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:5001");
    assert_eq!(config.data.to_str(), Some("./data"));
    assert_eq!(config.policy, None);
    assert_eq!(config.index, IndexKind::Redb);
    assert_eq!(config.default_registry, "docker.io");
    assert_eq!(config.registries.keys().collect::<Vec<_>>(), ["docker.io"]);
    assert_eq!(upstream(&config, "docker.io").url, "https://registry-1.docker.io");
    assert_eq!(upstream(&config, "docker.io").realms, ["auth.docker.io"]);
    assert_eq!(config.evidence_missing_ttl, Duration::from_secs(30));
    assert_eq!(config.max_connections, 10_000);
}

#[test]
fn every_key_is_read() {
    let text = r#"
listen: 0.0.0.0:5000
public-url: https://gate.acme.example/
admin: { listen: "[::1]:6001" }
data: store
policy: trust-policy.yaml
tls: { certificate: gate.crt, key: gate.key, http2: true }
store: { index: sled, max-size: 200GiB, reserve: 5GB, lease: 10m }
watch: { images: [nginx:1, "registry.acme.example:5443/team/app", ghcr.io/a/b], every: 2h, fetch: true, at-once: 3 }
registries:
  docker.io:
    tag-ttl: 1m
    tag-max-stale: 2h
    credentials: [{ repositories: ["acme/**", nginx], username: env://HUB_USER, password: 0123 }]
  ghcr.io:
  registry.acme.example:5443: { path: acme.example, ca: ca.pem, allow-addresses: [10.0.0.0/8], realm: auth.acme.example, default: true }
  lab.example: { upstream: "http://127.0.0.1:5555", pull: anonymous, credentials: [{ username: a, password: b }] }
evidence: { ttl: 2h, missing-ttl: 10s, max-stale: 3h }
shutdown-grace: 5s
limits: { max-connections: 7 }
"#;
    let config = load_with(text, &[("HUB_USER", "robot")]).map_err(|e| e.to_string()).expect("valid");
    assert_eq!(config.public_url.as_deref(), Some("https://gate.acme.example"));
    assert_eq!(config.admin.listen.to_string(), "[::1]:6001");
    assert!(config.data.is_absolute() && config.data.ends_with("store"));
    let expected = sealgate_config::Keep { max_size: Some(200 << 30), reserve: Some(5_000_000_000), lease: Duration::from_mins(10) };
    assert_eq!(config.keep, expected);
    let watched: Vec<String> = config.watch.images.iter().map(ToString::to_string).collect();
    assert_eq!(watched, ["docker.io/library/nginx:1", "acme.example/team/app", "ghcr.io/a/b"]);
    assert_eq!((config.watch.every, config.watch.fetch, config.watch.at_once), (Duration::from_hours(2), true, 3));
    assert!(config.policy.as_ref().is_some_and(|p| p.ends_with("trust-policy.yaml")));
    assert!(config.tls.as_ref().is_some_and(|tls| tls.http2));
    assert_eq!(config.index, IndexKind::Sled);
    assert_eq!(config.default_registry, "acme.example");
    assert_eq!((config.shutdown_grace, config.max_connections), (Duration::from_secs(5), 7));
    assert_eq!((config.evidence_ttl, config.evidence_max_stale), (Duration::from_secs(7_200), Duration::from_secs(10_800)));
    let hub = upstream(&config, "docker.io");
    assert_eq!((hub.tag_ttl, hub.tag_max_stale), (Duration::from_secs(60), Duration::from_secs(7_200)));
    let credential = hub.credentials.first().expect("credential");
    assert_eq!((credential.username.expose(), credential.password.expose()), ("robot", "0123"));
    let patterns: Vec<String> = credential.repositories.iter().map(ToString::to_string).collect();
    assert_eq!(patterns, ["docker.io/acme/**", "docker.io/library/nginx"]);
    let acme = upstream(&config, "acme.example");
    assert_eq!(acme.url, "https://registry.acme.example:5443");
    assert_eq!(config.registries["acme.example"].authority, "registry.acme.example:5443");
    assert_eq!(acme.realms, ["auth.acme.example"]);
    assert_eq!(acme.allow_addresses.len(), 1);
    assert_eq!(upstream(&config, "lab.example").url, "http://127.0.0.1:5555");
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = [
        ("SEALGATE_LISTEN", "127.0.0.1:7000"),
        ("SEALGATE_ADMIN_LISTEN", "localhost:7001"),
        ("SEALGATE_DATA", "elsewhere"),
        ("SEALGATE_POLICY", "/etc/policy.yaml"),
        ("SEALGATE_PUBLIC_URL", "https://gate.example"),
    ];
    let config = load_with("listen: 127.0.0.1:5000\ndata: x\npolicy: y\n", &environment).expect("valid");
    assert_eq!(config.listen.port(), 7000);
    assert_eq!(config.admin.listen.port(), 7001);
    assert_eq!(config.data.to_str(), Some("elsewhere"));
    assert_eq!(config.policy.and_then(|p| p.to_str().map(str::to_owned)).as_deref(), Some("/etc/policy.yaml"));
    assert_eq!(config.public_url.as_deref(), Some("https://gate.example"));
    let error = load_with("listen: 127.0.0.1:5000\n", &[("SEALGATE_LISTEN", "5000"), ("SEALGATE_PUBLIC_URL", "x")]).expect_err("bad");
    assert_eq!(error.0.len(), 2);
    assert!(error.0.iter().all(|e| e.file.is_none() && e.mend.as_ref().is_some_and(|m| m.starts_with("expected"))), "{error}");
}

#[test]
fn unknown_variables_are_named_with_a_suggestion() {
    let names = ["SEALGATE_LISTN", "SEALGATE_LISTEN", "SEALGATE_LOG", "PATH", "SEALGATE_ZZZZZZZZ"].map(str::to_owned);
    let warnings = sealgate_config::unknown_variables(names, &["SEALGATE_LOG"]);
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].ends_with("did you mean SEALGATE_LISTEN?"), "{warnings:?}");
}

/// File, position, part of the problem, part of the mend.
type Case = (&'static str, (usize, usize), &'static str, &'static str);

const BAD: &[Case] = &[
    ("lisen: 127.0.0.1:5000\n", (1, 1), "unknown key \"lisen\"", "did you mean `listen`?"),
    (
        "registries:\n  ghcr.io: { tag_ttl: 5m }\n",
        (2, 14),
        "unknown key \"tag_ttl\"",
        "did you mean `tag-ttl`? Valid keys here: `default`, `path`",
    ),
    ("zzzz: 1\n", (1, 1), "unknown key \"zzzz\"", "valid keys here: `listen`"),
    ("listen: 5000\n", (1, 9), "found \"5000\"", "expected an address such as 127.0.0.1:5000"),
    ("listen: [1]\n", (1, 9), "expected text, found a list", "single value"),
    ("listen:\n", (1, 1), "`listen` has no value", "remove the key"),
    ("data: a\ndata: b\n", (2, 1), "the key `data` stands here twice", "the first is in line 1"),
    ("data: \"a\\tb\"\n", (1, 7), "control characters", "without them"),
    ("- a\n", (1, 1), "expected a mapping, found a list", "`listen`"),
    ("tls: { certificate: gate.crt }\n", (1, 6), "`key` is missing", "add `key:`"),
    ("tls: { certificate: nope.crt, key: gate.key }\n", (1, 21), "nope.crt does not exist", "relative to this file"),
    ("tls: { certificate: ., key: gate.key }\n", (1, 21), "is a folder", "relative to this file"),
    ("tls: { certificate: gate.crt, key: gate.key, http2: yes }\n", (1, 53), "found \"yes\"", "true or false"),
    ("store: { index: rocksdb }\n", (1, 17), "found \"rocksdb\"", "`redb` or `sled`"),
    ("store: { max-size: 200G }\n", (1, 20), "found \"200G\"", "a size such as"),
    ("store: { max-size: 4KiB }\n", (1, 20), "is under 1MiB", "as large as the images"),
    ("store: { reserve: 5 }\n", (1, 19), "found \"5\"", "a size such as"),
    ("store: { lease: 0s }\n", (1, 17), "under a second", "best 30m"),
    ("watch: { every: 2h }\n", (1, 8), "`images` is missing", "add `images:`"),
    ("watch: { images: [quay.io/a/b], every: 2h }\n", (1, 19), "\"quay.io\" is not configured", "add it under `registries`"),
    ("watch: { images: nginx, every: 30s }\n", (1, 32), "under a minute", "1m or longer"),
    ("watch: { images: [NGINX] }\n", (1, 19), "found \"NGINX\"", "an image such as"),
    ("evidence: { ttl: 5 }\n", (1, 18), "found \"5\"", "a duration such as 30s"),
    ("evidence: { ttl: 2h, max-stale: 1h }\n", (1, 33), "`max-stale` is shorter than `ttl`", "at least as long"),
    ("limits: { max-connections: 0 }\n", (1, 28), "found \"0\"", "from 1 to 1000000"),
    ("public-url: gate.example\n", (1, 13), "found \"gate.example\"", "https://gate.acme.example"),
    ("listen: 127.0.0.1:5000\nadmin: { listen: 0.0.0.0:5000 }\n", (2, 18), "are the same address", "another port"),
    ("registries: {}\n", (1, 13), "no registry is named", "docker.io: {}"),
    ("registries: []\n", (1, 13), "expected a mapping, found a list", "ghcr.io: {}"),
    ("registries: { a.example: {}, b.example: {} }\n", (1, 13), "no registry is the default", "default: true"),
    (
        "registries:\n  a.example: { default: true }\n  b.example: { default: true }\n",
        (3, 25),
        "a.example is the default already",
        "at one registry only",
    ),
    (
        "registries: { hosted.local: { hosted: true, upstream: \"https://a.example\" } }\n",
        (1, 55),
        "`upstream` says how an upstream is reached",
        "remove it",
    ),
    ("registries: { hosted.local: { hosted: true, push: everybody } }\n", (1, 51), "", "`authenticated` or `anonymous`"),
    ("registries: { hosted.local: { hosted: true, immutable-tags: [\"*.1\"] } }\n", (1, 62), "", "a tag, or the beginning of one"),
    ("registries: { a.example: { immutable-tags: v1 } }\n", (1, 44), "`immutable-tags` is for hosted registries", "remove it"),
    (
        "listen: 0.0.0.0:5000\nregistries: { a.example: { push: anonymous } }\n",
        (2, 34),
        "`push: anonymous` while the gate listens on 0.0.0.0:5000",
        "loopback",
    ),
    ("registries: { library: {} }\n", (1, 15), "library has no dot", "a name with a dot"),
    ("registries: { \"r.example:5000\": {} }\n", (1, 15), "r.example:5000 has a port", "add `path:"),
    ("registries: { \"r.example:5000\": { path: local } }\n", (1, 41), "found \"local\"", "with a dot and without a port"),
    ("registries: { index.docker.io: {} }\n", (1, 15), "another name of docker.io", "write docker.io"),
    ("registries: { \"https://ghcr.io\": {} }\n", (1, 15), "no URL", "under `upstream`"),
    ("registries: { GHCR.io: {} }\n", (1, 15), "no registry's name", "lower case"),
    ("registries: { docker.io: {}, b.example: { path: docker.io } }\n", (1, 30), "the same canonical name", "the first is in line 1"),
    ("registries: { a.example: { upstream: a.example } }\n", (1, 38), "this is no upstream", "starts with https://"),
    ("registries: { a.example: { upstream: \"https://a.example/v2\" } }\n", (1, 38), "this is no upstream", "has no path"),
    ("registries: { a.example: { upstream: \"https://a.example?x\" } }\n", (1, 38), "this is no upstream", "no query"),
    // B10
    (
        "registries: { a.example: { upstream: \"http://169.254.169.254\" } }\n",
        (1, 38),
        "metadata address",
        "allow-addresses: [169.254.169.254]",
    ),
    ("registries: { a.example: { upstream: \"http://[fd00:ec2::254]\" } }\n", (1, 38), "metadata address", "allow-addresses"),
    ("registries: { a.example: { upstream: \"http://[fe80::1]:80\" } }\n", (1, 38), "link-local", "allow-addresses"),
    ("registries: { a.example: { upstream: \"http://2130706433\" } }\n", (1, 38), "this is no upstream", "four decimal numbers"),
    ("registries: { a.example: { upstream: \"http://0177.0.0.1\" } }\n", (1, 38), "this is no upstream", "four decimal numbers"),
    ("registries: { a.example: { upstream: \"http://0.0.0.0:80\" } }\n", (1, 38), "no address of one host", "own address"),
    (
        "registries: { a.example: { upstream: \"http://127.0.0.1:5000\" } }\n",
        (1, 38),
        "this upstream is the gate itself",
        "change `listen`",
    ),
    (
        "registries: { a.example: { upstream: \"http://localhost:5001\" } }\n",
        (1, 38),
        "this upstream is the gate itself",
        "change `listen`",
    ),
    ("public-url: https://a.example\nregistries: { a.example: {} }\n", (2, 15), "this upstream is the gate itself", "registry behind it"),
    ("registries: { a.example: { allow-addresses: [10.0.0.1/8] } }\n", (1, 46), "found \"10.0.0.1/8\"", "zeros behind the prefix"),
    ("registries: { a.example: { allow-addresses: [0.0.0.0/0] } }\n", (1, 46), "found \"0.0.0.0/0\"", "not every address"),
    ("registries: { a.example: { realm: \"https://auth.example/token\" } }\n", (1, 35), "found", "without https://"),
    ("registries: { a.example: { tag-max-stale: 1m } }\n", (1, 43), "shorter than `tag-ttl`", "at least as long"),
    ("registries: { a.example: { pull: authenticated } }\n", (1, 34), "nobody could pull", "add `auth:`"),
    ("registries: { a.example: { pull: some } }\n", (1, 34), "found \"some\"", "`anonymous`"),
    // B8
    (
        "registries: { a.example: { credentials: [{ username: u, password: p }] } }\n",
        (1, 15),
        "everybody who reaches the gate may pull",
        "open to every client",
    ),
    (
        "registries: { docker.io: { credentials: [{ username: u, password: p }] } }\n",
        (1, 42),
        "must name the repositories",
        "repositories: [acme/**]",
    ),
    (
        "registries: { docker.io: { credentials: [{ repositories: \"**\", username: u, password: p }] } }\n",
        (1, 58),
        "must not reach all of it",
        "acme/**",
    ),
    (
        "registries: { docker.io: { credentials: [{ repositories: ghcr.io/a, username: u, password: p }] } }\n",
        (1, 58),
        "found \"ghcr.io/a\"",
        "for docker.io only",
    ),
    (
        "registries: { a.example: { upstream: \"http://10.0.0.1\", pull: anonymous, credentials: [{ username: u, password: p }] } }\n",
        (1, 87),
        "in plaintext",
        "use https://",
    ),
    // Files that are no YAML, or more than this reads.
    ("", (0, 0), "the file is empty", "sealgate init"),
    ("# nothing\n", (0, 0), "the file is empty", "sealgate init"),
    ("listen: [\n", (1, 9), "not valid YAML: unclosed bracket", "mend the syntax"),
    ("data: &a x\npolicy: *a\n", (1, 10), "anchors and aliases are not supported", "write the value out"),
    ("data: a\n---\ndata: b\n", (2, 1), "second document", "one document"),
    ("<<: { data: a }\n", (1, 1), "merge key", "write the keys out"),
    ("data: !x a\n", (1, 10), "YAML tags are not supported", "remove the tag"),
];

#[test]
fn each_bad_file_is_refused_with_position_problem_and_mend() {
    for (text, position, problem, mend) in BAD {
        let errors = load(text).expect_err(text);
        let [error] = errors.0.as_slice() else { panic!("{text}: {errors}") };
        assert_eq!(error.position.unwrap_or_default(), *position, "{text}: {errors}");
        assert!(error.problem.contains(problem), "{text}: {errors}");
        assert!(error.mend.as_ref().is_some_and(|m| m.contains(mend)), "{text}: {errors}");
        assert!(error.file.as_ref().is_some_and(|f| f.ends_with("sealgate.yaml")), "{text}");
    }
}

#[test]
fn a_metadata_address_is_allowed_where_it_is_listed() {
    let text = "registries: { a.example: { upstream: \"http://169.254.169.254\", allow-addresses: [169.254.0.0/16] } }\n";
    assert!(load(text).is_ok());
}

#[test]
fn all_errors_come_at_once_and_in_order() {
    let text = "lisen: x\nevidence: { ttl: 5 }\nregistries:\n  ghcr.io: { tag-tl: 5m, upstream: x }\n  a: {}\nlimits: 5\n";
    let errors = load(text).expect_err("bad");
    let positions: Vec<_> = errors.0.iter().filter_map(|e| e.position).collect();
    assert_eq!(positions, [(1, 1), (2, 18), (4, 14), (4, 36), (5, 3), (6, 9)], "{errors}");
}

#[test]
fn a_caret_stands_below_the_offending_place() {
    let errors = load("registries:\n  ghcr.io: { tag-tl: 5m }\n").expect_err("bad");
    let snippet = errors.0[0].snippet.as_deref().expect("snippet");
    // The value of a key that nobody knows may be a secret.
    assert_eq!(snippet, "2 |   ghcr.io: { tag-tl: …\n  |              ^");
    let errors = load("evidence: { ttl: 5 }\n").expect_err("bad");
    assert_eq!(errors.0[0].snippet.as_deref(), Some("1 | evidence: { ttl: 5 }\n  |                  ^"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    for (path, problem) in [(folder.path().join("none.yaml"), "does not exist"), (folder.path().to_owned(), "is a folder")] {
        let errors = ServerConfig::load(Some(&path), &|_| None).expect_err("no file");
        assert!(errors.to_string().contains(problem), "{errors}");
        assert_eq!(errors.0[0].file.as_ref(), Some(&path));
    }
}

#[test]
fn hostile_files_are_refused() {
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n";
    let deep = format!("data: {}", "[".repeat(10_000));
    let closed = format!("data: {}{}", "[".repeat(100), "]".repeat(100));
    let block: String = (0..1_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let huge = format!("data: {}\n", "x".repeat(2 * 1024 * 1024));
    let many = "[],".repeat(30_000);
    for (text, problem) in [
        (bomb, "anchors and aliases"),
        (&deep, "nested deeper"),
        (&closed, "nested deeper"),
        (&block, "nested deeper"),
        (&huge, "larger than 1024 KiB"),
        (&format!("data: [{many}]"), "expected text, found a list"),
        (&format!("data: [{}]", "a,".repeat(250_000)), "too large to be meant"),
    ] {
        let errors = load(text).expect_err(problem);
        assert_eq!(errors.0.len(), 1, "{problem}");
        assert!(errors.to_string().contains(problem), "{problem}: {errors}");
        assert!(format!("{errors:?}").len() < 2_000, "{problem}");
    }
    let unknown: String = (0..5_000).map(|n| format!("zzzz{n}: 1\n")).collect();
    assert_eq!(load(&unknown).expect_err("bad").0.len(), 101);
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("sealgate.yaml");
    fs::write(&file, b"data: x\nlisten: \xff\n").expect("file");
    let errors = ServerConfig::load(Some(&file), &|_| None).expect_err("bad");
    assert_eq!((errors.0[0].position, errors.0[0].problem.as_str()), (Some((2, 9)), "the file is not UTF-8"));
}

#[test]
fn a_hosted_registry_is_pushed_to() {
    let config = load(
        "registries:\n  docker.io: {}\n  hosted.local: { hosted: true, push: anonymous, deletes: allowed, immutable-tags: [\"v*\", stable] }\n",
    );
    let config = config.expect("valid");
    let hosted = &config.registries["hosted.local"];
    assert_eq!((hosted.push, hosted.deletes), (PushAccess::Anonymous, true));
    let RegistryKind::Hosted(Hosted { immutable_tags }) = &hosted.kind else { panic!("pulled through") };
    let fixed = |tag: &str| immutable_tags.iter().any(|pattern| pattern.matches(&tag.parse().expect("a tag")));
    assert_eq!(["v1", "v", "stable", "stable2", "latest"].map(fixed), [true, true, true, false, false]);
    let hub = &config.registries["docker.io"];
    assert_eq!((hub.push, hub.deletes), (PushAccess::Authenticated, false));
}
