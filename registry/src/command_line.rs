//! A client for the command line, where the user names the registry.

use crate::address::AddressGuard;
use crate::auth::{CredentialSource, anonymous};
use crate::client::{Client, ClientConfig, IDLE_TIMEOUT};
use crate::docker_config::credential_source;
use crate::error::FetchError;
use crate::origin::is_loopback_host;

/// Docker Hub's API; its canonical name `docker.io` serves a web site.
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";

/// The base URL of a registry by its canonical name: https, but http for this machine (`localhost`, 127.0.0.0/8, `[::1]`), as cosign and
/// crane have it, and http where `allow_http` says so.
#[must_use]
pub fn endpoint_of(registry: &str, allow_http: bool) -> String {
    let host = match registry {
        "docker.io" | "index.docker.io" => DOCKER_HUB_HOST,
        other => other,
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let scheme = if allow_http || is_loopback_host(name) { "http" } else { "https" };
    format!("{scheme}://{host}")
}

/// Token realms of well-known registries that are not on the registry's own host.
#[must_use]
pub fn realms_of(registry: &str) -> &'static [&'static str] {
    match registry {
        "docker.io" | "index.docker.io" | DOCKER_HUB_HOST => &["auth.docker.io"],
        "registry.gitlab.com" => &["gitlab.com"],
        _ => &[],
    }
}

impl ClientConfig {
    /// How a registry is reached without more being said: anonymously, with the system's CAs, public addresses only.
    #[must_use]
    pub fn anonymous(url: &str, user_agent: &str) -> Self {
        Self {
            url: url.to_owned(),
            realms: Vec::new(),
            ca: None,
            addresses: AddressGuard::default(),
            credentials: anonymous(),
            idle_timeout: IDLE_TIMEOUT,
            user_agent: user_agent.to_owned(),
        }
    }

    /// As [`ClientConfig::anonymous`] for a registry by its canonical name, at any address, with the given credentials.
    #[must_use]
    pub fn for_user(registry: &str, allow_http: bool, user_agent: &str, credentials: CredentialSource) -> Self {
        Self {
            realms: realms_of(registry).iter().map(|realm| (*realm).to_owned()).collect(),
            addresses: AddressGuard { allowed: Vec::new(), unrestricted: true },
            credentials,
            ..Self::anonymous(&endpoint_of(registry, allow_http), user_agent)
        }
    }
}

/// A client for `registry` (`ghcr.io`, `localhost:5000`) with the user's docker credentials. Reads files and may run a credential helper:
/// it blocks.
///
/// # Errors
/// When a credential file or helper fails, or the client cannot be set up.
pub fn client_for(registry: &str, allow_http: bool, user_agent: &str) -> Result<Client, FetchError> {
    let credentials = credential_source(registry).map_err(|error| FetchError::Unreachable { detail: error.to_string() })?;
    Client::new(ClientConfig::for_user(registry, allow_http, user_agent, credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_plaintext() {
        for (registry, url) in [
            ("docker.io", "https://registry-1.docker.io"),
            ("ghcr.io", "https://ghcr.io"),
            ("localhost:5000", "http://localhost:5000"),
            ("localhost", "http://localhost"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("[::1]", "http://[::1]"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000"),
            ("localhost.example:5000", "https://localhost.example:5000"),
        ] {
            assert_eq!(endpoint_of(registry, false), url);
        }
        assert_eq!(endpoint_of("10.0.0.1:5000", true), "http://10.0.0.1:5000");
    }
}
