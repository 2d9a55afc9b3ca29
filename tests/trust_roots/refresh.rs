//! What a refresh changes, and what it does not.

use super::*;

#[test]
fn a_refreshed_root_counts_at_the_next_pull_and_so_does_the_end_of_an_authority() {
    let (scene, other) = (Scene::new(), Sigstore::new());
    let mut author = Author::new(other.trusted_root().to_string().as_bytes());
    let repository = Repository::start(&author.files());
    let gate = scene.setup(&author, &repository, "refresh: never").start();
    // Nothing was fetched yet: a gap, and nothing about the image.
    let reply = pull(&gate);
    assert_eq!((reply.status, reply.error().0.as_str()), (403, "DENIED"));
    assert!(reply.text().contains("trust root lab") && reply.text().contains("has not been fetched yet"), "{}", reply.text());
    // Another instance's root.
    assert_eq!(update(&gate).0, 0);
    let reply = pull(&gate);
    assert!(reply.status == 403 && reply.text().contains("does not hold under trust root lab"), "{}", reply.text());
    // The instance's own: decided anew, though nothing else has changed.
    author.replace(&scene.root());
    repository.publish(&author.files());
    assert_eq!(update(&gate).0, 0);
    assert_eq!(pull(&gate).expect(200).header("docker-content-digest"), Some(scene.image.digest()));
    // Its authority is removed, and its keys are replaced on the way.
    let mut root = scene.sigstore.trusted_root();
    root["certificateAuthorities"] = other.trusted_root()["certificateAuthorities"].clone();
    author.rotate(Author::new_root_keys);
    author.rotate(|author| Author::new_key(&mut author.targets));
    author.replace(root.to_string().as_bytes());
    repository.publish(&author.files());
    let (code, status) = update(&gate);
    assert_eq!((code, status["tuf-root-version"].as_u64()), (0, Some(3)));
    assert_eq!(pull(&gate).status, 403);
    assert!(gate.metric("sealgate_trust_root_refreshed_timestamp_seconds{root=\"lab\"}") > 1e9);
    assert_eq!(gate.metric("sealgate_trust_root_refresh_failures_total{root=\"lab\"}"), 0.0);
}

#[test]
fn a_verdict_in_memory_is_made_anew_under_another_root_out_of_what_was_collected() {
    let scene = Scene::new();
    let other = Sigstore::new().trusted_root().to_string().into_bytes();
    let mut author = Author::new(&other);
    let repository = Repository::start(&author.files());
    // The product's own lifetimes: an admission would count for an hour, a denial for half a minute.
    let gate = scene.setup_on(Setup::new().lab(&scene.upstream.url()), &author, &repository, "refresh: never").start();
    assert_eq!(update(&gate).0, 0);
    assert_eq!(pull(&gate).status, 403);
    author.replace(&scene.root());
    repository.publish(&author.files());
    scene.upstream.forget();
    assert_eq!(update(&gate).0, 0);
    admitted(&gate);
    assert_eq!(scene.upstream.seen().len(), 0, "the upstream was asked again");
    // A refresh that brings nothing new decides nothing anew: the admission stays, and its decision is the same.
    let made = gate.metric("sealgate_decisions_total{outcome=\"admit\"");
    assert_eq!(update(&gate).0, 0);
    admitted(&gate);
    assert_eq!(gate.metric("sealgate_decisions_total{outcome=\"admit\""), made);
    author.replace(&other);
    repository.publish(&author.files());
    assert_eq!(update(&gate).0, 0);
    assert_eq!(pull(&gate).status, 403);
}

