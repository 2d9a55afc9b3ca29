//! `sealgate verify`: the decision, made here with a policy of one's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sealgate_registry::{Lifetimes, collect};
use sealgate_signer::KeySource;
use sealgate_verifier::policy::SignerIdentity;
use sealgate_verifier::{
    Collected, Digest, Evidence, EvidenceSource, Mode, Pattern, Policy, PolicyParts, PublicKey, Quorum, Requirement, Revision, Rule,
    SignedBy, Signer, Subject, TrustedKey, Verdict, evaluate,
};

use super::exit::{Exit, Failure};
use super::image::{Image, RegistryArgs};
use super::output::{self, Format};
use super::{block_on, config_file, environment, now, progress::Progress};
use crate::gate::explanation::{Decision, Explained, Explanation, Outcome};

/// Name of the signer that `--key` stands for.
const SIGNER: &str = "key";
/// How long the evidence of one run counts. The run ends long before.
const MAX_STALE: Duration = Duration::from_secs(3600);

const EXAMPLES: &str = "\
Examples:
  sealgate verify --key cosign.pub ghcr.io/acme/app:1.2
  sealgate verify --policy trust-policy.yaml --output json docker.io/library/nginx@sha256:…

Signatures are looked for in the referrers API, under the tag sha256-<hex> and under
sha256-<hex>.sig. With --key a signature by any of the keys suffices, and no transparency log is
asked for; with --policy the file's rules decide as they do in the gate.

Exit codes: 0 verified, 1 error, 2 usage, 3 the policy is invalid, 10 unsigned, 11 the image does
not exist, 12 signed by others or wrongly, 22 denied for another reason, 75 try again.";

/// Arguments of `sealgate verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// A public key: a file or env://VARIABLE; may be given several times
    #[arg(long, value_name = "KEY", required_unless_present = "policy", conflicts_with = "policy")]
    pub key: Vec<String>,
    /// A trust policy
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Form of the result
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// The image, by digest or tag
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// Verifies the image.
///
/// # Errors
/// When it is not verified.
pub fn run(args: VerifyArgs) -> Result<(), Failure> {
    super::image::parse(&args.image)?;
    let policy = match &args.policy {
        Some(file) => sealgate_config::load_policy(file).map_err(|errors| config_file::invalid(&errors))?.policy,
        None => policy_of_keys(&args.key)?,
    };
    block_on(async {
        let progress = Progress::start(format!("reading {}", args.image));
        let image = Image::fetch(&args.image, &args.registry).await?;
        progress.step(format!("looking for signatures of {}", args.image));
        let (verdict, explanation) = judge(&image, &policy, MAX_STALE).await;
        drop(progress);
        report(&image, &verdict, &explanation, args.output)
    })
}

/// The policy that a signature by any of the keys suffices.
fn policy_of_keys(sources: &[String]) -> Result<Policy, Failure> {
    let mut keys: Vec<TrustedKey> = Vec::new();
    for text in sources {
        let source: KeySource = text.parse().map_err(|error| Failure::new(Exit::Usage, format!("--key {text}: {error}")))?;
        let pem = source.read(&environment).map_err(|error| Failure::error(error.to_string()))?;
        let key = PublicKey::from_pem(&pem).map_err(|error| Failure::error(format!("{source}: {error}")))?;
        if !keys.iter().any(|known| known.key.id() == key.id()) {
            keys.push(TrustedKey { key, until: None });
        }
    }
    let ids: String = keys.iter().map(|trusted| trusted.key.id().to_string()).collect();
    let signed_by = SignedBy { quorum: Quorum::Any, signers: vec![SIGNER.to_owned()] };
    let pattern: Pattern = "**".parse().map_err(|error| Failure::error(format!("{error}")))?;
    let parts = PolicyParts {
        revision: Revision(Digest::sha256(ids.as_bytes())),
        signers: BTreeMap::from([(SIGNER.to_owned(), Signer { identity: SignerIdentity::Keys(keys), images: Vec::new() })]),
        rules: vec![Rule { pattern, mode: Mode::Enforce, requirements: vec![Requirement::SignedBy(signed_by)], signed_as: Vec::new() }],
    };
    Policy::new(parts).map_err(|errors| Failure::error(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// Collects what the policy reads, decides, and explains.
pub(super) async fn judge(image: &Image, policy: &Policy, max_stale: Duration) -> (Verdict, Explanation) {
    let (repository, digest, now) = (image.repository(), image.manifest.digest, now());
    let attachments = if policy.needs(repository).signatures {
        collect(&image.client, repository, &digest, now, Lifetimes { max_stale }).await
    } else {
        Collected::not_collected(EvidenceSource::Signatures, now)
    };
    let needed = policy.needs(repository).signatures;
    let gaps = if needed { attachments.gaps.clone() } else { Vec::new() };
    let subject =
        Subject { repository: repository.clone(), tag: image.reference.tag.clone(), digest, manifest: image.manifest.bytes.clone() };
    let verdict = evaluate(&Evidence { subject, attachments, parents: Vec::new() }, policy, now);
    let decision = Decision { id: None, at: now, valid_until: verdict.valid_until(), policy: policy.revision().0 };
    let explained =
        Explained { reference: &image.reference, digest, resolution: None, verdict: &verdict, gaps, decision, line: verdict.line() };
    let explanation = explained.into();
    (verdict, explanation)
}

fn report(image: &Image, verdict: &Verdict, explanation: &Explanation, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::json(explanation)?,
        Format::Text if explanation.outcome == Outcome::Admitted => {
            let valid = explanation.findings.iter().filter_map(|found| Some((found, found.signer.as_ref()?, found.key.as_ref()?)));
            let lines =
                valid.map(|(found, signer, key)| format!("\n  {} in {}, signer {signer}, key {key}", found.form, found.location.name()));
            output::result(&format!("{}{}", image.pinned(), lines.collect::<String>()))?;
        }
        Format::Text => {}
    }
    match verdict {
        Verdict::Admit(_) => Ok(()),
        Verdict::Deny(denial) => Err(Failure::new(Exit::of_denial(denial), denied(image, explanation))),
    }
}

/// What was found, for the terminal.
fn denied(image: &Image, explanation: &Explanation) -> String {
    let mut text = format!("{} is not verified", image.pinned());
    for problem in explanation.requirements.iter().filter_map(|judged| judged.problem.as_ref()) {
        text.push_str(&format!("\n  {problem}"));
    }
    for found in &explanation.findings {
        let what = match (&found.signer, &found.failure) {
            (Some(signer), _) => format!("valid, by {signer}"),
            (None, failure) => failure.clone().unwrap_or_default(),
        };
        text.push_str(&format!("\n  {} in {}: {what}", found.form, found.location.name()));
    }
    text
}
