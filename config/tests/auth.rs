//! `auth:` of `sealgate.yaml`: what loads, what is refused, and with which words.

use std::fs;

use sealgate_config::{Action, Auth, ConfigErrors, PullAccess, ServerConfig, Who};

const HASH: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";

fn load(text: &str) -> Result<ServerConfig, ConfigErrors> {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("sealgate.yaml");
    fs::write(&file, text).expect("file");
    fs::write(folder.path().join("users"), format!("alice:{HASH}\n")).expect("file");
    fs::write(folder.path().join("bad-users"), format!("alice:{HASH}\nbob:hunter2\n")).expect("file");
    for name in ["gate.crt", "gate.key", "clients.pem", "jwks.json"] {
        fs::write(folder.path().join(name), "x").expect("file");
    }
    ServerConfig::load(Some(&file), &|_| None)
}

fn auth(text: &str) -> Auth {
    load(text).map_err(|errors| errors.to_string()).expect(text).auth.expect("auth")
}

#[test]
fn every_key_is_read() {
    let auth = auth(
        "auth:\n  htpasswd: users\n  tokens: true\n  grants:\n    - { who: [alice, \"ci-*\", \"*\"], repositories: [docker.io/acme/**], actions: [push, sign] }\n    - { who: anonymous, repositories: \"**\", actions: pull }\n",
    );
    assert!(auth.tokens && auth.htpasswd.is_some_and(|path| path.ends_with("users")));
    let grants = auth.grants.expect("grants");
    assert_eq!(grants.len(), 2);
    assert!(matches!(&grants[0].who[..], [Who::User(_), Who::User(ci), Who::Authenticated] if ci.matches("ci-7")));
    assert_eq!(grants[0].actions, [Action::Push, Action::Sign].into());
    assert_eq!(grants[1].who, [Who::Anonymous]);
}

#[test]
fn certificates_and_identity_tokens_are_read() {
    let auth = auth(
        "tls: { certificate: gate.crt, key: gate.key, client-ca: clients.pem }\nauth:\n  oidc:\n    - { name: release, issuer: https://token.actions.githubusercontent.com, audience: gate, claims: { repository: acme/app, ref: [refs/heads/main, refs/heads/next] } }\n    - { name: lab, issuer: \"http://127.0.0.1:7/realm\", audience: gate, claims: { sub: x, protected: true }, jwks: jwks.json, allow-addresses: [10.0.0.0/8] }\n  grants:\n    - { who: [oidc:release, certificate:build-*], repositories: \"**\", actions: push }\n",
    );
    let [release, lab] = &auth.oidc[..] else { panic!("{auth:?}") };
    assert_eq!(release.claims["ref"], ["refs/heads/main", "refs/heads/next"]);
    assert_eq!((release.jwks.is_some(), lab.jwks.is_some(), lab.issuer.as_str()), (false, true, "http://127.0.0.1:7/realm"));
    assert_eq!(lab.claims["protected"], ["true"]);
    assert!(matches!(&auth.grants.expect("grants")[0].who[..], [Who::Workload(_), Who::Certificate(_)]));
}

#[test]
fn pulling_is_authenticated_where_credentials_reach_except_docker_hub() {
    let pull = |settings: &str| {
        let text = format!("auth: {{ tokens: true }}\nregistries: {{ {settings} }}\n");
        let config = load(&text).map_err(|errors| errors.to_string()).expect(settings);
        config.registries.into_values().next().expect("a registry").pull
    };
    let credentials = "credentials: [{ username: a, password: b }]";
    assert_eq!(pull("a.example: {}"), PullAccess::Anonymous);
    assert_eq!(pull("a.example: { pull: authenticated }"), PullAccess::Authenticated);
    assert_eq!(pull(&format!("a.example: {{ {credentials} }}")), PullAccess::Authenticated);
    assert_eq!(pull(&format!("a.example: {{ pull: anonymous, {credentials} }}")), PullAccess::Anonymous);
    let hub = "docker.io: { credentials: [{ repositories: a/*, username: a, password: b }] }";
    assert_eq!(pull(hub), PullAccess::Anonymous);
}

