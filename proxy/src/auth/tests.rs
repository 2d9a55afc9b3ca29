//! From credentials to what a request may do, without a network.

use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue};
use sealgate_config::ServerConfig;
use sealgate_verifier::{Repository, Timestamp};

use super::*;
use crate::metrics::Metrics;
use crate::store::Store;

const REGISTRIES: &str =
    "registries:\n  hosted.local: { default: true, upstream: \"http://127.0.0.1:1\" }\n  private.example: { pull: authenticated }\n";

struct Fixture {
    auth: std::sync::Arc<Auth>,
    folder: tempfile::TempDir,
}

fn open(auth: &str) -> Fixture {
    let folder = tempfile::tempdir().expect("a folder");
    write_users(&folder, &[("alice", "correct horse"), ("ci-1", "battery staple")]);
    let file = folder.path().join("sealgate.yaml");
    std::fs::write(&file, format!("data: .\n{REGISTRIES}{auth}")).expect("written");
    let config = ServerConfig::load(Some(&file), &|_| None).map_err(|errors| errors.to_string()).expect("a configuration");
    let opened = Auth::open(&config, "127.0.0.1:5000".parse().expect("an address"), &Store::in_memory(), Metrics::new([]));
    Fixture { auth: opened.expect("opened").expect("configured"), folder }
}

fn write_users(folder: &tempfile::TempDir, users: &[(&str, &str)]) {
    let line = |(name, password): &(&str, &str)| format!("{name}:{}\n", bcrypt::hash(password, 5).expect("a hash"));
    std::fs::write(folder.path().join("users"), users.iter().map(line).collect::<String>()).expect("written");
}

impl Fixture {
    async fn access(&self, authorization: &str) -> Result<Access, AuthError> {
        let mut headers = HeaderMap::new();
        if !authorization.is_empty() {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("a value"));
        }
        self.auth.access(&headers, &Extensions::new()).await
    }

    async fn bearer(&self, authorization: &str, wanted: &[(&str, Actions)]) -> String {
        let access = self.access(authorization).await.expect("authenticated");
        let credential = Credential::read(&headers(authorization)).expect("well-formed");
        let identity = match credential {
            Some(credential) => self.auth.authenticate(credential, &Extensions::new()).await.expect("authenticated"),
            None => self.auth.unasked(&Extensions::new()),
        };
        assert_eq!(identity.principal, *access.principal());
        let wanted = wanted.iter().map(|(name, actions)| (repository(name), *actions)).collect();
        format!("Bearer {}", self.auth.issue(&identity, wanted).token)
    }
}

