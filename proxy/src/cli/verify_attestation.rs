//! `sealgate verify-attestation`: an attestation of one type by one signer, and its predicate.

use std::path::PathBuf;

use clap::Args;
use sealgate_registry::client_for;
use sealgate_verifier::bundle::{Bundle, Content};
use sealgate_verifier::dsse::Envelope;
use sealgate_verifier::policy::{AttestationType, Attested, Condition, Pointer, TextMatcher};
use sealgate_verifier::statement::Statement;
use sealgate_verifier::{Digest, FindingKind, FindingOutcome, Repository, Requirement, Timestamp, Verdict};

use super::exit::{Exit, Failure};
use super::image::{Image, RegistryArgs};
use super::output::Format;
use super::progress::Progress;
use super::signer::SignerArgs;
use super::verify::{self, Judged, MAX_STALE};
use super::{USER_AGENT, block_on};

const EXAMPLES: &str = "\
Examples:
  sealgate verify-attestation --type slsaprovenance1 --key cosign.pub ghcr.io/acme/app:1.2
  sealgate verify-attestation --type spdxjson --certificate-identity-regexp 'https://github\\.com/acme/.*' \\
      --certificate-oidc-issuer https://token.actions.githubusercontent.com \\
      --certificate-source-repository https://github.com/acme/app --predicate-output sbom.json ghcr.io/acme/app:1.2

Attestations are looked for in the referrers API, under the tag sha256-<hex> and under
sha256-<hex>.att. Of several by the signer the newest counts.

Exit codes: 0 verified, 1 error, 2 usage, 10 no attestation of the type, 11 the image does not
exist, 12 attested by others or wrongly, 22 the predicate says something else, 75 try again.";

/// Arguments of `sealgate verify-attestation`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct VerifyAttestationArgs {
    /// slsaprovenance, slsaprovenance02, slsaprovenance1, vuln, vulns, spdx, spdxjson, cyclonedx, openvex, link, custom, or a URI
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: String,
    /// What the predicate must say: a JSON pointer and what stands there, or its beginning and *; may be given several times
    #[arg(long = "where", value_name = "POINTER=VALUE")]
    pub conditions: Vec<String>,
    /// Write the verified predicate to this file, `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub predicate_output: Option<PathBuf>,
    /// Whose attestation suffices.
    #[command(flatten)]
    pub signer: SignerArgs,
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

/// Verifies the attestation.
///
/// # Errors
/// When it is not verified, or the predicate cannot be written.
pub fn run(args: VerifyAttestationArgs) -> Result<(), Failure> {
    super::image::parse(&args.image)?;
    let kind = kind(&args.kind)?;
    let conditions: Vec<Condition> = args.conditions.iter().map(|text| condition(text)).collect::<Result<_, _>>()?;
    let wanted = kind.clone();
    let policy = args.signer.policy(|by| Requirement::Attested(Attested { kind: wanted, by, conditions, max_age: None }))?;
    block_on(async {
        let progress = Progress::start(format!("reading {}", args.image));
        let image = Image::fetch(&args.image, &args.registry).await?;
        progress.step(format!("looking for attestations of {}", args.image));
        let reach =
            |other: &Repository| client_for(other.registry(), args.registry.allow_http, USER_AGENT).map_err(|error| error.to_string());
        let judged = verify::judge(&image, &policy, MAX_STALE, &reach).await;
        drop(progress);
        let to_stdout = args.predicate_output.as_ref().is_some_and(|file| file.as_os_str() == "-");
        match &judged.verdict {
            Verdict::Admit(_) if to_stdout => {}
            Verdict::Admit(_) | Verdict::Deny(_) => verify::report(&image, &judged, args.output)?,
        }
        match &args.predicate_output {
            Some(_) if to_stdout => super::output::result(&predicate(&judged, &kind)?),
            Some(file) => std::fs::write(file, predicate(&judged, &kind)?)
                .map_err(|error| Failure::error(format!("cannot write {}: {error}", file.display()))),
            None => Ok(()),
        }
    })
}

/// Reads `--type`.
pub(super) fn kind(text: &str) -> Result<AttestationType, Failure> {
    AttestationType::parse(text).ok_or_else(|| {
        let names: Vec<&str> = AttestationType::short_names().collect();
        Failure::new(Exit::Usage, format!("--type {text}: expected one of {}, or a URI", names.join(", ")))
    })
}

fn condition(text: &str) -> Result<Condition, Failure> {
    let parsed = text.split_once('=').and_then(|(pointer, value)| Some((Pointer::parse(pointer)?, TextMatcher::parse(value))));
    let (pointer, expected) = parsed.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("--where {text}: expected a JSON pointer and a value, as in /buildType=https://acme.example/*"))
    })?;
    Ok(Condition { pointer, expected })
}

/// The predicate of the newest attestation that was verified: of the very bytes whose signature holds, told by their digest. The same
/// predicate may be stored in several layouts.
fn predicate(judged: &Judged, kind: &AttestationType) -> Result<String, Failure> {
    let mut verified: Vec<(Option<Timestamp>, Digest)> = Vec::new();
    for finding in judged.verdict.findings() {
        if let (FindingKind::Attestation { predicate_type }, FindingOutcome::Verified { at, .. }, Some(layer)) =
            (&finding.kind, &finding.outcome, finding.layer)
            && kind.matches(predicate_type)
        {
            verified.push((*at, layer));
        }
    }
    let newest = verified.iter().map(|(at, _)| *at).max().ok_or_else(|| Failure::error("no attestation was verified"))?;
    let mut predicates = Vec::new();
    for (_, layer) in verified.iter().filter(|(at, _)| *at == newest) {
        let bytes = judged.attachments.iter().flat_map(|attachment| &attachment.layers).find(|bytes| layer.matches(bytes));
        predicates.push(bytes.and_then(|bytes| read(bytes)).ok_or_else(|| Failure::error("the attestation has no predicate"))?);
    }
    predicates.sort();
    predicates.dedup();
    match (predicates.pop(), predicates.is_empty()) {
        (Some(predicate), true) => Ok(predicate),
        (Some(_) | None, _) => {
            Err(Failure::error("several attestations of the type hold, and nothing says which is the newest: no predicate is written"))
        }
    }
}

fn read(layer: &[u8]) -> Option<String> {
    let envelope = match Bundle::parse(layer).map(|bundle| bundle.content) {
        Ok(Content::Dsse(envelope)) => envelope,
        Ok(Content::Message { .. }) => return None,
        Err(_) => Envelope::parse(layer).ok()?,
    };
    Some(Statement::parse(&envelope.payload).ok()?.predicate?.get().to_owned())
}
