//! `sealgate store import`.

use std::path::{Path, PathBuf};

use clap::Args;
use sealgate_verifier::Repository;

use super::{ask, require};
use crate::cli::config_file::ConfigArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{self, Format};
use crate::cli::prefetch::worst;
use crate::cli::progress::Progress;
use crate::cli::stopped;
use crate::routes::control::{Import, ImportReport};

const EXAMPLES: &str = "\
Examples:
  sealgate store import nginx.tar                                     under the names that the layout gives
  sealgate store import layout/ --to hosted.local/team/app

Into a hosted registry the images are pushed; into the repository of an upstream they go as if it had delivered them, with their
signatures and attestations beside them. Each is decided on like any other: what the policy does not admit is not served.
A tag of an upstream serves for `tag-max-stale` while the upstream cannot confirm it; a digest, or a hosted registry, for ever.

Exit codes: 0 all admitted; 1 error, or something was not taken; 22 the policy denies some; 75 some could not be decided on.";

/// Arguments of `sealgate store import`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The repository, in place of the names that the layout gives
    #[arg(long, value_name = "REPOSITORY", value_parser = repository)]
    pub to: Option<Repository>,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// An OCI layout: a folder, a tar archive, or - for one on stdin
    #[arg(value_name = "LAYOUT")]
    pub layout: PathBuf,
}

fn repository(text: &str) -> Result<Repository, String> {
    text.parse().map_err(|error| format!("{error}"))
}

pub(super) fn run(args: ImportArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    require(&config.data)?;
    if let Some(to) = &args.to
        && !config.registries.contains_key(to.registry())
    {
        return Err(Failure::new(Exit::Usage, format!("the registry {} is not configured", to.registry())));
    }
    // The gate has another working folder. What comes on stdin only this process has.
    let (layout, _spooled) = if args.layout == Path::new("-") { spool()? } else { (absolute(&args.layout)?, None) };
    let request = Import { layout, to: args.to };
    let progress = Progress::start("importing");
    let report: ImportReport = match ask(&config, "/store/import", &request)? {
        Some(report) => report,
        None => stopped::with_gate(&args.config, |gate| async move {
            crate::routes::control::import(&gate, request).await.map_err(|refusal| Failure::error(refusal.message()))
        })?,
    };
    drop(progress);
    match args.output {
        Format::Json => output::json(&report)?,
        Format::Text => {
            for image in &report.images {
                let skipped = if image.skipped.is_empty() {
                    String::new()
                } else {
                    format!(" ({} platforms did not come with it)", image.skipped.len())
                };
                let tag = image.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
                output::result(&format!("{}{tag}@{}: {}{skipped}", image.repository, image.digest, image.verdict.line()))?;
            }
            report.refused.iter().for_each(|problem| output::note(&format!("not taken: {problem}")));
            output::note(&format!("{} manifests of evidence", report.evidence));
        }
    }
    match (report.refused.is_empty(), worst(report.images.iter().map(|image| &image.verdict))) {
        (false, _) => Err(Failure::silent(Exit::Error)),
        (true, exit) => exit,
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::error(format!("{}: {error}", path.display())))
}

/// Stdin as a file, removed when it is dropped.
struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn spool() -> Result<(PathBuf, Option<Spooled>), Failure> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = std::env::temp_dir().join(format!("sealgate-import-{}.tar", ulid::Ulid::generate()));
    let failed = |error: std::io::Error| Failure::error(format!("{}: {error}", path.display()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    let spooled = Spooled(path.clone());
    std::io::copy(&mut std::io::stdin().lock(), &mut file).map_err(failed)?;
    Ok((path, Some(spooled)))
}
