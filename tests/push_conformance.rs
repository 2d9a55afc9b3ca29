//! What the distribution-spec 1.1 conformance suite asks of a registry, in its four categories, of a repository that is hosted here.

use sealgate_tests::gate::{Gate, Setup};
use sealgate_tests::image::{Content, Image, Index};
use sealgate_tests::layer::fresh_bytes;
use sealgate_tests::push::{Chunk, EMPTY, HOSTED, Pusher, referrer};
use sealgate_tests::{sha256, sha512};
use serde_json::json;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A gate that hosts a registry where everybody pushes and everything is admitted.
fn gate() -> Gate {
    Setup::new()
        .registry(HOSTED, "{ hosted: true, push: anonymous, deletes: allowed }")
        .policy(format!("version: 1\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ allow ]\n"))
        .start()
}

fn pusher(gate: &Gate, path: &str) -> Pusher {
    Pusher::new(gate.address(), &format!("{HOSTED}/{path}"))
}

#[test]
fn pull() {
    let gate = gate();
    let (push, image) = (pusher(&gate, "team/app"), Image::small());
    let unknown = sha256(b"never pushed");
    assert_eq!(push.head(&format!("blobs/{unknown}")).status, 404);
    assert_eq!(push.get(&format!("blobs/{unknown}")).expect(404).error().0, "BLOB_UNKNOWN");
    push.image("1.0", &image);
    let layer = &image.layers[0];
    let head = push.head(&format!("blobs/{}", layer.digest)).expect(200);
    assert_eq!(head.header("docker-content-digest"), Some(layer.digest.as_str()));
    assert_eq!(head.header("content-length"), Some(layer.bytes.len().to_string().as_str()));
    assert_eq!(push.get(&format!("blobs/{}", layer.digest)).expect(200).body, layer.bytes);
    for reference in ["1.0", image.digest()] {
        let head = push.head(&format!("manifests/{reference}")).expect(200);
        assert_eq!(head.header("docker-content-digest"), Some(image.digest()));
        let get = push.get(&format!("manifests/{reference}")).expect(200);
        assert_eq!((get.header("content-type"), &get.body[..]), (Some(OCI_MANIFEST), &image.manifest.bytes[..]));
    }
    for (reference, status) in [("nothing", 404), (unknown.as_str(), 404), (".INVALID", 400), ("sha256:totallywrong", 400)] {
        assert_eq!(push.get(&format!("manifests/{reference}")).status, status, "{reference}");
        assert_eq!(push.head(&format!("manifests/{reference}")).status, status, "{reference}");
    }
    let bad = push.manifest("sha256:totallywrong", &Content::new(OCI_MANIFEST, "{}")).expect(400);
    assert_eq!(bad.error().0, "DIGEST_INVALID");
}

#[test]
fn push_a_blob_in_each_way() {
    let gate = gate();
    let push = pusher(&gate, "team/app");
    let read = |digest: &str| push.get(&format!("blobs/{digest}")).expect(200).body;
    // POST, then PUT.
    let bytes = fresh_bytes(5_000);
    let digest = sha256(&bytes);
    let put = push.blob(&digest, &bytes).expect(201);
    assert_eq!(put.header("location"), Some(format!("/v2/{HOSTED}/team/app/blobs/{digest}").as_str()));
    assert_eq!(read(&digest), bytes);
    // One POST.
    let bytes = fresh_bytes(5_000);
    let digest = sha256(&bytes);
    let post = push.request("POST", &format!("blobs/uploads/?digest={digest}")).header("Content-Type", "application/octet-stream");
    assert!(push.send(post.body(&bytes)).expect(201).header("location").is_some());
    assert_eq!(read(&digest), bytes);
    // Streamed: one PATCH without a range.
    let bytes = fresh_bytes(200_000);
    let digest = sha256(&bytes);
    let patched = push.patch(&push.begin(), Chunk { range: "", bytes: &bytes }).expect(202);
    assert_eq!(patched.header("range"), Some("0-199999"));
    let location = patched.header("location").expect("where it goes on");
    let _ = push.finish(location, &digest, b"").expect(201);
    assert_eq!(read(&digest), bytes);
    // Under SHA-512, named at the end or at the begin.
    let digest = sha512(&bytes);
    let _ = push.blob(&digest, &bytes).expect(201);
    assert_eq!(read(&digest), bytes);
    let begun = push.send(push.request("POST", "blobs/uploads/?digest-algorithm=sha512")).expect(202);
    let other = fresh_bytes(70_000);
    let _ = push.finish(begun.header("location").expect("a location"), &sha512(&other), &other).expect(201);
    assert_eq!(read(&sha512(&other)), other);
    // Empty.
    let _ = push.blob(&sha256(b""), b"").expect(201);
    assert_eq!(read(&sha256(b"")), b"");
}

