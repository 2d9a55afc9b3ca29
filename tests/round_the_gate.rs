//! Ways round the gate: evidence that is really an image, digests of other repositories, names that mean two things.

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Referrers, Upstream};
use sealgate_tests::image::{Content, Image};
use sealgate_tests::layer::{gzip, tar};
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, Request};
use serde_json::{Value, json};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const REPOSITORY: &str = "team/app";

/// A gate before an upstream that has one signed image.
struct Scene {
    upstream: Upstream,
    signer: Signer,
    gate: Gate,
    signed: Image,
}

impl Scene {
    fn start() -> Self {
        let (upstream, signer, signed) = (Upstream::start(), Signer::generate(), Image::small());
        upstream.push(REPOSITORY, "1", &signed);
        upstream.put_signature(REPOSITORY, &signer.sign(&signed.manifest));
        let gate = Setup::new().lab_without_memory(&upstream.url()).signed_by(&signer.public_pem()).start();
        Self { upstream, signer, gate, signed }
    }

    /// An artifact that refers to the signed image.
    fn referrer(&self, layer: &Content) -> Content {
        let config = Content::new("application/vnd.oci.empty.v1+json", "{}");
        [&config, layer].iter().for_each(|blob| self.upstream.put_blob(REPOSITORY, blob));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": BUNDLE,
            "config": config.descriptor(), "layers": [layer.descriptor()], "subject": self.signed.manifest.descriptor(),
        });
        Content::json(OCI_MANIFEST, &manifest)
    }

    fn get(&self, rest: &str) -> wire::Reply {
        wire::get(self.gate.address(), &Gate::target(REPOSITORY, rest))
    }

    /// `smuggled` cannot be had by its digest, nor under any tag that evidence may have, nor `blobs` of it.
    fn assert_kept_in(&self, what: &str, smuggled: &Content, blobs: &[&Content]) {
        let stem = self.signed.digest().replace(':', "-");
        self.upstream.put_manifest(REPOSITORY, smuggled);
        let mut names = vec![smuggled.digest.clone()];
        for suffix in ["", ".sig", ".att", ".sbom"] {
            self.upstream.put_tag(REPOSITORY, &format!("{stem}{suffix}"), &smuggled.digest);
            names.push(format!("{stem}{suffix}"));
        }
        let _ = self.get("manifests/1").expect(200);
        for name in names {
            for method in ["GET", "HEAD"] {
                let target = Gate::target(REPOSITORY, &format!("manifests/{name}"));
                let reply = Request::new(method, &target).header("If-None-Match", "*").send(self.gate.address());
                assert!(matches!(reply.status, 403 | 404 | 502), "{what}: {method} {name} is {}", reply.status);
            }
        }
        for blob in blobs {
            for method in ["GET", "HEAD"] {
                let target = Gate::target(REPOSITORY, &format!("blobs/{}", blob.digest));
                let reply = Request::new(method, &target).header("Range", "bytes=0-0").send(self.gate.address());
                assert!(matches!(reply.status, 403 | 404), "{what}: {method} of a blob is {}", reply.status);
            }
        }
        let listing = self.get(&format!("referrers/{}", self.signed.digest())).expect(200).json();
        let listed = listing["manifests"].as_array().expect("a list").iter().any(|entry| entry["digest"] == *smuggled.digest);
        assert!(!listed, "{what} is listed as evidence");
    }
}

/// JSON whose first 512 bytes a tar reader takes for a header, its checksum right: the rest is the file.
fn json_that_is_tar() -> Vec<u8> {
    let mut header = vec![b'x'; 512];
    header[..6].copy_from_slice(b"{\"a\":\"");
    header[100..148].copy_from_slice(b"0000755 0000000 0000000 00000001000 14722510000 ");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:07o} ").as_bytes());
    header.extend([b'y'; 510]);
    header.extend(b"\"}");
    header
}

#[test]
fn an_image_labelled_as_evidence_stays_in() {
    let scene = Scene::start();
    let archive = tar(&[("bin/sh", b"#!/bin/sh\n")]);
    for (what, media_type, bytes) in [
        ("a tar called a bundle", BUNDLE, archive.clone()),
        ("a gzip called a bundle", BUNDLE, gzip(&archive)),
        ("a gzip called a signature", SIMPLE_SIGNING, gzip(&archive)),
        ("a zstd frame called COSE", "application/cose", vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0]),
        ("JSON that is a tar", BUNDLE, json_that_is_tar()),
        ("JSON that is a tar, called an SBOM", "application/spdx+json", json_that_is_tar()),
        ("a layer called JSON", "application/json", gzip(&archive)),
        ("a layer without a type", "", gzip(&archive)),
        ("a bundle type with a suffix", "application/vnd.dev.sigstore.bundle.v0.3+json+gzip", gzip(&archive)),
        ("JSON called a layer", "application/vnd.oci.image.layer.v1.tar", b"{\"a\":1}".to_vec()),
        ("a tar behind a JSON object", BUNDLE, [b"{}".as_slice(), &archive].concat()),
        ("UTF-16", BUNDLE, vec![0xff, 0xfe, b'{', 0, b'}', 0]),
        ("a byte order mark", BUNDLE, b"\xef\xbb\xbf{}".to_vec()),
    ] {
        let layer = Content::new(media_type, bytes);
        scene.assert_kept_in(what, &scene.referrer(&layer), &[&layer]);
    }
}

