//! Who may pull: `docker login`, passwords, tokens and bearer tokens against a real gate, with the clients that people use.

use std::net::SocketAddr;

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{self, KeyPair, Layout};
use sealgate_tests::docker;
use sealgate_tests::gate::{Gate, LAB, Setup, sealgate};
use sealgate_tests::image::Image;
use sealgate_tests::process::wait_until;
use sealgate_tests::program::{Outcome, Program, basic};
use sealgate_tests::registry::Registry;
use sealgate_tests::wire::{Reply, Request};
use serde_json::Value;

const PASSWORD: &str = "correct horse battery staple";
/// A second registry at the same upstream, for those who may.
const PRIVATE: &str = "private.example";

fn htpasswd(users: &[(&str, &str)]) -> String {
    users.iter().map(|(name, password)| format!("{name}:{}\n", bcrypt::hash(password, 5).expect("a hash"))).collect()
}

/// A gate with the user alice and tokens, before a registry with one image; [`LAB`] is open, [`PRIVATE`] is not.
fn gate_with_image(more: &str) -> (Registry, Image, Gate) {
    let (registry, image) = (Registry::start(), Image::small());
    registry.push("team/app", "1", &image);
    let gate = Setup::new()
        .lab(&registry.url())
        .registry(PRIVATE, &format!("{{ default: true, upstream: {}, pull: authenticated }}", registry.url()))
        .policy("version: 1\nrules:\n  - { images: [\"**\"], require: [allow] }\n")
        .file("users", &htpasswd(&[("alice", PASSWORD), ("bob", PASSWORD)]))
        .line(&format!("auth: {{ htpasswd: users, tokens: true{more} }}"))
        .start();
    (registry, image, gate)
}

fn token(gate: &Gate, arguments: &[&str]) -> Outcome {
    let config = gate.folder().join("sealgate.yaml");
    sealgate(["token"]).arg(arguments[0]).arg("--config").arg(config).args(&arguments[1..]).run()
}

fn create(gate: &Gate, name: &str) -> String {
    let arguments = ["create", "--name", name, "--repositories", &format!("{PRIVATE}/team/**"), "--actions", "pull", "--expires", "1h"];
    token(gate, &arguments).expect_success().stdout.trim().to_owned()
}

fn get(gate: &Gate, target: &str, authorization: &str) -> Reply {
    let request = Request::new("GET", target);
    let request = if authorization.is_empty() { request } else { request.header("Authorization", authorization) };
    request.send(gate.address())
}

fn as_basic(user: &str, password: &str) -> String {
    format!("Basic {}", basic(user, password))
}

