//! Images from one store to another: exported as OCI layouts that other tools read, imported and decided on again. And images that are
//! looked at before anybody pulls them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sealgate_tests::clients::Client;
use sealgate_tests::gate::{Gate, LAB, Setup};
use sealgate_tests::hostile::{Fault, Rule, Upstream};
use sealgate_tests::image::{Content, Format, Image, Index};
use sealgate_tests::process::wait_until;
use sealgate_tests::program::Program;
use sealgate_tests::pull::pull;
use sealgate_tests::push::{HOSTED, Pusher};
use sealgate_tests::signature::Signer;
use serde_json::Value;
use tempfile::TempDir;

const APP: &str = "team/app";

/// A gate that admits from both registries what `signer` signed.
fn gate(upstream: &Upstream, signer: &Signer, more: &str) -> Gate {
    Setup::new()
        .registry(LAB, &format!("{{ upstream: {}, default: true }}", upstream.url()))
        .registry(HOSTED, "{ hosted: true, push: anonymous, immutable-tags: [\"v*\"] }")
        .line(more)
        .file("keys/ci.pub", &signer.public_pem())
        .policy(format!(
            "version: 1\nsigners:\n  ci: {{ key: keys/ci.pub }}\nrules:\n\
             \x20 - images: [\"{LAB}/**\", \"{HOSTED}/**\"]\n    require: [ {{ signed-by: {{ any: [ci] }} }} ]\n"
        ))
        .start()
}

struct Scene {
    upstream: Upstream,
    signer: Signer,
    gate: Gate,
    index: Index,
    layouts: TempDir,
}

impl Scene {
    /// A gate that has fetched a signed index of two platforms.
    fn new() -> Self {
        let (upstream, signer, index) = (Upstream::start(), Signer::generate(), Index::small());
        upstream.push_index(APP, "1", &index);
        upstream.put_signature(APP, &signer.sign(&index.manifest));
        let gate = gate(&upstream, &signer, "");
        let scene = Self { upstream, signer, gate, index, layouts: tempfile::tempdir().expect("a folder") };
        let fetched = prefetch(&scene.gate, &[&format!("{LAB}/{APP}:1")]).expect_success();
        assert!(fetched.stdout.contains("admitted; 3 manifests, 4 blobs"), "{}", fetched.text());
        scene
    }

    fn export(&self, image: &str, name: &str) -> PathBuf {
        let layout = self.layouts.path().join(name);
        let _ = self.gate.store("export", [image, "--to"]).arg(&layout).run().expect_success();
        layout
    }

    /// Another gate, whose upstream is switched off.
    fn offline(&self, signer: &Signer) -> Gate {
        let mut upstream = Upstream::start();
        let gate = gate(&upstream, signer, "");
        upstream.close();
        gate
    }
}

fn prefetch(gate: &Gate, arguments: &[&str]) -> sealgate_tests::program::Outcome {
    gate.command("prefetch", arguments).run()
}

fn import(gate: &Gate, layout: &Path, more: &[&str]) -> sealgate_tests::program::Outcome {
    gate.store("import", [layout]).args(more).run()
}

fn serves(gate: &Gate, repository: &str, index: &Index) {
    let address = gate.address();
    for (client, platform) in [(Client::Crane, "linux/amd64"), (Client::Docker, "linux/amd64"), (Client::Skopeo, "linux/arm64")] {
        let pulled = client.pull_platform(&format!("{address}/{repository}@{}", index.digest()), Some(platform));
        let image = &index.images[usize::from(platform.ends_with("arm64"))];
        let digest = pulled.expect_digest();
        assert!(digest == index.digest() || digest == image.digest(), "{client:?}: {digest}");
    }
}

#[test]
fn an_image_that_was_moved_is_served_by_a_gate_whose_upstream_is_switched_off() {
    let scene = Scene::new();
    for (target, to) in [("layout", None), ("archive.tar", None), ("layout2", Some(format!("{HOSTED}/{APP}")))] {
        let layout = scene.export(&format!("{LAB}/{APP}:1"), target);
        let gate = scene.offline(&scene.signer);
        let repository = to.clone().unwrap_or_else(|| format!("{LAB}/{APP}"));
        let more: Vec<&str> = to.as_deref().map_or_else(Vec::new, |to| vec!["--to", to]);
        let imported = import(&gate, &layout, &more).expect_success();
        assert!(imported.stdout.contains(&format!("{repository}:1@{}: admitted", scene.index.digest())), "{}", imported.text());
        assert!(imported.stderr.contains("1 manifests of evidence"), "{}", imported.text());
        serves(&gate, &repository, &scene.index);
        // The evidence came along, byte-exact.
        let pusher = Pusher::new(gate.address(), &repository);
        let signature = scene.signer.sign(&scene.index.manifest);
        assert_eq!(pusher.referrers(scene.index.digest()).len(), 1, "{}", signature.manifest.media_type);
        let _ = gate.store("check", [""; 0]).run().expect_success();
    }
}

