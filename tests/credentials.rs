//! Where the gate's own credentials go, and where they never show.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealgate_tests::authority::Authority;
use sealgate_tests::gate::{Gate, LAB, Setup, sealgate};
use sealgate_tests::hostile::{Fault, Rule, Tokens, Upstream};
use sealgate_tests::image::Image;
use sealgate_tests::wire::{self, Request};

const USER: &str = "hunter-user-5d1c";
const PASSWORD: &str = "hunter-password-9f3b";

/// Everything by which a log or an answer would give the credentials away.
fn secrets() -> [String; 3] {
    [USER.to_owned(), PASSWORD.to_owned(), STANDARD.encode(format!("{USER}:{PASSWORD}"))]
}

fn with_credentials(upstream: &Upstream, more: &str) -> Setup {
    let credentials = "credentials: [{ username: 'env://LAB_USER', password: 'env://LAB_PASSWORD' }]";
    let settings = format!("{{ upstream: {}, tag-ttl: 0s, pull: anonymous, {credentials}{more} }}", upstream.url());
    let setup = Setup::new().registry(LAB, &settings).line("evidence: { ttl: 0s, missing-ttl: 0s }");
    setup.env("LAB_USER", USER).env("LAB_PASSWORD", PASSWORD).env("RUST_LOG", "trace")
}

fn target(rest: &str) -> String {
    Gate::target("team/app", rest)
}

/// Every file below `folder` but the gate's own configuration, with its bytes.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            files(&entry.path(), found);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            found.push((entry.path().display().to_string(), bytes));
        }
    }
}

// D8: whatever goes wrong, no secret is in the log, the store, an answer, the metrics, or what commands print.
#[test]
fn no_secret_shows_anywhere() {
    let upstream = Upstream::start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let tokens = Tokens::for_login(USER, PASSWORD);
    upstream.issue_tokens(&tokens);
    upstream.require_tokens(&tokens, &format!("{}/token", upstream.url()));
    let gate = with_credentials(&upstream, "").allow_all().start();
    let mut texts = vec![];
    let mut note = |reply: wire::Reply| texts.push(format!("{} {:?} {}", reply.reason, reply.headers, reply.text()));
    note(wire::get(gate.address(), &target("manifests/1")).expect(200));
    note(wire::get(gate.address(), &target(&format!("blobs/{}", image.layers[0].digest))).expect(200));
    assert!(tokens.issued() > 0, "credentials were used");
    for fault in [
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Body(format!("{{\"token\":\"{PASSWORD}").into()),
        Fault::Body("{\"token\":\"a\\nb\"}".into()),
        Fault::Redirect(307, format!("http://{USER}:{PASSWORD}@127.0.0.1:1/")),
        Fault::Header("www-authenticate", format!("Bearer realm=\"https://{USER}:{PASSWORD}@evil.example/\"")),
    ] {
        for part in ["/token", "/manifests/", "/blobs/", "/tags/"] {
            upstream.behave();
            tokens.expire_all();
            upstream.rule(Rule::any(part).fault(Fault::Status(401)).fault(fault.clone()));
            for rest in ["manifests/1", &format!("blobs/{}", image.layers[1].digest), "tags/list", "manifests/none"] {
                note(wire::get(gate.address(), &target(rest)));
            }
        }
    }
    note(Request::new("GET", "/metrics").send(gate.admin_address()).expect(200));
    note(Request::new("GET", "/readyz").send(gate.admin_address()).expect(200));
    upstream.behave();
    for command in ["explain", "verify"] {
        let reference = gate.reference("team/app:1");
        let program = if command == "explain" {
            gate.command(command, ["--output", "json", &reference])
        } else {
            sealgate([command, "--key", "/nonexistent", &reference])
        };
        texts.push(program.env("LAB_USER", USER).env("LAB_PASSWORD", PASSWORD).run().text());
    }
    texts.push(gate.command("config", ["check"]).env("LAB_USER", USER).env("LAB_PASSWORD", PASSWORD).run().text());
    let mut stored = vec![];
    files(gate.folder(), &mut stored);
    assert!(stored.iter().any(|(name, _)| name.contains("ledger")) && stored.iter().any(|(name, _)| name.ends_with("gate.log")));
    stored.extend(texts.into_iter().enumerate().map(|(number, text)| (format!("answer {number}"), text.into_bytes())));
    for secret in secrets().iter().map(String::as_str).chain(["token-1"]) {
        for (name, bytes) in &stored {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {name}: {}", String::from_utf8_lossy(bytes).chars().take(2_000).collect::<String>());
        }
    }
}

