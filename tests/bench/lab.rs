//! What is pulled: signed images, laid out as files that nginx serves as a registry's answers.

use std::path::Path;

use sealgate_tests::authority::{Authority, Certificate};
use sealgate_tests::gate::{LAB, Setup, sealgate};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::layer::{fresh_bytes, tar};
use sealgate_tests::registry::Registry;
use sealgate_tests::wire;
use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::nginx::Upstream;
use crate::plan::Plan;
use crate::server::Target;

/// The repository of the image with a small and a large layer.
pub const WARM: &str = "bench/warm";
/// The repository of the image with eight layers.
pub const COLD: &str = "bench/cold";

/// Bytes that repeat in a layer, with a number between them.
const BLOCK: usize = 1024 * 1024;

/// Everything that the sections share.
pub struct Lab {
    /// How much.
    pub plan: Plan,
    /// The image with a small and a large layer.
    pub warm: Image,
    /// The image with eight layers.
    pub cold: Image,
    /// The files.
    pub tree: Tree,
    /// Serves them, and counts.
    pub upstream: Upstream,
    /// Signs server certificates.
    pub authority: Authority,
    public_key: String,
}

/// Answers of a registry as files.
pub struct Tree {
    folder: TempDir,
    /// Manifests whose type or digest their path does not say.
    special: Vec<(String, Content)>,
}

impl Lab {
    /// Builds and signs the images, and starts the upstream.
    pub fn prepare(plan: Plan) -> Self {
        let warm = image(&[plan.small, plan.large]);
        let cold = image(&plan.layers);
        let keys = tempfile::tempdir().expect("a folder for keys");
        let _ = sealgate(["generate-key-pair", "--output-key-prefix"]).arg(keys.path().join("ci")).run().expect_success();
        let public_key = std::fs::read_to_string(keys.path().join("ci.pub")).expect("the public key");
        let origin = Registry::start();
        let mut tree = Tree::new();
        for (repository, image) in [(WARM, &warm), (COLD, &cold)] {
            origin.push(repository, "1", image);
            let reference = origin.reference(&format!("{repository}@{}", image.digest()));
            let key = keys.path().join("ci.key");
            let _ = sealgate(["sign", "--yes", "--key"]).arg(key).arg(reference).run().expect_success();
            tree.add(repository, "1", image);
            tree.add_signature(repository, image, &origin);
        }
        let upstream = Upstream::start(&tree);
        Self { plan, warm, cold, tree, upstream, authority: Authority::new(), public_key }
    }

    /// A gate that admits what was signed.
    pub fn gate(&self, slow: bool) -> Setup {
        // No tag and no evidence comes of age while the run lasts: what is asked for upstream then is a mistake.
        Setup::new()
            .registry(LAB, &format!("{{ upstream: {}, tag-ttl: 24h }}", self.upstream.url(slow)))
            .line("evidence: { ttl: 24h }")
            .signed_by(&self.public_key)
    }

    /// Fetches the warm image once.
    pub fn warm_up(&self, target: &Target) {
        let mut client = Client::connect(target.address);
        let head = client.head(&target.path(WARM, "manifests/1"));
        assert_eq!(head.digest.as_deref(), Some(self.warm.digest()), "{}: the tag", target.name);
        let manifest = client.get(&target.path(WARM, &format!("manifests/{}", self.warm.digest())));
        assert_eq!(manifest, self.warm.manifest.bytes, "{}: the manifest", target.name);
        for blob in self.warm.blobs() {
            let received = client.drain(&target.path(WARM, &format!("blobs/{}", blob.digest)));
            assert_eq!(received, blob.bytes.len() as u64, "{}: {}", target.name, blob.digest);
        }
        let small = &self.warm.layers[0];
        assert_eq!(client.get(&target.path(WARM, &format!("blobs/{}", small.digest))), small.bytes, "{}", target.name);
    }

