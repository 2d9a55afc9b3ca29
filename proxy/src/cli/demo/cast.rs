//! The demo's images: what an honest pipeline makes, and what an attacker makes of it.

use std::collections::HashMap;

use bytes::Bytes;
use sealgate_signer::{SigningKey, sign_image};
use sealgate_verifier::media_type;
use serde_json::json;

use super::image::Image;
use super::upstream::{Content, Document};

/// The tag of every image.
pub const TAG: &str = "v1";
/// The upstream's name in the gate's configuration and policy.
pub const REGISTRY: &str = "demo.example";

/// How a pull must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Every byte arrives.
    Pulled,
    /// 403 before any byte.
    Refused,
    /// The manifest passes, and the transfer of the layer is cut.
    Cut,
}

/// One image.
pub struct Role {
    /// Its repository.
    pub repository: &'static str,
    /// What is special about it.
    pub about: &'static str,
    /// How its pull must end.
    pub expected: Expected,
}

/// All images, and the key whose signatures the demo's policy trusts.
pub struct Cast {
    content: Content,
    public_key: String,
}

const ROLES: [Role; 5] = [
    Role { repository: "demo/signed", about: "signed by ci", expected: Expected::Pulled },
    Role { repository: "demo/unsigned", about: "nobody signed it", expected: Expected::Refused },
    Role { repository: "demo/wrong-key", about: "signed by a stranger's key", expected: Expected::Refused },
    Role { repository: "demo/tampered", about: "another image under a signature by ci", expected: Expected::Refused },
    Role { repository: "demo/corrupted", about: "signed by ci, then a byte of its layer changed", expected: Expected::Cut },
];

impl Cast {
    /// Makes the images and signs them with fresh keys.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn assemble() -> Result<Self, String> {
        let key = || SigningKey::generate().map(|(key, _)| key).map_err(|error| error.to_string());
        let (ci, stranger) = (key()?, key()?);
        let sign = |key: &SigningKey, image: &Image| sign_image(key, &image.digest).map_err(|error| error.to_string());
        let image = |name: &str| Image::with_file(&format!("This is {name} of the Sealgate demo.\n"));
        let mut content = HashMap::new();

        let signed = image("demo/signed");
        publish(&mut content, "demo/signed", &signed, Some(&Image::referrer(&signed, sign(&ci, &signed)?)));
        publish(&mut content, "demo/unsigned", &image("demo/unsigned"), None);
        let wrong = image("demo/wrong-key");
        publish(&mut content, "demo/wrong-key", &wrong, Some(&Image::referrer(&wrong, sign(&stranger, &wrong)?)));
        // The attacker replaces the image and attaches the signature of the one that was there.
        let (original, tampered) = (image("demo/tampered"), image("something else in place of demo/tampered"));
        publish(&mut content, "demo/tampered", &tampered, Some(&Image::referrer(&tampered, sign(&ci, &original)?)));
        let corrupted = image("demo/corrupted");
        publish(&mut content, "demo/corrupted", &corrupted, Some(&Image::referrer(&corrupted, sign(&ci, &corrupted)?)));
        flip(&mut content, "demo/corrupted", &corrupted);

        Ok(Self { content, public_key: ci.public_key_pem() })
    }

    /// What the upstream serves.
    pub fn content(&self) -> Content {
        self.content.clone()
    }

    /// The trusted key, PEM.
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Every image.
    pub const fn roles(&self) -> &'static [Role] {
        &ROLES
    }
}

/// Puts an image and its signature into a repository, as a registry with a referrers API shows them.
fn publish(content: &mut Content, repository: &str, image: &Image, signature: Option<&Image>) {
    let listing = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": signature.map(Image::listed).into_iter().collect::<Vec<_>>(),
    });
    let path = |kind: &str, reference: &dyn std::fmt::Display| format!("/v2/{repository}/{kind}/{reference}");
    let mut put = |path: String, media_type, bytes: Bytes| content.insert(path, Document { media_type, bytes });
    put(path("tags", &"list"), "application/json", json!({ "name": repository, "tags": [TAG] }).to_string().into());
    put(path("manifests", &TAG), media_type::OCI_MANIFEST, image.manifest.clone());
    put(path("referrers", &image.digest), media_type::OCI_INDEX, listing.to_string().into());
    for part in [Some(image), signature].into_iter().flatten() {
        put(path("manifests", &part.digest), media_type::OCI_MANIFEST, part.manifest.clone());
        for (digest, blob) in &part.blobs {
            put(path("blobs", digest), "application/octet-stream", blob.clone());
        }
    }
}

/// Changes one bit in the layer, which is the image's last blob.
fn flip(content: &mut Content, repository: &str, image: &Image) {
    let Some((digest, _)) = image.blobs.last() else { return };
    let Some(document) = content.get_mut(&format!("/v2/{repository}/blobs/{digest}")) else { return };
    let mut bytes = document.bytes.to_vec();
    let middle = bytes.len() / 2;
    for byte in bytes.iter_mut().skip(middle).take(1) {
        *byte ^= 1;
    }
    document.bytes = bytes.into();
}
