//! `sealgate config check`

use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_config::{ConfigErrors, LoadedPolicy, Registry, RegistryKind, ServerConfig, unknown_variables};
use serde_json::{Value, json};

use super::config_file::{self, ConfigArgs};
use super::exit::{Exit, Failure};
use super::output::{self, Format};

const EXAMPLES: &str = "\
Examples:
  sealgate config check
  sealgate config check --config /etc/sealgate/sealgate.yaml
  sealgate config check --policy new-policy.yaml          (another policy)

Exit codes: 0 valid, 2 usage, 3 invalid; every error is listed, with file, line, column and how to mend it.";

/// Arguments of `sealgate config check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConfigCheckArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The trust policy to check in place of the configuration's
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// What was read.
struct Checked {
    file: Option<PathBuf>,
    config: Option<ServerConfig>,
    policy: Option<LoadedPolicy>,
    errors: ConfigErrors,
}

/// Checks both files.
///
/// # Errors
/// [`Exit::ConfigInvalid`] when anything is wrong.
pub fn run(args: ConfigCheckArgs) -> Result<(), Failure> {
    let checked = check(&args);
    let warnings = warnings(&checked);
    let valid = checked.errors.0.is_empty();
    match args.output {
        Format::Json => output::json(&document(&checked, &warnings))?,
        Format::Text => {
            warnings.iter().for_each(|warning| output::note(&format!("warning: {warning}")));
            if valid {
                output::result(&summary(&checked))?;
            }
        }
    }
    match (valid, args.output) {
        (true, _) => Ok(()),
        (false, Format::Json) => Err(Failure::silent(Exit::ConfigInvalid)),
        (false, Format::Text) => Err(config_file::invalid(&checked.errors)),
    }
}

fn check(args: &ConfigCheckArgs) -> Checked {
    let file = args.config.file();
    let mut errors = Vec::new();
    let config = ServerConfig::load(file.as_deref(), &super::environment).map_err(|found| errors.extend(found.0)).ok();
    // A broken configuration does not say where the policy is; beside it, under the name that `init` gives it, it is still checked.
    let beside = || file.as_deref().and_then(Path::parent).map(|folder| folder.join("trust-policy.yaml")).filter(|policy| policy.exists());
    let policy_file = args.policy.clone().or_else(|| match &config {
        Some(config) => config.policy.clone(),
        None => beside(),
    });
    let policy = policy_file.and_then(|file| sealgate_config::load_policy(&file).map_err(|found| errors.extend(found.0)).ok());
    Checked { file, config, policy, errors: ConfigErrors(errors) }
}

fn warnings(checked: &Checked) -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut warnings = unknown_variables(names, &config_file::VARIABLES);
    if let Some(loaded) = &checked.policy {
        warnings.extend(loaded.warnings.iter().cloned());
        if let Some(config) = &checked.config {
            warnings.extend(super::serve::warnings_of(&loaded.policy, config));
        }
    } else if checked.errors.0.is_empty() {
        warnings.push("no policy is configured: everything is denied; write one with `sealgate init`".to_owned());
    }
    warnings
}

fn upstream(registry: &Registry) -> &str {
    match &registry.kind {
        RegistryKind::Upstream(upstream) => &upstream.url,
        RegistryKind::Hosted(_) => "this gate",
    }
}

fn summary(checked: &Checked) -> String {
    let mut text = match &checked.file {
        Some(file) => format!("{} is valid\n", file.display()),
        None => "no configuration file: the built-in defaults are valid\n".to_owned(),
    };
    let mut row = |name: &str, value: String| text.push_str(&format!("  {name:<11} {value}\n"));
    if let Some(config) = &checked.config {
        row("listen", config.listen.to_string());
        row("admin", config.admin.listen.to_string());
        row("data", config.data.display().to_string());
        for registry in config.registries.values() {
            let default = if registry.name == config.default_registry { " (default)" } else { "" };
            row("registry", format!("{} at {}{default}", registry.name, upstream(registry)));
        }
    }
    if let Some(LoadedPolicy { policy, files, .. }) = &checked.policy {
        let file = files.first().map(|file| file.display().to_string()).unwrap_or_default();
        row("policy", file);
        policy.rules().iter().for_each(|rule| row("rule", format!("{} ({})", rule.pattern, mode(rule.mode))));
        policy.signers().keys().for_each(|signer| row("signer", signer.clone()));
    }
    text
}

const fn mode(mode: sealgate_verifier::Mode) -> &'static str {
    match mode {
        sealgate_verifier::Mode::Enforce => "enforce",
        sealgate_verifier::Mode::Audit => "audit",
    }
}

fn document(checked: &Checked, warnings: &[String]) -> Value {
    let errors = checked.errors.0.iter().map(|error| {
        json!({
            "file": error.file,
            "line": error.position.map(|(line, _)| line),
            "column": error.position.map(|(_, column)| column),
            "problem": error.problem,
            "mend": error.mend,
        })
    });
    let config = checked.config.as_ref();
    let policy = checked.policy.as_ref();
    json!({
        "valid": checked.errors.0.is_empty(),
        "errors": errors.collect::<Vec<_>>(),
        "warnings": warnings,
        "file": checked.file,
        "listen": config.map(|config| config.listen),
        "admin": config.map(|config| config.admin.listen),
        "data": config.map(|config| &config.data),
        "registries": config.map(|config| config.registries.values().map(|r| json!({ "name": r.name, "upstream": upstream(r), "hosted": matches!(r.kind, RegistryKind::Hosted(_)) })).collect::<Vec<_>>()),
        "rules": policy.map(|loaded| loaded.policy.rules().iter().map(|rule| json!({ "images": rule.pattern.to_string(), "mode": rule.mode })).collect::<Vec<_>>()),
        "signers": policy.map(|loaded| loaded.policy.signers().keys().collect::<Vec<_>>()),
        "policy-files": policy.map(|loaded| &loaded.files),
    })
}