#[test]
fn push_a_blob_in_chunks() {
    let gate = gate();
    let push = pusher(&gate, "team/app");
    let bytes = fresh_bytes(9_000);
    let (first, second) = bytes.split_at(4_000);
    let location = push.begin();
    let early = push.patch(&location, Chunk { range: "4000-8999", bytes: second }).expect(416);
    assert_eq!((early.error().0.as_str(), early.header("location")), ("BLOB_UPLOAD_INVALID", Some(location.as_str())));
    let patched = push.patch(&location, Chunk { range: "0-3999", bytes: first }).expect(202);
    assert_eq!(patched.header("range"), Some("0-3999"));
    let _ = push.patch(&location, Chunk { range: "0-3999", bytes: first }).expect(416);
    let state = push.upload("GET", &location).expect(204);
    assert_eq!((state.header("range"), state.header("location")), (Some("0-3999"), Some(location.as_str())));
    for (range, bytes) in [("4000", second), ("4000-x", second), ("5000-4000", second), ("4000-4001", second)] {
        assert_eq!(push.patch(&location, Chunk { range, bytes }).status, 400, "{range}");
    }
    let _ = push.patch(&location, Chunk { range: "4000-8999", bytes: second }).expect(202);
    let digest = sha256(&bytes);
    let _ = push.finish(&location, &digest, b"").expect(201);
    assert_eq!(push.get(&format!("blobs/{digest}")).expect(200).body, bytes);
    // An upload that ended is over, and one that is given up as well.
    assert_eq!(push.upload("GET", &location).expect(404).error().0, "BLOB_UPLOAD_UNKNOWN");
    let location = push.begin();
    let _ = push.upload("DELETE", &location).expect(204);
    assert_eq!(push.upload("GET", &location).status, 404);
    assert_eq!(push.patch(&location, Chunk { range: "", bytes: first }).status, 404);
}

#[test]
fn a_chunk_out_of_order_is_416_and_the_upload_goes_on_where_get_says() {
    let gate = gate();
    let push = pusher(&gate, "team/app");
    let bytes = fresh_bytes(3_000);
    let (location, digest) = (push.begin(), sha256(&bytes));
    let last_byte = || {
        let state = push.upload("GET", &format!("{location}?digest={digest}")).expect(204);
        assert_eq!(state.header("location"), Some(location.as_str()));
        state.header("range").and_then(|range| range.strip_prefix("0-")).and_then(|last| last.parse::<usize>().ok()).expect("0-N")
    };
    for (first, last) in [(0, 999), (1_000, 1_999)] {
        let ahead = first + 1_000;
        let early = Chunk { range: &format!("{ahead}-{}", ahead + 999), bytes: &bytes[ahead..ahead + 1_000] };
        assert_eq!(push.patch(&location, early).expect(416).header("location"), Some(location.as_str()));
        assert!(first == 0 || last_byte() == first - 1);
        let _ = push.patch(&location, Chunk { range: &format!("{first}-{last}"), bytes: &bytes[first..=last] }).expect(202);
    }
    // The last chunk with PUT, out of order and in order.
    let put = |range: &str, bytes: &[u8]| {
        let request = push.absolute("PUT", &format!("{location}?digest={digest}")).header("Content-Range", range);
        push.send(request.header("Content-Type", "application/octet-stream").body(bytes))
    };
    assert_eq!(put("0-999", &bytes[..1_000]).expect(416).error().0, "BLOB_UPLOAD_INVALID");
    assert_eq!(last_byte(), 1_999);
    let _ = put("2000-2999", &bytes[2_000..]).expect(201);
    assert_eq!(push.get(&format!("blobs/{digest}")).expect(200).body, bytes);
}

