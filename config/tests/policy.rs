//! `trust-policy.yaml`: what loads, what is refused, and with which words.

mod policy_file;

use policy_file::{Case, DIGEST, ONE, assert_refused, load, load_with};
use sealgate_config::{ServerConfig, unmatched_rules};
use sealgate_verifier::policy::SignerIdentity;
use sealgate_verifier::{Mode, Quorum, Requirement};

const GOOD: &str = r#"
version: 1
mode: audit
signers:
  ci: { key: one.pub, images: ["docker.io/**", "ghcr.io/acme/**"] }
  release: { keys: [{ file: two.pub, until: 2027-01-01T00:00:00Z }] }
rules:
  - images: ["docker.io/library/*", "ghcr.io/acme/**"]
    mode: enforce
    signed-as: ["registry.acme.example/team/*"]
    require:
      - signed-by: { threshold: 2, of: [ci, release] }
      - digests: ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
  - { images: [quay.io/a/b], require: [deny] }
  - { images: [quay.io/a/c], require: [allow] }
  - { images: [ghcr.io/acme/app], require: [signed-by: { any: [ci] }] }
  - { images: [ghcr.io/acme/tool], require: [signed-by: { all: [ci, release] }] }
"#;

#[test]
fn every_requirement_is_read() {
    let loaded = load(GOOD).map_err(|e| e.to_string()).expect("valid");
    let policy = loaded.policy;
    assert_eq!(policy.rules().len(), 6);
    let rule = policy.rule_for(&"docker.io/library/nginx".parse().expect("name")).expect("rule");
    assert_eq!(rule.mode, Mode::Enforce);
    assert_eq!(rule.signed_as[0].to_string(), "registry.acme.example/team/*");
    let Requirement::SignedBy(signed_by) = &rule.requirements[0] else { panic!("{rule:?}") };
    assert_eq!((signed_by.quorum, signed_by.signers.as_slice()), (Quorum::Threshold(2), &["ci".to_owned(), "release".to_owned()][..]));
    assert!(matches!(&rule.requirements[1], Requirement::Digests(digests) if digests.iter().any(|d| d.to_string() == DIGEST)));
    let rule = |name: &str| policy.rule_for(&name.parse().expect(name)).expect(name);
    assert_eq!(rule("quay.io/a/b").requirements, [Requirement::Deny]);
    assert_eq!((rule("quay.io/a/c").mode, &rule("quay.io/a/c").requirements[0]), (Mode::Audit, &Requirement::Allow));
    assert!(matches!(&rule("ghcr.io/acme/app").requirements[0], Requirement::SignedBy(s) if s.quorum == Quorum::Any));
    assert!(matches!(&rule("ghcr.io/acme/tool").requirements[0], Requirement::SignedBy(s) if s.quorum == Quorum::All));
    let SignerIdentity::Keys(keys) = &policy.signer("release").expect("signer").identity else { panic!("no keys") };
    assert_eq!(keys[0].until.map(|t| t.to_string()).as_deref(), Some("2027-01-01T00:00:00Z"));
    assert_eq!(policy.signer("ci").expect("signer").images.len(), 2);
    let names: Vec<_> = loaded.files.iter().filter_map(|f| f.file_name()?.to_str()).collect();
    assert_eq!(names, ["trust-policy.yaml", "one.pub", "two.pub"]);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}

#[test]
fn a_key_may_stand_in_the_policy_itself() {
    let pem = ONE.replace('\n', "\n      ");
    let text = format!(
        "version: 1\nsigners:\n  ci:\n    key: |\n      {pem}\nrules:\n  - {{ images: [\"**\"], require: [signed-by: {{ any: [ci] }}] }}\n"
    );
    let loaded = load(&text).map_err(|e| e.to_string()).expect("valid");
    assert_eq!(loaded.files.len(), 1);
}

