//! `scan-policies:`, `contents:`, `age:`, `exceptions:` and `platforms:` of a trust policy.

mod policy_file;

use policy_file::{Case, assert_refused, load};
use sealgate_config::exception_warnings;
use sealgate_verifier::{GraceStart, RequiredSource, Requirement, ScanSource, Severity, TextMatcher, Timestamp, Treatment, Waived};

const EVERYTHING: &str = r#"version: 1
signers: { ci: { key: one.pub }, qa: { key: two.pub } }
scan-policies:
  standard:
    sources: [built-in, { attested-by: [ci, qa] }, { scanner: trivy }]
    critical: deny
    high: { grace: 7d, from: fix-available }
    medium: { grace: 30d }
    low: track
    unknown: { grace: 1d, from: first-seen }
    ignore-unfixed: true
    max-age: 12h
    wait: 45s
    vex: [qa]
  bare: {}
platforms: [linux/amd64, linux/arm/v7]
rules:
  - images: ["docker.io/library/*"]
    require:
      - signed-by: { any: [ci] }
      - scanned: standard
      - contents:
          user: non-root
          setuid: { allow: [/usr/bin/su] }
          capabilities: none
          shell: none
          package-manager: none
          compiler: none
          ports: [443, 53/udp]
          max-size: 500MiB
          secrets: { ignore: [{ kind: private-key, path: /app/test/*, reason: a fixture, expires: 2026-12-31 }] }
          packages: none-expected
      - age: { min: 3d }
  - images: ["ghcr.io/**"]
    require: [{ any-of: [[{ scanned: bare }], [{ age: { min: 1h } }]] }]
exceptions:
  - image: docker.io/library/nginx@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    waive: [CVE-2026-12345, GHSA-jfh8-c2jp-5v3q]
    reason: not reachable, no HTTP/3
    owner: sec@acme.example
    expires: 2026-12-31
  - { image: docker.io/library/redis, waive: signed-by, reason: outage, owner: ops, from: 2026-11-25, expires: 2026-12-01 }
"#;

#[test]
fn everything_is_read_as_it_is_written() {
    let loaded = load(EVERYTHING).map_err(|errors| errors.to_string()).expect("a policy");
    let policy = &loaded.policy;
    let nginx = "docker.io/library/nginx".parse().expect("a repository");
    let rule = policy.rule_for(&nginx).expect("a rule");
    let [_, Requirement::Scanned(scan), Requirement::Contents(contents), Requirement::Age { min: 259_200 }] = &*rule.requirements else {
        panic!("{rule:?}")
    };
    let attested = RequiredSource::AttestedBy(vec!["ci".to_owned(), "qa".to_owned()]);
    assert_eq!(scan.sources, [RequiredSource::BuiltIn, attested, RequiredSource::Scanner("trivy".to_owned())]);
    let grace = |days: i64, from| Treatment::Grace { seconds: days * 86_400, from };
    let severities = Severity::ALL.map(|severity| scan.severities.of(severity));
    let expected = [
        Treatment::Deny,
        grace(7, GraceStart::FixAvailable),
        grace(1, GraceStart::FirstSeen),
        grace(30, GraceStart::Published),
        Treatment::Track,
        Treatment::Track,
    ];
    assert_eq!(severities, expected);
    assert_eq!((scan.ignore_unfixed, scan.max_age, scan.wait, &*scan.vex), (true, 43_200, 45, &["qa".to_owned()][..]));
    assert_eq!(policy.scan_wait(&nginx), 45);
    assert_eq!(policy.scan_sources(&nginx), [ScanSource::BuiltIn, ScanSource::Scanner { name: "trivy".to_owned() }].into());
    let needs = policy.needs(&nginx);
    assert!(needs.scans && needs.contents && needs.first_seen && needs.children && needs.attestations && needs.parents);
    let set = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
    assert_eq!(
        (&contents.setuid, &contents.capabilities, &contents.ports),
        (&set(&["usr/bin/su"]), &set(&[]), &set(&["443/tcp", "53/udp"]))
    );
    assert!(contents.non_root && contents.no_shell && contents.no_package_manager && contents.no_compiler && contents.no_packages);
    let ignored = &contents.secrets.as_ref().expect("secrets")[0];
    assert_eq!(
        (&ignored.path, ignored.expires.to_string()),
        (&TextMatcher::Prefix("app/test/".to_owned()), "2027-01-01T00:00:00Z".to_owned())
    );
    assert_eq!(contents.max_size, Some(524_288_000));
    let bare = &policy.scan_policies()["bare"];
    assert!(Severity::ALL.iter().all(|severity| bare.severities.of(*severity) == Treatment::Deny));
    assert_eq!((&*bare.sources, bare.max_age, bare.wait), (&[RequiredSource::BuiltIn][..], 86_400, 30));
    let [exception] = policy.exceptions_for(&nginx) else { panic!("one") };
    assert_eq!((exception.expires.to_string(), exception.from), ("2027-01-01T00:00:00Z".to_owned(), None), "the end of that day");
    let Waived::Vulnerabilities(ids) = &exception.waive else { panic!("{exception:?}") };
    assert_eq!(ids.iter().collect::<Vec<_>>(), ["CVE-2026-12345", "GHSA-jfh8-c2jp-5v3q"]);
    let [glass] = policy.exceptions_for(&"redis".parse().expect("a repository")) else { panic!("one") };
    assert_eq!((&glass.waive, glass.from.map(|from| from.to_string())), (&Waived::SignedBy, Some("2026-11-25T00:00:00Z".to_owned())));
    assert_eq!(policy.platforms().iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/amd64", "linux/arm/v7"]);
    assert_eq!(
        loaded.warnings,
        ["the exception for docker.io/library/redis lets every image of the repository pass unsigned: name one by its digest"]
    );
}

const BAD: &[Case] = &[
    // Scan policies.
    ("version: 1\nrules: []\nscan-policies: []\n", (3, 16), "expected a mapping, found a list", "standard:"),
    ("version: 1\nrules: []\nscan-policies: { s: { critical: dney } }\n", (3, 33), "found \"dney\"", "`deny`, `track`"),
    ("version: 1\nrules: []\nscan-policies: { s: { sever: deny } }\n", (3, 23), "unknown key \"sever\"", "valid keys here"),
    ("version: 1\nrules: []\nscan-policies: { s: { hihg: deny } }\n", (3, 23), "unknown key \"hihg\"", "did you mean `high`?"),
    ("version: 1\nrules: []\nscan-policies: { s: { high: { from: published } } }\n", (3, 29), "`grace` is missing", "how long"),
    ("version: 1\nrules: []\nscan-policies: { s: { high: { grace: 7 } } }\n", (3, 38), "found \"7\"", "a duration"),
    ("version: 1\nrules: []\nscan-policies: { s: { high: { grace: 0s } } }\n", (3, 18), "a `grace` is no time at all", "7d, or deny"),
    ("version: 1\nrules: []\nscan-policies: { s: { high: { grace: 7d, from: fixed } } }\n", (3, 48), "found \"fixed\"", "`fix-available`"),
    ("version: 1\nrules: []\nscan-policies: { s: { max-age: 0s } }\n", (3, 18), "`max-age` is no time at all", "24h"),
    ("version: 1\nrules: []\nscan-policies: { s: { wait: 1h } }\n", (3, 29), "clients do not wait that long", "at most 300s"),
    ("version: 1\nrules: []\nscan-policies: { s: { sources: [] } }\n", (3, 18), "`sources` is empty", "built-in"),
    ("version: 1\nrules: []\nscan-policies: { s: { sources: [trivy] } }\n", (3, 33), "found \"trivy\"", "{ scanner: NAME }"),
    ("version: 1\nrules: []\nscan-policies: { s: { sources: [built-in, built-in] } }\n", (3, 18), "names one source twice", "keep one"),
    ("version: 1\nrules: []\nscan-policies: { s: { sources: [{ attested-by: [] }] } }\n", (3, 18), "names no signer", "at least one"),
    (
        "version: 1\nrules: []\nsigners: { ci: { key: one.pub } }\nscan-policies: { s: { sources: [{ attested-by: [c] }] } }\n",
        (4, 49),
        "the signer \"c\" is not defined",
        "did you mean ci?",
    ),
    ("version: 1\nrules: []\nscan-policies: { s: { vex: [ci] } }\n", (3, 29), "the signer \"ci\" is not defined", "define it"),
    ("version: 1\nrules: []\nscan-policies: { s: {}, s: {} }\n", (3, 25), "two scan policies have this name", "line 3"),
    ("version: 1\nrules: []\nscan-policies: { \"a b\": {} }\n", (3, 18), "no scan policy's name", "letters"),
    (
        "version: 1\nscan-policies: { standard: {} }\nrules: [{ images: [\"**\"], require: [scanned: standart] }]\n",
        (3, 46),
        "the scan policy \"standart\" is not defined",
        "did you mean standard?",
    ),
    ("version: 1\nrules: [{ images: [\"**\"], require: [scanned: x] }]\n", (2, 46), "the scan policy \"x\" is not defined", "define it"),
    (
        "version: 1\nrules: [{ images: [\"**\"], require: [scanned: { max-age: 1d }] }]\n",
        (2, 46),
        "expected text, found a mapping",
        "single",
    ),
    // Contents and age.
    ("version: 1\nrules: [{ images: [\"**\"], require: [contents: {}] }]\n", (2, 36), "`contents` asks for nothing", "user: non-root"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [contents: { user: root }] }]\n", (2, 55), "found \"root\"", "`non-root`"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [contents: { shell: some }] }]\n", (2, 56), "found \"some\"", "remove `shell`"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [contents: { setuid: [su] }] }]\n", (2, 57), "expected a mapping", "`allow`"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [contents: { ports: [0] }] }]\n", (2, 57), "found \"0\"", "443/tcp"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [contents: { max-size: 5M }] }]\n", (2, 59), "found \"5M\"", "512MiB"),
    (
        "version: 1\nrules: [{ images: [\"**\"], require: [contents: { secrets: { ignore: [{ kind: k, path: p, reason: r }] } }] }]\n",
        (2, 69),
        "`expires` is missing",
        "last day",
    ),
    (
        "version: 1\nrules: [{ images: [\"**\"], require: [contents: { secrets: { ignore: [{ kind: k, path: \"*\", reason: r, expires: 2026-12-31 }] } }] }]\n",
        (2, 69),
        "ignores every secret",
        "name the file",
    ),
    ("version: 1\nrules: [{ images: [\"**\"], require: [age: { min: 0s }] }]\n", (2, 36), "`age` is no time at all", "3d"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [age: {}] }]\n", (2, 42), "`min` is missing", "at least"),
    (
        "version: 1\nrules: [{ images: [\"**\"], require: [{ age: { min: 3d }, digests: [] }] }]\n",
        (2, 37),
        "found `age` and `digests`",
        "exactly one",
    ),
    // Exceptions.
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [CVE-2026-1234], reason: r, owner: o }]\n",
        (3, 14),
        "`expires` is missing",
        "its last day",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [CVE-2026-1234], owner: o, expires: 2026-12-31 }]\n",
        (3, 14),
        "`reason` is missing",
        "why",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [CVE-2026-1234], reason: r, expires: 2026-12-31 }]\n",
        (3, 14),
        "`owner` is missing",
        "who answers",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: nginx, waive: [CVE-2026-1234], reason: r, owner: o, expires: 2026-12-31 }]\n",
        (3, 23),
        "is no image of an exception",
        "did you mean docker.io/library/nginx?",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: \"docker.io/library/nginx:1\", waive: [CVE-2026-1234], reason: r, owner: o, expires: 2026-12-31 }]\n",
        (3, 23),
        "is no image of an exception",
        "a tag moves",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: \"docker.io/library/*\", waive: [CVE-2026-1234], reason: r, owner: o, expires: 2026-12-31 }]\n",
        (3, 23),
        "is no image of an exception",
        "patterns are for rules",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [cve-2026-1234], reason: r, owner: o, expires: 2026-12-31 }]\n",
        (3, 56),
        "found \"cve-2026-1234\"",
        "CVE-2026-12345",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [], reason: r, owner: o, expires: 2026-12-31 }]\n",
        (3, 14),
        "`waive` is empty",
        "name the CVEs",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [CVE-2026-1234, signed-by], reason: r, owner: o, expires: 2026-12-31 }]\n",
        (3, 55),
        "`signed-by` and vulnerabilities in one exception",
        "two exceptions",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: signed-by, reason: r, owner: o, expires: 2026-12-31 }]\n",
        (3, 14),
        "at most 7 days",
        "add `from`",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: signed-by, reason: r, owner: o, from: 2026-12-24, expires: 2026-12-31 }]\n",
        (3, 14),
        "for over 7 days",
        "shorten",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [CVE-2026-1234], reason: r, owner: o, from: 2027-01-01, expires: 2026-12-31 }]\n",
        (3, 14),
        "ends before it begins",
        "correct",
    ),
    (
        "version: 1\nrules: []\nexceptions: [{ image: docker.io/library/nginx, waive: [CVE-2026-1234], reason: r, owner: o, expires: 2026-02-30 }]\n",
        (3, 102),
        "found \"2026-02-30\"",
        "end of that day",
    ),
    // Platforms.
    ("version: 1\nrules: []\nplatforms: []\n", (3, 12), "expected 1 to 64 platforms", "linux/amd64"),
    ("version: 1\nrules: []\nplatforms: [amd64]\n", (3, 13), "found \"amd64\"", "linux/arm/v7"),
];

#[test]
fn each_bad_part_is_refused_with_position_problem_and_mend() {
    assert_refused(BAD);
}

#[test]
fn what_is_not_used_is_warned_about() {
    let image = "image: docker.io/library/nginx, reason: r, owner: o, expires: 2026-12-31";
    for (text, expected) in [
        ("scan-policies: { s: {} }\nrules: [{ images: [\"**\"], require: [deny] }]\n".to_owned(), "no rule names the scan policy s"),
        (
            format!("rules: [{{ images: [\"ghcr.io/**\"], require: [deny] }}]\nexceptions: [{{ {image}, waive: [CVE-2026-1234] }}]\n"),
            "the exception for docker.io/library/nginx is not used: no rule matches",
        ),
        (
            format!("rules: [{{ images: [\"**\"], require: [deny] }}]\nexceptions: [{{ {image}, waive: [CVE-2026-1234] }}]\n"),
            "the exception for docker.io/library/nginx is not used: rule ** asks for no scan",
        ),
    ] {
        let warnings = load(&format!("version: 1\n{text}")).map_err(|errors| errors.to_string()).expect("a policy").warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].starts_with(expected), "{warnings:?}");
    }
}

#[test]
fn exceptions_that_end_are_warned_about_in_time() {
    let policy = load(EVERYTHING).expect("a policy").policy;
    let at = |text: &str| exception_warnings(&policy, Timestamp::from_rfc_3339(text).expect(text));
    assert_eq!(at("2026-11-24T00:00:00Z"), Vec::<String>::new());
    assert_eq!(at("2026-11-26T00:00:00Z"), ["the exception for docker.io/library/redis (signed-by, by ops) ends 2026-12-02T00:00:00Z"]);
    let [nginx, redis] = &*at("2026-12-31T23:59:59Z") else { panic!("two") };
    assert!(nginx.contains("(CVE-2026-12345, GHSA-jfh8-c2jp-5v3q, by sec@acme.example) ends 2027-01-01T00:00:00Z"), "{nginx}");
    assert!(redis.ends_with("ended 2026-12-02T00:00:00Z: remove it"), "{redis}");
    assert!(at("2027-01-01T00:00:00Z")[0].contains(" ended "));
}
