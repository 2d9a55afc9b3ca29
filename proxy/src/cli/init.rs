//! `sealgate init`

use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_config::template;
use sealgate_signer::key_files::{self, write_file, write_key_pair};
use serde_json::json;

use super::config_file;
use super::exit::Failure;
use super::output::{self, Format};
use super::password;

/// Name of the policy's file, as the template of the configuration names it.
const POLICY: &str = "trust-policy.yaml";

const EXAMPLES: &str = "\
Examples:
  sealgate init                                asks for the key's password
  COSIGN_PASSWORD=… sealgate init --directory /etc/sealgate
  sealgate init --no-key                       you bring a public key: put it at sealgate.pub";

/// Arguments of `sealgate init`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// Where the files are written; made if it does not exist
    #[arg(long, short, value_name = "FOLDER", default_value = ".")]
    pub directory: PathBuf,
    /// Replace sealgate.yaml and trust-policy.yaml; an existing key pair is kept
    #[arg(long)]
    pub force: bool,
    /// Write no key pair
    #[arg(long)]
    pub no_key: bool,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
}

/// Writes the files.
///
/// # Errors
/// When a file is in the way or cannot be written, or there is no password for the key.
pub fn run(args: InitArgs) -> Result<(), Failure> {
    // `.` is left out of the names that are printed.
    let folder = if args.directory == Path::new(".") { Path::new("") } else { args.directory.as_path() };
    let server = folder.join(config_file::DEFAULT);
    let policy = folder.join(POLICY);
    let prefix = folder.join(template::KEY_PREFIX);
    let (private, public) = key_files::paths(&prefix);
    let wants_key = !(args.no_key || args.force && private.exists() && public.exists());
    if !args.force {
        let keys: &[&Path] = if wants_key { &[&private, &public] } else { &[] };
        refuse_to_overwrite([server.as_path(), &policy].into_iter().chain(keys.iter().copied()))?;
    }
    let failed = |error: key_files::KeyFileError| Failure::error(error.to_string());
    let password =
        wants_key.then(|| password::fresh(", or pass --no-key")).transpose().map_err(|error| Failure::error(error.to_string()))?;
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::error(format!("cannot make the folder {}: {error}", args.directory.display())))?;
    // The key first: it alone can be refused for what the checks above could not see.
    let key = password.map(|password| write_key_pair(&prefix, &password, false)).transpose().map_err(failed)?;
    write_file(&server, template::sealgate_yaml().as_bytes(), 0o644, args.force).map_err(failed)?;
    write_file(&policy, template::trust_policy_yaml(template::KEY_FILE).as_bytes(), 0o644, args.force).map_err(failed)?;
    let mut files = vec![server, policy];
    files.extend(key.into_iter().flat_map(|key| [key.private, key.public]));
    report(&args, &files, &public)
}

fn refuse_to_overwrite<'a>(files: impl Iterator<Item = &'a Path>) -> Result<(), Failure> {
    let existing: Vec<String> = files.filter(|file| file.symlink_metadata().is_ok()).map(|file| file.display().to_string()).collect();
    if existing.is_empty() {
        return Ok(());
    }
    let verb = if existing.len() == 1 { "exists" } else { "exist" };
    Err(Failure::error(format!(
        "{} {verb} already: nothing was written; choose another --directory, or pass --force (which keeps an existing key pair)",
        existing.join(", ")
    )))
}

fn report(args: &InitArgs, files: &[PathBuf], public: &Path) -> Result<(), Failure> {
    match args.output {
        Format::Json => output::json(&json!({ "files": files }))?,
        Format::Text => output::result(&files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("\n"))?,
    }
    if !public.exists() {
        output::note(&format!("The policy names a key that is not there yet: put your public key at {}.", public.display()));
    }
    let here = if args.directory == Path::new(".") { String::new() } else { format!("cd {} && ", args.directory.display()) };
    output::note(&format!("Next: {here}sealgate config check && sealgate serve"));
    Ok(())
}