// B1, V25: a realm that nobody listed gets nothing, whatever it is like.
#[test]
fn a_foreign_realm_gets_no_credentials() {
    let (upstream, thief) = (Upstream::start(), Upstream::start());
    upstream.push("team/app", "1", &Image::small());
    let tokens = Tokens::anonymous();
    thief.issue_tokens(&tokens);
    upstream.issue_tokens(&tokens);
    let gate = with_credentials(&upstream, "").allow_all().start();
    let own = upstream.url();
    for realm in [
        format!("{}/token", thief.url()),
        format!("{}/token", thief.url().replace("127.0.0.1", "localhost")),
        format!("{}@{}/token", own, thief.address()),
        format!("{own}.evil.example/token"),
        format!("{}\\@{}/token", own, thief.address()),
        format!("//{}/token", thief.address()),
        "https://169.254.169.254/token".to_owned(),
        "https://[::1]/token".to_owned(),
        "https://2130706433/token".to_owned(),
        "/token".to_owned(),
    ] {
        upstream.require_tokens(&tokens, &realm);
        let reply = wire::get(gate.address(), &target("manifests/1")).expect(502);
        assert!(!reply.text().contains(&thief.address().to_string()), "{}", reply.text());
    }
    assert_eq!(thief.seen().len(), 0, "{:?}", thief.seen());
    // Its own realm, redirected to the thief.
    upstream.require_tokens(&tokens, &format!("{own}/token"));
    upstream.rule(Rule::on("GET", "/token").fault(Fault::Redirect(307, format!("{}/token", thief.url()))));
    let _ = wire::get(gate.address(), &target("manifests/1")).expect(502);
    assert_eq!(thief.seen().len(), 0);
    // A second challenge beside the genuine one.
    upstream.behave();
    upstream.require_tokens(&tokens, &format!("{own}/token\",realm=\"{}/token", thief.url()));
    assert_ne!(wire::get(gate.address(), &target("manifests/1")).status, 200);
    assert_eq!(thief.seen().len(), 0);
}

// B8: what is one registry's goes to no other, by challenge, by redirect or by name.
#[test]
fn one_registry_s_credentials_are_not_offered_to_another() {
    let (upstream, other) = (Upstream::start(), Upstream::start());
    let image = Image::small();
    for registry in [&upstream, &other] {
        registry.push("team/app", "1", &image);
    }
    let tokens = Tokens::for_login(USER, PASSWORD);
    for registry in [&upstream, &other] {
        registry.issue_tokens(&tokens);
        registry.require_tokens(&tokens, &format!("{}/token", registry.url()));
    }
    let policy = "version: 1\nrules:\n  - images: [\"**\"]\n    require: [ allow ]\n";
    let setup = with_credentials(&upstream, ", default: true").registry("other.example", &format!("{{ upstream: {} }}", other.url()));
    let gate = setup.policy(policy).start();
    let _ = wire::get(gate.address(), &target("manifests/1")).expect(200);
    let _ = wire::get(gate.address(), "/v2/other.example/team/app/manifests/1").expect(404);
    let _ = wire::get(gate.address(), "/v2/team/app/manifests/1?ns=other.example").expect(404);
    // Redirected there, the blob's request is a stranger's, and a stranger gets no token.
    let layer = &image.layers[0].digest;
    let blob = format!("{}/v2/team/app/blobs/{layer}", other.url());
    upstream.rule(Rule::on("GET", layer).fault(Fault::Redirect(307, blob)));
    let reply = wire::get(gate.address(), &target(&format!("blobs/{layer}")));
    assert!(reply.status >= 400, "{}", reply.status);
    assert_eq!(other.authorizations(), Vec::<String>::new(), "{:?}", other.seen());
}

