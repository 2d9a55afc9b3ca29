//! Many clients and a cold image: the upstream is asked for each thing once, whoever leaves or fails meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::hostile::{Fault, Latch, Rule, Upstream};
use sealgate_tests::image::{Format, Image};
use sealgate_tests::process::wait_until;
use sealgate_tests::pull::{Pulled, pull};
use sealgate_tests::registry::Registry;
use sealgate_tests::scale;
use sealgate_tests::signature::Signer;
use sealgate_tests::wire::{self, Reply, Request};

/// Runs `work` in `count` threads and returns what each made.
fn together<T: Send + 'static>(count: usize, work: impl Fn() -> T + Clone + Send + 'static) -> Vec<T> {
    let threads: Vec<_> = (0..count).map(|_| std::thread::spawn(work.clone())).collect();
    threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
}

fn layer_target(image: &Image) -> String {
    Gate::target("team/app", &format!("blobs/{}", image.layers[0].digest))
}

/// Pulls the manifest alone, which is what admits the blobs.
fn admit(gate: &Gate) {
    let _ = wire::get(gate.address(), &Gate::target("team/app", "manifests/1")).expect(200);
}

// F4, issue 2 item 5
#[test]
fn clients_of_one_cold_image_cost_one_upstream_request_of_each_kind() {
    let (registry, clients) = (Registry::start(), scale(50, 500));
    let gate = Setup::new().lab(&registry.url()).allow_all().start();
    let image = Image::build(Format::Oci, "amd64", &[200_000, 3_000_000]);
    registry.push("team/app", "1", &image);
    let heads = registry.count("HEAD", "/blobs/");
    let address = gate.address();
    let pulls: Vec<Pulled> = together(clients, move || pull(address, "team/app", "1"));
    for pulled in pulls {
        assert_eq!(pulled.expect_whole().manifest.body, image.manifest.bytes);
    }
    assert_eq!(registry.count("HEAD", "/manifests/1"), 1, "the tag is resolved once");
    assert_eq!(registry.count("GET", "/manifests/1"), 0);
    assert_eq!(registry.count("GET", &format!("/manifests/{}", image.digest())), 1);
    for blob in image.blobs() {
        assert_eq!(registry.count("GET", &blob.digest), 1, "{}", blob.media_type);
    }
    assert_eq!(registry.count("HEAD", "/blobs/"), heads);
    println!("{clients} clients pulled {} blobs: one GET upstream for each", image.blobs().count());
}

// F4: with evidence to be found, the search is made once as well.
#[test]
fn clients_of_one_cold_signed_image_cost_one_search_for_evidence() {
    let (upstream, signer) = (Upstream::start(), Signer::generate());
    let gate = Setup::new().lab(&upstream.url()).signed_by(&signer.public_pem()).start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let signature = signer.sign(&image.manifest);
    upstream.put_signature("team/app", &signature);
    let address = gate.address();
    for pulled in together(scale(50, 500), move || pull(address, "team/app", "1")) {
        let _ = pulled.expect_whole();
    }
    assert_eq!(upstream.count("GET", "/referrers/"), 1);
    for digest in [image.digest(), &signature.manifest.digest, &signature.bundle.digest, &image.config.digest, &image.layers[1].digest] {
        assert_eq!(upstream.count("GET", digest) - upstream.count("GET", &format!("/referrers/{digest}")), 1, "{digest}");
    }
    let tag = image.digest().replace(':', "-");
    assert_eq!(upstream.count("GET", &tag), 2, "the fallback tag and the .sig tag");
}

// F4: HEAD of a blob that is not here yet.
#[test]
fn clients_that_only_ask_whether_a_cold_blob_exists_cost_one_head() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    admit(&gate);
    let latch = Latch::closed();
    upstream.rule(Rule::on("HEAD", "/blobs/").fault(Fault::Hold(latch.clone())));
    let (address, target) = (gate.address(), layer_target(&image));
    let asking = std::thread::spawn(move || together(20, move || wire::head(address, &target)));
    assert!(wait_until(Duration::from_secs(10), || upstream.count("HEAD", "/blobs/") > 0));
    std::thread::sleep(Duration::from_millis(300));
    latch.open();
    for reply in asking.join().expect("replies") {
        let size = image.layers[0].bytes.len().to_string();
        assert_eq!((reply.status, reply.header("content-length")), (200, Some(size.as_str())));
    }
    assert_eq!(upstream.count("HEAD", "/blobs/"), 1);
    assert_eq!(upstream.count("GET", "/blobs/"), 0);
}

