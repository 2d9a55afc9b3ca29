//! `sealgate verify`: the decision, made here with a policy of one's own.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sealgate_registry::{Client, Lifetimes, client_for, collect};
use sealgate_verifier::{
    Attachment, Collected, Evidence, EvidenceSource, Gap, ImageFacts, Needs, Policy, Principal, Repository, Requirement, Subject, Verdict,
    explain,
};

use super::exit::{Exit, Failure};
use super::image::{Image, RegistryArgs};
use super::output::{self, Format};
use super::signer::SignerArgs;
use super::{USER_AGENT, block_on, config_file, now, progress::Progress};
use crate::gate::explanation::{Decision, Explained, Explanation, Outcome};

/// How long the evidence of one run counts. The run ends long before.
pub(super) const MAX_STALE: Duration = Duration::from_secs(3600);

const EXAMPLES: &str = "\
Examples:
  sealgate verify --key cosign.pub ghcr.io/acme/app:1.2
  sealgate verify --certificate-identity keyless@distroless.iam.gserviceaccount.com \\
      --certificate-oidc-issuer https://accounts.google.com gcr.io/distroless/static
  sealgate verify --policy trust-policy.yaml --output json docker.io/library/nginx@sha256:…

Signatures are looked for in the referrers API, under the tag sha256-<hex> and under
sha256-<hex>.sig. With --key a signature by any of the keys suffices, and no transparency log is
asked for; keyless signatures need one. Attestations are not signatures: see verify-attestation.
With --policy the file's rules decide as they do in the gate.

Exit codes: 0 verified, 1 error, 2 usage, 3 the policy is invalid, 10 unsigned, 11 the image does
not exist, 12 signed by others or wrongly, 22 denied for another reason, 75 try again.";

/// Arguments of `sealgate verify`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyArgs {
    /// Whose signature suffices.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// A trust policy, instead of a signer
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "issuer"])]
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
        None => args.signer.policy(Requirement::SignedBy)?,
    };
    block_on(async {
        let progress = Progress::start(format!("reading {}", args.image));
        let image = Image::fetch(&args.image, &args.registry).await?;
        progress.step(format!("looking for signatures of {}", args.image));
        let reach =
            |other: &Repository| client_for(other.registry(), args.registry.allow_http, USER_AGENT).map_err(|error| error.to_string());
        let judged = judge(&image, &policy, MAX_STALE, &reach).await;
        drop(progress);
        report(&image, &judged, args.output)
    })
}

/// The client for a repository that a rule names beside the image's own, or why there is none.
pub(super) type Reach<'a> = dyn Fn(&Repository) -> Result<Client, String> + 'a;

/// A decision that was made here.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) explanation: Explanation,
    /// What it was made of.
    pub(super) attachments: Vec<Attachment>,
}

/// Collects what the policy reads, decides, and explains.
pub(super) async fn judge(image: &Image, policy: &Policy, max_stale: Duration, reach: &Reach<'_>) -> Judged {
    let (repository, digest, now) = (image.repository(), image.manifest.digest, now());
    let needs = policy.needs(repository);
    let attachments = if needs.attachments() {
        gathered(image, policy, needs, Lifetimes { max_stale }, reach).await
    } else {
        Collected::not_collected(EvidenceSource::Signatures, now)
    };
    let gaps = attachments.unseen().cloned().collect();
    let subject =
        Subject { repository: repository.clone(), tag: image.reference.tag.clone(), digest, manifest: image.manifest.bytes.clone() };
    let facts = ImageFacts::not_collected(now);
    let evidence = Evidence { subject, attachments, parents: Vec::new(), image: facts, children: Vec::new() };
    let verdict = explain(&evidence, policy, now);
    let decision = Decision { id: None, at: now, valid_until: verdict.valid_until(), policy: policy.revision().0 };
    let explained =
        Explained { reference: &image.reference, digest, resolution: None, verdict: &verdict, gaps, decision, line: verdict.line() };
    let explanation = explained.into();
    Judged { verdict, explanation, attachments: evidence.attachments.items }
}

/// What is attached to the image in its own repository, and in those that the rule names beside it.
async fn gathered(image: &Image, policy: &Policy, needs: Needs, lifetimes: Lifetimes, reach: &Reach<'_>) -> Collected<Attachment> {
    let (repository, digest) = (image.repository(), &image.manifest.digest);
    let mut all = collect(&image.client, repository, digest, needs, now(), lifetimes).await;
    let others = policy.rule_for(repository).map(|rule| rule.signatures_from.as_slice()).unwrap_or_default();
    for other in others.iter().filter(|other| *other != repository) {
        let more = match reach(other) {
            Ok(client) => collect(&client, other, digest, needs, now(), lifetimes).await,
            Err(detail) => {
                let place = "signatures-from".to_owned();
                let gap = Gap { source: EvidenceSource::Signatures, place, failure: sealgate_verifier::Failure::Refused, detail };
                Collected { items: Vec::new(), gaps: vec![gap], collected_at: all.collected_at, stale_at: all.stale_at }
            }
        };
        all = all.and(more);
    }
    all
}

/// The result on stdout, and the denial as a failure.
pub(super) fn report(image: &Image, judged: &Judged, format: Format) -> Result<(), Failure> {
    let Judged { verdict, explanation, .. } = judged;
    match format {
        Format::Json => output::json(explanation)?,
        Format::Text if explanation.outcome == Outcome::Admitted => {
            let valid = explanation.findings.iter().filter_map(|found| Some((found, found.signer.as_ref()?, found.by.as_ref()?)));
            let lines =
                valid.map(|(found, signer, by)| format!("\n  {} in {}, signer {signer}, {}", found.form, found.location.name(), whole(by)));
            output::result(&format!("{}{}", image.pinned(), lines.collect::<String>()))?;
        }
        Format::Text => {}
    }
    match verdict {
        Verdict::Admit(_) => Ok(()),
        Verdict::Deny(denial) => Err(Failure::new(Exit::of_denial(denial), denied(image, explanation))),
    }
}

/// Who it is, in full.
fn whole(by: &Principal) -> String {
    match by {
        Principal::Key { key } => format!("key {key}"),
        Principal::Keyless { issuer, identity } => format!("identity {identity} of {issuer}"),
        Principal::Notation { root, subject } => format!("subject {subject} under {root}"),
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