#[test]
fn bytes_of_another_digest_are_refused_in_each_way() {
    let gate = gate();
    let push = pusher(&gate, "team/app");
    for digest in [sha256(b"something else"), sha512(b"something else")] {
        let bytes = fresh_bytes(3_000);
        let whole = push.request("POST", &format!("blobs/uploads/?digest={digest}")).header("Content-Type", "application/octet-stream");
        assert_eq!(push.send(whole.body(&bytes)).expect(400).error().0, "DIGEST_INVALID");
        assert_eq!(push.blob(&digest, &bytes).expect(400).error().0, "DIGEST_INVALID");
        for range in ["", "0-2999"] {
            let location = push.begin();
            let _ = push.patch(&location, Chunk { range, bytes: &bytes }).expect(202);
            assert_eq!(push.finish(&location, &digest, b"").expect(400).error().0, "DIGEST_INVALID");
            assert_eq!(push.upload("GET", &location).status, 404, "the upload is over");
        }
        for digest in [digest, sha256(&bytes), sha512(&bytes)] {
            assert_eq!(push.get(&format!("blobs/{digest}")).status, 404, "{digest}");
        }
    }
    let unfinished = std::fs::read_dir(gate.folder().join("data/tmp")).expect("tmp").count();
    assert_eq!(unfinished, 0);
}

#[test]
fn mount_a_blob_of_another_repository() {
    let gate = gate();
    let (push, other, image) = (pusher(&gate, "team/app"), pusher(&gate, "team/other"), Image::small());
    push.image("1", &image);
    let layer = &image.layers[0];
    let mount = |digest: &str, from: &str| other.send(other.request("POST", &format!("blobs/uploads/?mount={digest}{from}")));
    assert_eq!(other.get(&format!("blobs/{}", layer.digest)).status, 404);
    // Where the blob is not: an upload begins.
    let _ = mount(&layer.digest, &format!("&from={HOSTED}/team/nowhere")).expect(202);
    let _ = mount(&sha256(b"unknown"), &format!("&from={HOSTED}/team/app")).expect(202);
    assert!(mount(&sha256(b"unknown"), "").expect(202).header("location").is_some());
    let _ = mount(&layer.digest, "&from=unknown.example/team/app").expect(202);
    let mounted = mount(&layer.digest, &format!("&from={HOSTED}/team/app")).expect(201);
    assert_eq!(mounted.header("location"), Some(format!("/v2/{HOSTED}/team/other/blobs/{}", layer.digest).as_str()));
    assert_eq!(other.get(&format!("blobs/{}", layer.digest)).expect(200).body, layer.bytes);
    // Without `from`: from where it was pushed.
    let _ = mount(&image.layers[1].digest, "").expect(201);
    assert_eq!(other.get(&format!("blobs/{}", image.layers[1].digest)).expect(200).body, image.layers[1].bytes);
    // By SHA-512.
    let bytes = fresh_bytes(5_000);
    let _ = push.blob(&sha512(&bytes), &bytes).expect(201);
    let _ = mount(&sha512(&bytes), &format!("&from={HOSTED}/team/app")).expect(201);
    assert_eq!(other.get(&format!("blobs/{}", sha512(&bytes))).expect(200).body, bytes);
    assert_eq!(other.get(&format!("blobs/{}", sha256(&bytes))).status, 404, "only under the digest that was named");
}

#[test]
fn parts_of_a_pushed_blob_are_served() {
    let gate = gate();
    let push = pusher(&gate, "team/app");
    let bytes = fresh_bytes(2_048);
    for digest in [sha256(&bytes), sha512(&bytes)] {
        let _ = push.blob(&digest, &bytes).expect(201);
        let part = |range: &str| push.send(push.request("GET", &format!("blobs/{digest}")).header("Range", &format!("bytes={range}")));
        for (range, from, to) in [("500-1499", 500, 1_500), ("500-", 500, 2_048), ("-500", 1_548, 2_048), ("2000-5000", 2_000, 2_048)] {
            let part = part(range).expect(206);
            assert_eq!(part.header("content-range"), Some(format!("bytes {from}-{}/2048", to - 1).as_str()), "{range}");
            assert_eq!((part.header("content-length"), &part.body[..]), (Some((to - from).to_string().as_str()), &bytes[from..to]));
        }
        for range in ["500-0", "5000-10000"] {
            let _ = part(range).expect(416);
        }
    }
}