#[test]
fn a_refresh_that_fails_changes_no_decision_not_even_after_a_restart() {
    let scene = Scene::new();
    let mut honest = Author::new(&scene.root());
    honest.advance();
    type Attack = fn(&mut Author);
    let attacks: [(&str, Attack); 7] = [
        ("timestamp metadata of version 1, older", |author| author.timestamp.version = 1),
        ("snapshot metadata of version 1, older", |author| {
            author.timestamp.version += 1;
            author.snapshot.version -= 1;
        }),
        ("targets.json of version 1, older", |author| {
            author.advance();
            author.targets.version -= 2;
        }),
        ("timestamp metadata expired", |author| {
            author.advance();
            author.timestamp.expires = OVER;
        }),
        ("root metadata expired", |author| author.rotate(|author| author.root.expires = OVER)),
        ("signed by 0 of the keys that count, expected 2", |author| {
            author.root.version += 1;
            author.new_root_keys();
            author.issue_root();
        }),
        ("trusted root", |author| author.replace(b"{}")),
    ];
    for (problem, attack) in attacks {
        let repository = Repository::start(&honest.files());
        let mut gate = scene.setup(&honest, &repository, "refresh: never").start();
        assert_eq!(update(&gate).0, 0);
        let mut author = honest.clone();
        attack(&mut author);
        repository.publish(&author.files());
        for _ in 0..2 {
            refused(&gate, problem);
            admitted(&gate);
            assert_eq!(gate.metric("sealgate_trust_root_refresh_failures_total{root=\"lab\"}"), 1.0, "since the start");
            gate.restart();
            admitted(&gate);
        }
        // A repository that is gone is no more than that.
        drop(repository);
        let (code, status) = update(&gate);
        assert_eq!((code, status["unreachable"].as_bool()), (75, Some(true)), "{status}");
        admitted(&gate);
    }
}

#[test]
fn bytes_that_are_not_signed_for_are_refused_and_no_more_is_read_than_may_be() {
    let scene = Scene::new();
    let author = Author::new(&scene.root());
    for (file, fault) in [
        ("/timestamp.json", Fault::FlipByte(40)),
        ("/1.snapshot.json", Fault::FlipByte(40)),
        ("/1.targets.json", Fault::FlipByte(40)),
        (".trusted_root.json", Fault::FlipByte(40)),
        ("/2.root.json", Fault::Body("{}".into())),
        ("/timestamp.json", Fault::Endless(vec![b' '; 4096].into())),
        ("/1.snapshot.json", Fault::Endless(vec![b' '; 4096].into())),
        (".trusted_root.json", Fault::Endless(vec![b' '; 4096].into())),
        ("/2.root.json", Fault::Endless(vec![b' '; 4096].into())),
    ] {
        let repository = Repository::start(&author.files());
        let gate = scene.setup(&author, &repository, "refresh: never").start();
        // The published answer with a fault, or an answer where there should be none.
        let body = author.files().into_iter().find(|(path, _)| format!("/{path}").ends_with(file)).map(|(_, bytes)| bytes);
        let rule = Rule::on("GET", file).fault(Fault::Status(200));
        let rule = match (&fault, body) {
            (Fault::FlipByte(_), Some(bytes)) => {
                rule.fault(Fault::Header("content-length", bytes.len().to_string())).fault(Fault::Body(flipped(bytes).into()))
            }
            (Fault::Body(bytes), _) => rule.fault(Fault::Header("content-length", bytes.len().to_string())).fault(fault.clone()),
            (_, _) => rule.fault(fault.clone()),
        };
        repository.server.rule_first(rule);
        let (code, status) = update(&gate);
        assert_ne!(code, 0, "{file}, {fault:?}: {status}");
        assert!(status["refreshed-at"].is_null());
        assert_eq!(pull(&gate).status, 403);
        assert!(gate.rss_kib() < 128 * 1024, "{} KiB", gate.rss_kib());
        repository.publish(&author.files());
        assert_eq!(update(&gate).0, 0);
        admitted(&gate);
    }
}

fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[test]
fn a_kill_in_the_middle_of_a_refresh_leaves_the_last_good_root_and_every_version_that_was_seen() {
    let scene = Scene::new();
    let other = Sigstore::new().trusted_root().to_string().into_bytes();
    for held in ["/2.root.json", "/3.root.json", "/timestamp.json", "/2.snapshot.json", "/2.targets.json", ".trusted_root.json"] {
        let mut author = Author::new(&scene.root());
        let repository = Repository::start(&author.files());
        let mut gate = scene.setup(&author, &repository, "refresh: never").start();
        assert_eq!(update(&gate).0, 0);
        let before = author.clone();
        author.rotate(Author::new_root_keys);
        author.replace(&other);
        repository.publish(&author.files());
        let latch = Latch::closed();
        repository.server.rule_first(Rule::on("GET", held).fault(Fault::Hold(latch.clone())));
        repository.server.forget();
        let refreshing = command(&gate, "update");
        let refreshing = std::thread::spawn(move || refreshing.run());
        assert!(wait_until(PATIENCE, || repository.server.count("GET", held) == 1), "{held} was not asked for");
        gate.kill();
        latch.open();
        assert!(!refreshing.join().expect("a command").succeeded());
        gate.restart();
        admitted(&gate);
        // A timestamp that was taken in before the kill counts behind it.
        repository.publish(&before.files());
        let (code, status) = update(&gate);
        if matches!(held, "/2.root.json" | "/3.root.json" | "/timestamp.json") {
            assert_eq!(code, 0, "{held}: {status}");
        } else {
            assert!(code == 1 && status["problem"].as_str().is_some_and(|problem| problem.contains("older than")), "{held}: {status}");
        }
        admitted(&gate);
        repository.publish(&author.files());
        assert_eq!(update(&gate).0, 0, "{held}");
        assert_eq!(pull(&gate).status, 403, "{held}: the new root is in force");
    }
}

#[test]
fn a_root_that_grew_too_old_verifies_nothing_until_it_is_refreshed() {
    let scene = Scene::new();
    let author = Author::new(&scene.root());
    let repository = Repository::start(&author.files());
    let mut gate = scene.setup(&author, &repository, "refresh: never, max-age: 30d").start();
    assert_eq!(update(&gate).0, 0);
    admitted(&gate);
    // As if the last refresh had been long ago.
    gate.kill();
    let file = gate.folder().join("data/trust-roots/lab.json");
    let text = std::fs::read_to_string(&file).expect("what is kept");
    let mut kept: Value = serde_json::from_str(text.split_once('\n').expect("two lines").1).expect("JSON");
    kept["refreshed_at"] = (kept["refreshed_at"].as_i64().expect("a time") - 31 * 86_400).into();
    let json = kept.to_string();
    let hash = sealgate_tests::sha256(json.as_bytes());
    std::fs::write(&file, format!("{}\n{json}", hash.trim_start_matches("sha256:"))).expect("written");
    gate.restart();
    let reply = pull(&gate);
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("trust root lab stale") && reply.text().contains("over 30d ago"), "{}", reply.text());
    // A failure is no refresh.
    repository.server.behave();
    assert_ne!(update(&gate).0, 0);
    assert_eq!(pull(&gate).status, 403);
    repository.publish(&author.files());
    assert_eq!(update(&gate).0, 0);
    admitted(&gate);
}

#[test]
fn a_damaged_file_of_what_was_trusted_admits_nothing() {
    let scene = Scene::new();
    let author = Author::new(&scene.root());
    let repository = Repository::start(&author.files());
    let mut gate = scene.setup(&author, &repository, "refresh: never").start();
    assert_eq!(update(&gate).0, 0);
    let file = gate.folder().join("data/trust-roots/lab.json");
    let good = std::fs::read(&file).expect("what is kept");
    for damage in [Vec::new(), good[..good.len() / 2].to_vec(), flipped(good.clone()), vec![0xff; 64]] {
        std::fs::write(&file, &damage).expect("written");
        gate.restart();
        assert_eq!(pull(&gate).status, 403);
        assert!(file.with_extension("json.damaged").is_file() && !file.is_file());
        assert_eq!(update(&gate).0, 0);
        admitted(&gate);
    }
    // A half-written new file is not looked at.
    std::fs::write(file.with_extension("json.new"), b"half").expect("written");
    gate.restart();
    admitted(&gate);
}