fn oidc(entry: &str) -> String {
    format!("auth: {{ oidc: [ {{ {entry} }} ], grants: [] }}\n")
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_mend() {
    for (text, position, problem, mend) in [
        ("auth: {}\n", (1, 7), "names no way to authenticate", "htpasswd: FILE"),
        ("auth: { tokens: false }\n", (1, 7), "names no way to authenticate", "tokens: true"),
        ("auth: { htpasswd: none }\n", (0, 0), "does not exist", "htpasswd -B -c"),
        ("auth: { htpasswd: bad-users }\n", (2, 1), "found a plaintext password", "htpasswd -B"),
        ("auth: { tokens: true, token: true }\n", (1, 23), "unknown key \"token\"", "did you mean `tokens`?"),
        (
            "listen: 0.0.0.0:5000\nauth: { tokens: true }\ntls: { certificate: gate.crt, key: gate.key }\n",
            (2, 7),
            "no address",
            "public-url",
        ),
        ("listen: 10.0.0.1:5000\nauth: { tokens: true }\n", (2, 7), "in plaintext", "add `tls`"),
        ("listen: 0.0.0.0:5000\npublic-url: http://gate.example\nauth: { tokens: true }\n", (3, 7), "in plaintext", "add `tls`"),
        (
            "auth: { tokens: true, grants: [{ who: alice, repositories: \"**\", actions: pull }] }\n",
            (1, 39),
            "there are no users",
            "htpasswd",
        ),
        (
            "auth: { htpasswd: users, grants: [{ who: \"x:y\", repositories: \"**\", actions: pull }] }\n",
            (1, 42),
            "found \"x:y\"",
            "a user's name",
        ),
        (
            "auth: { htpasswd: users, grants: [{ who: anonymous, repositories: \"**\", actions: push }] }\n",
            (1, 42),
            "`pull` only",
            "name who",
        ),
        (
            "auth: { htpasswd: users, grants: [{ who: alice, repositories: quay.io/a/*, actions: push }] }\n",
            (1, 63),
            "quay.io is no registry",
            "canonical",
        ),
        (
            "auth: { htpasswd: users, grants: [{ who: alice, repositories: acme, actions: push }] }\n",
            (1, 63),
            "found \"acme\"",
            "canonical repository",
        ),
        (
            "auth: { htpasswd: users, grants: [{ who: alice, repositories: [], actions: push }] }\n",
            (1, 63),
            "the list is empty",
            "at least one",
        ),
        (
            "auth: { htpasswd: users, grants: [{ who: alice, repositories: \"**\", actions: admin }] }\n",
            (1, 78),
            "found \"admin\"",
            "pull, push, sign or delete",
        ),
        ("auth: { htpasswd: users, grants: [{ who: alice, repositories: \"**\" }] }\n", (1, 35), "`actions` is missing", "add `actions:`"),
        ("tls: { certificate: gate.crt, key: gate.key, client-ca: clients.pem }\n", (1, 6), "give no right", "add `auth:"),
        (
            "tls: { certificate: gate.crt, key: gate.key, client-ca: clients.pem }\nauth: {}\n",
            (2, 7),
            "no right by themselves",
            "add `grants`",
        ),
        (
            "auth: { tokens: true, grants: [{ who: \"certificate:a\", repositories: \"**\", actions: pull }] }\n",
            (1, 39),
            "asked for a certificate",
            "client-ca",
        ),
        (
            "auth: { tokens: true, grants: [{ who: \"oidc:a\", repositories: \"**\", actions: pull }] }\n",
            (1, 39),
            "no entry of `oidc`",
            "`name`",
        ),
        (
            "auth: { oidc: [{ name: a, issuer: https://gitlab.com, audience: g, claims: { sub: x } }] }\n",
            (1, 7),
            "no right by themselves",
            "add `grants`",
        ),
        (
            &oidc("name: a, issuer: https://gitlab.com, audience: g, claims: { ref: main }"),
            (1, 77),
            "everybody can get tokens",
            "project_path",
        ),
        (
            &oidc("name: a, issuer: https://token.actions.githubusercontent.com, audience: g, claims: { job_workflow_ref: x }"),
            (1, 102),
            "everybody can get tokens",
            "repository",
        ),
        (&oidc("name: a, issuer: https://a.example, audience: g, claims: {}"), (1, 76), "`claims` is empty", "at least one"),
        (
            &oidc("name: a, issuer: https://a.example, audience: g, claims: { ref: refs/* }"),
            (1, 83),
            "a * stands for itself",
            "whole value",
        ),
        (&oidc("name: a, issuer: http://a.example, audience: g, claims: { ref: x }"), (1, 36), "found \"http://a.example\"", "https://"),
        (&oidc("name: \"a#\", issuer: https://a.example, audience: g, claims: { ref: x }"), (1, 25), "found \"a#\"", "a name"),
        (&oidc("name: a, issuer: https://a.example, audience: g, claims: { ref: x }, jwks: none"), (1, 94), "does not exist", "relative"),
        (&oidc("name: a, issuer: https://a.example, claims: { ref: x }"), (1, 17), "`audience` is missing", "add `audience:`"),
        ("registries: { a.example: { pull: authenticated } }\n", (1, 34), "nobody could pull", "add `auth:`"),
    ] {
        let errors = load(text).expect_err(text);
        let [error] = &errors.0[..] else { panic!("{text}: {errors}") };
        assert_eq!(error.position.unwrap_or_default(), position, "{text}: {error}");
        assert!(error.problem.contains(problem), "{text}: {error}");
        assert!(error.mend.as_ref().is_some_and(|found| found.contains(mend)), "{text}: {error}");
        assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
    }
}

#[test]
fn a_gate_behind_a_proxy_or_on_loopback_needs_no_tls_of_its_own() {
    for text in [
        "listen: 0.0.0.0:5000\npublic-url: https://gate.example\nauth: { tokens: true }\n",
        "listen: 0.0.0.0:5000\npublic-url: http://127.0.0.1:5000\nauth: { tokens: true }\n",
        "listen: 10.0.0.1:5000\nauth: { tokens: true }\ntls: { certificate: gate.crt, key: gate.key }\n",
        "auth: { tokens: true }\n",
    ] {
        let _ = auth(text);
    }
}