/// Fetches a bearer token and gives its `Authorization` header.
fn bearer(gate: &Gate, authorization: &str, scope: &str) -> String {
    let answer = get(gate, &format!("/token?service=x&scope={scope}"), authorization).expect(200).json();
    assert_eq!(answer["token"], answer["access_token"]);
    assert_eq!(answer["expires_in"], 300);
    // RFC 3339: docker refuses a number.
    assert!(answer["issued_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{answer}");
    format!("Bearer {}", answer["token"].as_str().expect("a token"))
}

fn manifest(registry: &str) -> String {
    format!("/v2/{registry}/team/app/manifests/1")
}

fn login(client: &str, address: SocketAddr, user: &str, password: &str) -> Outcome {
    let storage = tempfile::tempdir().expect("a folder");
    let file = storage.path().join("auth.json");
    let address = address.to_string();
    let program = match client {
        "docker" => docker::engine().program("docker").env("DOCKER_CONFIG", storage.path()).arg("login"),
        "podman" | "skopeo" => Program::new(client).args(["login", "--tls-verify=false", "--authfile"]).arg(file),
        "crane" => Program::new(client).env("DOCKER_CONFIG", storage.path()).args(["auth", "login"]),
        _ => Program::new("oras").args(["login", "--plain-http", "--registry-config"]).arg(file),
    };
    program.args(["--username", user, "--password", password, &address]).run()
}

#[test]
fn docker_login_tells_a_right_password_from_a_wrong_one() {
    let (_registry, _, gate) = gate_with_image("");
    let secret = create(&gate, "ci");
    for client in ["docker", "podman", "skopeo", "oras"] {
        assert_eq!(login(client, gate.address(), "alice", PASSWORD).expect_success().code, Some(0), "{client}");
        let _ = login(client, gate.address(), "anyone", &secret).expect_success();
        let refused = login(client, gate.address(), "alice", "wrong").expect_failure();
        assert!(!refused.text().contains("denied by policy"), "{client}: {}", refused.text());
    }
    // crane stores what it is given and asks nobody.
    let _ = login("crane", gate.address(), "alice", PASSWORD).expect_success();
}

#[test]
fn every_client_pulls_without_a_login_what_is_open_and_with_one_what_is_not() {
    let (_registry, image, gate) = gate_with_image("");
    let private = format!("{}/{PRIVATE}/team/app:1", gate.address());
    for client in Client::ALL {
        assert_eq!(client.pull(&gate.reference("team/app:1")).expect_digest(), image.digest(), "{client:?} anonymously");
        assert_eq!(client.pull_as(&gate.reference("team/app:1"), "alice", PASSWORD).expect_digest(), image.digest(), "{client:?}");
        let refused = client.pull(&private).expect_refusal();
        assert!(refused.to_lowercase().contains("auth"), "{client:?}: {refused}");
        assert_eq!(client.pull_as(&private, "alice", PASSWORD).expect_digest(), image.digest(), "{client:?} logged in");
        let _ = client.pull_as(&private, "alice", "wrong").expect_refusal();
    }
}

#[test]
fn the_bearer_flow_by_hand() {
    let (_registry, image, gate) = gate_with_image("");
    let address = gate.address();
    let ping = Request::new("GET", "/v2/").send(address).expect(401);
    let expected = format!("Bearer realm=\"http://{address}/token\",service=\"{address}\"");
    assert_eq!(ping.header("www-authenticate"), Some(expected.as_str()));
    assert_eq!((ping.error().0.as_str(), ping.header("docker-distribution-api-version")), ("UNAUTHORIZED", Some("registry/2.0")));
    let stream = std::net::TcpStream::connect(address).expect("a connection");
    let spoofed = Request::new("GET", "/v2/").send_on(stream, "evil.example").expect("an answer").expect(401);
    assert_eq!(spoofed.header("www-authenticate"), Some(expected.as_str()), "the realm never comes from a Host header");

    let stranger = bearer(&gate, "", &format!("repository:{LAB}/team/app:pull,push"));
    let _ = get(&gate, "/v2/", &stranger).expect(200);
    let _ = get(&gate, &manifest(LAB), &stranger).expect(200);
    let challenged = get(&gate, &manifest(PRIVATE), &stranger).expect(401);
    assert!(challenged.header("www-authenticate").expect("a challenge").contains(&format!("scope=\"repository:{PRIVATE}/team/app:pull\"")));

    let alice = bearer(&gate, &as_basic("alice", PASSWORD), &format!("repository:{PRIVATE}/team/app:pull"));
    let _ = get(&gate, "/v2/", &alice).expect(200);
    assert_eq!(get(&gate, &manifest(PRIVATE), &alice).expect(200).body, image.manifest.bytes);
    let _ = get(&gate, &format!("/v2/{PRIVATE}/team/app/blobs/{}", image.layers[0].digest), &alice).expect(200);
    let narrow = get(&gate, &format!("/v2/{PRIVATE}/team/other/manifests/1"), &alice).expect(401);
    assert!(narrow.header("www-authenticate").expect("a challenge").ends_with("error=\"insufficient_scope\""));
    // Basic alone works too, and so does a token as it is.
    let _ = get(&gate, &manifest(PRIVATE), &as_basic("alice", PASSWORD)).expect(200);
    let secret = create(&gate, "ci");
    let _ = get(&gate, &manifest(PRIVATE), &format!("Bearer {secret}")).expect(200);

    let form = |body: &str| {
        let request = Request::new("POST", "/token").header("Content-Type", "application/x-www-form-urlencoded");
        request.body(body.as_bytes()).send(address)
    };
    let scope = format!("scope=repository%3A{PRIVATE}%2Fteam%2Fapp%3Apull");
    for body in [
        format!("grant_type=password&username=alice&password={}&service=x&client_id=y&{scope}", PASSWORD.replace(' ', "+")),
        format!("grant_type=refresh_token&refresh_token={secret}&{scope}"),
    ] {
        let answer = form(&body).expect(200).json();
        let token = answer["access_token"].as_str().expect("a token");
        let _ = get(&gate, &manifest(PRIVATE), &format!("Bearer {token}")).expect(200);
    }
    for (body, status) in [
        ("grant_type=password&username=alice&password=wrong", 401),
        ("grant_type=refresh_token&refresh_token=wrong", 401),
        // D9
        ("grant_type=client_credentials&role=admin", 400),
        ("", 400),
    ] {
        assert_eq!(form(body).status, status, "{body}");
    }
    let bearer_as_refresh = alice.strip_prefix("Bearer ").expect("a bearer token");
    assert_eq!(form(&format!("grant_type=refresh_token&refresh_token={bearer_as_refresh}")).status, 401);
    let _ = Request::new("DELETE", "/token").send(address).expect(405);
}

// V29
#[test]
fn no_credential_opens_what_the_policy_denies() {
    let (registry, image) = (Registry::start(), Image::small());
    registry.push("team/app", "1", &image);
    let keys = KeyPair::generate();
    let public = std::fs::read_to_string(keys.public()).expect("the public key");
    let gate = Setup::new()
        .lab_without_memory(&registry.url())
        .signed_by(&public)
        .file("users", &htpasswd(&[("alice", PASSWORD)]))
        .line(&format!("auth: {{ htpasswd: users, grants: [{{ who: alice, repositories: {LAB}/**, actions: pull }}] }}"))
        .start();
    let alice = as_basic("alice", PASSWORD);
    let shown = [String::new(), alice.clone(), bearer(&gate, &alice, &format!("repository:{LAB}/team/app:pull,push"))];
    let layer = format!("/v2/{LAB}/team/app/blobs/{}", image.layers[0].digest);
    for authorization in &shown {
        let denied = get(&gate, &manifest(LAB), authorization).expect(403);
        assert_eq!(denied.error().0, "DENIED");
        let _ = get(&gate, &layer, authorization).expect(404);
    }
    let _ = Client::Docker.pull_as(&gate.reference("team/app:1"), "alice", PASSWORD).expect_refusal();
    let reference = registry.reference(&format!("team/app@{}", image.digest()));
    let _ = cosign::sign(&keys.private(), Layout::Legacy, &reference).expect_success();
    for authorization in &shown {
        let _ = get(&gate, &manifest(LAB), authorization).expect(200);
        let _ = get(&gate, &layer, authorization).expect(200);
    }
}

#[test]
fn a_token_is_made_listed_and_revoked_over_restarts_too() {
    let (_registry, _, mut gate) = gate_with_image("");
    let (secret, other) = (create(&gate, "ci"), create(&gate, "other"));
    let scope = format!("repository:{PRIVATE}/team/app:pull");
    gate.restart();
    let session = bearer(&gate, &as_basic("x", &secret), &scope);
    let listed: Value = serde_json::from_str(&token(&gate, &["list", "--output", "json"]).expect_success().stdout).expect("JSON");
    let mut names: Vec<_> = listed.as_array().expect("a list").iter().map(|token| token["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["ci", "other"]);
    assert!(!token(&gate, &["list"]).expect_success().text().contains(&secret[21..]));
    for shown in [&format!("Bearer {secret}"), &session, &format!("Bearer {other}")] {
        let _ = get(&gate, &manifest(PRIVATE), shown).expect(200);
    }
    let _ = token(&gate, &["revoke", "ci"]).expect_success();
    // D7: the very next request, whatever was issued before.
    for restarted in [false, true] {
        for shown in [&format!("Bearer {secret}"), &as_basic("x", &secret), &session] {
            let _ = get(&gate, &manifest(PRIVATE), shown).expect(401);
        }
        let _ = get(&gate, &manifest(PRIVATE), &format!("Bearer {other}")).expect(200);
        if !restarted {
            gate.restart();
        }
    }
    assert_eq!(token(&gate, &["revoke", "ci"]).expect_failure().code, Some(11));
    let _ = token(&gate, &["create", "--name", "a", "--repositories", "*x", "--actions", "push"]).expect_failure();
    assert_eq!(token(&gate, &["create", "--name", "a", "--repositories", "**", "--actions", "root"]).code, Some(2));
    gate.kill();
    let down = token(&gate, &["list"]).expect_failure().text();
    assert!(down.contains("sealgate serve"), "{down}");
}

// D7
#[test]
fn who_is_removed_from_the_file_is_out_with_every_session() {
    let (_registry, _, gate) = gate_with_image("");
    let scope = format!("repository:{PRIVATE}/team/app:pull");
    let (alice, bob) = (as_basic("alice", PASSWORD), as_basic("bob", PASSWORD));
    let sessions = [bearer(&gate, &alice, &scope), bearer(&gate, &bob, &scope)];
    gate.write("users", "alice:plaintext\n");
    gate.reload();
    let refused = || gate.metric("sealgate_htpasswd_last_reload_success") < 0.5;
    assert!(wait_until(std::time::Duration::from_secs(20), refused), "{}", gate.log());
    assert!(gate.log().contains("users:1:1: expected a bcrypt hash, found a plaintext password"), "{}", gate.log());
    for shown in [&alice, &bob, &sessions[0], &sessions[1]] {
        let _ = get(&gate, &manifest(PRIVATE), shown).expect(200);
    }
    gate.write("users", &htpasswd(&[("bob", "another")]));
    gate.reload();
    let gone = || get(&gate, &manifest(PRIVATE), &sessions[0]).status == 401;
    assert!(wait_until(std::time::Duration::from_secs(20), gone), "{}", gate.log());
    for shown in [&alice, &bob, &sessions[0], &sessions[1]] {
        let _ = get(&gate, &manifest(PRIVATE), shown).expect(401);
    }
    let _ = get(&gate, &manifest(PRIVATE), &as_basic("bob", "another")).expect(200);
}

#[test]
fn who_guesses_passwords_is_told_to_wait() {
    let (_registry, _, gate) = gate_with_image("");
    let alice = bearer(&gate, &as_basic("alice", PASSWORD), &format!("repository:{PRIVATE}/team/app:pull"));
    let guess = |number: usize| get(&gate, "/token", &as_basic(["alice", "nobody"][number % 2], &format!("guess {number}")));
    let statuses: Vec<u16> = (0..20).map(|number| guess(number).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 10, "{statuses:?}");
    assert!(statuses[10..].iter().all(|status| *status == 429), "{statuses:?}");
    let limited = guess(0).expect(429);
    assert!(limited.header("retry-after").is_some_and(|seconds| (1..=6).contains(&seconds.parse::<u32>().expect("seconds"))));
    // Whoever was in stays in, and strangers pull.
    let _ = get(&gate, &manifest(PRIVATE), &alice).expect(200);
    let _ = get(&gate, &manifest(PRIVATE), &as_basic("alice", PASSWORD)).expect(200);
    let _ = get(&gate, &manifest(LAB), "").expect(200);
    assert!(gate.metric("sealgate_authentications_total{outcome=\"limited\"}") >= 10.0);
}

// D5
#[test]
fn there_is_no_catalog_for_anybody() {
    let (_registry, _, gate) = gate_with_image("");
    for authorization in ["", &as_basic("alice", PASSWORD)] {
        let _ = get(&gate, "/v2/_catalog?n=1000000000", authorization).expect(404);
    }
}

// D8
#[test]
fn no_secret_is_in_a_log_a_file_a_metric_or_an_answer() {
    let (_registry, _, gate) = gate_with_image("");
    let secret = create(&gate, "ci");
    let (wrong, scope) = ("s3cr3t-but-wrong", format!("repository:{PRIVATE}/team/app:pull"));
    let session = bearer(&gate, &as_basic("alice", PASSWORD), &scope);
    let of_token = bearer(&gate, &as_basic("x", &secret), &scope);
    let mut answers = String::new();
    for shown in [&as_basic("alice", wrong), &as_basic(wrong, PASSWORD), &format!("Bearer sgt_{wrong}_{wrong}"), &format!("{session}x")] {
        for target in ["/v2/", "/token", &manifest(PRIVATE)] {
            let reply = get(&gate, target, shown);
            answers += &format!("{} {:?} {}", reply.reason, reply.headers, if reply.status == 200 { String::new() } else { reply.text() });
        }
    }
    answers += &token(&gate, &["list", "--output", "json"]).expect_success().text();
    answers += &Request::new("GET", "/metrics").send(gate.admin_address()).expect(200).text();
    let mut texts = vec![("answers".to_owned(), answers.into_bytes()), ("log".to_owned(), gate.log().into_bytes())];
    let mut folders = vec![gate.folder().join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                texts.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
            }
        }
    }
    assert!(texts.len() > 4, "{texts:?}");
    let bearer_of = |session: &str| session.strip_prefix("Bearer ").expect("a bearer token").to_owned();
    for needle in [PASSWORD, wrong, &secret[21..], &basic("alice", PASSWORD), &bearer_of(&session), &bearer_of(&of_token)] {
        for (place, text) in &texts {
            assert!(!text.windows(needle.len()).any(|window| window == needle.as_bytes()), "{needle} is in {place}");
        }
    }
}
