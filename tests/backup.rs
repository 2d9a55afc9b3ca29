//! Backups: made while the gate serves, proven before they count, and worth a gate whose upstream is gone.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sealgate_tests::clients::Client;
use sealgate_tests::gate::{Gate, LAB, Setup, binary, sealgate};
use sealgate_tests::hostile::Upstream;
use sealgate_tests::image::{Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::program::Outcome;
use sealgate_tests::pull::pull;
use sealgate_tests::push::{HOSTED, Pusher};
use sealgate_tests::scale;
use sealgate_tests::signature::Signer;
use tempfile::TempDir;

struct Scene {
    upstream: Upstream,
    gate: Gate,
    pulled: Image,
    hosted: Image,
    backups: TempDir,
}

impl Scene {
    /// A gate that admits what is signed, with an image that was pulled and one that was pushed.
    fn new() -> Self {
        let (upstream, signer) = (Upstream::start(), Signer::generate());
        let policy = format!(
            "version: 1\nsigners:\n  ci: {{ key: keys/ci.pub }}\nrules:\n\
             \x20 - images: [\"{LAB}/**\", \"{HOSTED}/**\"]\n    require: [ {{ signed-by: {{ any: [ci] }} }} ]\n"
        );
        let gate = Setup::new()
            .registry(LAB, &format!("{{ upstream: {}, default: true }}", upstream.url()))
            .registry(HOSTED, "{ hosted: true, push: anonymous }")
            .file("keys/ci.pub", &signer.public_pem())
            .policy(policy)
            .start();
        let [pulled, hosted] = [(); 2].map(|()| Image::build(Format::Oci, "amd64", &[20_000, 600_000]));
        upstream.push("team/app", "1", &pulled);
        upstream.put_signature("team/app", &signer.sign(&pulled.manifest));
        let pusher = Pusher::new(gate.address(), &format!("{HOSTED}/team/app"));
        pusher.image("1", &hosted);
        let _ = pusher.signature(&signer.sign(&hosted.manifest)).expect(201);
        let _ = pull(gate.address(), "team/app", "1").expect_whole();
        assert!(wait_until(Duration::from_secs(10), || gate.metric("sealgate_fetches_in_flight") == 0.0));
        Self { upstream, gate, pulled, hosted, backups: tempfile::tempdir().expect("a folder for backups") }
    }

    fn backup(&self, name: &str) -> PathBuf {
        let target = self.backups.path().join(name);
        let _ = self.gate.store("backup", [&target]).run().expect_success();
        target
    }

    /// Ends the gate and puts a restored store in place of its own.
    fn restore(&mut self, backup: &Path) {
        self.gate.kill();
        std::fs::remove_dir_all(self.data()).expect("the store");
        let _ = self.gate.store("restore", [backup]).run().expect_success();
        self.gate.start_again();
        self.gate.wait_ready();
    }

    fn data(&self) -> PathBuf {
        self.gate.folder().join("data")
    }

    /// What was there is served by a gate whose upstream is switched off.
    fn assert_served(&self) {
        let pulled = pull(self.gate.address(), "team/app", "1").expect_whole();
        assert_eq!(pulled.manifest.body, self.pulled.manifest.bytes);
        let hosted = Pusher::new(self.gate.address(), &format!("{HOSTED}/team/app"));
        assert_eq!(hosted.get("manifests/1").expect(200).body, self.hosted.manifest.bytes);
        for blob in self.hosted.blobs() {
            assert_eq!(hosted.get(&format!("blobs/{}", blob.digest)).expect(200).body, blob.bytes);
        }
    }
}

#[test]
fn a_restored_gate_serves_real_clients_with_its_upstream_switched_off() {
    let mut scene = Scene::new();
    for (round, target) in ["folder", "archive.tar"].into_iter().enumerate() {
        let backup = scene.backup(target);
        if round == 0 {
            scene.upstream.close();
        }
        scene.restore(&backup);
        scene.assert_served();
        for client in [Client::Crane, Client::Docker] {
            let address = scene.gate.address();
            assert_eq!(client.pull(&format!("{address}/{LAB}/team/app:1")).expect_digest(), scene.pulled.digest(), "{client:?} {target}");
            assert_eq!(
                client.pull(&format!("{address}/{HOSTED}/team/app:1")).expect_digest(),
                scene.hosted.digest(),
                "{client:?} {target}"
            );
        }
        assert!(scene.gate.log().contains("the index was rebuilt from the ledger"));
        let _ = scene.gate.store("check", [""; 0]).run().expect_success();
    }
}

#[test]
fn a_backup_under_load_is_consistent() {
    let mut scene = Scene::new();
    let (stop, address) = (Arc::new(AtomicBool::new(false)), scene.gate.address());
    let images: Vec<Image> = (0..60).map(|_| Image::build(Format::Oci, "amd64", &[50_000])).collect();
    let pushing = {
        let (stop, images) = (Arc::clone(&stop), images.clone());
        std::thread::spawn(move || {
            let pusher = Pusher::new(address, &format!("{HOSTED}/team/load"));
            for (number, image) in images.iter().enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return number;
                }
                pusher.image(&format!("t{number}"), image);
            }
            images.len()
        })
    };
    let backups: Vec<PathBuf> = (0..scale(3, 20)).map(|number| scene.backup(&format!("b{number}"))).collect();
    stop.store(true, Ordering::SeqCst);
    assert!(pushing.join().expect("no push failed") > 0);
    scene.upstream.close();
    for backup in backups {
        scene.restore(&backup);
        scene.assert_served();
        let checked = scene.gate.store("check", ["--output", "json"]).run().expect_success();
        let checked: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
        assert_eq!((&checked["ok"], &checked["index"]["differences"]), (&true.into(), &0.into()), "{checked}");
    }
}

