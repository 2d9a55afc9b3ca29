//! `sealgate explain`: asks the running gate, or decides here with the same configuration.

use clap::Args;
use sealgate_config::{Registry, RegistryKind, ServerConfig};
use sealgate_verifier::{Policy, Reference, Repository};
use serde_json::json;

use super::config_file::ConfigArgs;
use super::exit::{Exit, Failure};
use super::image::Image;
use super::output::{self, Format};
use super::{block_on, config_file, control, image, progress::Progress, verify};
use crate::gate::explanation::{Explanation, render_explanation};
use crate::gate::upstreams::Upstreams;
use crate::metrics::Metrics;

const EXAMPLES: &str = "\
Examples:
  sealgate explain nginx:1.27
  sealgate explain 127.0.0.1:5000/ghcr.io/acme/app:1.2       as a client of the gate writes it
  sealgate explain --output json ghcr.io/acme/app@sha256:…

A gate that runs on the configuration's data folder is asked; when none does, the same decision
is made here, by the same files.

Exit codes: 0 explained, whatever the decision; 1 error; 2 usage; 3 the configuration is invalid;
11 the image does not exist; 75 try again.";

/// Arguments of `sealgate explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// The image
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// Explains the decision.
///
/// # Errors
/// When there is none to explain.
pub fn run(args: ExplainArgs) -> Result<(), Failure> {
    let asked = image::parse(&args.image)?;
    let config = args.config.load()?;
    let reference = through_gate(&asked, &config)?;
    let explanation = block_on(async {
        let progress = Progress::start(format!("asking about {reference}"));
        let request = json!({ "reference": reference.to_string() });
        if let Some(explanation) = control::post::<Explanation>(&config.data, "/explain", &request).await? {
            return Ok(explanation);
        }
        progress.step(format!("no gate runs on {}: deciding about {reference} here", config.data.display()));
        here(reference, &config).await
    })?;
    match args.output {
        Format::Json => output::json(&explanation),
        Format::Text => output::result(&render_explanation(&explanation, &output::paint)),
    }
}

/// Decides without a gate.
async fn here(reference: Reference, config: &ServerConfig) -> Result<Explanation, Failure> {
    output::note(&format!("no gate runs on {}: decided here, with the same configuration", config.data.display()));
    let policy = match &config.policy {
        Some(file) => sealgate_config::load_policy(file).map_err(|errors| config_file::invalid(&errors))?.policy,
        None => Policy::deny_all(),
    };
    let upstreams = Upstreams::new(config, &Metrics::new([])).map_err(Failure::error)?;
    let client = upstreams.of(&reference.repository).ok_or_else(|| unknown(&reference, config))?.client.clone();
    let image = Image::fetch_with(client, reference).await?;
    let reach = |other: &Repository| {
        let upstream = upstreams.of(other).ok_or_else(|| format!("its registry is not configured: {other}"))?;
        Ok(upstream.client.clone())
    };
    Ok(verify::judge(&image, &policy, config.evidence_max_stale, &reach).await.explanation)
}

/// The canonical name of what a client asks the gate for: without the gate's own address, and under the configured registry's name.
pub(super) fn through_gate(asked: &Reference, config: &ServerConfig) -> Result<Reference, Failure> {
    let mut reference = asked.clone();
    let name = |repository: Result<Repository, _>| repository.map_err(|_| unknown(asked, config));
    if is_gate(asked.repository.registry(), config) {
        let path = asked.repository.path();
        reference.repository = match path.split_once('/') {
            Some((first, rest)) if config.registries.contains_key(first) => name(Repository::new(first, rest))?,
            // DESIGN §3: an unconfigured first segment with a dot or colon names an unknown registry.
            Some((first, _)) if first.contains(['.', ':']) => return Err(unknown(asked, config)),
            _ => name(Repository::new(&config.default_registry, path))?,
        };
    }
    let registry = reference.repository.registry();
    if !config.registries.contains_key(registry) {
        let canonical = config.registries.values().find(|known| authority(known) == registry).ok_or_else(|| unknown(asked, config))?;
        reference.repository = name(Repository::new(&canonical.name, reference.repository.path()))?;
    }
    Ok(reference)
}

/// `host:port` of an upstream's URL.
fn authority(registry: &Registry) -> &str {
    let upstream = match &registry.kind {
        RegistryKind::Upstream(upstream) => upstream,
        RegistryKind::Hosted(_) => return &registry.name,
    };
    upstream.url.split_once("://").map_or(upstream.url.as_str(), |(_, authority)| authority)
}

/// Whether `registry` is the gate's own address, as its configuration has it.
fn is_gate(registry: &str, config: &ServerConfig) -> bool {
    let public = config.public_url.as_deref().and_then(|url| url.split_once("://")).map(|(_, authority)| authority);
    let listen = config.listen;
    let local = listen.ip().is_loopback() || listen.ip().is_unspecified();
    registry == listen.to_string()
        || public == Some(registry)
        || (local && [format!("localhost:{}", listen.port()), format!("127.0.0.1:{}", listen.port())].iter().any(|own| own == registry))
}

fn unknown(asked: &Reference, config: &ServerConfig) -> Failure {
    let known: Vec<&str> = config.registries.keys().map(String::as_str).collect();
    let problem = format!("{asked} is in no configured registry: the gate answers 404; configured are {}", known.join(", "));
    Failure::new(Exit::TagNotFound, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> ServerConfig {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sealgate.yaml");
        std::fs::write(&file, text).expect("written");
        ServerConfig::load(Some(&file), &|_| None).expect("a configuration")
    }

    #[test]
    fn a_reference_means_what_a_client_of_the_gate_gets() {
        let config =
            config("registries:\n  docker.io: { default: true }\n  ghcr.io: {}\n  lab.example: { upstream: \"http://127.0.0.1:5555\" }\n");
        for (asked, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("127.0.0.1:5000/nginx:1", "docker.io/library/nginx:1"),
            ("localhost:5000/docker.io/library/nginx", "docker.io/library/nginx"),
            ("127.0.0.1:5000/ghcr.io/acme/app:1", "ghcr.io/acme/app:1"),
            ("ghcr.io/acme/app", "ghcr.io/acme/app"),
            ("127.0.0.1:5555/team/app:2", "lab.example/team/app:2"),
        ] {
            let reference = asked.parse().expect(asked);
            assert_eq!(through_gate(&reference, &config).map(|found| found.to_string()).ok().as_deref(), Some(expected), "{asked}");
        }
        for unknown in ["quay.io/a/b", "127.0.0.1:5000/quay.io/a/b", "127.0.0.1:5001/nginx"] {
            let failure = through_gate(&unknown.parse().expect(unknown), &config).expect_err(unknown);
            assert_eq!(failure.exit, Exit::TagNotFound);
            assert!(failure.message.contains("configured are docker.io, ghcr.io, lab.example"), "{}", failure.message);
        }
    }
}