// The admin's word does not replace the policy's.
#[test]
fn what_is_imported_is_decided_on_again() {
    let scene = Scene::new();
    let layout = scene.export(&format!("{LAB}/{APP}:1"), "layout");
    let distrustful = scene.offline(&Signer::generate());
    for to in [format!("{LAB}/{APP}"), format!("{HOSTED}/{APP}")] {
        let imported = import(&distrustful, &layout, &["--to", &to]);
        assert_eq!(imported.code, Some(22), "{}", imported.text());
        assert!(imported.stdout.contains("DENIED"), "{}", imported.text());
        let pusher = Pusher::new(distrustful.address(), &to);
        for rest in ["manifests/1".to_owned(), format!("manifests/{}", scene.index.digest())] {
            assert_eq!(pusher.get(&rest).status, 403, "{to} {rest}");
        }
        for image in &scene.index.images {
            assert!(matches!(pusher.get(&format!("blobs/{}", image.layers[0].digest)).status, 403 | 404), "{to}");
        }
    }
    // No rule matches: nothing is even looked at.
    let elsewhere = import(&distrustful, &layout, &["--to", "quay.io/team/app"]);
    assert_eq!(elsewhere.code, Some(2), "{}", elsewhere.text());
}

#[test]
fn a_stopped_store_imports_and_exports_as_a_running_one_does() {
    let mut scene = Scene::new();
    scene.gate.kill();
    let layout = scene.export(&format!("{LAB}/{APP}:1"), "stopped.tar");
    let mut gate = scene.offline(&scene.signer);
    gate.kill();
    let imported = import(&gate, &layout, &[]).expect_success();
    assert!(imported.stdout.contains("admitted"), "{}", imported.text());
    gate.start_again();
    gate.wait_ready();
    serves(&gate, &format!("{LAB}/{APP}"), &scene.index);
}

fn index_json(layout: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(layout.join("index.json")).expect("index.json")).expect("JSON")
}

// Other tools read what was exported: with its evidence.
#[test]
fn an_exported_layout_is_one_that_skopeo_and_oras_read() {
    let scene = Scene::new();
    let layout = scene.export(&format!("{LAB}/{APP}:1"), "layout");
    let entries = index_json(&layout)["manifests"].as_array().expect("a list").clone();
    let tags: Vec<&str> = entries.iter().filter_map(|entry| entry["annotations"]["org.opencontainers.image.ref.name"].as_str()).collect();
    let fallback = scene.index.digest().replace(':', "-");
    assert!(tags.contains(&"1") && tags.contains(&fallback.as_str()), "{tags:?}");
    let text = layout.to_str().expect("text");
    let copied = scene.layouts.path().join("copied");
    let skopeo = Program::new("skopeo").args(["copy", "--all", &format!("oci:{text}:1")]).arg(format!("oci:{}:1", copied.display())).run();
    let _ = skopeo.expect_success();
    assert_eq!(index_json(&copied)["manifests"][0]["digest"], scene.index.digest());
    let discovered =
        Program::new("oras").args(["discover", "--oci-layout", &format!("{text}:1"), "--format", "json"]).run().expect_success();
    let signature = scene.signer.sign(&scene.index.manifest);
    assert!(discovered.stdout.contains(&signature.bundle.media_type), "{}", discovered.text());
    // Every blob of it is what its name says.
    for file in std::fs::read_dir(layout.join("blobs/sha256")).expect("blobs") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(sealgate_tests::sha256(&std::fs::read(&path).expect("a blob")), format!("sha256:{name}"));
    }
}

