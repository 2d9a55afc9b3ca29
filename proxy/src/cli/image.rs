//! An image in a registry, as the client commands reach it.

use clap::Args;
use sealgate_registry::{Client, FetchError, FetchedManifest, endpoint_of};
use sealgate_verifier::{Reference, Repository};

use super::USER_AGENT;
use super::exit::{Exit, Failure};

/// How registries are reached. Credentials are docker's: ~/.docker/config.json, its helpers, REGISTRY_AUTH_FILE.
#[derive(Debug, Clone, Args)]
pub struct RegistryArgs {
    /// Speak plain http to registries beyond this machine too (localhost and 127.0.0.0/8 always are spoken to in plain http)
    #[arg(long, alias = "allow-http-registry")]
    pub allow_http: bool,
}

impl RegistryArgs {
    /// A registry's failure, and how the user mends it.
    #[must_use]
    pub fn failure(&self, what: &str, registry: &str, error: &FetchError) -> Failure {
        let mut failure = Failure::fetch(what, error);
        if let FetchError::Denied { status } = error {
            failure.message.push_str(&format!("; log in with `docker login {registry}`, or ask for access"));
            if *status == 403 {
                failure.message.push_str("; if that is a Sealgate gate, `sealgate explain` says why it denies the image");
            }
        }
        if let FetchError::Unreachable { .. } = error
            && endpoint_of(registry, self.allow_http).starts_with("https://")
        {
            failure.message.push_str("; a registry that speaks plain http needs --allow-http");
        }
        failure
    }
}

/// An image whose tag has been resolved.
pub struct Image {
    /// The registry's client.
    pub client: Client,
    /// What was asked for.
    pub reference: Reference,
    /// Its manifest, whose digest is our own hash of the bytes.
    pub manifest: FetchedManifest,
}

impl Image {
    /// Resolves `text` and fetches the manifest.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it is no reference; else what [`Failure::fetch`] says.
    pub async fn fetch(text: &str, args: &RegistryArgs) -> Result<Self, Failure> {
        let reference = parse(text)?;
        let registry = reference.repository.registry();
        let client = sealgate_registry::client_for(registry, args.allow_http, USER_AGENT)
            .map_err(|error| Failure::error(format!("cannot reach {registry}: {error}")))?;
        let fetched = client.get_manifest(reference.repository.path(), &reference.target()).await;
        let manifest = fetched.map_err(|error| args.failure(&format!("cannot read {reference}"), registry, &error))?;
        Ok(Self { client, reference, manifest })
    }

    /// As [`Image::fetch`], with a client at hand.
    ///
    /// # Errors
    /// What [`Failure::fetch`] says.
    pub async fn fetch_with(client: Client, reference: Reference) -> Result<Self, Failure> {
        let fetched = client.get_manifest(reference.repository.path(), &reference.target()).await;
        let manifest = fetched.map_err(|error| Failure::fetch(&format!("cannot read {reference}"), &error))?;
        Ok(Self { client, reference, manifest })
    }

    /// The repository.
    #[must_use]
    pub const fn repository(&self) -> &Repository {
        &self.reference.repository
    }

    /// `repository@digest`.
    #[must_use]
    pub fn pinned(&self) -> String {
        format!("{}@{}", self.reference.repository, self.manifest.digest)
    }
}

/// Reads a reference.
///
/// # Errors
/// [`Exit::Usage`].
pub fn parse(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{text:?} names no image: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_the_user_can_do() {
        let told = |allow_http, registry, error| RegistryArgs { allow_http }.failure("cannot read x", registry, &error).message;
        let unreachable = || FetchError::Unreachable { detail: "refused".to_owned() };
        assert!(told(false, "r.example", FetchError::Denied { status: 401 }).contains("docker login r.example"));
        assert!(told(false, "r.example", unreachable()).contains("--allow-http"));
        assert!(!told(true, "r.example", unreachable()).contains("--allow-http"));
        assert!(!told(false, "127.0.0.1:5000", unreachable()).contains("--allow-http"));
    }
}