/// Rules and signers to which each case below adds one line of its own.
const BAD: &[Case] = &[
    ("", (0, 0), "the file is empty", "sealgate init"),
    ("rules: []\n", (1, 1), "`version` is missing", "add `version:`"),
    ("version: 2\nrules: []\n", (1, 10), "found \"2\"", "the only version"),
    ("version: 1\n", (1, 1), "`rules` is missing", "no match denies"),
    ("version: 1\nrules:\n", (2, 1), "`rules` has no value", "write one"),
    ("version: 1\nrule: []\n", (2, 1), "unknown key \"rule\"", "did you mean `rules`?"),
    ("version: 1\nmode: warn\nrules: []\n", (2, 7), "found \"warn\"", "`enforce` or `audit`"),
    ("version: 1\nrules: [] # {\nrules: []\n", (3, 1), "stands here twice", "line 2"),
    // V8: what a later version judges is never ignored.
    ("version: 1\nrules: [{ images: [\"**\"], require: [deny], tags: {} }]\n", (2, 44), "`tags` is not supported", "remove it"),
    // Rules.
    ("version: 1\nrules: {}\n", (2, 8), "expected a list, found a mapping", "[a, b]"),
    ("version: 1\nrules: [{ require: [deny] }]\n", (2, 9), "`images` is missing", "image patterns"),
    ("version: 1\nrules: [{ images: [], require: [deny] }]\n", (2, 19), "the list of images is empty", "name at least one"),
    ("version: 1\nrules: [{ images: [\"**\"] }]\n", (2, 9), "`require` is missing", "what must hold"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [] }]\n", (2, 36), "`require` is empty", "[deny]"),
    ("version: 1\nrules: [{ images: [\"**\"], require: allow }]\n", (2, 36), "expected a list, found text", "[a, b]"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [alow] }]\n", (2, 37), "found \"alow\"", "`allow`, `deny`"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [allow, deny] }]\n", (2, 36), "stand alone", "remove them"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [{}] }]\n", (2, 37), "expected either `digests`, or `signed-by`", "exactly one"),
    (
        "version: 1\nrules: [{ images: [\"**\"], require: [{ digests: [], signed-by: {} }] }]\n",
        (2, 37),
        "found `digests` and `signed-by`",
        "exactly one",
    ),
    ("version: 1\nrules: [{ images: [\"**\"], require: [digests: []] }]\n", (2, 36), "`digests` is empty", "at least one digest"),
    ("version: 1\nrules: [{ images: [\"**\"], require: [digests: [\"sha256:AB\"]] }]\n", (2, 47), "not a digest", "64 hex digits"),
    (
        "version: 1\nrules: [{ images: [nginx], require: [deny] }]\n",
        (2, 20),
        "\"nginx\" is no image pattern",
        "did you mean docker.io/library/nginx?",
    ),
    ("version: 1\nrules: [{ images: [acme/*], require: [deny] }]\n", (2, 20), "is no image pattern", "did you mean docker.io/acme/*?"),
    (
        "version: 1\nrules: [{ images: [\"ghcr.io/a:1\"], require: [deny] }]\n",
        (2, 20),
        "is no image pattern",
        "tags and digests do not belong",
    ),
    ("version: 1\nrules: [{ images: [\"ghcr.io/*/a\"], require: [deny] }]\n", (2, 20), "is no image pattern", "whole last part"),
    (
        "version: 1\nrules:\n  - { images: [\"**\"], require: [deny] }\n  - { images: [\"**\"], require: [allow] }\n",
        (4, 16),
        "** stands in two rules; the first is in line 3",
        "merge",
    ),
    // Attestations and alternatives.
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [attested: { type: slsa, by: { any: [a] } }] }]\n",
        (3, 55),
        "found \"slsa\"",
        "slsaprovenance1",
    ),
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [attested: { type: vuln, by: { any: [a] }, where: { a: b } }] }]\n",
        (3, 88),
        "no JSON pointer",
        "~1 stands for a /",
    ),
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [any-of: [[allow]]] }]\n",
        (3, 36),
        "no place in `any-of`",
        "only requirement",
    ),
    ("version: 1\nrules: [{ images: [\"**\"], require: [any-of: [[]]] }]\n", (2, 36), "holds an empty list", "one of which must hold"),
    (
        "version: 1\nrules: [{ images: [\"**\"], require: [any-of: [[signed-by: { any: [x] }]]] }]\n",
        (2, 66),
        "the signer \"x\" is not defined",
        "define it",
    ),
    ("version: 1\nbaseline: { require: [digests: []] }\nrules: []\n", (2, 22), "`digests` is empty", "at least one digest"),
    (
        "version: 1\nrules: [{ images: [\"**\"], require: [deny], signatures-from: [kong/notary] }]\n",
        (2, 62),
        "found \"kong/notary\"",
        "canonical name",
    ),
    // Both at once.
    (
        "version: 1\nsigners: { release: { key: one.pub } }\nrules: [{ images: [\"**\", a.io/b], require: [signed-by: { any: [relaese] }] }]\n",
        (3, 64),
        "the signer \"relaese\" is not defined",
        "did you mean release?",
    ),
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [signed-by: { threshold: 2, of: [a] }] }]\n",
        (3, 36),
        "`threshold` must be",
        "change `require`",
    ),
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [signed-by: { threshold: 0, of: [a] }] }]\n",
        (3, 61),
        "found \"0\"",
        "from 1",
    ),
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [signed-by: { threshold: 1, any: [a] }] }]\n",
        (3, 48),
        "found `any` and `threshold`",
        "exactly one",
    ),
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [signed-by: { any: [a, a] }] }]\n",
        (3, 36),
        "names a signer twice",
        "",
    ),
    (
        "version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [signed-by: { any: [] }] }]\n",
        (3, 36),
        "names no signer",
        "at least one",
    ),
];

