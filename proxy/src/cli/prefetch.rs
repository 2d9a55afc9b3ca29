//! `sealgate prefetch`: asks the running gate, or does it here on a stopped store.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sealgate_config::ServerConfig;
use sealgate_verifier::Reference;

use super::config_file::ConfigArgs;
use super::exit::{Exit, Failure};
use super::output::{self, Format};
use super::progress::Progress;
use super::store::export;
use super::{block_on, control, stopped};
use crate::routes::control::{Prefetch, Prefetched, Verdict};

/// Longest wait for one image: some gigabytes over a slow line.
const ANSWER: Duration = Duration::from_hours(2);

const EXAMPLES: &str = "\
Examples:
  sealgate prefetch docker.io/library/nginx:1.27 ghcr.io/acme/app:2
  sealgate prefetch --platform linux/amd64 nginx:1.27
  sealgate prefetch --file images.txt              one reference a line; empty lines and lines with # in front are left out

Each image is resolved, decided on and fetched with all its platforms, as a first pull would. `watch:` in sealgate.yaml does so on a
schedule.

Exit codes: 0 all admitted and fetched; 1 error; 11 an image does not exist; 22 the policy denies some; 75 try again.";

/// Arguments of `sealgate prefetch`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PrefetchArgs {
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Further images, one a line
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only these platforms of an index, such as linux/amd64
    #[arg(long, value_name = "OS/ARCHITECTURE", value_delimiter = ',')]
    pub platform: Vec<String>,
    /// Decide only: leave the layers for the first pull
    #[arg(long)]
    pub no_blobs: bool,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// The images
    #[arg(value_name = "IMAGE", required_unless_present = "file")]
    pub images: Vec<String>,
}

/// Fetches the images.
///
/// # Errors
/// When one of them is not served, or cannot be had.
pub fn run(args: PrefetchArgs) -> Result<(), Failure> {
    let config = args.config.load()?;
    let mut names = args.images.clone();
    if let Some(file) = &args.file {
        let text = std::fs::read_to_string(file).map_err(|error| Failure::error(format!("{}: {error}", file.display())))?;
        names.extend(text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    }
    let references = references(&names, &config)?;
    let request =
        |reference: &Reference| Prefetch { reference: reference.to_string(), blobs: !args.no_blobs, platforms: args.platform.clone() };
    let progress = Progress::start("prefetching");
    let mut verdicts = Vec::new();
    let mut show = |prefetched: Prefetched| -> Result<(), Failure> {
        match args.output {
            Format::Json => output::json(&prefetched)?,
            Format::Text => output::result(&line(&prefetched))?,
        }
        verdicts.push(prefetched.verdict);
        Ok(())
    };
    let mut rest = references.iter();
    if let Some(first) = rest.next() {
        progress.step(format!("prefetching {first}"));
        match ask(&config, &request(first))? {
            Some(prefetched) => {
                show(prefetched)?;
                for reference in rest {
                    progress.step(format!("prefetching {reference}"));
                    show(ask(&config, &request(reference))?.ok_or_else(|| Failure::new(Exit::TryAgain, "the gate has stopped"))?)?;
                }
            }
            None => {
                let all: Vec<Prefetch> = references.iter().map(&request).collect();
                let done = stopped::with_gate(&args.config, |gate| async move {
                    let mut done = Vec::new();
                    for request in all {
                        let found = crate::routes::control::prefetch(&gate, request).await;
                        done.push(found.map_err(|refusal| Failure::error(refusal.message()))?);
                    }
                    Ok(done)
                })?;
                done.into_iter().try_for_each(show)?;
            }
        }
    }
    drop(progress);
    worst(&verdicts)
}

/// The exit code of a command that asked for all of these.
///
/// # Errors
/// The most telling of those that are not served: what may change by itself comes before a denial, that before what does not exist.
pub fn worst<'v>(verdicts: impl IntoIterator<Item = &'v Verdict>) -> Result<(), Failure> {
    let exit = |verdict: &Verdict| match verdict {
        Verdict::Admitted | Verdict::Audited { .. } => None,
        Verdict::Denied { .. } => Some(Exit::Denied),
        Verdict::Unknown { .. } => Some(Exit::TagNotFound),
        Verdict::Undecided { .. } => Some(Exit::TryAgain),
    };
    let worst = verdicts.into_iter().filter_map(exit).max_by_key(|exit| *exit as u8);
    worst.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

fn ask(config: &ServerConfig, request: &Prefetch) -> Result<Option<Prefetched>, Failure> {
    block_on(control::post_within(&config.data, "/prefetch", request, ANSWER))
}

/// The images, as clients of the gate name them.
///
/// # Errors
/// The first that names none, or none of a configured registry.
pub fn references(names: &[String], config: &ServerConfig) -> Result<Vec<Reference>, Failure> {
    names.iter().map(|name| export::reference(name, config)).collect()
}

fn line(prefetched: &Prefetched) -> String {
    let Prefetched { reference, verdict, found } = prefetched;
    let Some(found) = found else { return format!("{reference}: {}", verdict.line()) };
    let denied = if found.denied == 0 { String::new() } else { format!(", {} platforms denied", found.denied) };
    let blobs = super::store::bytes(found.bytes);
    format!("{reference}@{}: {}; {} manifests, {} blobs of {blobs}{denied}", found.digest, verdict.line(), found.manifests, found.blobs)
}
