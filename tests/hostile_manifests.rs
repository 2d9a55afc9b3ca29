//! Manifests that two readers could read differently, or that say something else than they are. The rule admits everything, so that
//! only the manifest decides.

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Rule, Upstream};
use sealgate_tests::image::{Content, Format, Image, Index};
use sealgate_tests::wire;
use serde_json::{Value, json};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// How many blobs the gate keeps.
fn kept(gate: &Gate) -> usize {
    fn files(folder: &std::path::Path) -> usize {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
    }
    files(&gate.folder().join("data/blobs"))
}

struct Scene {
    upstream: Upstream,
    gate: Gate,
    image: Image,
}

impl Scene {
    fn start() -> Self {
        let (upstream, image) = (Upstream::start(), Image::small());
        image.blobs().for_each(|blob| upstream.put_blob("team/app", blob));
        let gate = Setup::new().lab_without_memory(&upstream.url()).allow_all().start();
        Self { upstream, gate, image }
    }

    /// The image's manifest as text, with `more` (members, each with a comma before it) at its end.
    fn with(&self, more: &str) -> String {
        let text = String::from_utf8_lossy(&self.image.manifest.bytes).into_owned();
        format!("{}{more}}}", text.strip_suffix('}').expect("an object"))
    }

    /// The image's manifest with one descriptor's member replaced by `raw` JSON.
    fn layer_with(&self, member: &str, raw: &str) -> String {
        let mut manifest: Value = serde_json::from_slice(&self.image.manifest.bytes).expect("a manifest");
        manifest["layers"][0][member] = json!("replace me");
        manifest.to_string().replace("\"replace me\"", raw)
    }

    /// `bytes` as `content_type` are refused by tag and by digest, twice (so nothing was kept), and open no blob.
    fn assert_refused(&self, what: &str, content_type: &str, bytes: &[u8]) {
        let content = Content::new(content_type, bytes.to_vec());
        self.upstream.put_manifest("team/app", &content);
        self.upstream.put_tag("team/app", "bad", &content.digest);
        for name in ["bad", &content.digest, "bad", &content.digest] {
            let target = Gate::target("team/app", &format!("manifests/{name}"));
            let (get, head) = (wire::get(self.gate.address(), &target), wire::head(self.gate.address(), &target));
            let text = get.text();
            assert_eq!((get.status, head.status), (502, 502), "{what}: {name}: {text}");
            assert_eq!((&get.error().1, &head.reason), (&get.reason, &get.reason), "{what}");
            assert!(text.len() < 2_000, "{what}: {} bytes of error", text.len());
        }
        for blob in self.image.blobs() {
            let _ = wire::get(self.gate.address(), &Gate::target("team/app", &format!("blobs/{}", blob.digest))).expect(404);
        }
        assert_eq!(kept(&self.gate), 0, "{what}: something was kept");
    }

    /// All still works, and nothing broke on the way.
    fn assert_alive(&self) {
        self.upstream.push("team/app", "good", &self.image);
        let _ = wire::get(self.gate.address(), &Gate::target("team/app", "manifests/good")).expect(200);
        for blob in self.image.blobs() {
            let reply = wire::get(self.gate.address(), &Gate::target("team/app", &format!("blobs/{}", blob.digest))).expect(200);
            assert_eq!(reply.body, blob.bytes);
        }
        assert!(!self.gate.log().contains("panicked"), "{}", self.gate.log());
    }
}

// A1, V27: image and index in one document, and the spellings that Go's decoder takes for them.
#[test]
fn a_manifest_that_is_image_and_index_is_refused() {
    let scene = Scene::start();
    let child = Image::small().manifest.descriptor();
    for more in [
        format!(",\"manifests\":[{child}]"),
        ",\"manifests\":[]".to_owned(),
        ",\"manifests\":null".to_owned(),
        format!(",\"Manifests\":[{child}]"),
        format!(",\"manife\u{17f}ts\":[{child}]"),
        format!(",\"\\u006danifests\":[{child}]"),
        ",\"fsLayers\":[]".to_owned(),
        ",\"signatures\":[]".to_owned(),
        ",\"history\":[]".to_owned(),
        ",\"blobs\":[]".to_owned(),
    ] {
        for content_type in [OCI_MANIFEST, OCI_INDEX] {
            scene.assert_refused(&more, content_type, scene.with(&more).as_bytes());
        }
    }
    let layers = scene.image.layers[0].descriptor();
    for more in [format!("\"layers\":[{layers}]"), format!("\"config\":{layers}"), format!("\"Layers\":[{layers}]")] {
        let text = format!("{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{child}],{more}}}");
        scene.assert_refused(&more, OCI_INDEX, text.as_bytes());
    }
    scene.assert_alive();
}

