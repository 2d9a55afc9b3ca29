//! `preset:`: publishers whose identity is known, so that nobody has to copy it.
//!
//! Each names its source. The identities were read there on 2026-11-23 (Kong's and Tracee's on 2026-11-25) and could not be tried on the
//! live registries; a publisher who changes its pipeline is denied until the preset, or an identity of one's own in its place, follows.

use sealgate_verifier::policy::{Claim, GITHUB_ISSUER, IdentityMatcher, KeylessIdentity, PUBLIC_ROOT, TextMatcher};
use sealgate_verifier::{Pattern, Signer, SignerIdentity};

/// A publisher.
pub(crate) struct Preset {
    /// Its name in a policy.
    pub name: &'static str,
    issuer: &'static str,
    identity: Identity,
    /// Required with GitHub's issuer.
    source: Option<&'static str>,
    /// The images that it signs, for which alone it counts.
    images: &'static str,
}

enum Identity {
    Exact(&'static str),
    Regexp(&'static str),
}

const GOOGLE: &str = "https://accounts.google.com";

/// Docker Official Images are not here: they carry no signature (docker/roadmap#493, #562, #563). Nor are those whose signer differs from one
/// user to the next (a Chainguard organisation's, whoever builds with docker/github-builder), or whose key or identity was not to be had
/// from its publisher here (Docker Hardened Images, snyk/broker, serversideup/php).
pub(crate) static PRESETS: [Preset; 6] = [
    // GoogleContainerTools/distroless, README.md, "How do I verify distroless images?"
    Preset {
        name: "distroless",
        issuer: GOOGLE,
        identity: Identity::Exact("keyless@distroless.iam.gserviceaccount.com"),
        source: None,
        images: "gcr.io/distroless/**",
    },
    // kubernetes.io, "Verify Signed Kubernetes Artifacts". Some old patch releases were signed wrongly (kubernetes/release#2789).
    Preset {
        name: "kubernetes",
        issuer: GOOGLE,
        identity: Identity::Exact("krel-trust@k8s-releng-prod.iam.gserviceaccount.com"),
        source: None,
        images: "registry.k8s.io/**",
    },
    // edu.chainguard.dev, "How to Verify File and Image Signatures": the free images. Those of an organisation are signed by
    // https://issuer.enforce.dev with an identity of the organisation's own.
    Preset {
        name: "chainguard",
        issuer: GITHUB_ISSUER,
        identity: Identity::Exact("https://github.com/chainguard-images/images/.github/workflows/release.yaml@refs/heads/main"),
        source: Some("https://github.com/chainguard-images/images"),
        images: "cgr.dev/chainguard/**",
    },
    // docs.cilium.io, "Verifying Image Signatures".
    Preset {
        name: "cilium",
        issuer: GITHUB_ISSUER,
        identity: Identity::Regexp(
            r"https://github\.com/cilium/cilium/\.github/workflows/build-images-releases\.yaml@refs/tags/v[0-9.]+(-[a-z]+\.[0-9]+)?",
        ),
        source: Some("https://github.com/cilium/cilium"),
        images: "quay.io/cilium/*",
    },
    // developer.konghq.com, "Verify signatures for signed Kong Gateway images": the signatures are in docker.io/kong/notary, which a rule
    // names under `signatures-from`.
    Preset {
        name: "kong-gateway",
        issuer: GITHUB_ISSUER,
        identity: Identity::Regexp(r"https://github\.com/Kong/kong-ee/\.github/workflows/release\.yml@refs/(heads|tags)/[A-Za-z0-9._/-]+"),
        source: Some("https://github.com/Kong/kong-ee"),
        images: "docker.io/kong/kong-gateway",
    },
    // aquasecurity.github.io/tracee, "Verify tracee signature". Its expression is not anchored: any workflow of the repository, and of no
    // repository whose name only begins so.
    Preset {
        name: "tracee",
        issuer: GITHUB_ISSUER,
        identity: Identity::Regexp(
            r"https://github\.com/aquasecurity/tracee/\.github/workflows/[A-Za-z0-9._-]+@refs/(heads|tags)/[A-Za-z0-9._/-]+",
        ),
        source: Some("https://github.com/aquasecurity/tracee"),
        images: "docker.io/aquasec/tracee",
    },
];

/// The names, for the table of fields.
pub(crate) const NAMES: [&str; 6] = ["distroless", "kubernetes", "chainguard", "cilium", "kong-gateway", "tracee"];

impl Preset {
    /// The preset called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The signer; `images` in place of the publisher's own where they are not empty, for a mirror.
    pub fn signer(&self, images: Vec<Pattern>) -> Option<Signer> {
        let subject = match self.identity {
            Identity::Exact(identity) => IdentityMatcher::Exact(identity.to_owned()),
            Identity::Regexp(regexp) => IdentityMatcher::regexp(regexp).ok()?,
        };
        let claims = self.source.map(|source| (Claim::SourceRepository, TextMatcher::Exact(source.to_owned())));
        let (issuer, trust_root) = (IdentityMatcher::Exact(self.issuer.to_owned()), PUBLIC_ROOT.to_owned());
        let keyless = KeylessIdentity { issuer, subject, claims: claims.into_iter().collect(), trust_root };
        let images = if images.is_empty() { vec![self.images.parse().ok()?] } else { images };
        Some(Signer { identity: SignerIdentity::Keyless(keyless), images })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_is_a_signer_of_its_own_images_and_its_name_is_in_the_table() {
        assert_eq!(NAMES.to_vec(), PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>());
        for preset in &PRESETS {
            let signer = preset.signer(Vec::new()).expect(preset.name);
            assert_eq!(signer.images.len(), 1, "{}", preset.name);
            let SignerIdentity::Keyless(keyless) = signer.identity else { panic!("{}", preset.name) };
            assert_eq!(keyless.issuer.matches(GITHUB_ISSUER), keyless.claims.contains_key(&Claim::SourceRepository), "{}", preset.name);
        }
        for (name, subject, expected) in [
            ("cilium", "https://github.com/cilium/cilium/.github/workflows/build-images-releases.yaml@refs/tags/v1.18.2", true),
            ("cilium", "https://github.com/cilium/cilium/.github/workflows/build-images-releases.yaml@refs/tags/v1.19.0-rc.1", true),
            ("cilium", "https://github.com/cilium/cilium/.github/workflows/build-images-releases.yaml@refs/tags/v1.18.2/../x", false),
            ("cilium", "https://github.com/cilium/cilium/.github/workflows/build-images-releases.yaml@refs/tags/main", false),
            ("kong-gateway", "https://github.com/Kong/kong-ee/.github/workflows/release.yml@refs/heads/release/3.10.x.x", true),
            ("kong-gateway", "https://github.com/kong/kong-ee/.github/workflows/release.yml@refs/tags/3.10.0.0", false),
            ("kong-gateway", "https://github.com/Kong/kong-ee/.github/workflows/release.yml@refs/pull/1/merge", false),
            ("tracee", "https://github.com/aquasecurity/tracee/.github/workflows/release.yaml@refs/tags/v0.22.0", true),
            ("tracee", "https://github.com/aquasecurity/tracee-of-mallory/.github/workflows/release.yaml@refs/tags/v0.22.0", false),
            ("tracee", "https://github.com/aquasecurity/tracee/.github/workflows/release.yaml@refs/pull/1/merge", false),
        ] {
            let signer = Preset::named(name).and_then(|preset| preset.signer(Vec::new())).expect(name);
            let SignerIdentity::Keyless(keyless) = signer.identity else { panic!("{name}") };
            assert_eq!(keyless.subject.matches(subject), expected, "{subject}");
        }
    }
}