#[test]
fn a_second_backup_copies_only_what_is_new() {
    let scene = Scene::new();
    let first = scene.backup("first");
    let made = |arguments: &[&str]| -> serde_json::Value {
        let made = scene.gate.store("backup", arguments).arg("--output").arg("json").run().expect_success();
        serde_json::from_str(&made.stdout).expect("JSON")
    };
    let base = first.to_str().expect("text");
    let second = scene.backups.path().join("second");
    let again = made(&["--base", base, second.to_str().expect("text")]);
    assert_eq!((&again["copied"], &again["linked"]), (&0.into(), &again["blobs"]));
    let image = Image::build(Format::Oci, "amd64", &[10_000]);
    Pusher::new(scene.gate.address(), &format!("{HOSTED}/team/app")).image("2", &image);
    let third = scene.backups.path().join("third");
    let more = made(&["--base", base, third.to_str().expect("text")]);
    assert_eq!((&more["copied"], &more["linked"]), (&3.into(), &again["blobs"]), "config, layer and manifest");
    // What has something in it is not written over.
    let refused = scene.gate.store("backup", [&first]).run().expect_failure();
    assert!(refused.stderr.contains("is not empty"), "{}", refused.text());
}

type Damage = fn(&Path);

fn some_file(folder: &Path) -> PathBuf {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    let first = entries.into_iter().next().expect("something");
    if first.is_dir() { some_file(&first) } else { first }
}

fn change(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file).expect("a file");
    change(&mut bytes);
    std::fs::write(file, bytes).expect("written");
}