// A2
#[test]
fn a_media_type_that_differs_from_the_content_type_is_refused() {
    let scene = Scene::start();
    let image = scene.image.manifest.bytes.clone();
    for content_type in [OCI_INDEX, DOCKER_MANIFEST, SCHEMA_1, "application/json", "text/html", "text/plain", "application/octet-stream"] {
        scene.assert_refused(content_type, content_type, &image);
    }
    let index = Index::of(Format::Oci, vec![scene.image.clone()]).manifest.bytes;
    scene.assert_refused("an index as an image", OCI_MANIFEST, &index);
    let untyped = |text: &str, media_type: &str| text.replacen(&format!("\"mediaType\":\"{media_type}\","), "", 1);
    let text = String::from_utf8_lossy(&image).into_owned();
    scene.assert_refused("an untyped image as an index", OCI_INDEX, untyped(&text, OCI_MANIFEST).as_bytes());
    scene.assert_refused("an untyped image as docker's", DOCKER_MANIFEST, untyped(&text, OCI_MANIFEST).as_bytes());
    scene.assert_alive();
}

// A2: the header flips between HEAD and GET, and between two GETs; what is served says what its bytes say.
#[test]
fn a_content_type_that_flips_never_reaches_a_client() {
    let upstream = Upstream::start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let gate = Setup::new().lab_without_memory(&upstream.url()).allow_all().start();
    let target = Gate::target("team/app", "manifests/1");
    upstream.rule(Rule::on("HEAD", "/manifests/").times(2).fault(Fault::Header("content-type", OCI_INDEX.to_owned())));
    upstream.rule(Rule::on("GET", "/manifests/").times(1).fault(Fault::Header("content-type", OCI_INDEX.to_owned())));
    let _ = wire::get(gate.address(), &target).expect(502);
    for _ in 0..3 {
        let reply = wire::get(gate.address(), &target).expect(200);
        assert_eq!((reply.header("content-type"), &*reply.body), (Some(OCI_MANIFEST), &*image.manifest.bytes));
    }
}

