//! `sealgate sign`

use clap::Args;
use sealgate_signer::{Algorithm, KeySource, Published, SigningKey, Subject, publish, sign_image};
use serde_json::json;

use super::exit::{Exit, Failure};
use super::image::{Image, RegistryArgs};
use super::output::{self, Format};
use super::{block_on, environment, now, password, progress::Progress};

const EXAMPLES: &str = "\
Examples:
  sealgate sign --key cosign.key ghcr.io/acme/app@sha256:…
  sealgate sign --key env://SIGNING_KEY ghcr.io/acme/app:1.2
  cosign verify --key cosign.pub --insecure-ignore-tlog ghcr.io/acme/app@sha256:…

What is signed is a digest: a tag is resolved first, and `repository@digest` printed. The
signature is a Sigstore bundle (v0.3, without a transparency log), published as a referrer of
the image and, where the registry lists no referrers, under the tag sha256-<hex>. `cosign
verify` accepts it. The password of an encrypted key comes from COSIGN_PASSWORD or a prompt.

Exit codes: 0 signed, 1 error, 2 usage, 11 the image does not exist, 75 try again.";

/// Arguments of `sealgate sign`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SignArgs {
    /// The private key: a file or env://VARIABLE; cosign's encrypted keys and PKCS#8
    #[arg(long, value_name = "KEY")]
    pub key: String,
    /// Accepted for scripts written for cosign; nothing is asked
    #[arg(long, short)]
    pub yes: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Form of the result; json is one object on each line
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Format,
    /// The images, by digest or tag
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
}

/// Signs each image, in order; the first failure ends the run.
///
/// # Errors
/// When the key cannot be loaded, or an image not read, signed or written to.
pub fn run(args: SignArgs) -> Result<(), Failure> {
    for image in &args.images {
        super::image::parse(image)?;
    }
    let key = load_key(&args.key)?;
    if key.algorithm() == Algorithm::P384 {
        output::note("note: cosign 3.1 verifies no P-384 signature by key, not even its own; sealgate does");
    }
    block_on(async {
        for image in &args.images {
            sign(image, &key, &args).await?;
        }
        Ok(())
    })
}

/// Loads the key that `text` names; asks for its password if it has one.
fn load_key(text: &str) -> Result<SigningKey, Failure> {
    let source: KeySource = text.parse().map_err(|error| Failure::new(Exit::Usage, format!("--key {text}: {error}")))?;
    let pem = source.read(&environment).map_err(|error| Failure::error(error.to_string()))?;
    SigningKey::from_pem(&pem, || password::existing(text)).map_err(|error| Failure::error(format!("{source}: {error}")))
}

async fn sign(text: &str, key: &SigningKey, args: &SignArgs) -> Result<(), Failure> {
    let progress = Progress::start(format!("reading {text}"));
    let image = Image::fetch(text, &args.registry).await?;
    let subject = Subject { media_type: image.media_type()?, digest: image.manifest.digest, size: image.manifest.bytes.len() as u64 };
    let bundle = sign_image(key, &subject.digest).map_err(|error| Failure::error(error.to_string()))?;
    progress.step(format!("publishing the signature of {text}"));
    let published = publish(&image.client, image.repository().path(), &subject, bundle, now()).await;
    let published = published.map_err(|error| publish_failure(&image, &args.registry, &error))?;
    drop(progress);
    report(&image, &published, key, args.output)
}

fn publish_failure(image: &Image, registry: &RegistryArgs, error: &sealgate_signer::PublishError) -> Failure {
    use sealgate_signer::PublishError;
    match error {
        PublishError::Registry { action, error } => {
            let failure = registry.failure(&format!("{}: cannot {action}", image.pinned()), image.repository().registry(), error);
            // A push that finds nothing is not a missing image.
            if failure.exit == Exit::TagNotFound { Failure { exit: Exit::Error, ..failure } } else { failure }
        }
        PublishError::Contended { .. } => Failure::new(Exit::TryAgain, format!("{}: {error}", image.pinned())),
        PublishError::NotAnIndex { .. } | PublishError::Reference(_) => Failure::error(format!("{}: {error}", image.pinned())),
    }
}

fn report(image: &Image, published: &Published, key: &SigningKey, format: Format) -> Result<(), Failure> {
    if image.reference.digest.is_none() {
        output::note(&format!("{} is {} now; name the digest to sign exactly what was built", image.reference, image.manifest.digest));
    }
    match format {
        Format::Text => output::result(&image.pinned()),
        Format::Json => output::json(&json!({
            "repository": image.repository(),
            "tag": image.reference.tag,
            "digest": image.manifest.digest,
            "signature": published.manifest,
            "fallback-tag": published.fallback_tag,
            "key": key.fingerprint(),
        })),
    }
}
