//! Which platform's image is meant, where there are several.

use clap::Args;
use sealgate_verifier::{Descriptor, Platform};

use super::exit::{Exit, Failure};

/// The platform.
#[derive(Debug, Clone, Args)]
pub struct PlatformArgs {
    /// Of an image for several platforms, take this one [default: linux on this machine's architecture]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
}

impl PlatformArgs {
    /// The child for the platform. One child alone is taken whatever it is for, unless a platform is asked for.
    ///
    /// # Errors
    /// [`Exit::Usage`] where none is, or several are.
    pub fn choose<'a>(&self, children: &'a [Descriptor]) -> Result<&'a Descriptor, Failure> {
        // BuildKit's attestations stand beside the images under a platform of their own.
        let images: Vec<_> =
            children.iter().filter(|child| child.platform.as_ref().is_none_or(|platform| platform.os != "unknown")).collect();
        if let ([only], None) = (images.as_slice(), &self.platform) {
            return Ok(only);
        }
        let wanted = self.platform.clone().unwrap_or_else(|| format!("linux/{}", architecture()));
        let fitting: Vec<_> =
            images.iter().filter(|child| child.platform.as_ref().is_some_and(|platform| fits(platform, &wanted))).collect();
        match fitting.as_slice() {
            [one] => Ok(one),
            found => {
                let all: Vec<_> = images.iter().map(|child| child.platform.as_ref().map_or_else(|| "none".to_owned(), name)).collect();
                let message = format!("expected one image for {wanted}, found {}; there are: {}", found.len(), all.join(", "));
                Err(Failure::new(Exit::Usage, message))
            }
        }
    }
}

fn fits(platform: &Platform, wanted: &str) -> bool {
    wanted == name(platform) || wanted == format!("{}/{}", platform.os, platform.architecture)
}

fn name(platform: &Platform) -> String {
    let variant = platform.variant.as_deref().map(|variant| format!("/{variant}")).unwrap_or_default();
    format!("{}/{}{variant}", platform.os, platform.architecture)
}

/// This machine's, by Go's name.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use sealgate_verifier::Digest;

    use super::*;

    fn child(os: &str, architecture: &str, variant: Option<&str>) -> Descriptor {
        let platform = Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: variant.map(str::to_owned) };
        Descriptor {
            media_type: String::new(),
            digest: Digest::sha256(format!("{os}{architecture}{variant:?}").as_bytes()),
            size: 0,
            artifact_type: None,
            platform: Some(platform),
            annotations: Default::default(),
            urls: vec![],
        }
    }

    #[test]
    fn a_platform_is_chosen_by_name_and_never_guessed() {
        let children = [child("linux", "arm", Some("v6")), child("linux", "arm", Some("v7")), child("unknown", "unknown", None)];
        let choose = |wanted: Option<&str>, children: &[Descriptor]| {
            PlatformArgs { platform: wanted.map(str::to_owned) }.choose(children).map(|child| child.digest).map_err(|failure| failure.exit)
        };
        assert_eq!(choose(Some("linux/arm/v7"), &children), Ok(children[1].digest));
        assert_eq!(choose(Some("linux/arm"), &children), Err(Exit::Usage));
        assert_eq!(choose(None, &children), Err(Exit::Usage));
        assert_eq!(choose(None, &children[1..]), Ok(children[1].digest));
        assert_eq!(choose(Some("linux/amd64"), &children[1..]), Err(Exit::Usage));
    }
}