#[test]
fn push_manifests() {
    let gate = gate();
    let (push, image, index) = (pusher(&gate, "team/app"), Image::small(), Index::small());
    push.image("1", &image);
    // Again, and under another tag.
    for tag in ["1", "2", "latest"] {
        let put = push.manifest(tag, &image.manifest).expect(201);
        assert_eq!(put.header("location"), Some(format!("/v2/{HOSTED}/team/app/manifests/{}", image.digest()).as_str()));
        assert_eq!(put.header("docker-content-digest"), Some(image.digest()));
    }
    push.index("multi", &index);
    assert_eq!(push.get("manifests/multi").expect(200).body, index.manifest.bytes);
    // A manifest without layers.
    push.put_blob(b"{}");
    let empty = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": { "mediaType": EMPTY, "digest": sha256(b"{}"), "size": 2 }, "layers": [],
    });
    let empty = Content::json(OCI_MANIFEST, &empty);
    let _ = push.manifest("no-layers", &empty).expect(201);
    // By SHA-512.
    let digest = sha512(&image.manifest.bytes);
    let put = push.manifest(&digest, &image.manifest).expect(201);
    assert_eq!(put.header("docker-content-digest"), Some(digest.as_str()));
    assert_eq!(push.get(&format!("manifests/{digest}")).expect(200).body, image.manifest.bytes);
    // A push that a tag moves.
    let next = Image::small();
    push.image("latest", &next);
    assert_eq!(push.head("manifests/latest").expect(200).header("docker-content-digest"), Some(next.digest()));
}

#[test]
fn discover_tags() {
    let gate = gate();
    let (push, image) = (pusher(&gate, "team/app"), Image::small());
    assert_eq!(push.get("tags/list").expect(404).error().0, "NAME_UNKNOWN");
    let tags = ["TAG0", "b", "tag1", "tag2", "tag3", "v1.0", "v1.0-rc"];
    push.image("TAG0", &image);
    for tag in &tags[1..] {
        let _ = push.manifest(tag, &image.manifest).expect(201);
    }
    let all = push.get("tags/list").expect(200);
    assert_eq!((all.json(), all.header("link")), (json!({ "name": format!("{HOSTED}/team/app"), "tags": tags }), None));
    let page = push.get("tags/list?n=3").expect(200);
    assert_eq!(page.json()["tags"], json!(tags[..3]));
    let link = page.header("link").expect("the next page");
    assert_eq!(link, format!("</v2/{HOSTED}/team/app/tags/list?n=3&last=tag1>; rel=\"next\""));
    assert_eq!(push.get("tags/list?n=3&last=tag1").expect(200).json()["tags"], json!(tags[3..6]));
    let end = push.get("tags/list?n=3&last=v1.0").expect(200);
    assert_eq!((end.json()["tags"].clone(), end.header("link")), (json!(["v1.0-rc"]), None));
    assert_eq!(push.get("tags/list?n=0").expect(200).json()["tags"], json!([]));
    assert_eq!(push.get("tags/list?last=tag9").expect(200).json()["tags"], json!(["v1.0", "v1.0-rc"]));
}