fn headers(authorization: &str) -> HeaderMap {
    let value = HeaderValue::from_str(authorization).expect("a value");
    if authorization.is_empty() { HeaderMap::new() } else { HeaderMap::from_iter([(AUTHORIZATION, value)]) }
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

fn repository(name: &str) -> Repository {
    name.parse().expect(name)
}

fn challenge(error: AuthError) -> String {
    match error {
        AuthError::Unauthenticated { challenge, .. } => challenge,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everybody_pulls_what_is_open_and_a_name_is_needed_for_more() {
    let fixture = open("auth: { htpasswd: users }\n");
    let app = repository("hosted.local/team/app");
    let stranger = fixture.access("").await.expect("anonymous");
    assert!(stranger.principal().is_anonymous() && stranger.require(Action::Pull, &app).is_ok());
    for action in [Action::Push, Action::Sign, Action::Delete] {
        let found = challenge(stranger.require(action, &app).expect_err("no right"));
        assert!(found.starts_with("Bearer realm=\"http://127.0.0.1:5000/token\",service=\"127.0.0.1:5000\",scope=\""), "{found}");
    }
    assert!(challenge(stranger.require_principal().expect_err("/v2/")).ends_with("service=\"127.0.0.1:5000\""));
    let private = stranger.require(Action::Pull, &repository("private.example/a/b"));
    assert!(challenge(private.expect_err("no right")).ends_with("scope=\"repository:private.example/a/b:pull\""));
    let alice = fixture.access(&basic("alice", "correct horse")).await.expect("alice");
    assert_eq!(alice.principal(), &Principal::User("alice".into()));
    assert!(alice.require([Action::Push, Action::Sign], &app).is_ok() && alice.require_principal().is_ok());
    assert!(alice.require(Action::Pull, &repository("private.example/a/b")).is_ok());
    // 403: no other credentials of hers would help.
    assert!(matches!(alice.require(Action::Delete, &app), Err(AuthError::Forbidden { .. })));
}

#[tokio::test]
async fn wrong_credentials_are_never_the_same_as_none() {
    let fixture = open("auth: { htpasswd: users }\n");
    for wrong in [
        &basic("alice", "wrong"),
        &basic("nobody", "correct horse"),
        &basic("alice", ""),
        &basic("", ""),
        &basic("alice", "sgt_0000000000000000_x"),
        "Bearer x",
        "Bearer sgb_x.y",
        "Basic x",
        "Negotiate x",
    ] {
        assert!(challenge(fixture.access(wrong).await.expect_err(wrong)).starts_with("Bearer realm="), "{wrong}");
    }
}

#[tokio::test]
async fn grants_give_what_they_say_and_nothing_else() {
    let fixture = open(
        "auth:\n  htpasswd: users\n  grants:\n    - { who: ci-*, repositories: hosted.local/team/**, actions: [push] }\n    - { who: \"*\", repositories: private.example/shared/*, actions: [pull] }\n    - { who: anonymous, repositories: private.example/public, actions: pull }\n",
    );
    let allowed = [
        ("", "private.example/public", "pull"),
        ("", "private.example/shared/x", ""),
        ("", "hosted.local/team/app", "pull"),
        ("alice", "hosted.local/team/app", "pull"),
        ("alice", "private.example/shared/x", "pull"),
        ("alice", "private.example/public", "pull"),
        ("alice", "private.example/other", ""),
        ("ci-1", "hosted.local/team/app", "pull,push"),
        ("ci-1", "hosted.local/teams/app", "pull"),
        ("ci-1", "private.example/other", ""),
    ];
    for (who, name, expected) in allowed {
        let authorization = match who {
            "alice" => basic("alice", "correct horse"),
            "ci-1" => basic("ci-1", "battery staple"),
            _ => String::new(),
        };
        let access = fixture.access(&authorization).await.expect(who);
        let found: Actions = Action::ALL.into_iter().filter(|action| access.permits(*action, &repository(name))).collect();
        assert_eq!(found.to_string(), expected, "{who} {name}");
    }
}

#[tokio::test]
async fn a_bearer_token_is_for_its_scope_only() {
    let fixture = open("auth: { htpasswd: users }\n");
    let (app, other) = (repository("hosted.local/team/app"), repository("hosted.local/team/other"));
    let asked = [("hosted.local/team/app", Actions::from([Action::Pull, Action::Push, Action::Sign, Action::Delete]))];
    let alice = fixture.access(&fixture.bearer(&basic("alice", "correct horse"), &asked).await).await.expect("alice");
    assert_eq!(alice.principal(), &Principal::User("alice".into()));
    assert!(alice.require(Action::Push, &app).is_ok() && alice.require(Action::Sign, &app).is_ok());
    let narrow = challenge(alice.require(Action::Push, &other).expect_err("another repository"));
    assert!(narrow.contains("scope=\"repository:hosted.local/team/other:pull,push\",error=\"insufficient_scope\""), "{narrow}");
    assert!(matches!(alice.require(Action::Delete, &app), Err(AuthError::Forbidden { .. })), "the scope gives no right");
    let stranger = fixture.access(&fixture.bearer("", &asked).await).await.expect("a stranger");
    assert!(stranger.principal().is_anonymous() && stranger.require(Action::Pull, &app).is_ok() && stranger.require_principal().is_ok());
    assert!(matches!(stranger.require(Action::Push, &app), Err(AuthError::Unauthenticated { .. })));
}

// D7
#[tokio::test]
async fn a_bearer_token_ends_with_the_entry_of_its_user() {
    let fixture = open("auth: { htpasswd: users }\n");
    let alice = fixture.bearer(&basic("alice", "correct horse"), &[]).await;
    let ci = fixture.bearer(&basic("ci-1", "battery staple"), &[]).await;
    write_users(&fixture.folder, &[("alice", "another")]);
    fixture.auth.reload();
    for gone in [&alice, &ci] {
        assert!(challenge(fixture.access(gone).await.expect_err("gone")).ends_with("error=\"invalid_token\""));
    }
    assert!(fixture.access(&basic("alice", "correct horse")).await.is_err() && fixture.access(&basic("alice", "another")).await.is_ok());
}

// D7
#[tokio::test]
async fn a_bearer_token_ends_with_the_token_it_was_fetched_with() {
    let fixture = open("auth: { tokens: true }\n");
    let tokens = fixture.auth.tokens().expect("tokens");
    let now = fixture.auth.now();
    let new = NewToken {
        name: "ci".to_owned(),
        repositories: vec!["hosted.local/team/**".parse().expect("a pattern")],
        actions: vec![Action::Sign],
        expires_at: Timestamp(now.0 + 60),
    };
    let (secret, record) = tokens.create(new, now).await.expect("a token");
    let app = repository("hosted.local/team/app");
    let expected = Principal::Token { name: "ci".into(), id: record.id.as_str().into() };
    let asked = [("hosted.local/team/app", Actions::from([Action::Pull, Action::Push, Action::Sign]))];
    let bearer = fixture.bearer(&basic("anyone", &secret), &asked).await;
    for shown in [&basic("anyone", &secret), &format!("Bearer {}", secret.as_str()), &bearer] {
        let access = fixture.access(shown).await.expect("the token");
        assert_eq!(access.principal(), &expected);
        assert!(access.require([Action::Push, Action::Sign], &app).is_ok());
        assert!(matches!(access.require(Action::Push, &app), Err(AuthError::Forbidden { .. })), "to sign is not to push");
        assert!(access.require(Action::Pull, &repository("private.example/a")).is_err());
    }
    tokens.revoke(&record.id, now).await.expect("revoked");
    for shown in [&basic("anyone", &secret), &format!("Bearer {}", secret.as_str()), &bearer] {
        assert!(fixture.access(shown).await.is_err());
    }
}

#[tokio::test]
async fn a_bearer_token_makes_no_other() {
    let fixture = open("auth: { htpasswd: users, tokens: true }\n");
    let bearer = fixture.bearer(&basic("alice", "correct horse"), &[]).await;
    let secret = bearer.strip_prefix("Bearer ").expect("a bearer token").to_owned();
    let credential = Credential::Secret(zeroize::Zeroizing::new(secret));
    assert!(fixture.auth.authenticate(credential, &Extensions::new()).await.is_err());
}

#[tokio::test]
async fn a_client_that_is_wrong_too_often_is_told_to_wait() {
    let fixture = open("auth: { htpasswd: users, tokens: true }\n");
    let bearer = fixture.bearer(&basic("alice", "correct horse"), &[]).await;
    for attempt in 0..failures::BURST {
        let wrong = if attempt % 2 == 0 { basic("alice", "wrong") } else { "Bearer sgt_x_y".to_owned() };
        assert!(matches!(fixture.access(&wrong).await, Err(AuthError::Unauthenticated { .. })), "{attempt}");
    }
    for shown in [basic("alice", "wrong"), basic("ci-1", "battery staple"), "Bearer sgt_x_y".to_owned()] {
        assert!(matches!(fixture.access(&shown).await, Err(AuthError::Limited { retry_after: 1..=6 })));
    }
    // What was right before stays right: nobody can lock a session out from behind the same address.
    assert!(fixture.access(&basic("alice", "correct horse")).await.is_ok() && fixture.access(&bearer).await.is_ok());
}

#[test]
fn the_realm_is_the_public_url() {
    let fixture = open("public-url: https://gate.example/registry\nauth: { tokens: true }\n");
    let found = challenge(fixture.auth.challenge(Unauthenticated::NoCredentials, None));
    assert_eq!(found, "Bearer realm=\"https://gate.example/registry/token\",service=\"gate.example\"");
}

#[tokio::test]
async fn a_gate_without_authentication_lets_everybody_pull_and_nobody_push() {
    let access = Access::unauthenticated();
    let app = repository("hosted.local/team/app");
    assert!(access.require(Action::Pull, &app).is_ok() && access.require_principal().is_ok());
    assert!(matches!(access.require([Action::Push, Action::Sign], &app), Err(AuthError::NobodyIsAuthenticated { .. })));
}
