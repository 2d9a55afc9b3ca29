//! Every kind of data that the distribution-spec conformance suite pushes: taken in by digest and by tag, listed, served byte for byte,
//! listed as referrers, deleted. By everybody where everything is admitted, and by whoever pushed it where nothing is (DESIGN §6).

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::Content;
use sealgate_tests::layer::{fresh_bytes, gzip, tar};
use sealgate_tests::push::{CI, Chunk, EMPTY, HOSTED, PASSWORD, Pusher, with_users};
use sealgate_tests::sha256;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EXAMPLE: &str = "application/vnd.example.oci.conformance.v1";
const OTHER_EXAMPLE: &str = "application/vnd.example.oci.conformance.v2";

/// What is pushed, in this order.
#[derive(Default)]
struct Data {
    blobs: Vec<Content>,
    manifests: Vec<Content>,
    /// The last manifest's.
    tags: Vec<&'static str>,
    /// By SHA-512 throughout.
    sha512: bool,
}

impl Data {
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Content {
        let blob = self.named(Content::new(media_type, bytes));
        if !self.blobs.iter().any(|other| other.digest == blob.digest) {
            self.blobs.push(blob.clone());
        }
        blob
    }

    fn named(&self, content: Content) -> Content {
        if self.sha512 { content.by_sha512() } else { content }
    }

    fn manifest(&mut self, media_type: &str, document: &Value) -> Content {
        let manifest = self.named(Content::json(media_type, document));
        self.manifests.push(manifest.clone());
        manifest
    }

    /// An image with two layers, and what `more` adds to its manifest.
    fn image(&mut self, more: &Value) -> Content {
        let layers: Vec<Value> = (0..2)
            .map(|number| {
                let layer = gzip(&tar(&[(&format!("file-{number}"), &fresh_bytes(300))]));
                self.blob(LAYER, layer).descriptor()
            })
            .collect();
        let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [sha256(b"")] } });
        let config = self.blob(CONFIG, config.to_string().into_bytes());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": layers });
        self.manifest(MANIFEST, &with(manifest, more))
    }

    /// An artifact with one layer.
    fn artifact(&mut self, artifact_type: &str, more: &Value) -> Content {
        let (config, layer) = (self.blob(EMPTY, b"{}".to_vec()), self.blob(EXAMPLE, fresh_bytes(300)));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": artifact_type, "config": config.descriptor(), "layers": [layer.descriptor()],
        });
        self.manifest(MANIFEST, &with(manifest, more))
    }

    fn index(&mut self, children: &[Content], more: &Value) -> Content {
        let manifests: Vec<Value> = children.iter().map(Content::descriptor).collect();
        self.manifest(INDEX, &with(json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }), more))
    }

    fn tagged(mut self, tag: &'static str) -> Self {
        self.tags.push(tag);
        self
    }
}

fn with(mut document: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().expect("an object") {
        document[key] = value.clone();
    }
    document
}

fn data(make: impl FnOnce(&mut Data)) -> Data {
    let mut data = Data::default();
    make(&mut data);
    data
}