#[test]
fn each_bad_policy_is_refused_with_position_problem_and_mend() {
    assert_refused(BAD);
}

#[test]
fn all_errors_come_at_once_and_a_broken_signer_is_not_unknown() {
    let text = "version: 1\nmode: x\nsigners:\n  ci: { key: nope.pub }\n  a: { key: one.pub }\n  b: { key: one.pub }\nrules:\n  - images: [nginx, \"**\"]\n    \
                require: [{ signed-by: { any: [ci, none] } }, { age: 1 }]\n  - { images: [\"**\"], require: [deny] }\n";
    let errors = load(text).expect_err("bad");
    let positions: Vec<_> = errors.0.iter().filter_map(|e| e.position).collect();
    assert_eq!(positions, [(2, 7), (4, 14), (6, 13), (8, 14), (9, 40), (9, 58), (10, 16)], "{errors}");
    assert_eq!(errors.0[2].snippet.as_deref(), Some("6 |   b: { key: one.pub }\n  |             ^"));
}

#[test]
fn the_revision_covers_every_file_and_not_the_folder() {
    let text = "version: 1\nsigners: { ci: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [signed-by: { any: [ci] }] }]\n";
    let revision = |text: &str, one: &str| load_with(text, one).expect("valid").policy.revision();
    let first = revision(text, ONE);
    assert_eq!(first, revision(text, ONE), "another folder, the same policy");
    assert_ne!(first, revision(text, &format!("{ONE}\n")), "a key file changed");
    assert_ne!(first, revision(&format!("{text}# a word\n"), ONE), "the policy changed");
    assert_ne!(first, revision(&text.replace("one.pub", "two.pub"), ONE), "another key");
}

#[test]
fn what_is_legal_and_doubtful_is_warned_about() {
    for (text, warnings) in [
        ("version: 1\nrules: []\n", &["there is no rule, so every image is denied"][..]),
        ("version: 1\nrules: [{ images: [\"**\"], require: [allow] }]\n", &["rule ** allows every image"]),
        ("version: 1\nrules: [{ images: [\"ghcr.io/**\"], require: [allow] }]\n", &["rule ghcr.io/** allows a whole registry"]),
        ("version: 1\nmode: audit\nrules: [{ images: [\"**\"], require: [deny] }]\n", &["every rule is in audit mode"]),
        ("version: 1\nrules: [{ images: [\"docker.io/*\"], require: [deny] }]\n", &["rule docker.io/* can never match"]),
        ("version: 1\nsigners: { a: { key: one.pub } }\nrules: [{ images: [\"**\"], require: [deny] }]\n", &["no rule names the signer a"]),
        (
            "version: 1\nsigners: { a: { key: one.pub, images: [\"a.io/**\"] } }\nrules: [{ images: [b.io/c], require: [signed-by: { any: [a] }] }]\n",
            &["rule b.io/c names the signer a, whose `images`"],
        ),
    ] {
        let found = load(text).map_err(|e| e.to_string()).expect(text).warnings;
        assert_eq!(found.len(), warnings.len(), "{text}: {found:?}");
        assert!(found.iter().zip(warnings).all(|(found, expected)| found.starts_with(expected)), "{text}: {found:?}");
    }
}

