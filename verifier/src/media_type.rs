//! Media types that the gate reads or writes.

/// OCI image manifest (image-spec 1.1).
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index (image-spec 1.1).
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// The empty JSON object, `{}` (image-spec 1.1, "Guidance for an Empty Descriptor").
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// cosign's simple signing payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Sigstore bundle, v0.3.
pub const BUNDLE_V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Prefix of every Sigstore bundle type: v0.3 writes `….bundle.v0.3+json`, v0.1 and v0.2 write `….bundle+json;version=0.1`.
pub const BUNDLE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";
/// DSSE envelope (cosign `.att`).
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// in-toto statement, the payload type of DSSE envelopes.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Notation JWS envelope.
pub const JOSE: &str = "application/jose+json";
/// Notation COSE envelope.
pub const COSE: &str = "application/cose";
/// Bundle types of the older spelling (sigstore bundle v0.1 to v0.3, `Bundle.media_type`).
pub const BUNDLES_BY_PARAMETER: [&str; 3] = [
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
];
/// SPDX document in JSON.
pub const SPDX: &str = "application/spdx+json";
/// SPDX document in JSON, as BuildKit and cosign spell it.
pub const SPDX_TEXT: &str = "text/spdx+json";
/// CycloneDX document in JSON.
pub const CYCLONE_DX: &str = "application/vnd.cyclonedx+json";
/// OpenVEX document.
pub const OPEN_VEX: &str = "application/openvex+json";
/// Docker image configuration (cosign writes it where `COSIGN_DOCKER_MEDIA_TYPES` is set).
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Notation's config type, where it is not an artifact type.
pub const NOTATION: &str = "application/vnd.cncf.notary.signature";
/// Predicate type of what `cosign sign` writes into a v0.3 bundle.
pub const COSIGN_SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The manifest types that clients send in `Accept`, in order of preference.
pub const MANIFESTS: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/// Whether `media_type` is exactly that of a Sigstore bundle v0.1, v0.2 or v0.3.
#[must_use]
pub fn is_bundle(media_type: &str) -> bool {
    media_type == BUNDLE_V03 || BUNDLES_BY_PARAMETER.contains(&media_type)
}