/// Each kind, with a name.
fn kinds() -> Vec<(&'static str, Data)> {
    let none = json!({});
    let annotations = |count: usize| (0..count).map(|n| (format!("large-annotation-{n}"), json!("A".repeat(10_000)))).collect::<Value>();
    vec![
        ("image", data(|data| drop(data.image(&none))).tagged("image")),
        ("large manifest", data(|data| drop(data.image(&json!({ "annotations": annotations(390) })))).tagged("large-manifest")),
        ("index", data(|data| {
            let children = [data.image(&none), data.image(&none)];
            data.index(&children, &none);
        }).tagged("index")),
        ("index of indexes", data(|data| {
            let children = [data.image(&none), data.image(&none)];
            let indexes = [data.index(&children[..1], &none), data.index(&children[1..], &none)];
            data.index(&indexes, &none);
        }).tagged("index-of-index")),
        ("empty index", data(|data| drop(data.index(&[], &none))).tagged("index")),
        ("artifact", data(|data| drop(data.artifact(EXAMPLE, &none))).tagged("artifact")),
        ("artifact index", data(|data| {
            let children = [data.artifact(EXAMPLE, &none), data.artifact(EXAMPLE, &none)];
            data.index(&children, &json!({ "artifactType": EXAMPLE }));
        }).tagged("artifact-index")),
        ("artifact without layers", data(|data| {
            let empty = data.blob(EMPTY, b"{}".to_vec()).descriptor();
            let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": EXAMPLE, "config": empty, "layers": [empty] });
            data.manifest(MANIFEST, &manifest);
        }).tagged("artifact-without-layers")),
        ("data field", data(|data| {
            let config = data.blob(EMPTY, b"{}".to_vec());
            let descriptor = with(config.descriptor(), &json!({ "data": "e30=" }));
            let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": EXAMPLE, "config": descriptor, "layers": [descriptor] });
            data.manifest(MANIFEST, &manifest);
        }).tagged("data-field")),
        ("custom fields", data(|data| {
            let child = data.image(&json!({ "org.example.custom": "1" }));
            data.index(&[child], &json!({ "org.example.custom": { "a": [1, 2] } }));
        }).tagged("custom-fields")),
        ("no layers", data(|data| drop(data.image(&json!({ "layers": [] })))).tagged("no-layers")),
        ("SHA-512", {
            let mut data = Data { sha512: true, ..Data::default() };
            let children = [data.image(&none), data.image(&none)];
            data.index(&children, &none);
            data
        }),
    ]
}

fn push(push: &Pusher, data: &Data, what: &str) {
    for blob in &data.blobs {
        let location = push.begin();
        let _ = push.patch(&location, Chunk { range: "", bytes: &blob.bytes }).expect(202);
        let put = push.finish(&location, &blob.digest, b"").expect(201);
        let location = put.header("location").expect("a location");
        assert_eq!(push.send(push.absolute("GET", location)).expect(200).body, blob.bytes, "{what}");
    }
    for manifest in &data.manifests {
        put(push, &manifest.digest, manifest, what);
    }
    for tag in &data.tags {
        put(push, tag, data.manifests.last().expect("a manifest"), what);
    }
}

fn put(push: &Pusher, reference: &str, manifest: &Content, what: &str) {
    let put = push.manifest(reference, manifest).expect(201);
    assert_eq!(put.header("docker-content-digest"), Some(manifest.digest.as_str()), "{what}");
    let named: Value = serde_json::from_slice(&manifest.bytes).expect("JSON");
    assert_eq!(put.header("oci-subject"), named["subject"]["digest"].as_str(), "{what}");
    let location = put.header("location").expect("a location");
    let get = push.send(push.absolute("GET", location)).expect(200);
    let length = manifest.bytes.len().to_string();
    assert_eq!((get.header("content-type"), get.header("content-length")), (Some(manifest.media_type.as_str()), Some(length.as_str())));
    assert_eq!(get.body, manifest.bytes, "{what}");
}

fn pull(push: &Pusher, data: &Data, what: &str) {
    let listed = push.get("tags/list");
    let listed = if listed.status == 404 { json!([]) } else { listed.expect(200).json()["tags"].clone() };
    for tag in &data.tags {
        assert!(listed.as_array().expect("tags").contains(&json!(tag)), "{what}: {listed}");
        assert_eq!(push.get(&format!("manifests/{tag}")).expect(200).body, data.manifests.last().expect("a manifest").bytes, "{what}");
    }
    let all = data.manifests.iter().map(|manifest| ("manifests", manifest)).chain(data.blobs.iter().map(|blob| ("blobs", blob)));
    for (kind, content) in all {
        let path = format!("{kind}/{}", content.digest);
        let head = push.head(&path).expect(200);
        assert_eq!(head.header("content-length"), Some(content.bytes.len().to_string().as_str()), "{what}: {path}");
        assert_eq!(head.header("docker-content-digest"), Some(content.digest.as_str()), "{what}: {path}");
        assert_eq!(push.get(&path).expect(200).body, content.bytes, "{what}: {path}");
    }
}

/// As the suite does: tags, then manifests from the last, then blobs; each is gone at once.
fn delete(push: &Pusher, data: &Data, what: &str) {
    let tags = data.tags.iter().map(|tag| format!("manifests/{tag}"));
    let manifests = data.manifests.iter().rev().map(|manifest| format!("manifests/{}", manifest.digest));
    let blobs = data.blobs.iter().map(|blob| format!("blobs/{}", blob.digest));
    for path in tags.chain(manifests).chain(blobs) {
        assert_eq!(push.delete(&path).status, 202, "{what}: {path}");
        assert_eq!((push.head(&path).status, push.delete(&path).status), (404, 404), "{what}: {path}");
    }
}