#[test]
fn roots_that_signers_need_are_refreshed_in_the_background_and_no_others() {
    let scene = Scene::new();
    let mut author = Author::new(&scene.root());
    let repository = Repository::start(&author.files());
    let gate = scene.setup(&author, &repository, "refresh: 1s").start();
    assert!(wait_until(PATIENCE, || pull(&gate).status == 200), "{}", gate.log());
    author.replace(Sigstore::new().trusted_root().to_string().as_bytes());
    repository.publish(&author.files());
    assert!(wait_until(PATIENCE, || pull(&gate).status == 403), "{}", gate.log());
    // A policy that names the root by file, or not at all, asks nobody.
    let idle = scene.setup(&author, &repository, "refresh: 1s").file("lab.json", &String::from_utf8(scene.root()).expect("JSON"));
    let idle = idle.policy(policy("lab", "lab.json")).start();
    admitted(&idle);
    repository.server.forget();
    drop(gate);
    let before = repository.server.seen().len();
    let (code, status) = update(&idle);
    assert_eq!((code, status), (0, Value::Null), "nothing is needed");
    assert_eq!(repository.server.seen().len(), before);
    let all: Value = serde_json::from_str(&command(&idle, "status").run().expect_success().stdout).expect("JSON");
    let names: Vec<&str> = all.as_array().expect("a list").iter().filter_map(|root| root["name"].as_str()).collect();
    assert_eq!(names, ["github", "lab", "public"]);
    assert_eq!(all[0]["as-of"].as_i64(), all[2]["as-of"].as_i64(), "both are built in, and of one day");
    assert!(all.as_array().expect("a list").iter().all(|root| root["needed"] == false && root["attempted-at"].is_null()));
}

#[test]
fn several_instances_each_count_for_their_own_signers() {
    let scene = Scene::new();
    let (own, other) = (String::from_utf8(scene.root()).expect("JSON"), Sigstore::new().trusted_root().to_string());
    for (github, expected) in [(&own, 200), (&other, 403)] {
        // DESIGN §4: a file under the name of a built-in root.
        let gate = Setup::new()
            .lab_without_memory(&scene.upstream.url())
            .file("roots/github.json", github)
            .file("roots/lab.json", &own)
            .policy(policy("github", "roots/github.json, lab: roots/lab.json"))
            .start();
        assert_eq!(pull(&gate).status, expected);
    }
    // The image never chooses: right under `lab`, and the signer's root is GitHub's own, which is built in.
    let gate = Setup::new()
        .lab_without_memory(&scene.upstream.url())
        .file("roots/lab.json", &own)
        .policy(policy("lab", "roots/lab.json").replace("trust-root: lab", "trust-root: github"))
        .line("trust-root: { refresh: never }")
        .start();
    let reply = pull(&gate);
    assert!(reply.status == 403 && reply.text().contains("under the trust root lab, where app has github"), "{}", reply.text());
}

#[test]
fn an_instance_without_logs_as_githubs_own_is_verified_by_its_timestamps() {
    let (sigstore, upstream, image) = (Sigstore::new(), Upstream::start(), Image::small());
    upstream.push("team/app", "1", &image);
    let bytes = &image.manifest.bytes;
    let mut root = sigstore.trusted_root();
    (root["ctlogs"], root["tlogs"]) = (serde_json::json!([]), serde_json::json!([]));
    // No certificate transparency and no log, as fulcio.githubapp.com and timestamp.githubapp.com work for private repositories.
    let making = sealgate_tests::sigstore::Making { ct_log: None, ..sigstore.making() };
    let mut bundle = sigstore.sign(&identity(), bytes, making).bundle(bytes);
    bundle["verificationMaterial"]["tlogEntries"] = serde_json::json!([]);
    upstream.put_signature("team/app", &Signature::of(bundle.to_string(), &image.manifest));
    let gate = |root: &Value| {
        let setup = Setup::new().lab_without_memory(&upstream.url()).file("roots/github.json", &root.to_string());
        setup.policy(policy("github", "roots/github.json")).start()
    };
    admitted(&gate(&root));
    // What is enough for such an instance is not enough for one that has logs.
    for part in ["ctlogs", "tlogs"] {
        let mut root = root.clone();
        root[part] = sigstore.trusted_root()[part].clone();
        assert_eq!(pull(&gate(&root)).status, 403, "{part}");
    }
    // Nor is anything without a timestamp.
    bundle["verificationMaterial"]["timestampVerificationData"] = Value::Null;
    upstream.push("team/other", "1", &image);
    upstream.put_signature("team/other", &Signature::of(bundle.to_string(), &image.manifest));
    let reply = Request::new("GET", &Gate::target("team/other", "manifests/1")).send(gate(&root).address());
    assert_eq!(reply.status, 403, "{}", reply.text());
}
