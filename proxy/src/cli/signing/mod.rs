//! What `sign` and `attest` share: arguments, signers, what is signed of an image, and the report.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use futures_util::{StreamExt, stream};
use sealgate_signer::{Format, Signer, Wanted};

use super::exit::{Exit, Failure};
use super::image::{Image, RegistryArgs};
use super::output::{self, Format as OutputFormat};
use super::{block_on, progress::Progress};

mod report;
mod signers;
mod target;

use report::{ImageReport, ManifestReport};
use target::{Target, Work};

/// Manifests of one index that are signed at once.
const AT_ONCE: usize = 4;

/// The end of both commands' help.
pub(super) const EXIT_CODES: &str = "\
Exit codes: 0 all signed, 1 error, 2 usage, 11 an image does not exist, 75 try again. Of several
images the others are signed all the same; failures of different kinds end with 1.";

/// In which layouts signatures are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SignatureFormat {
    /// Sigstore bundles as referrers, as cosign 3 stores them.
    #[default]
    Bundle,
    /// The tags sha256-HEX.sig and .att, as cosign 1 and 2 do.
    Legacy,
    /// Both.
    Both,
}

impl SignatureFormat {
    const fn formats(self) -> &'static [Format] {
        match self {
            Self::Bundle => &[Format::Bundle],
            Self::Legacy => &[Format::Legacy],
            Self::Both => &[Format::Bundle, Format::Legacy],
        }
    }
}

/// Arguments of `sign` and `attest`.
#[derive(Debug, Clone, Args)]
pub struct SigningArgs {
    /// A private key: a file, env://VARIABLE or - for standard input; cosign's encrypted keys and PKCS#8. May be given several times.
    /// Without one the signature is keyless
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,
    /// The keys' password, in a file; given several times, one for each --key in order. Without it: COSIGN_PASSWORD, or a prompt
    #[arg(long, value_name = "FILE", requires = "key")]
    pub password_file: Vec<PathBuf>,
    /// Keyless: the OIDC token, as env://VARIABLE, a file, or itself (which other users of the machine may see). Without it: what a
    /// GitHub or GitLab job offers
    #[arg(long, value_name = "TOKEN", conflicts_with = "key")]
    pub identity_token: Option<String>,
    /// The Sigstore instance to ask, by its signing config v0.2, instead of the public one. With --key: log and timestamp there
    #[arg(long, value_name = "FILE")]
    pub signing_config: Option<PathBuf>,
    /// The instance's trusted_root.json, instead of the public one
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    /// How signatures are stored
    #[arg(long, value_enum, default_value_t)]
    pub signature_format: SignatureFormat,
    /// Of an index, sign each image in it as well
    #[arg(
        long,
        short,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    pub recursive: bool,
    /// The same as --recursive=false
    #[arg(long)]
    pub no_children: bool,
    /// Sign even what the same signer has signed already
    #[arg(long, short)]
    pub force: bool,
    /// Agree that the public instance writes the signature, and a keyless signer's identity, to a public log for good
    #[arg(long, short)]
    pub yes: bool,
    /// How registries are reached.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Form of the result; json is one object for each image, on one line
    #[arg(long, short, value_enum, default_value_t)]
    pub output: OutputFormat,
    /// The images, by digest or tag
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<String>,
}

impl SigningArgs {
    fn children(&self) -> bool {
        self.recursive && !self.no_children
    }
}

/// Says `wanted` of each image, in order. A failure does not keep the others from being signed.
///
/// # Errors
/// When no signer can be had, or an image not be read, signed or written to.
pub(super) fn run(args: &SigningArgs, wanted: &Wanted) -> Result<(), Failure> {
    for image in &args.images {
        super::image::parse(image)?;
    }
    block_on(async {
        let signers = signers::load(args).await?;
        let mut failed: Vec<Exit> = Vec::new();
        for image in &args.images {
            let report = sign(image, &signers, wanted, args).await;
            failed.extend(report.failures().map(|failure| {
                failure.report();
                failure.exit
            }));
            report.write(args.output)?;
        }
        match failed.split_first() {
            None => Ok(()),
            Some((first, others)) if others.iter().all(|exit| exit == first) => Err(Failure::silent(*first)),
            Some(_) => Err(Failure::silent(Exit::Error)),
        }
    })
}

async fn sign(text: &str, signers: &[Signer], wanted: &Wanted, args: &SigningArgs) -> ImageReport {
    let progress = Progress::start(format!("reading {text}"));
    let image = match Image::fetch(text, &args.registry).await {
        Ok(image) => image,
        Err(failure) => return ImageReport::unread(text, failure),
    };
    let mut report = ImageReport::of(text, &image);
    let root = match Target::root(&image) {
        Ok(root) => root,
        Err(failure) => return report.failed(failure),
    };
    let children = if args.children() { target::children(&image, &root, &args.registry).await } else { Vec::new() };
    let work = Work { image: &image, signers, wanted, formats: args.signature_format.formats(), args };
    let (total, mut done) = (children.len() + 1, 0);
    progress.step(format!("signing {text}: 0 of {total}"));
    let mut signed = stream::iter(children).map(|child| work.sign_child(child)).buffered(AT_ONCE);
    let mut below: Vec<ManifestReport> = Vec::new();
    while let Some(manifest) = signed.next().await {
        done += 1;
        progress.step(format!("signing {text}: {done} of {total}"));
        below.push(manifest);
    }
    // Last, so that an index is approved only when all of it is.
    let above = if below.iter().any(|manifest| manifest.failure.is_some()) {
        let problem = format!("{} is not signed, since something in it could not be; --no-children signs it alone", image.pinned());
        ManifestReport::failed(&root, Vec::new(), Failure::error(problem))
    } else {
        work.sign(&root).await
    };
    drop(progress);
    if image.reference.digest.is_none() {
        output::note(&format!("{} is {} now; name the digest to sign exactly what was built", image.reference, image.manifest.digest));
    }
    report.manifests = std::iter::once(above).chain(below).collect();
    report
}
