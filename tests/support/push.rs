//! A client that pushes by hand, request by request (OCI Distribution 1.1).

use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gate::Setup;
use crate::image::{Content, Image, Index};
use crate::program::basic;
use crate::sha256;
use crate::signature::Signature;
use crate::wire::{Reply, Request};

/// The password of every user.
pub const PASSWORD: &str = "correct horse battery staple";
/// May push to [`HOSTED`], and delete there.
pub const CI: &str = "ci";
/// May push to [`HOSTED`] as well.
pub const OTHER: &str = "other";
/// May sign everywhere, and delete signatures.
pub const SIGNER: &str = "signer";
/// May pull.
pub const READER: &str = "reader";

/// The canonical name of the registry that tests push to.
pub const HOSTED: &str = "hosted.local";
/// The empty JSON object (image-spec 1.1, "Guidance for an Empty Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Who pushes to one repository of a gate.
#[derive(Debug, Clone)]
pub struct Pusher {
    address: SocketAddr,
    /// The repository, as the client writes it.
    name: String,
    login: Option<(String, String)>,
}

/// A chunk of an upload.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// `Content-Range`.
    pub range: &'a str,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Pusher {
    /// Pushes to `name` without a login.
    #[must_use]
    pub fn new(address: SocketAddr, name: &str) -> Self {
        Self { address, name: name.to_owned(), login: None }
    }

    /// The same with a user name and password.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Self {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// The gate's address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same client in another repository.
    #[must_use]
    pub fn at(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// A request for `/v2/NAME/REST`.
    #[must_use]
    pub fn request(&self, method: &str, rest: &str) -> Request {
        self.absolute(method, &format!("/v2/{}/{rest}", self.name))
    }

    /// A request for a target as an answer named it.
    #[must_use]
    pub fn absolute(&self, method: &str, target: &str) -> Request {
        let request = Request::new(method, target);
        match &self.login {
            Some((user, password)) => request.header("Authorization", &format!("Basic {}", basic(user, password))),
            None => request,
        }
    }

    /// Sends it.
    #[must_use]
    pub fn send(&self, request: Request) -> Reply {
        request.send(self.address)
    }

    /// GET of `REST`.
    #[must_use]
    pub fn get(&self, rest: &str) -> Reply {
        self.send(self.request("GET", rest))
    }

    /// HEAD of `REST`.
    #[must_use]
    pub fn head(&self, rest: &str) -> Reply {
        self.send(self.request("HEAD", rest))
    }

    /// DELETE of `REST`.
    #[must_use]
    pub fn delete(&self, rest: &str) -> Reply {
        self.send(self.request("DELETE", rest))
    }

    /// Begins an upload; says where it goes on.
    #[must_use]
    pub fn begin(&self) -> String {
        let begun = self.send(self.request("POST", "blobs/uploads/")).expect(202);
        begun.header("location").expect("an upload location").to_owned()
    }

    /// Sends a chunk to where an upload goes on.
    #[must_use]
    pub fn patch(&self, location: &str, chunk: Chunk<'_>) -> Reply {
        let request = self.absolute("PATCH", location).header("Content-Type", "application/octet-stream");
        let request = if chunk.range.is_empty() { request } else { request.header("Content-Range", chunk.range) };
        self.send(request.body(chunk.bytes))
    }

    /// Ends an upload with these last bytes.
    #[must_use]
    pub fn finish(&self, location: &str, digest: &str, bytes: &[u8]) -> Reply {
        let join = if location.contains('?') { '&' } else { '?' };
        let request = self.absolute("PUT", &format!("{location}{join}digest={digest}"));
        self.send(request.header("Content-Type", "application/octet-stream").body(bytes))
    }

    /// A request to where an upload goes on.
    #[must_use]
    pub fn upload(&self, method: &str, location: &str) -> Reply {
        self.send(self.absolute(method, location))
    }

    /// Uploads a blob with POST, then PUT.
    #[must_use]
    pub fn blob(&self, digest: &str, bytes: &[u8]) -> Reply {
        self.finish(&self.begin(), digest, bytes)
    }

    /// Uploads a blob that must be taken.
    pub fn put_blob(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let _ = self.blob(&digest, bytes).expect(201);
        digest
    }

    /// Puts a manifest under a tag or digest.
    #[must_use]
    pub fn manifest(&self, reference: &str, manifest: &Content) -> Reply {
        let request = self.request("PUT", &format!("manifests/{reference}"));
        self.send(request.header("Content-Type", &manifest.media_type).body(&manifest.bytes))
    }

    /// Pushes an image.
    pub fn image(&self, reference: &str, image: &Image) {
        image.blobs().for_each(|blob| {
            let _ = self.blob(&blob.digest, &blob.bytes).expect(201);
        });
        let _ = self.manifest(reference, &image.manifest).expect(201);
    }

    /// Pushes an index and its images.
    pub fn index(&self, reference: &str, index: &Index) {
        index.images.iter().for_each(|image| self.image(image.digest(), image));
        let _ = self.manifest(reference, &index.manifest).expect(201);
    }

    /// Pushes a referrer with one layer; gives its manifest.
    pub fn referrer(&self, artifact_type: &str, subject: &Content, layer: &Content) -> Content {
        let manifest = referrer(artifact_type, subject, layer);
        self.put_blob(b"{}");
        let _ = self.blob(&layer.digest, &layer.bytes).expect(201);
        let put = self.manifest(&manifest.digest, &manifest).expect(201);
        assert_eq!(put.header("oci-subject"), Some(subject.digest.as_str()), "{put:?}");
        manifest
    }

    /// Pushes a signature as a referrer.
    #[must_use]
    pub fn signature(&self, signature: &Signature) -> Reply {
        self.put_blob(b"{}");
        let _ = self.blob(&signature.bundle.digest, &signature.bundle.bytes).expect(201);
        self.manifest(&signature.manifest.digest, &signature.manifest)
    }

    /// The digests that the referrers API lists for `subject`.
    #[must_use]
    pub fn referrers(&self, subject: &str) -> Vec<String> {
        let listing = self.get(&format!("referrers/{subject}")).expect(200).json();
        listing["manifests"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| entry["digest"].as_str().expect("a digest").to_owned())
            .collect()
    }
}

