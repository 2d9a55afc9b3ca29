//! `HTTPS_PROXY`: honoured, and no way round the address guard.

mod support;

use sealgate_registry::{Client, ClientConfig, FetchError};
use sealgate_verifier::ManifestReference;
use support::{Server, answer};

/// Set for the process that this test starts of itself, since a process's environment cannot be changed safely from within.
const INNER: &str = "SEALGATE_TEST_PROXIED";

async fn pull(url: &str) -> Result<(), FetchError> {
    let latest: ManifestReference = "latest".parse().expect("a tag");
    // Nothing private is allowed: the proxy alone is.
    let client = Client::new(ClientConfig::anonymous(url, "sealgate/test")).expect("a client");
    client.get_manifest("a/b", &latest).await.map(|_| ())
}

async fn proxied() {
    assert!(matches!(pull("https://registry.example").await, Err(FetchError::Unreachable { .. })));
    // B2: literal addresses are judged all the same; so is the proxy as a target.
    for refused in ["https://10.0.0.1", "https://169.254.169.254", "https://127.0.0.1:1", "https://localhost:1"] {
        assert!(matches!(pull(refused).await, Err(FetchError::Forbidden { .. })), "{refused}");
    }
}

#[tokio::test]
async fn a_private_proxy_dials_for_us() {
    if std::env::var_os(INNER).is_some() {
        return proxied().await;
    }
    let proxy = Server::start(|_, _| answer(403, &[], "")).await;
    // By a name that resolves to a private address, as a company's proxy does.
    let url = format!("http://localhost:{}", proxy.address.port());
    let mut inner = tokio::process::Command::new(std::env::current_exe().expect("this test"));
    inner
        .args(["--exact", "a_private_proxy_dials_for_us"])
        .env(INNER, "1")
        .env("HTTPS_PROXY", url)
        .env_remove("NO_PROXY")
        .env_remove("no_proxy");
    assert!(inner.status().await.expect("a run").success());
    assert_eq!(proxy.lines(), ["CONNECT registry.example:443"]);
}