fn open() -> Gate {
    Setup::new()
        .registry(HOSTED, "{ hosted: true, push: anonymous, deletes: allowed }")
        .policy(format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n"))
        .start()
}

/// A gate that admits nothing, and whoever may push there.
fn closed() -> (Gate, Pusher) {
    let policy = format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ digests: [\"{}\"] ]\n", sha256(b"none"));
    let gate = with_users(Setup::new().registry(HOSTED, "{ hosted: true, deletes: allowed }").policy(policy)).start();
    let ci = Pusher::new(gate.address(), &format!("{HOSTED}/conformance/repo1")).login(CI, PASSWORD);
    (gate, ci)
}

#[test]
fn each_kind_of_data_is_pushed_listed_pulled_and_deleted_by_everybody() {
    let gate = open();
    let client = Pusher::new(gate.address(), &format!("{HOSTED}/conformance/repo1"));
    for (what, data) in kinds() {
        push(&client, &data, what);
        pull(&client, &data, what);
        delete(&client, &data, what);
    }
}

#[test]
fn each_kind_of_data_is_read_back_by_whoever_pushed_it_and_by_nobody_else() {
    let (gate, ci) = closed();
    let stranger = Pusher::new(gate.address(), &format!("{HOSTED}/conformance/repo1"));
    for (what, data) in kinds() {
        push(&ci, &data, what);
        pull(&ci, &data, what);
        for manifest in &data.manifests {
            assert_eq!(stranger.get(&format!("manifests/{}", manifest.digest)).status, 403, "{what}");
        }
        delete(&ci, &data, what);
    }
}

#[test]
fn referrers_of_images_indexes_and_of_nothing_are_listed_and_filtered() {
    let (gate, (_closed, ci)) = (open(), closed());
    for client in [Pusher::new(gate.address(), &format!("{HOSTED}/conformance/repo1")), ci] {
        for subject_comes in [true, false] {
            let mut all = Data::default();
            let subject = if subject_comes { all.image(&json!({})) } else { Content::new(MANIFEST, "missing content") };
            let about = json!({ "subject": subject.descriptor(), "annotations": { "org.opencontainers.conformance": "hello" } });
            let first = all.artifact(EXAMPLE, &about);
            let second = all.artifact(OTHER_EXAMPLE, &about);
            let third = all.image(&about);
            let child = all.artifact(EXAMPLE, &json!({}));
            let fourth = all.index(&[child], &with(about.clone(), &json!({ "artifactType": EXAMPLE })));
            push(&client, &all, "referrers");
            let listed = |filter: &str| {
                let listing = client.get(&format!("referrers/{}{filter}", subject.digest)).expect(200);
                assert_eq!(listing.header("content-type"), Some(INDEX));
                assert_eq!(listing.header("oci-filters-applied").is_some(), !filter.is_empty());
                let mut entries = listing.json()["manifests"].as_array().expect("a list").clone();
                entries.sort_by_key(|entry| entry["digest"].to_string());
                entries
            };
            let entry = |content: &Content, artifact_type: &str| {
                let mut entry = content.descriptor();
                entry["artifactType"] = json!(artifact_type);
                entry["annotations"] = about["annotations"].clone();
                entry
            };
            let sorted = |mut entries: Vec<Value>| {
                entries.sort_by_key(|entry| entry["digest"].to_string());
                entries
            };
            let (first, second) = (entry(&first, EXAMPLE), entry(&second, OTHER_EXAMPLE));
            let (third, fourth) = (entry(&third, CONFIG), entry(&fourth, EXAMPLE));
            assert_eq!(listed(""), sorted(vec![first.clone(), second.clone(), third.clone(), fourth.clone()]));
            assert_eq!(listed(&format!("?artifactType={EXAMPLE}")), sorted(vec![first, fourth]));
            assert_eq!(listed(&format!("?artifactType={OTHER_EXAMPLE}")), [second]);
            assert_eq!(listed(&format!("?artifactType={}", CONFIG.replace('+', "%2B"))), [third]);
            assert!(listed("?artifactType=application/none").is_empty());
            pull(&client, &all, "referrers");
            delete(&client, &all, "referrers");
            assert!(listed("").is_empty());
        }
    }
}

#[test]
fn an_image_with_foreign_layers_is_taken_in_and_served_to_nobody_but_its_pusher() {
    // B5. "Non-distributable" layers (image-spec 1.0) need not be there; nothing is fetched from where they are said to be.
    let foreign = |bytes: &[u8]| {
        let digest = sha256(bytes);
        json!({
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "digest": digest, "size": 123_456,
            "urls": [format!("https://store.example.com/blobs/{digest}")],
        })
    };
    let mut data = Data::default();
    let own = data.blob(LAYER, fresh_bytes(300)).descriptor();
    data.image(&json!({ "layers": [foreign(b"first"), own] }));
    let gate = open();
    let everybody = Pusher::new(gate.address(), &format!("{HOSTED}/conformance/repo1"));
    data.blobs.iter().for_each(|blob| drop(everybody.put_blob(&blob.bytes)));
    let _ = everybody.manifest("foreign", &data.manifests[0]).expect(201);
    let denied = everybody.get("manifests/foreign").expect(403);
    assert!(denied.reason.contains("`urls`"), "{}", denied.reason);
    let (_closed, ci) = closed();
    let data = data.tagged("non-distributable-image");
    push(&ci, &data, "foreign layers");
    pull(&ci, &data, "foreign layers");
    delete(&ci, &data, "foreign layers");
    // One that is not said to be elsewhere must be there.
    let mut data = Data::default();
    let mut missing = foreign(b"second");
    missing.as_object_mut().expect("an object").remove("urls");
    let manifest = data.image(&json!({ "layers": [missing] }));
    data.blobs.iter().for_each(|blob| drop(ci.put_blob(&blob.bytes)));
    assert_eq!(ci.manifest("missing", &manifest).expect(400).error().0, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn tags_in_the_query_name_a_manifest_that_is_pushed_by_digest() {
    let gate = open();
    let client = Pusher::new(gate.address(), &format!("{HOSTED}/conformance/repo1"));
    for sha512 in [false, true] {
        let mut data = Data { sha512, ..Data::default() };
        let image = data.image(&json!({}));
        push(&client, &data, "tags");
        let put = |query: &str| {
            let request = client.request("PUT", &format!("manifests/{}?{query}", image.digest));
            client.send(request.header("Content-Type", MANIFEST).body(&image.bytes))
        };
        let taken = put("tag=first&tag=second").expect(201);
        let tags: Vec<_> = taken.headers.iter().filter(|(name, _)| name == "oci-tag").map(|(_, value)| value.as_str()).collect();
        assert_eq!(tags, ["first", "second"]);
        for tag in ["first", "second"] {
            let head = client.head(&format!("manifests/{tag}")).expect(200);
            assert_eq!(head.header("docker-content-digest"), Some(image.digest.as_str()));
        }
        assert_eq!(put("tag=.hidden").expect(400).error().0, "TAG_INVALID");
        let many: Vec<String> = (0..17).map(|number| format!("tag=t{number}")).collect();
        assert_eq!(put(&many.join("&")).status, 414);
        assert_eq!(client.get("manifests/t0").status, 404);
    }
}

#[test]
fn a_manifest_of_another_digest_than_its_path_says_is_refused() {
    let (client, _gate) = {
        let gate = open();
        (Pusher::new(gate.address(), &format!("{HOSTED}/conformance/repo1")), gate)
    };
    for sha512 in [false, true] {
        let mut data = Data { sha512, ..Data::default() };
        let image = data.image(&json!({}));
        data.blobs.iter().for_each(|blob| {
            let _ = client.blob(&blob.digest, &blob.bytes).expect(201);
        });
        let other = Content { bytes: [&image.bytes[..], b"  "].concat().into(), ..image.clone() };
        assert_eq!(client.manifest(&image.digest, &other).expect(400).error().0, "DIGEST_INVALID");
        assert_eq!(client.get(&format!("manifests/{}", image.digest)).status, 404);
    }
}
