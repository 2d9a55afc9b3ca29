//! The token flow: who sees credentials, which token goes where, how often a realm is asked.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealgate_registry::{Client, Credentials, FetchError};
use sealgate_verifier::{ManifestReference, limits, media_type};
use support::{Asked, Response, Server, answer, certificate, endless, everywhere, user};

fn tag() -> ManifestReference {
    "latest".parse().expect("a tag")
}

fn manifest() -> Option<Response> {
    answer(200, &[("content-type", media_type::OCI_MANIFEST)], r#"{"schemaVersion":2}"#)
}

fn challenge(realm: &str) -> Option<Response> {
    // The scope proposed names another repository: the client must not care.
    let value = format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:other/secret:pull,push,delete\"");
    answer(401, &[("www-authenticate", &value)], "{}")
}

/// A registry with its own realm at `/token`: its token is `<scope>#<how many were issued>`; `accepts` judges a request's Bearer token.
async fn registry(accepts: impl Fn(&Asked, &str) -> bool + Send + Sync + 'static) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |asked, _| {
        if asked.target.starts_with("/token") {
            let scope = asked.target.split("scope=").nth(1).unwrap_or_default().replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return answer(200, &[], format!(r#"{{"token":"{scope}#{number}","expires_in":300}}"#));
        }
        match asked.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if accepts(asked, token) => manifest(),
            _ => challenge(&format!("http://{}/token", asked.header("host").unwrap_or_default())),
        }
    })
    .await
}

fn token_requests(server: &Server) -> Vec<Asked> {
    server.asked().into_iter().filter(|asked| asked.target.starts_with("/token")).collect()
}

async fn pull(client: &Client, path: &str) -> Result<(), FetchError> {
    client.get_manifest(path, &tag()).await.map(|_| ())
}

#[tokio::test]
async fn a_token_serves_its_repository_and_no_other() {
    // V26; and the scope is ours, not the challenge's.
    let server =
        registry(|asked, token| asked.target.split('/').nth(2).is_some_and(|name| token.starts_with(&format!("repository:{name}:pull#"))))
            .await;
    let client = server.client();
    for path in ["a", "a", "b", "a", "b"] {
        assert_eq!(pull(&client, path).await, Ok(()), "{path}");
    }
    let asked: Vec<String> = token_requests(&server).iter().map(Asked::line).collect();
    assert_eq!(asked, ["GET /token?service=reg&scope=repository%3Aa%3Apull", "GET /token?service=reg&scope=repository%3Ab%3Apull"]);
    assert!(token_requests(&server).iter().all(|asked| asked.header("authorization").is_none()));
    // 5 pulls, a challenge each for the first of a and of b.
    assert_eq!(server.asked().len(), 5 + 2 + 2);
}

#[tokio::test]
async fn credentials_differ_by_repository_and_do_not_share_tokens() {
    // B11, V26
    let server = registry(|_, _| true).await;
    let client = server.client_with(|config| {
        config.credentials = Arc::new(|path| path.starts_with("private/").then(|| user("u", "hunter2")));
    });
    assert_eq!((pull(&client, "private/app").await, pull(&client, "public/app").await), (Ok(()), Ok(())));
    let with: Vec<bool> = token_requests(&server).iter().map(|asked| asked.header("authorization").is_some()).collect();
    assert_eq!(with, [true, false]);
    let basic = token_requests(&server)[0].header("authorization").map(str::to_owned);
    assert_eq!(basic.as_deref(), Some("Basic dTpodW50ZXIy"));
    assert!(
        server
            .asked()
            .iter()
            .filter(|asked| asked.target.starts_with("/v2/"))
            .all(|asked| { asked.header("authorization").is_none_or(|value| value.starts_with("Bearer ")) })
    );
}

#[tokio::test]
async fn many_requests_fetch_one_token() {
    // F4
    let server = registry(|_, _| true).await;
    let client = server.client();
    let pulls = (0..20).map(|_| pull(&client, "a"));
    assert!(futures_util::future::join_all(pulls).await.iter().all(Result::is_ok));
    assert_eq!(token_requests(&server).len(), 1);
}