// F4: a fresh resolution asks nobody; at expiry one HEAD for all.
#[test]
fn an_expired_tag_costs_one_head_whatever_the_number_of_clients() {
    let upstream = Upstream::start();
    let settings = format!("{{ upstream: {}, tag-ttl: 2s }}", upstream.url());
    let gate = Setup::new().registry("lab.example", &settings).allow_all().start();
    upstream.push("team/app", "1", &Image::small());
    admit(&gate);
    for _ in 0..20 {
        admit(&gate);
    }
    let asked_while_fresh = upstream.count("HEAD", "/manifests/1");
    assert!(asked_while_fresh <= 2, "{asked_while_fresh} HEADs within some 100 ms");
    std::thread::sleep(Duration::from_millis(3_100));
    upstream.forget();
    let latch = Latch::closed();
    upstream.rule(Rule::on("HEAD", "/manifests/1").fault(Fault::Hold(latch.clone())));
    let address = gate.address();
    let asking =
        std::thread::spawn(move || together(scale(50, 500), move || wire::head(address, &Gate::target("team/app", "manifests/1"))));
    assert!(wait_until(Duration::from_secs(10), || upstream.count("HEAD", "/manifests/1") > 0));
    std::thread::sleep(Duration::from_millis(300));
    latch.open();
    assert!(asking.join().expect("replies").iter().all(|reply| reply.status == 200));
    assert_eq!((upstream.count("HEAD", ""), upstream.count("GET", "")), (1, 0));
}

/// Reads the head and some bytes of a GET, and hangs up.
fn read_some_and_leave(address: SocketAddr, target: &str, bytes: usize) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.write_all(Request::new("GET", target).head("gate").as_bytes()).expect("a request");
    stream.read_exact(&mut vec![0; bytes]).expect("some bytes");
}

// F5
#[test]
fn a_leader_that_leaves_takes_nothing_from_the_others() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::build(Format::Oci, "amd64", &[1_000_000]);
    upstream.push("team/app", "1", &image);
    admit(&gate);
    let latch = Latch::closed();
    upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::HoldAfter(400_000, latch.clone())));
    let (address, target) = (gate.address(), layer_target(&image));
    let leader = {
        let target = target.clone();
        std::thread::spawn(move || read_some_and_leave(address, &target, 100_000))
    };
    leader.join().expect("the leader read its bytes");
    let others = std::thread::spawn(move || together(10, move || wire::get(address, &target)));
    std::thread::sleep(Duration::from_millis(300));
    latch.open();
    for reply in others.join().expect("replies") {
        assert!(reply.complete && reply.body == image.layers[0].bytes);
    }
    assert_eq!(upstream.count("GET", "/blobs/"), 1);
}

// F5: nobody is left, and the blob arrives all the same.
#[test]
fn a_fetch_whose_clients_all_left_ends_in_the_store() {
    let mut upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::build(Format::Oci, "amd64", &[1_000_000]);
    upstream.push("team/app", "1", &image);
    admit(&gate);
    let latch = Latch::closed();
    upstream.rule(Rule::on("GET", "/blobs/").fault(Fault::HoldAfter(400_000, latch.clone())));
    read_some_and_leave(gate.address(), &layer_target(&image), 1_000);
    assert_eq!(gate.metric("sealgate_fetches_in_flight"), 1.0);
    latch.open();
    assert!(wait_until(Duration::from_secs(10), || gate.metric("sealgate_fetches_in_flight") == 0.0));
    upstream.close();
    let reply: Reply = wire::get(gate.address(), &layer_target(&image)).expect(200);
    assert!(reply.complete && reply.body == image.layers[0].bytes);
}

// F6: the first GET fails for good; one of those who waited for it asks again, and one only.
#[test]
fn a_waiter_takes_over_when_the_leader_s_fetch_fails() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    admit(&gate);
    let latch = Latch::closed();
    upstream.rule(Rule::on("GET", "/blobs/").times(1).fault(Fault::Hold(latch.clone())).fault(Fault::Status(500)));
    let (address, target) = (gate.address(), layer_target(&image));
    let asking = std::thread::spawn(move || together(20, move || wire::get(address, &target)));
    assert!(wait_until(Duration::from_secs(10), || upstream.count("GET", "/blobs/") > 0));
    std::thread::sleep(Duration::from_millis(500));
    latch.open();
    let replies = asking.join().expect("replies");
    let served = replies.iter().filter(|reply| reply.status == 200 && reply.complete && reply.body == image.layers[0].bytes).count();
    let failed = replies.iter().filter(|reply| reply.status == 502).count();
    assert_eq!((served, failed), (19, 1), "all but the leader are served");
    assert_eq!(upstream.count("GET", "/blobs/"), 2);
}

// F6: the same for a manifest, whose decision all wait for.
#[test]
fn a_waiter_takes_over_when_the_leader_s_manifest_fails() {
    let upstream = Upstream::start();
    let gate = Setup::new().lab(&upstream.url()).allow_all().start();
    let image = Image::small();
    upstream.push("team/app", "1", &image);
    let latch = Latch::closed();
    upstream.rule(Rule::on("GET", "/manifests/").times(1).fault(Fault::Hold(latch.clone())).fault(Fault::Status(500)));
    let (address, target) = (gate.address(), Gate::target("team/app", &format!("manifests/{}", image.digest())));
    let asking = std::thread::spawn(move || together(20, move || wire::get(address, &target)));
    assert!(wait_until(Duration::from_secs(10), || upstream.count("GET", "/manifests/") > 0));
    std::thread::sleep(Duration::from_millis(500));
    latch.open();
    let replies = asking.join().expect("replies");
    let statuses = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((statuses(200), statuses(502)), (19, 1), "all but the leader are served");
    assert_eq!(upstream.count("GET", "/manifests/"), 2);
}