#[test]
fn a_damaged_or_incomplete_layout_is_refused() {
    let scene = Scene::new();
    let whole = scene.export(&format!("{LAB}/{APP}:1"), "whole");
    let layer = scene.index.images[0].layers[0].digest.trim_start_matches("sha256:").to_owned();
    let gate = scene.offline(&scene.signer);
    let damaged = copy(&whole, &scene.layouts.path().join("damaged"));
    let file = damaged.join("blobs/sha256").join(&layer);
    let mut bytes = std::fs::read(&file).expect("a layer");
    bytes[10] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let refused = import(&gate, &damaged, &[]).expect_failure();
    assert!(refused.stderr.contains("damaged") && refused.stderr.contains(&layer), "{}", refused.text());
    let incomplete = copy(&whole, &scene.layouts.path().join("incomplete"));
    std::fs::remove_file(incomplete.join("blobs/sha256").join(&layer)).expect("removed");
    let refused = import(&gate, &incomplete, &[]).expect_failure();
    assert!(refused.stderr.contains("did not come with it"), "{}", refused.text());
    let none = scene.layouts.path().join("none");
    std::fs::create_dir(&none).expect("a folder");
    assert!(import(&gate, &none, &[]).expect_failure().stderr.contains("OCI image layout"));
    // None of it is served, and an immutable tag stays where it is.
    assert_ne!(Pusher::new(gate.address(), &format!("{LAB}/{APP}")).get(&format!("manifests/{}", scene.index.digest())).status, 200);
    let other = Image::small();
    Pusher::new(gate.address(), &format!("{HOSTED}/{APP}")).image("v1", &other);
    let renamed = copy(&whole, &scene.layouts.path().join("renamed"));
    let index = std::fs::read_to_string(renamed.join("index.json"))
        .expect("text")
        .replace("\"org.opencontainers.image.ref.name\": \"1\"", "\"org.opencontainers.image.ref.name\": \"v1\"");
    std::fs::write(renamed.join("index.json"), index).expect("written");
    let refused = import(&gate, &renamed, &["--to", &format!("{HOSTED}/{APP}")]).expect_failure();
    assert!(refused.stderr.contains("immutable"), "{}", refused.text());
}

fn copy(from: &Path, to: &Path) -> PathBuf {
    assert!(std::process::Command::new("cp").arg("-r").args([from, to]).status().expect("cp").success());
    to.to_owned()
}

// F21: what a killed import brought is garbage or whole, and a second import ends it.
#[test]
fn an_import_that_is_killed_is_none_or_whole() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let image = Image::build(Format::Oci, "amd64", &[400_000, 400_000, 400_000]);
    upstream.push(APP, "1", &image);
    upstream.put_signature(APP, &signer.sign(&image.manifest));
    let source = gate(&upstream, &signer, "");
    let _ = prefetch(&source, &[&format!("{LAB}/{APP}:1")]).expect_success();
    let layouts = tempfile::tempdir().expect("a folder");
    let layout = layouts.path().join("layout");
    let _ = source.store("export", [&format!("{LAB}/{APP}:1"), "--to"]).arg(&layout).run().expect_success();
    let mut away = Upstream::start();
    let mut gate = gate(&away, &signer, "");
    away.close();
    for round in 0..sealgate_tests::scale(6, 100) {
        let to = format!("{HOSTED}/team/app{round}");
        let program = gate.store("import", [&layout]).args(["--to", &to]);
        let importing = std::thread::spawn(move || program.run());
        std::thread::sleep(Duration::from_millis(10 + (round as u64 * 29) % 150));
        gate.kill();
        let outcome = importing.join().expect("an answer or none");
        gate.restart();
        let served = Pusher::new(gate.address(), &to).get("manifests/1");
        assert!(served.status == 200 || !outcome.succeeded(), "round {round}: {}", served.text());
        if served.status == 200 {
            assert_eq!(served.body, image.manifest.bytes);
        }
        let _ = gate.store("check", [""; 0]).run().expect_success();
        let _ = import(&gate, &layout, &["--to", &to]).expect_success();
        for blob in image.blobs() {
            assert_eq!(Pusher::new(gate.address(), &to).get(&format!("blobs/{}", blob.digest)).expect(200).body, blob.bytes);
        }
    }
}