#[test]
fn discover_referrers() {
    let gate = gate();
    let (push, image) = (pusher(&gate, "team/app"), Image::small());
    let absent = sha256(b"no such manifest");
    let listing = push.get(&format!("referrers/{absent}")).expect(200);
    assert_eq!(listing.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
    assert_eq!(listing.json()["manifests"], json!([]));
    let (bagel, bar) = ("application/vnd.nhl.peanut.butter.bagel", "application/vnd.nba.strawberry.jam.croissant");
    let blob = |text: &str| Content::new("application/octet-stream", text.to_owned());
    // Referrers may come before their subject.
    let first = push.referrer(bagel, &image.manifest, &blob("NHL Peanut Butter on my NHL bagel"));
    let second = push.referrer(bar, &image.manifest, &blob("NBA Strawberry Jam on my NBA croissant"));
    let mut expected = [first.digest.clone(), second.digest.clone()];
    expected.sort();
    let listed = |push: &Pusher, subject: &str| {
        let mut digests = push.referrers(subject);
        digests.sort();
        digests
    };
    assert_eq!(listed(&push, image.digest()), expected);
    push.image("1", &image);
    assert_eq!(listed(&push, image.digest()), expected);
    let filtered = push.get(&format!("referrers/{}?artifactType={bagel}", image.digest())).expect(200);
    assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
    let entries = filtered.json()["manifests"].clone();
    let expected = json!([{
        "mediaType": OCI_MANIFEST, "digest": first.digest, "size": first.bytes.len(), "artifactType": bagel,
        "annotations": { "org.example.name": bagel },
    }]);
    assert_eq!(entries, expected);
    // An index as a referrer.
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "artifactType": "application/vnd.food.stand",
        "manifests": [first.descriptor()], "subject": image.manifest.descriptor(),
    });
    let index = Content::json("application/vnd.oci.image.index.v1+json", &index);
    let put = push.manifest("food", &index).expect(201);
    assert_eq!(put.header("oci-subject"), Some(image.digest()));
    assert!(listed(&push, image.digest()).contains(&index.digest));
    let member = referrer(bagel, &image.manifest, &blob("NHL Peanut Butter on my NHL bagel"));
    assert_eq!(push.get(&format!("manifests/{}", member.digest)).expect(200).body, member.bytes);
}

#[test]
fn manage_content() {
    let gate = gate();
    let (push, image) = (pusher(&gate, "team/app"), Image::small());
    push.image("1", &image);
    let _ = push.manifest("2", &image.manifest).expect(201);
    let _ = push.delete("manifests/1").expect(202);
    assert_eq!(push.get("manifests/1").status, 404);
    assert_eq!(push.delete("manifests/1").status, 404);
    assert_eq!(push.get("tags/list").expect(200).json()["tags"], json!(["2"]));
    let _ = push.get(&format!("manifests/{}", image.digest())).expect(200);
    let _ = push.delete(&format!("manifests/{}", image.digest())).expect(202);
    for reference in ["2", image.digest()] {
        assert_eq!(push.get(&format!("manifests/{reference}")).status, 404, "{reference}");
    }
    assert_eq!(push.delete(&format!("manifests/{}", image.digest())).status, 404);
    let tags = push.get("tags/list");
    assert!(tags.status == 404 || tags.json()["tags"] == json!([]), "{}", tags.text());
    let blob = format!("blobs/{}", image.layers[0].digest);
    let _ = push.delete(&blob).expect(202);
    assert_eq!((push.get(&blob).status, push.head(&blob).status, push.delete(&blob).status), (404, 404, 404));
}

#[test]
fn all_of_it_survives_a_kill() {
    // F21: what was acknowledged is there after a SIGKILL and a new start.
    let mut gate = gate();
    let (push, image) = (pusher(&gate, "team/app"), Image::small());
    push.image("1", &image);
    let gone = Image::small();
    push.image("gone", &gone);
    let signature = push.referrer("application/x", &image.manifest, &Content::new("application/octet-stream", "y"));
    let _ = push.delete(&format!("manifests/{}", gone.digest())).expect(202);
    gate.restart();
    assert_eq!(push.get("manifests/1").expect(200).body, image.manifest.bytes);
    assert_eq!(push.get(&format!("blobs/{}", image.layers[1].digest)).expect(200).body, image.layers[1].bytes);
    assert_eq!(push.referrers(image.digest()), [signature.digest]);
    assert_eq!(push.get("manifests/gone").status, 404);
    assert_eq!(push.get(&format!("manifests/{}", gone.digest())).status, 404);
    // The index is made again from ledger and blobs.
    gate.kill();
    std::fs::remove_dir_all(gate.folder().join("data/index")).expect("the index");
    gate.restart();
    assert_eq!(push.get("manifests/1").expect(200).body, image.manifest.bytes);
    assert_eq!(push.get("tags/list").expect(200).json()["tags"], json!(["1"]));
    assert_eq!(push.get("manifests/gone").status, 404);
}