    /// A certificate for loopback.
    pub fn certificate(&self) -> Certificate {
        self.authority.issue(&["127.0.0.1"])
    }
}

/// An image with one uncompressed layer of about each size. The debug build that this is makes no gigabyte of random bytes quickly.
fn image(sizes: &[usize]) -> Image {
    let block = fresh_bytes(sizes.iter().copied().max().unwrap_or_default().min(BLOCK));
    let layer = |(number, size): (usize, &usize)| {
        let mut content = Vec::with_capacity(size + BLOCK);
        while content.len() < *size {
            content.extend_from_slice(&(number as u64).to_le_bytes());
            content.extend_from_slice(&(content.len() as u64).to_le_bytes());
            content.extend_from_slice(&block);
        }
        content.truncate(*size);
        Content::new("application/vnd.oci.image.layer.v1.tar", tar(&[(&format!("layer-{number}"), &content)]))
    };
    let layers: Vec<Content> = sizes.iter().enumerate().map(layer).collect();
    let digests: Vec<&String> = layers.iter().map(|layer| &layer.digest).collect();
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": digests } });
    let config = Content::json("application/vnd.oci.image.config.v1+json", &config);
    let descriptors: Vec<_> = layers.iter().map(Content::descriptor).collect();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": config.descriptor(), "layers": descriptors });
    Image { manifest: Content::json(media_type, &manifest), config, layers, architecture: "amd64".to_owned() }
}

impl Tree {
    /// Without a file.
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// Without a file, in a folder below this one.
    pub fn below(parent: &Path) -> Self {
        Self { folder: tempfile::tempdir_in(parent).expect("a folder for the upstream"), special: Vec::new() }
    }

    /// Where it is; the files are below `www`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Manifests whose type or digest their path does not say.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, &Content)> {
        self.special.iter().map(|(path, manifest)| (path.as_str(), manifest))
    }

    /// Adds an image under a tag and its digest.
    pub fn add(&mut self, repository: &str, tag: &str, image: &Image) {
        image.blobs().for_each(|blob| self.put(repository, "blobs", &blob.digest, &blob.bytes));
        self.put(repository, "manifests", image.digest(), &image.manifest.bytes);
        self.add_special(repository, tag, &image.manifest);
    }

    fn add_special(&mut self, repository: &str, reference: &str, manifest: &Content) {
        self.put(repository, "manifests", reference, &manifest.bytes);
        self.special.push((format!("/v2/{repository}/manifests/{reference}"), manifest.clone()));
    }

    /// What was signed about an image lies under the fallback tag (OCI Distribution 1.1, "Referrers Tag Schema").
    fn add_signature(&mut self, repository: &str, image: &Image, origin: &Registry) {
        let get = |kind: &str, reference: &str| wire::get(origin.address(), &format!("/v2/{repository}/{kind}/{reference}")).expect(200);
        let tag = image.digest().replace(':', "-");
        let index = get("manifests", &tag);
        let media_type = |reply: &wire::Reply| reply.header("content-type").unwrap_or_default().to_owned();
        self.add_special(repository, &tag, &Content::new(&media_type(&index), index.body.clone()));
        let text = |value: &serde_json::Value| value["digest"].as_str().expect("a digest").to_owned();
        for listed in index.json()["manifests"].as_array().expect("a list") {
            let manifest = get("manifests", &text(listed));
            let document = manifest.json();
            for blob in document["layers"].as_array().into_iter().flatten().chain([&document["config"]]) {
                let digest = text(blob);
                self.put(repository, "blobs", &digest, &get("blobs", &digest).body);
            }
            self.add_special(repository, &text(listed), &Content::new(&media_type(&manifest), manifest.body.clone()));
        }
    }

    /// Adds one answer.
    pub fn put(&self, repository: &str, kind: &str, reference: &str, bytes: &[u8]) {
        let folder = self.folder().join(format!("www/v2/{repository}/{kind}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(reference), bytes).expect("a file");
    }
}