/// Adds the users [`CI`], [`OTHER`], [`SIGNER`] and [`READER`], and what each may do.
#[must_use]
pub fn with_users(setup: Setup) -> Setup {
    let hash = bcrypt::hash(PASSWORD, 5).expect("a hash");
    let users: String = [CI, OTHER, SIGNER, READER].iter().map(|name| format!("{name}:{hash}\n")).collect();
    let grant = |who: &str, repositories: &str, actions: &str| {
        format!("    - {{ who: {who}, repositories: [{repositories}], actions: [{actions}] }}\n")
    };
    let hosted = format!("\"{HOSTED}/**\"");
    let grants = [
        grant(CI, &hosted, "push, delete"),
        grant(OTHER, &hosted, "push"),
        grant(SIGNER, "\"**\"", "sign, delete"),
        grant(READER, "\"**\"", "pull"),
    ];
    setup.file("users", &users).line(&format!("auth:\n  htpasswd: users\n  grants:\n{}", grants.concat()))
}

/// A folder with a login for clients that read `config.json` (docker, crane, oras, cosign, sealgate) or `auth.json` (podman, skopeo).
#[must_use]
pub fn login(address: SocketAddr, user: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for a login");
    let login = json!({ "auths": { address.to_string(): { "auth": basic(user, PASSWORD) } } });
    for name in ["config.json", "auth.json"] {
        std::fs::write(folder.path().join(name), login.to_string()).expect("a login");
    }
    folder
}

/// A manifest about `subject` with an empty config and one layer.
#[must_use]
pub fn referrer(artifact_type: &str, subject: &Content, layer: &Content) -> Content {
    let manifest: Value = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": artifact_type,
        "config": { "mediaType": EMPTY, "digest": sha256(b"{}"), "size": 2 },
        "layers": [layer.descriptor()],
        "subject": subject.descriptor(),
        "annotations": { "org.example.name": artifact_type },
    });
    Content::json("application/vnd.oci.image.manifest.v1+json", &manifest)
}