#[tokio::test]
async fn a_token_that_ends_mid_pull_is_refreshed_once() {
    // F12: the registry stops taking the first token.
    let revoked = Arc::new(AtomicUsize::new(0));
    let epoch = Arc::clone(&revoked);
    let server = registry(move |_, token| !token.ends_with(&format!("#{}", epoch.load(Ordering::SeqCst)))).await;
    let client = server.client();
    assert_eq!(pull(&client, "a").await, Ok(()));
    revoked.store(1, Ordering::SeqCst);
    let pulls = (0..10).map(|_| pull(&client, "a"));
    assert!(futures_util::future::join_all(pulls).await.iter().all(Result::is_ok));
    assert_eq!(token_requests(&server).len(), 2);
}

#[tokio::test]
async fn a_registry_that_takes_no_token_is_asked_twice() {
    let server = registry(|_, _| false).await;
    assert_eq!(pull(&server.client(), "a").await, Err(FetchError::Denied { status: 401 }));
    assert_eq!((server.asked().len(), token_requests(&server).len()), (3, 1));
}

#[tokio::test]
async fn a_foreign_realm_gets_no_credentials() {
    // B1, V25
    let thief = Server::start(|_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
    let realm = format!("{}/token", thief.url());
    let registry = Server::start(move |_, _| challenge(&realm)).await;
    let client = registry.client_with(|config| config.credentials = everywhere(user("u", "hunter2")));
    let error = pull(&client, "a").await.expect_err("a foreign realm");
    assert!(matches!(&error, FetchError::Forbidden { problem } if problem.contains(&thief.address.to_string())), "{error}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
    let (tls, _) = certificate();
    let over_tls = Server::start_tls(tls, |_, _| answer(200, &[], "{}")).await;
    let realm = over_tls.url();
    let registry_two = Server::start(move |_, _| challenge(&realm)).await;
    let client = registry_two.client_with(|config| config.credentials = everywhere(user("u", "hunter2")));
    let error = pull(&client, "a").await.expect_err("a foreign realm");
    assert!(matches!(&error, FetchError::Forbidden { problem } if problem.contains(&over_tls.address.to_string())), "{error}");
    assert_eq!(thief.asked().len(), 0);
    // Listed, it may have them.
    let listed = thief.address.to_string();
    let client = registry.client_with(|config| {
        config.credentials = everywhere(user("u", "hunter2"));
        config.realms.push(listed);
    });
    assert_eq!(pull(&client, "a").await, Err(FetchError::Denied { status: 401 }));
    assert_eq!(thief.asked().iter().filter(|asked| asked.header("authorization").is_some()).count(), 1);
}

#[tokio::test]
async fn a_realm_at_a_private_address_is_not_dialled() {
    // B2
    for realm in ["https://169.254.169.254/token", "https://[::1]/token", "https://2852039166/token", "https://10.0.0.1/token"] {
        let registry = Server::start(move |_, _| challenge(realm)).await;
        let client = registry.client();
        assert!(matches!(pull(&client, "a").await, Err(FetchError::Forbidden { .. })), "{realm}");
        assert_eq!(registry.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_realm_that_redirects_is_refused() {
    // B1: the redirect target is not asked.
    let thief = Server::start(|_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
    let target = thief.url();
    let registry = Server::start(move |asked, _| match asked.target.starts_with("/token") {
        true => answer(307, &[("location", &target)], ""),
        false => challenge(&format!("http://{}/token", asked.header("host").unwrap_or_default())),
    })
    .await;
    let client = registry.client_with(|config| config.credentials = everywhere(user("u", "p")));
    assert!(matches!(pull(&client, "a").await, Err(FetchError::Forbidden { .. })));
    assert_eq!(thief.asked().len(), 0);
}

#[tokio::test]
async fn a_realm_with_an_unknown_certificate_fails() {
    // B7
    let (tls, _) = certificate();
    let realm = Server::start_tls(tls, |_, _| answer(200, &[], r#"{"token":"t"}"#)).await;
    let url = format!("{}/token", realm.url());
    let registry = Server::start(move |_, _| challenge(&url)).await;
    let error = pull(&registry.client(), "a").await.expect_err("a stranger");
    assert!(matches!(&error, FetchError::Unreachable { detail } if detail.starts_with("TLS: ")), "{error}");
    assert_eq!((registry.asked().len(), realm.asked().len()), (1, 0));
}

#[tokio::test]
async fn a_realm_that_answers_nonsense_is_an_error_without_the_answer() {
    // A8, D8: a 404 of the realm is no 404 of the repository.
    let secret = "SeCrEt";
    for (status, body, expected) in [
        (200, format!("{{\"token\":\"{secret}\\n\"}}"), "header"),
        (200, format!("{{\"token\":[\"{secret}\"]}}"), "JSON"),
        (200, format!("<html>{secret}"), "JSON"),
        (200, "{}".to_owned(), "without a token"),
        (404, String::new(), "HTTP 404"),
        (403, String::new(), "refused access (HTTP 403)"),
        (429, String::new(), "429"),
        (500, String::new(), "HTTP 500"),
    ] {
        let registry = Server::start(move |asked, _| match asked.target.starts_with("/token") {
            true => answer(status, &[], body.clone()),
            false => challenge(&format!("http://{}/token", asked.header("host").unwrap_or_default())),
        })
        .await;
        let error = pull(&registry.client(), "a").await.expect_err("no token");
        let text = format!("{error} {error:?}");
        assert!(text.contains(expected) && !text.contains(secret) && error != FetchError::NotFound, "{text}");
    }
    let registry = Server::start(|asked, _| match asked.target.starts_with("/token") {
        true => endless(&[]),
        false => challenge(&format!("http://{}/token", asked.header("host").unwrap_or_default())),
    })
    .await;
    assert_eq!(pull(&registry.client(), "a").await, Err(FetchError::TooLarge { limit: limits::TOKEN_BYTES as u64 }));
}

#[tokio::test]
async fn an_identity_token_takes_the_refresh_flow() {
    let server = registry(|_, _| true).await;
    let client = server.client_with(|config| config.credentials = everywhere(user("<token>", "refresh&me")));
    assert_eq!(pull(&client, "a/b").await, Ok(()));
    let asked = token_requests(&server).remove(0);
    assert_eq!((asked.line().as_str(), asked.header("authorization")), ("POST /token", None));
    let form = "grant_type=refresh_token&client_id=sealgate&service=reg&scope=repository%3Aa%2Fb%3Apull&refresh_token=refresh%26me";
    assert_eq!(asked.body, form);
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
}

#[tokio::test]
async fn a_basic_challenge_gets_the_credentials_of_its_own_registry() {
    // B8
    let server = Server::start(|asked, _| match asked.header("authorization") {
        Some("Basic dTpw") => manifest(),
        _ => answer(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
    })
    .await;
    let client = server.client_with(|config| config.credentials = everywhere(user("u", "p")));
    assert_eq!((pull(&client, "a").await, pull(&client, "a").await), (Ok(()), Ok(())));
    assert_eq!(server.asked().len(), 3);
    assert_eq!(pull(&server.client(), "a").await, Err(FetchError::Denied { status: 401 }));
    let identity = server.client_with(|config| config.credentials = everywhere(user("<token>", "p")));
    assert_eq!(pull(&identity, "a").await, Err(FetchError::Denied { status: 401 }));
    assert!(server.asked().iter().filter_map(|asked| asked.header("authorization")).all(|value| value == "Basic dTpw"));
}

#[test]
fn credentials_do_not_print() {
    // D8
    let credentials = Credentials { username: "name".to_owned(), password: "hunter2".to_owned() };
    assert_eq!(format!("{credentials:?}"), "Credentials([secret])");
}