const DAMAGES: [(&str, Damage); 8] = [
    ("a flipped bit in a blob", |backup| {
        change(&some_file(&backup.join("blobs")), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    }),
    ("a blob that is gone", |backup| std::fs::remove_file(some_file(&backup.join("blobs"))).expect("removed")),
    ("a blob that is cut", |backup| change(&some_file(&backup.join("blobs")), |bytes| bytes.truncate(bytes.len() / 2))),
    ("a flipped bit in the ledger", |backup| {
        change(&some_file(&backup.join("ledger")), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    }),
    ("a ledger without its last record", |backup| {
        change(&some_file(&backup.join("ledger")), |bytes| {
            bytes.pop();
            let end = bytes.iter().rposition(|byte| *byte == b'\n').expect("records");
            bytes.truncate(end + 1);
        });
    }),
    ("a list without its last line", |backup| {
        change(&backup.join("blobs.list"), |bytes| {
            bytes.pop();
            let end = bytes.iter().rposition(|byte| *byte == b'\n').expect("lines");
            bytes.truncate(end + 1);
        });
    }),
    ("no backup.json", |backup| std::fs::remove_file(backup.join("backup.json")).expect("removed")),
    ("a newer format", |backup| {
        let file = backup.join("backup.json");
        let text = std::fs::read_to_string(&file).expect("text");
        let newer = text.replace("\"format\": 1", "\"format\": 99");
        assert_ne!(text, newer);
        std::fs::write(&file, newer).expect("written");
    }),
];

// F23
#[test]
fn a_damaged_backup_is_refused_and_leaves_the_folder_empty() {
    let mut scene = Scene::new();
    scene.gate.kill();
    let whole = scene.backup("whole");
    std::fs::remove_dir_all(scene.data()).expect("removed");
    for (name, damage) in DAMAGES {
        let damaged = scene.backups.path().join("damaged");
        let copied = Command::new("cp").arg("-r").arg(&whole).arg(&damaged).status().expect("cp");
        assert!(copied.success());
        damage(&damaged);
        let refused = scene.gate.store("restore", [&damaged]).run().expect_failure();
        assert!(
            refused.stderr.contains("damaged") || refused.stderr.contains("no finished backup") || refused.stderr.contains("newer"),
            "{name}: {}",
            refused.text()
        );
        let left: Vec<String> = std::fs::read_dir(scene.data())
            .map(|entries| entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        assert!(left.iter().all(|name| name == "lock"), "{name}: {left:?}");
        std::fs::remove_dir_all(&damaged).expect("removed");
    }
    // The whole one still is.
    scene.gate.start_again();
    scene.gate.wait_ready();
    scene.restore(&whole);
    scene.upstream.close();
    scene.assert_served();
    let refused = scene.gate.store("restore", [&whole]).run().expect_failure();
    assert!(refused.stderr.contains("is not empty"), "{}", refused.text());
}

/// Runs a command beside the gate and kills it after a while; says whether it was still running.
fn kill_after(gate: &Gate, arguments: &[&Path], verb: &str, pause: Duration) -> bool {
    let mut command = Command::new(binary());
    command.args(["store", verb, "--config"]).arg(gate.folder().join("sealgate.yaml")).args(arguments).current_dir(gate.folder());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sealgate");
    std::thread::sleep(pause);
    let running = child.try_wait().expect("its state").is_none();
    let _ = child.kill();
    let _ = child.wait();
    running
}

// F21
#[test]
fn a_backup_and_a_restore_that_are_killed_are_none_and_go_on() {
    let mut scene = Scene::new();
    let images: Vec<Image> = (0..20).map(|_| Image::build(Format::Oci, "amd64", &[300_000])).collect();
    let pusher = Pusher::new(scene.gate.address(), &format!("{HOSTED}/team/more"));
    images.iter().enumerate().for_each(|(number, image)| pusher.image(&format!("t{number}"), image));
    let target = scene.backups.path().join("killed");
    let (mut killed, rounds) = (0, scale(6, 60));
    for round in 0..rounds {
        let running = kill_after(&scene.gate, &[&target], "backup", Duration::from_millis(20 + 23 * round as u64));
        if !running && target.join("backup.json").exists() {
            // It came to its end before the kill.
            std::fs::remove_dir_all(&target).expect("removed");
            continue;
        }
        killed += 1;
        let refused =
            scene.gate.store("restore", [&target]).env("SEALGATE_DATA", scene.backups.path().join("nowhere")).run().expect_failure();
        assert!(!scene.backups.path().join("nowhere/format").exists(), "{}", refused.text());
    }
    assert!(killed > 0, "no kill met a backup under way");
    if !target.join("backup.json").exists() {
        let _ = scene.gate.store("backup", [&target]).run().expect_success();
    }
    scene.gate.kill();
    std::fs::remove_dir_all(scene.data()).expect("the store");
    let mut met = 0;
    for round in 0..rounds {
        if kill_after(&scene.gate, &[&target], "restore", Duration::from_millis(10 + 17 * round as u64)) {
            met += 1;
            if scene.data().join("restoring").exists() {
                // A gate does not start on half a store.
                scene.gate.start_again();
                assert!(scene.gate.process().wait(Duration::from_secs(20)).is_some_and(|status| !status.success()));
                assert!(scene.gate.log().contains("unfinished restore"), "{}", scene.gate.log());
            }
        } else {
            std::fs::remove_dir_all(scene.data()).expect("removed");
        }
    }
    assert!(met > 0, "no kill met a restore under way");
    if !scene.data().join("format").exists() {
        let _ = scene.gate.store("restore", [&target]).run().expect_success();
    }
    scene.upstream.close();
    scene.gate.start_again();
    scene.gate.wait_ready();
    scene.assert_served();
    for (number, image) in images.iter().enumerate() {
        for blob in image.blobs() {
            let reply = Pusher::new(scene.gate.address(), &format!("{HOSTED}/team/more")).get(&format!("blobs/{}", blob.digest));
            // Not signed, so not served to strangers; the bytes are there.
            assert!(matches!(reply.status, 403 | 404), "{number}");
            let hex = blob.digest.trim_start_matches("sha256:");
            assert_eq!(std::fs::read(scene.data().join("blobs/sha256").join(&hex[..2]).join(hex)).expect("a blob"), blob.bytes);
        }
    }
}

// F19
#[test]
fn a_backup_onto_a_full_disk_fails_cleanly_and_goes_on_when_there_is_room() {
    let scene = Scene::new();
    let disk = scene.backups.path().join("disk");
    std::fs::create_dir(&disk).expect("a mount point");
    let mount = |options: &str| {
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&disk).status().expect("mount");
        assert!(status.success(), "mounting a tmpfs needs root");
    };
    mount("size=600k");
    let target = disk.join("backup");
    let failed = scene.gate.store("backup", [&target]).run().expect_failure();
    let refused = failed.stderr.contains("No space left") && !target.join("backup.json").exists();
    let nothing_half = !std::fs::read_dir(target.join("blobs/sha256"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten().any(|file| file.path().extension().is_some()));
    let _ = pull(scene.gate.address(), "team/app", "1").expect_whole();
    let grown = Command::new("mount").args(["-o", "remount,size=16m"]).arg(&disk).status().expect("mount");
    assert!(grown.success());
    let finished = scene.gate.store("backup", [&target]).run();
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    assert!(refused && nothing_half, "{}", failed.text());
    let _ = finished.expect_success();
}

#[test]
fn a_check_names_what_is_damaged() {
    let mut scene = Scene::new();
    let _ = scene.gate.store("check", [""; 0]).run().expect_success();
    scene.gate.kill();
    let blob = some_file(&scene.data().join("blobs"));
    change(&blob, |bytes| bytes[0] ^= 1);
    let checked = scene.gate.store("check", [""; 0]).run().expect_failure();
    let name = blob.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(checked.stdout.contains(&name) && checked.stdout.contains("DAMAGED"), "{}", checked.text());
    change(&blob, |bytes| bytes[0] ^= 1);
    let _ = scene.gate.store("check", [""; 0]).run().expect_success();
    change(&some_file(&scene.data().join("ledger")), |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    let checked = scene.gate.store("check", [""; 0]).run().expect_failure();
    assert!(checked.stdout.contains("ledger: DAMAGED"), "{}", checked.text());
}

fn ledger(gate: &Gate, arguments: &[&str]) -> Outcome {
    sealgate(["ledger"]).args(arguments).arg("--config").arg(gate.folder().join("sealgate.yaml")).folder(gate.folder()).run()
}

#[test]
fn a_pruned_ledger_serves_what_the_whole_one_did() {
    let mut scene = Scene::new();
    let refused = ledger(&scene.gate, &["prune"]).expect_failure();
    assert!(refused.stderr.contains("in use by another sealgate"), "{}", refused.text());
    let head = ledger(&scene.gate, &["verify"]).expect_success().stdout.trim().to_owned();
    let _ = ledger(&scene.gate, &["verify", "--head", &head]).expect_success();
    let rewritten = format!("{}:sha256:{}", head.split(':').next().expect("a number"), "0".repeat(64));
    assert!(ledger(&scene.gate, &["verify", "--head", &rewritten]).expect_failure().stderr.contains("history was rewritten"));
    scene.gate.term();
    assert!(scene.gate.process().wait(Duration::from_secs(30)).is_some());
    let stopped = ledger(&scene.gate, &["verify"]).expect_success().stdout.trim().to_owned();
    let pruned = ledger(&scene.gate, &["prune", "--output", "json"]).expect_success();
    let pruned: serde_json::Value = serde_json::from_str(&pruned.stdout).expect("JSON");
    let _ = ledger(&scene.gate, &["verify", "--head", &stopped]).expect_success();
    let now = ledger(&scene.gate, &["verify"]).expect_success().stdout.trim().to_owned();
    assert!(now.starts_with(&format!("{}:", pruned["head"]["position"]["seq"])), "{now}: {pruned}");
    scene.upstream.close();
    scene.gate.start_again();
    scene.gate.wait_ready();
    scene.assert_served();
    let _ = scene.gate.store("check", [""; 0]).run().expect_success();
    let backup = scene.backup("pruned");
    scene.restore(&backup);
    scene.assert_served();
}