#[test]
fn a_rule_for_a_registry_that_the_server_lacks_is_named() {
    let server = ServerConfig::load(None, &|_| None).expect("defaults");
    let text = "version: 1\nrules: [{ images: [\"**\", \"ghcr.io/**\", \"docker.io/**\"], require: [deny] }]\n";
    let found = unmatched_rules(&load(text).expect("valid").policy, &server);
    assert_eq!(found, ["rule ghcr.io/** can never match: ghcr.io is not among the configured registries (docker.io)"]);
}

#[test]
fn hostile_policies_are_refused() {
    let rules = "  - { images: [\"**\"], require: [deny] }\n".repeat(300);
    let errors = load(&format!("version: 1\nrules:\n{rules}")).expect_err("bad");
    assert_eq!(errors.0.len(), 101);
    let huge = format!("version: 1\nrules: [] # {}\n", "x".repeat(5 * 1024 * 1024));
    assert!(load(&huge).expect_err("huge").to_string().contains("larger than 4096 KiB"));
    let key = load_with("version: 1\nrules: []\nsigners: { a: { key: one.pub } }\n", &"x".repeat(70_000)).expect_err("huge key");
    assert!(key.to_string().contains("one.pub is larger than 64 KiB"), "{key}");
    let fifo = load("version: 1\nrules: []\nsigners: { a: { key: /dev/zero } }\n").expect_err("device");
    assert!(fifo.to_string().contains("is not a regular file"), "{fifo}");
}

const EVERYTHING: &str = r#"version: 1
signers:
  ci: { key: one.pub, log: required }
  distroless: { issuer: https://accounts.google.com, identity: keyless@distroless.iam.gserviceaccount.com }
  app:
    issuer: https://token.actions.githubusercontent.com
    identity-regexp: 'https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/v[0-9.]+'
    claims: { source-repository: https://github.com/acme/app, source-ref: refs/tags/*, runner: github-hosted }
  anybody:
    issuer: https://token.actions.githubusercontent.com
    identity: https://github.com/acme/shared/.github/workflows/build.yml@refs/heads/main
    claims: { source-repository: any }
baseline: { require: [{ signed-by: { any: [ci] } }] }
rules:
  - images: ["docker.io/kong/*"]
    signatures-from: [docker.io/kong/notary]
    require:
      - any-of:
          - [{ signed-by: { any: [distroless] } }]
          - [{ attested: { type: slsaprovenance1, by: { threshold: 2, of: [app, anybody] },
               where: { "/buildDefinition/buildType": "https://slsa-framework.github.io/*", "/n": 3, "/b": true }, max-age: 30d } }]
  - images: ["docker.io/library/*"]
    require: [deny]
"#;

#[test]
fn keyless_signers_attestations_alternatives_and_a_baseline_are_read() {
    let loaded = load(EVERYTHING).map_err(|errors| errors.to_string()).expect("a policy");
    let policy = &loaded.policy;
    assert!(matches!(&policy.signer("ci").expect("ci").identity, SignerIdentity::LoggedKeys { trust_root, .. } if trust_root == "public"));
    let SignerIdentity::Keyless(app) = &policy.signer("app").expect("app").identity else { panic!("not keyless") };
    assert!(app.subject.matches("https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2"));
    assert!(!app.subject.matches("https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2-rc"));
    assert_eq!(app.claims.len(), 3);
    let kong: sealgate_verifier::Repository = "docker.io/kong/kong".parse().expect("a repository");
    let rule = policy.rule_for(&kong).expect("a rule");
    assert_eq!(rule.signatures_from.iter().map(|r| r.as_str()).collect::<Vec<_>>(), ["docker.io/kong/notary"]);
    let needs = policy.needs(&kong);
    assert!(needs.signatures && needs.attestations);
    let words: Vec<String> = rule.requirements.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "signed-by any of distroless, or attested slsaprovenance1 by 2 of app, anybody where /buildDefinition/buildType is \
             https://slsa-framework.github.io/* and /n is 3 and /b is true, at most 30d old",
            "signed-by any of ci"
        ]
    );
    let nginx = policy.rule_for(&"nginx".parse().expect("a repository")).expect("a rule");
    assert_eq!(nginx.requirements, [Requirement::Deny]);
    assert_eq!(loaded.warnings, Vec::<String>::new());
}
