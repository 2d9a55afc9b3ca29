//! Signatures for upstreams that take no pushes: the bundle as a referrer manifest, to be put where a test wants it.

use sealgate_signer::{SigningKey, sign_image};
use sealgate_verifier::media_type;
use serde_json::json;

use crate::image::Content;

/// A key that signs images.
#[derive(Debug)]
pub struct Signer(SigningKey);

/// A signature: the bundle, and the manifest that carries it.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The manifest, whose subject is the signed image.
    pub manifest: Content,
    /// Its layer, the Sigstore bundle v0.3.
    pub bundle: Content,
}

impl Signer {
    /// With a new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(SigningKey::generate().expect("a key").0)
    }

    /// The public key as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        self.0.public_key_pem()
    }

    /// Signs an image or index.
    #[must_use]
    pub fn sign(&self, image: &Content) -> Signature {
        let digest = image.digest.parse().expect("a digest");
        Signature::of(sign_image(&self.0, &digest).expect("a signature"), image)
    }
}

impl Signature {
    /// A bundle about an image or index.
    #[must_use]
    pub fn of(bundle: impl Into<bytes::Bytes>, image: &Content) -> Self {
        let bundle = Content::new(media_type::BUNDLE_V03, bundle);
        let empty = Content::new(media_type::OCI_EMPTY, "{}");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": media_type::BUNDLE_V03,
            "config": empty.descriptor(),
            "layers": [bundle.descriptor()],
            "subject": image.descriptor(),
        });
        Self { manifest: Content::json(media_type::OCI_MANIFEST, &manifest), bundle }
    }

    /// An index that lists it, as the fallback tag `sha256-<hex>` holds it (OCI Distribution 1.1, "Referrers Tag Schema").
    #[must_use]
    pub fn listing(&self) -> Content {
        let mut entry = self.manifest.descriptor();
        entry["artifactType"] = json!(media_type::BUNDLE_V03);
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry] });
        Content::json(media_type::OCI_INDEX, &index)
    }
}