#[test]
fn a_prefetch_brings_everything_once_and_says_what_is_denied() {
    let scene = Scene::new();
    let unsigned = Image::small();
    scene.upstream.push(APP, "unsigned", &unsigned);
    scene.upstream.forget();
    let file = scene.layouts.path().join("images.txt");
    std::fs::write(&file, format!("# two\n{LAB}/{APP}:1\n\n{LAB}/{APP}:unsigned\n{LAB}/{APP}:absent\n")).expect("written");
    let fetched = prefetch(&scene.gate, &["--output", "json", "--file", file.to_str().expect("text")]);
    assert_eq!(fetched.code, Some(22), "{}", fetched.text());
    let lines: Vec<Value> = fetched.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let outcomes: Vec<&str> = lines.iter().map(|line| line["verdict"]["outcome"].as_str().expect("an outcome")).collect();
    assert_eq!(outcomes, ["admitted", "denied", "unknown"]);
    assert_eq!(scene.upstream.count("GET", "/blobs/"), 0, "all of it was there");
    // The upstream is switched off, and a pull finds everything.
    scene.upstream.rule(Rule::any("/v2/").fault(Fault::Status(500)));
    serves(&scene.gate, &format!("{LAB}/{APP}"), &scene.index);
    let one = Index::small();
    scene.upstream.behave();
    scene.upstream.push_index("team/one", "1", &one);
    scene.upstream.put_signature("team/one", &scene.signer.sign(&one.manifest));
    let fetched = prefetch(&scene.gate, &["--platform", "linux/arm64", &format!("{LAB}/team/one:1")]).expect_success();
    assert!(fetched.stdout.contains("2 manifests, 2 blobs"), "{}", fetched.text());
    assert_eq!(scene.upstream.count("GET", &one.images[0].layers[0].digest), 0);
}

#[test]
fn what_is_watched_is_decided_on_before_anybody_pulls() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let [watched, busy] = [(); 2].map(|()| Image::small());
    for (tag, image) in [("1", &watched), ("2", &busy)] {
        upstream.push(APP, tag, image);
        upstream.put_signature(APP, &signer.sign(&image.manifest));
    }
    // One of them is rate limited at first: it is asked for again when the upstream allows, and not sooner.
    upstream.rule(Rule::any("/manifests/2").fault(Fault::Status(429)).fault(Fault::Header("retry-after", "12".to_owned())).times(1));
    let gate = gate(
        &upstream,
        &signer,
        &format!("watch: {{ images: [\"{LAB}/{APP}:1\", \"{LAB}/{APP}:2\"], every: 1m, fetch: true, at-once: 1 }}"),
    );
    assert!(
        wait_until(Duration::from_secs(60), || gate.metric("sealgate_watch_looks_total{outcome=\"admitted\"}") >= 1.0),
        "{}",
        gate.log()
    );
    assert_eq!(gate.metric("sealgate_watched_images"), 2.0);
    assert!(
        wait_until(Duration::from_secs(60), || gate.metric("sealgate_watch_looks_total{outcome=\"admitted\"}") >= 2.0),
        "{}",
        gate.log()
    );
    assert!(gate.metric("sealgate_watch_looks_total{outcome=\"failed\"}") >= 1.0);
    assert!(wait_until(Duration::from_secs(10), || gate.metric("sealgate_fetches_in_flight") == 0.0));
    upstream.rule_first(Rule::any("/v2/").fault(Fault::Status(500)));
    let _ = pull(gate.address(), APP, "1").expect_whole();
    let _ = pull(gate.address(), APP, "2").expect_whole();
}

/// Evidence that is none by its bytes does not come in beside an upstream's image.
#[test]
fn an_image_that_poses_as_evidence_is_not_imported_beside_an_upstreams() {
    let scene = Scene::new();
    let layout = scene.export(&format!("{LAB}/{APP}:1"), "layout");
    let posing = Image::small();
    let mut manifest: Value = serde_json::from_slice(&posing.manifest.bytes).expect("JSON");
    manifest["subject"] = scene.index.manifest.descriptor();
    let manifest = Content::json(&posing.manifest.media_type, &manifest);
    for blob in posing.blobs().chain([&manifest]) {
        std::fs::write(layout.join("blobs").join(blob.digest.replace(':', "/")), &blob.bytes).expect("written");
    }
    let mut index = index_json(&layout);
    let mut entry = manifest.descriptor();
    entry["annotations"] = serde_json::json!({ "io.containerd.image.name": format!("{LAB}/{APP}@{}", manifest.digest) });
    index["manifests"].as_array_mut().expect("a list").push(entry);
    std::fs::write(layout.join("index.json"), index.to_string()).expect("written");
    let gate = scene.offline(&scene.signer);
    let imported = import(&gate, &layout, &[]).expect_failure();
    assert!(imported.stderr.contains("no evidence by its bytes"), "{}", imported.text());
    assert!(imported.stdout.contains("admitted"), "the image itself came in: {}", imported.text());
    assert_ne!(Pusher::new(gate.address(), &format!("{LAB}/{APP}")).get(&format!("manifests/{}", manifest.digest)).status, 200);
}