// A9: JSON that parsers disagree on.
#[test]
fn a_manifest_that_parsers_disagree_on_is_refused() {
    let scene = Scene::start();
    let text = String::from_utf8_lossy(&scene.image.manifest.bytes).into_owned();
    let other = Image::small();
    let layers = format!(",\"layers\":[{}]", other.layers[0].descriptor());
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bytes = |text: &str| text.as_bytes().to_vec();
    for (what, body) in [
        ("deep", bytes(&scene.with(&format!(",\"x\":{}{}", "[".repeat(10_000), "]".repeat(10_000))))),
        ("deep and open", bytes(&format!("{{\"x\":{}", "[".repeat(100_000)))),
        ("deep objects", bytes(&scene.with(&format!(",\"x\":{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000))))),
        ("a key twice", bytes(&scene.with(&layers))),
        ("a key twice in another case", bytes(&scene.with(&layers.replace("layers", "LAYERS")))),
        ("a key twice by escape", bytes(&scene.with(&layers.replace("layers", "l\\u0061yers")))),
        ("an unknown key twice", bytes(&scene.with(",\"x\":1,\"x\":2"))),
        ("a second document", bytes(&format!("{text}{text}"))),
        ("a trailing NUL", bytes(&format!("{text}\0"))),
        ("trailing text", bytes(&format!("{text}x"))),
        ("a byte order mark", bytes(&format!("\u{feff}{text}"))),
        ("UTF-16", utf16),
        ("broken UTF-8", [text.as_bytes(), b" \xff"].concat()),
        ("broken UTF-8 in a string", scene.with(",\"x\":\"\u{1}\"").into_bytes().iter().map(|b| if *b == 1 { 0xc0 } else { *b }).collect()),
        ("half a surrogate pair", bytes(&scene.with(",\"x\":\"\\ud800\""))),
        ("a raw control character", bytes(&scene.with(",\"x\":\"\n\""))),
        ("a comment", bytes(&scene.with("/* */"))),
        ("a trailing comma", bytes(&scene.with(","))),
        ("not a number", bytes(&scene.with(",\"x\":NaN"))),
        ("an array", bytes(&format!("[{text}]"))),
        ("null", bytes("null")),
        ("nothing", vec![]),
        ("a string", bytes(&json!(text).to_string())),
        ("HTML", bytes("<html>portal</html>")),
        ("schema 1", bytes("{\"schemaVersion\":1,\"name\":\"a\",\"tag\":\"1\",\"fsLayers\":[],\"history\":[],\"signatures\":[]}")),
        ("schema 1 with layers", bytes(&text.replace("\"schemaVersion\":2", "\"schemaVersion\":1"))),
        ("a version in quotes", bytes(&text.replace("\"schemaVersion\":2", "\"schemaVersion\":\"2\""))),
        ("no version", bytes(&text.replace("\"schemaVersion\":2", "\"x\":2"))),
    ] {
        scene.assert_refused(what, OCI_MANIFEST, &body);
    }
    scene.assert_refused("schema 1 by its own type", SCHEMA_1, text.replace("\"schemaVersion\":2", "\"schemaVersion\":1").as_bytes());
    scene.assert_alive();
}

// A6, A13, V28: descriptors whose digest or size is none.
#[test]
fn a_descriptor_that_describes_nothing_is_refused() {
    let scene = Scene::start();
    let hex = scene.image.layers[0].digest.strip_prefix("sha256:").expect("hex").to_owned();
    for raw in ["-1", "1.5", "1e400", "\"12\"", "9223372036854775808", "18446744073709551616", "1099511627777", "null", "[]", "true"] {
        scene.assert_refused(&format!("size {raw}"), OCI_MANIFEST, scene.layer_with("size", raw).as_bytes());
    }
    for raw in [
        "\"sha256:../../../../etc/passwd\"".to_owned(),
        format!("\"SHA256:{hex}\""),
        format!("\"sha256:{}\"", hex.to_uppercase()),
        format!("\"sha256:{}\"", &hex[1..]),
        format!("\"sha256:{hex}0\""),
        format!("\"md5:{}\"", &hex[..32]),
        format!("\"sha256:{hex}\\u0000\""),
        format!("\" sha256:{hex}\""),
        format!("\"{hex}\""),
        "\"\"".to_owned(),
        "null".to_owned(),
        "12".to_owned(),
    ] {
        scene.assert_refused(&format!("digest {raw}"), OCI_MANIFEST, scene.layer_with("digest", &raw).as_bytes());
    }
    scene.assert_refused("embedded data", OCI_MANIFEST, scene.layer_with("data", "\"aGVsbG8=\"").as_bytes());
    scene.assert_alive();
}

// A13: a blob is served with the size that its manifest gives, or not at all.
#[test]
fn a_layer_of_another_size_than_its_descriptor_says_reaches_nobody() {
    let (upstream, gate) = {
        let upstream = Upstream::start();
        let gate = Setup::new().lab_without_memory(&upstream.url()).allow_all().start();
        (upstream, gate)
    };
    let image = Image::small();
    let layer = &image.layers[1];
    let size = layer.bytes.len();
    for (number, wrong) in [0, 1, size - 1, size + 1, size * 1000].into_iter().enumerate() {
        let repository = format!("team/size-{number}");
        let mut manifest: Value = serde_json::from_slice(&image.manifest.bytes).expect("a manifest");
        manifest["layers"][1]["size"] = json!(wrong);
        let manifest = Content::json(OCI_MANIFEST, &manifest);
        image.blobs().for_each(|blob| upstream.put_blob(&repository, blob));
        upstream.put_manifest(&repository, &manifest);
        let target = |rest: String| Gate::target(&repository, &rest);
        let _ = wire::get(gate.address(), &target(format!("manifests/{}", manifest.digest))).expect(200);
        for faults in [vec![], vec![Fault::WithoutHeader("content-length")]] {
            upstream.behave();
            upstream.rule(faults.into_iter().fold(Rule::on("GET", "/blobs/"), Rule::fault));
            let reply = wire::get(gate.address(), &target(format!("blobs/{}", layer.digest)));
            let arrived = reply.status == 200 && reply.complete;
            assert!(!arrived, "{wrong} bytes of {size}: a whole layer of {} bytes", reply.body.len());
        }
        upstream.behave();
    }
}