// B3: a same-host redirect on another port is another server.
#[test]
fn a_redirected_blob_loses_its_authorization() {
    let (upstream, storage) = (Upstream::start(), Upstream::start());
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    image.blobs().for_each(|blob| storage.put_blob("team/app", blob));
    let tokens = Tokens::for_login(USER, PASSWORD);
    upstream.issue_tokens(&tokens);
    upstream.require_tokens(&tokens, &format!("{}/token", upstream.url()));
    let layer = &image.layers[0].digest;
    upstream.rule(Rule::on("GET", layer).fault(Fault::Redirect(302, format!("{}/v2/team/app/blobs/{layer}", storage.url()))));
    let gate = with_credentials(&upstream, "").allow_all().start();
    let _ = wire::get(gate.address(), &target("manifests/1")).expect(200);
    let reply = wire::get(gate.address(), &target(&format!("blobs/{layer}"))).expect(200);
    assert_eq!(reply.body, image.layers[0].bytes);
    assert_eq!(storage.authorizations(), Vec::<String>::new());
    assert!(upstream.authorizations().len() > 1);
}

// B7: a token server or registry that cannot prove its name is told nothing.
#[test]
fn a_server_with_a_wrong_certificate_is_told_nothing() {
    let authority = Authority::new();
    let image = Image::small();
    for (what, certificate, trusted) in [
        ("another authority", Authority::new().issue(&["localhost"]), false),
        ("another name", authority.issue(&["elsewhere.example"]), false),
        ("expired", authority.issue_expired(&["localhost"]), false),
        ("genuine", authority.issue(&["localhost"]), true),
    ] {
        let upstream = Upstream::start_tls(&certificate);
        upstream.push("team/app", "1", &image);
        let tokens = Tokens::for_login(USER, PASSWORD);
        upstream.issue_tokens(&tokens);
        upstream.require_tokens(&tokens, &format!("{}/token", upstream.url()));
        let setup = with_credentials(&upstream, ", ca: ca.pem, allow-addresses: [127.0.0.1, '::1']").file("ca.pem", authority.pem());
        let gate = setup.allow_all().start();
        let reply = wire::get(gate.address(), &target("manifests/1"));
        assert_eq!(reply.status == 200, trusted, "{what}: {} {}", reply.status, reply.reason);
        assert_eq!(upstream.seen().is_empty(), !trusted, "{what}");
    }
    // A genuine registry whose realm has a stranger's certificate.
    let registry = Upstream::start_tls(&authority.issue(&["localhost"]));
    let realm = Upstream::start_tls(&Authority::new().issue(&["localhost"]));
    let tokens = Tokens::for_login(USER, PASSWORD);
    realm.issue_tokens(&tokens);
    registry.require_tokens(&tokens, &format!("{}/token", realm.url()));
    let listed = format!(", ca: ca.pem, allow-addresses: [127.0.0.1, '::1'], realm: 'localhost:{}'", realm.address().port());
    let gate = with_credentials(&registry, &listed).file("ca.pem", authority.pem()).allow_all().start();
    let _ = wire::get(gate.address(), &target("manifests/1")).expect(502);
    assert_eq!(realm.seen().len(), 0);
}

// B10: what must not be configured stops the start with exit code 3 and says where.
#[test]
fn an_upstream_at_a_metadata_address_stops_the_start() {
    for (settings, part) in [
        ("{ upstream: 'http://169.254.169.254' }", "metadata"),
        ("{ upstream: 'http://[fd00:ec2::254]' }", "metadata"),
        ("{ upstream: 'http://2852039166' }", "upstream"),
        ("{ upstream: 'https://user:hunter-password-9f3b@registry.example' }", "upstream"),
        ("{ upstream: 'https://registry.example', credentials: [{ username: u, password: hunter-password-9f3b }] }", "pull: anonymous"),
        ("{ upstream: 'http://10.0.0.1', pull: anonymous, credentials: [{ username: u, password: hunter-password-9f3b }] }", "plaintext"),
    ] {
        let mut gate = Setup::new().registry(LAB, settings).allow_all().start_unready();
        let status = gate.process().wait(std::time::Duration::from_secs(20)).expect("an end");
        assert_eq!(status.code(), Some(3), "{settings}: {}", gate.log());
        assert!(gate.log().contains(part) && gate.log().contains("sealgate.yaml:"), "{settings}: {}", gate.log());
        assert!(!gate.log().contains(PASSWORD), "{}", gate.log());
    }
}