#[test]
fn an_image_that_calls_itself_a_referrer_stays_in() {
    let scene = Scene::start();
    // The image itself, with a subject.
    let image = Image::small();
    image.blobs().for_each(|blob| scene.upstream.put_blob(REPOSITORY, blob));
    let mut manifest: Value = serde_json::from_slice(&image.manifest.bytes).expect("a manifest");
    manifest["subject"] = scene.signed.manifest.descriptor();
    manifest["artifactType"] = json!(BUNDLE);
    let blobs: Vec<&Content> = image.blobs().collect();
    scene.assert_kept_in("an image with a subject", &Content::json(OCI_MANIFEST, &manifest), &blobs);
    // An index of images, and one that mixes an image with genuine evidence.
    scene.upstream.put_manifest(REPOSITORY, &image.manifest);
    let genuine = scene.signer.sign(&scene.signed.manifest).manifest;
    scene.upstream.put_manifest(REPOSITORY, &genuine);
    for (what, children) in [("an index", vec![&image.manifest]), ("a mixed index", vec![&genuine, &image.manifest])] {
        let children: Vec<Value> = children.into_iter().map(Content::descriptor).collect();
        let index = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX, "artifactType": BUNDLE,
            "manifests": children, "subject": scene.signed.manifest.descriptor(),
        });
        scene.assert_kept_in(what, &Content::json(OCI_INDEX, &index), &blobs);
    }
    // An image whose config is evidence and whose layer is hidden behind a second, harmless one.
    let layer = Content::new("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&tar(&[("a", b"b")])));
    let harmless = Content::new(BUNDLE, "{\"a\":1}");
    [&layer, &harmless].iter().for_each(|blob| scene.upstream.put_blob(REPOSITORY, blob));
    let config = Content::new(OCI_CONFIG, "{}");
    scene.upstream.put_blob(REPOSITORY, &config);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config.descriptor(),
        "layers": [harmless.descriptor(), layer.descriptor()], "subject": scene.signed.manifest.descriptor(),
    });
    scene.assert_kept_in("a layer behind evidence", &Content::json(OCI_MANIFEST, &manifest), &[&layer]);
}

#[test]
fn evidence_of_an_image_that_is_not_admitted_stays_in() {
    let scene = Scene::start();
    let (unsigned, other) = (Image::small(), Signer::generate());
    scene.upstream.push(REPOSITORY, "unsigned", &unsigned);
    let signature = other.sign(&unsigned.manifest);
    scene.upstream.put_signature(REPOSITORY, &signature);
    let tag = unsigned.digest().replace(':', "-");
    scene.upstream.put_manifest(REPOSITORY, &signature.listing());
    scene.upstream.put_tag(REPOSITORY, &tag, &signature.listing().digest);
    for rest in [
        format!("manifests/{}", signature.manifest.digest),
        format!("manifests/{tag}"),
        format!("blobs/{}", signature.bundle.digest),
        format!("referrers/{}", unsigned.digest()),
    ] {
        let reply = scene.get(&rest);
        assert!(matches!(reply.status, 403 | 404), "{rest}: {}", reply.status);
    }
    // Absent evidence of an admitted image is 404, and its listing is there.
    let tag = scene.signed.digest().replace(':', "-");
    let _ = scene.get(&format!("manifests/{tag}.sig")).expect(404);
    let listing = scene.get(&format!("referrers/{}", scene.signed.digest())).expect(200).json();
    assert_eq!(listing["manifests"].as_array().map(Vec::len), Some(1));
    scene.upstream.set_referrers(Referrers::Missing);
    let plain = Image::small();
    scene.upstream.push(REPOSITORY, "plain", &plain);
    let allowed = Setup::new().lab(&scene.upstream.url()).allow_all().start();
    let empty = wire::get(allowed.address(), &Gate::target(REPOSITORY, &format!("referrers/{}", plain.digest()))).expect(200);
    assert_eq!(empty.json()["manifests"], json!([]));
}

// C10: a policy without a rule for it, one without rules, and none at all.
#[test]
fn what_no_rule_speaks_of_is_refused_and_nobody_is_asked() {
    let (upstream, image) = (Upstream::start(), Image::small());
    upstream.push(REPOSITORY, "1", &image);
    let rules = |rules: &str| Setup::new().lab(&upstream.url()).policy(format!("version: 1\n{rules}"));
    for setup in [
        Setup::new().lab(&upstream.url()),
        rules("rules: []\n"),
        rules("mode: audit\nrules: []\n"),
        rules("rules:\n  - images: [\"lab.example/team/app/*\", \"lab.example/team\"]\n    require: [ allow ]\n"),
    ] {
        let gate = setup.start();
        for rest in [
            "manifests/1".to_owned(),
            format!("manifests/{}", image.digest()),
            "tags/list".to_owned(),
            format!("referrers/{}", image.digest()),
            format!("blobs/{}", image.layers[0].digest),
        ] {
            for method in ["GET", "HEAD"] {
                let reply = Request::new(method, &Gate::target(REPOSITORY, &rest)).header("If-None-Match", "*").send(gate.address());
                // A blob that nothing lists is unknown, whatever the rules.
                assert!(reply.status == 403 || (reply.status == 404 && rest.starts_with("blobs/")), "{method} {rest}: {}", reply.status);
            }
        }
    }
    assert_eq!(upstream.seen().len(), 0);
}
