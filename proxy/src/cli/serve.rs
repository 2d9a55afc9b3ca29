//! `sealgate serve`: reads the configuration, opens the store and serves until a signal.

mod binding;
mod instance;
pub mod log;
mod policy;
pub(super) mod signals;
mod watch;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_config::{LoadedPolicy, PushAccess, RegistryKind, ServerConfig};
use sealgate_verifier::Policy;

use super::config_file::{self, ConfigArgs};
use super::exit::{Exit, Failure};
pub use binding::Listeners;
pub use instance::{Instance, store_options};
pub use log::LogFormat;
pub use policy::warnings_of;
use signals::Signals;

const EXAMPLES: &str = "\
Examples:
  sealgate serve                                  sealgate.yaml if it is here, else built-in defaults, which deny everything
  sealgate serve --config /etc/sealgate/sealgate.yaml
  docker pull 127.0.0.1:5000/docker.io/library/nginx

On stdout: one line of JSON with the addresses once they listen. The log is on stderr.
SIGHUP reloads the trust policy; SIGTERM and Ctrl-C finish the requests under way first, a second one does not.
Exit code 3: the configuration or the policy is invalid; every error is listed.";

/// Arguments of `sealgate serve`. Each overrides the file and the environment.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The settings that stand in the file as well.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Form of the log, on stderr
    #[arg(long, value_enum, default_value_t, env = "SEALGATE_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or tracing's directives such as sealgate=debug,hyper=warn
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "SEALGATE_LOG_LEVEL")]
    pub log_level: String,
}

/// Settings of the file that a flag overrides.
#[derive(Debug, Clone, Default, Args)]
pub struct Overrides {
    /// Where the gate listens [default: 127.0.0.1:5000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where blobs, ledger and index are kept [default: ./data]
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// The trust policy [default: a policy without a rule, which denies everything]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// A configuration and policy that hold together.
pub struct Loaded {
    /// The server's configuration.
    pub config: ServerConfig,
    /// The policy; the one that denies everything where none is configured.
    pub policy: Policy,
    /// What is legal and still worth a word, one line each.
    pub warnings: Vec<String>,
}

/// Runs the gate.
///
/// # Errors
/// When it cannot start, or does not end cleanly.
pub fn run(args: ServeArgs) -> Result<(), Failure> {
    log::init(args.log_format, &args.log_level).map_err(|error| Failure::new(Exit::Usage, error))?;
    let file = args.config.file();
    let loaded = load(file.as_deref(), &args.overrides)?;
    describe(file.as_deref(), &loaded);
    raise_file_limit();
    runtime()?.block_on(serve(loaded)).map_err(Failure::error)
}

/// A runtime with all cores.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Failure::error(format!("cannot start: {error}")))
}

/// Reads the configuration, and the policy that it names. Flags win over the environment, the environment over the file.
///
/// # Errors
/// Every problem that there is, with [`Exit::ConfigInvalid`].
pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Loaded, Failure> {
    let path = |path: &Option<PathBuf>| path.as_ref().and_then(|path| path.to_str()).map(str::to_owned);
    let environment = |name: &str| {
        let flag = match name {
            "SEALGATE_LISTEN" => overrides.listen.map(|address| address.to_string()),
            "SEALGATE_DATA" => path(&overrides.data),
            "SEALGATE_POLICY" => path(&overrides.policy),
            _ => None,
        };
        flag.or_else(|| super::environment(name))
    };
    let config = ServerConfig::load(file, &environment).map_err(|errors| config_file::invalid(&errors))?;
    let LoadedPolicy { policy, warnings: of_policy, .. } =
        policy::read(config.policy.as_deref()).map_err(|errors| config_file::invalid(&errors))?;
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut warnings = sealgate_config::unknown_variables(names, &config_file::VARIABLES);
    warnings.extend(of_policy);
    warnings.extend(warnings_of(&policy, &config));
    Ok(Loaded { config, policy, warnings })
}

/// Says what is in force before anything is opened.
fn describe(file: Option<&Path>, loaded: &Loaded) {
    let Loaded { config, policy, warnings } = loaded;
    let file = file.map_or_else(|| "built-in defaults".to_owned(), |file| file.display().to_string());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = %file, data = %config.data.display(), "sealgate starts");
    for registry in config.registries.values() {
        let default = registry.name == config.default_registry;
        match &registry.kind {
            RegistryKind::Upstream(upstream) => tracing::info!(registry = %registry.name, upstream = %upstream.url, default, "upstream"),
            RegistryKind::Hosted(_) => tracing::info!(registry = %registry.name, default, "hosted here"),
        }
        if registry.push == PushAccess::Anonymous {
            tracing::warn!(registry = %registry.name, "everybody who reaches the gate may push here (`push: anonymous`)");
        }
    }
    match &config.policy {
        Some(path) => {
            tracing::info!(policy = %path.display(), rules = policy.rules().len(), revision = %policy.revision(), "trust policy");
        }
        None => tracing::warn!(
            "no trust policy is configured, so every image is denied: `sealgate init` writes a policy to begin with, and `policy:` in \
             sealgate.yaml (or --policy, or SEALGATE_POLICY) names it"
        ),
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

async fn serve(loaded: Loaded) -> Result<(), String> {
    // Before anything else: what cannot listen need not open a store.
    let listeners = Listeners::bind(loaded.config.listen, loaded.config.admin.listen).await?;
    // From here on a SIGHUP is no reason to die.
    let mut signals = Signals::take().map_err(|error| format!("signals cannot be taken: {error}"))?;
    let starting = Instance::start(loaded.config, loaded.policy, listeners);
    let instance = tokio::select! {
        started = starting => started?,
        () = signals.stop() => {
            tracing::warn!("stopped by a signal before the gate was ready");
            // What was begun on the disk is what a crash may leave behind too; a long recovery is not waited for.
            std::process::exit(1);
        }
    };
    announce(instance.address(), instance.admin_address());
    instance.run_until_signal(signals).await
}

/// One line on stdout for programs that start the gate: where it listens, ports that the system chose included.
fn announce(gate: SocketAddr, admin: SocketAddr) {
    let line = serde_json::json!({ "listening": { "gate": gate, "admin": admin } });
    // Nobody may be reading it.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Clients, upstreams and blobs hold a file each; the usual soft limit of 1,024 is under `limits.max-connections`.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_every_problem_shows() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sealgate.yaml");
        std::fs::write(&file, "listen: 127.0.0.1:5000\nlistn: 1\ndata: ./data\npolic: x\n").unwrap();
        let failure = load(Some(&file), &Overrides::default()).err().unwrap();
        assert_eq!(failure.exit, Exit::ConfigInvalid);
        assert!(failure.message.contains("listn") && failure.message.contains("polic"), "{}", failure.message);
        std::fs::write(&file, "listen: 127.0.0.1:5000\n").unwrap();
        let args = Overrides { listen: Some(SocketAddr::from(([127, 0, 0, 1], 5999))), ..Overrides::default() };
        let loaded = load(Some(&file), &args).ok().unwrap();
        assert_eq!(loaded.config.listen, SocketAddr::from(([127, 0, 0, 1], 5999)));
        assert_eq!(loaded.policy.rules().len(), 0);
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_mend() {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = Listeners::bind(address, SocketAddr::from(([127, 0, 0, 1], 0))).await.err().unwrap();
        assert!(error.contains(&address.to_string()) && error.contains("--listen"), "{error}");
    }
}
