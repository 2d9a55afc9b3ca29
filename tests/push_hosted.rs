//! A registry of one's own: what is pushed is served when the policy admits it, and not before; who pushes and signs reads it back.

use sealgate_tests::clients::Client;
use sealgate_tests::cosign::{KeyPair, cosign};
use sealgate_tests::gate::{Gate, Setup, sealgate};
use sealgate_tests::image::{Content, Image, Index};
use sealgate_tests::push::{CI, HOSTED, OTHER, PASSWORD, Pusher, READER, SIGNER, login, with_users};
use sealgate_tests::signature::Signer;

const APP: &str = "team/app";

/// A gate that admits from its own registry what `key` signed.
fn gate(key: &str, settings: &str) -> Gate {
    let setup = Setup::new().registry(HOSTED, &format!("{{ hosted: true{settings} }}")).file("keys/ci.pub", key).policy(format!(
        "version: 1\nsigners:\n  ci: {{ key: keys/ci.pub }}\nrules:\n  - images: [\"{HOSTED}/**\"]\n    require: [ {{ signed-by: {{ any: [ci] }} }} ]\n"
    ));
    with_users(setup).start()
}

fn stranger(gate: &Gate) -> Pusher {
    Pusher::new(gate.address(), &format!("{HOSTED}/{APP}"))
}

fn user(gate: &Gate, name: &str) -> Pusher {
    stranger(gate).login(name, PASSWORD)
}

fn reference(gate: &Gate, rest: &str) -> String {
    format!("{}/{HOSTED}/{APP}{rest}", gate.address())
}

#[test]
fn a_pushed_image_is_refused_until_it_is_signed() {
    let keys = KeyPair::generate();
    let gate = gate(&keys.public_pem(), "");
    let image = Image::small();
    user(&gate, CI).image("1", &image);
    let layer = format!("blobs/{}", image.layers[0].digest);
    // Who sends no credentials is asked for them first: oras and notation keep theirs back until then.
    for (puller, head) in [(stranger(&gate), 401), (user(&gate, READER), 403), (user(&gate, OTHER), 403)] {
        for rest in ["manifests/1".to_owned(), format!("manifests/{}", image.digest())] {
            let denied = puller.get(&rest).expect(403);
            assert_eq!(denied.error().0, "DENIED");
            assert!(denied.reason.contains("signed-by any of ci"), "{}", denied.reason);
            assert_eq!(puller.head(&rest).status, head);
        }
        assert!(matches!(puller.get(&layer).status, 403 | 404), "{layer}");
    }
    for client in Client::ALL {
        let text = client.pull(&reference(&gate, ":1")).expect_refusal();
        assert!(text.to_lowercase().contains("denied"), "{client:?}: {text}");
    }
    let login = login(gate.address(), SIGNER);
    let signed =
        sealgate(["sign", "--yes", "--key"]).arg(keys.private()).arg(reference(&gate, ":1")).env("DOCKER_CONFIG", login.path()).run();
    let _ = signed.expect_success();
    for client in Client::ALL {
        assert_eq!(client.pull(&reference(&gate, ":1")).expect_digest(), image.digest(), "{client:?}");
    }
    // cosign verifies what the gate serves, without a login.
    let verify = cosign().arg("verify").arg("--key").arg(keys.public()).args(["--insecure-ignore-tlog=true", "--new-bundle-format=true"]);
    let _ = verify.arg(reference(&gate, ":1")).env("DOCKER_CONFIG", gate.folder()).run().expect_success();
}

#[test]
fn who_pushed_and_who_signs_read_it_back_and_nobody_else() {
    // DESIGN §6: bound to identity and right, never to what a client calls itself.
    let gate = gate(&Signer::generate().public_pem(), "");
    let image = Image::small();
    let ci = user(&gate, CI);
    image.blobs().for_each(|blob| {
        let _ = ci.blob(&blob.digest, &blob.bytes).expect(201);
        assert_eq!(ci.get(&format!("blobs/{}", blob.digest)).expect(200).body, blob.bytes);
    });
    let _ = ci.manifest("1", &image.manifest).expect(201);
    let layer = format!("blobs/{}", image.layers[0].digest);
    assert_eq!(ci.get("manifests/1").expect(200).body, image.manifest.bytes);
    assert_eq!(ci.get(&layer).expect(200).body, image.layers[0].bytes);
    assert_eq!(ci.get("tags/list").expect(200).json()["tags"], serde_json::json!(["1"]));
    // Who signs reads manifests and no layers; another pusher learns that a blob is there, to save an upload, and no more.
    let signer = user(&gate, SIGNER);
    assert_eq!(signer.get("manifests/1").expect(200).body, image.manifest.bytes);
    assert_eq!(signer.get(&layer).status, 403);
    let other = user(&gate, OTHER);
    assert_eq!((other.get("manifests/1").status, other.get(&layer).status, other.head(&layer).status), (403, 403, 200));
    let reader = user(&gate, READER);
    assert_eq!((reader.get("manifests/1").status, reader.head(&layer).status), (403, 403));
    let disguised = stranger(&gate).request("GET", "manifests/1").header("User-Agent", "cosign/v3.1.0 (linux; amd64)");
    assert_eq!(stranger(&gate).send(disguised).status, 403);
    // An answer of the lane is no verdict.
    assert_eq!(stranger(&gate).get("manifests/1").status, 403);
}

#[test]
fn an_image_is_admitted_at_the_next_request_after_its_signature_and_refused_after_its_deletion() {
    let keys = Signer::generate();
    let mut gate = gate(&keys.public_pem(), ", deletes: allowed");
    let (index, ci, signer, puller) = (Index::small(), user(&gate, CI), user(&gate, SIGNER), stranger(&gate));
    ci.index("1", &index);
    let child = format!("manifests/{}", index.images[0].digest());
    assert_eq!((puller.get("manifests/1").status, puller.get(&child).status), (403, 403));
    let signature = keys.sign(&index.manifest);
    let pushed = signer.signature(&signature).expect(201);
    assert_eq!(pushed.header("oci-subject"), Some(index.digest()));
    assert_eq!(puller.get("manifests/1").expect(200).body, index.manifest.bytes);
    assert_eq!(puller.get(&child).expect(200).body, index.images[0].manifest.bytes);
    let layer = &index.images[0].layers[0];
    assert_eq!(puller.get(&format!("blobs/{}", layer.digest)).expect(200).body, layer.bytes);
    assert_eq!(puller.referrers(index.digest()), std::slice::from_ref(&signature.manifest.digest));
    assert_eq!(puller.get(&format!("manifests/{}", signature.manifest.digest)).expect(200).body, signature.manifest.bytes);
    gate.restart();
    assert_eq!(puller.get("manifests/1").expect(200).body, index.manifest.bytes);
    let _ = signer.delete(&format!("manifests/{}", signature.manifest.digest)).expect(202);
    assert_eq!((puller.get("manifests/1").status, puller.get(&child).status), (403, 403));
    assert_eq!(puller.get(&format!("blobs/{}", layer.digest)).status, 403);
    gate.restart();
    assert_eq!((puller.get("manifests/1").status, puller.get(&child).status), (403, 403));
}

#[test]
fn cosign_signs_in_both_layouts_and_verifies_through_the_gate() {
    let keys = KeyPair::generate();
    let gate = gate(&keys.public_pem(), "");
    let login = login(gate.address(), SIGNER);
    for (tag, format) in [("bundle", "--new-bundle-format=true"), ("legacy", "--new-bundle-format=false")] {
        let image = Image::small();
        user(&gate, CI).image(tag, &image);
        let digest = reference(&gate, &format!("@{}", image.digest()));
        let offline = ["--yes", "--use-signing-config=false", "--tlog-upload=false", format];
        let sign = cosign().arg("sign").arg("--key").arg(keys.private()).args(offline).arg(&digest);
        let _ = sign.env("DOCKER_CONFIG", login.path()).run().expect_success();
        assert_eq!(Client::Skopeo.pull(&reference(&gate, &format!(":{tag}"))).expect_digest(), image.digest());
        let verify = cosign().arg("verify").arg("--key").arg(keys.public()).args(["--insecure-ignore-tlog=true", format]).arg(&digest);
        let _ = verify.env("DOCKER_CONFIG", gate.folder()).run().expect_success();
    }
}

#[test]
fn rights_say_who_may_push_what() {
    // D3, D12, D9: rights come from the configuration alone.
    let gate = gate(&Signer::generate().public_pem(), "");
    let image = Image::small();
    let challenged = stranger(&gate).send(stranger(&gate).request("POST", "blobs/uploads/")).expect(401);
    assert!(challenged.header("www-authenticate").expect("a challenge").contains(":pull,push"), "{challenged:?}");
    let reader = user(&gate, READER);
    assert_eq!(reader.send(reader.request("POST", "blobs/uploads/")).expect(403).error().0, "DENIED");
    assert_eq!(reader.manifest("1", &image.manifest).status, 403);
    assert_eq!(user(&gate, OTHER).delete("manifests/1").status, 403);
    let wrong = stranger(&gate).login(CI, "wrong");
    assert_eq!(wrong.manifest("1", &image.manifest).status, 401);
    // Who may sign and not push: evidence only, and small.
    let signer = user(&gate, SIGNER);
    image.blobs().for_each(|blob| {
        let _ = signer.blob(&blob.digest, &blob.bytes).expect(201);
    });
    let refused = signer.manifest(image.digest(), &image.manifest).expect(403);
    assert!(refused.error().1.starts_with("only evidence about images may be pushed"), "{}", refused.error().1);
    assert_eq!(signer.manifest("latest", &image.manifest).status, 403);
}

#[test]
fn an_immutable_tag_neither_moves_nor_goes_away() {
    // D3, D4
    let gate = gate(&Signer::generate().public_pem(), ", deletes: allowed, immutable-tags: [\"v*\"]");
    let (ci, first, second) = (user(&gate, CI), Image::small(), Image::small());
    ci.image("v1", &first);
    ci.image("latest", &second);
    let moved = ci.manifest("v1", &second.manifest).expect(409);
    assert_eq!(moved.error().0, "DENIED");
    assert!(moved.error().1.contains("immutable") && moved.error().1.contains(first.digest()), "{}", moved.error().1);
    let _ = ci.manifest("v1", &first.manifest).expect(201);
    assert_eq!(ci.delete("manifests/v1").expect(409).error().0, "DENIED");
    assert_eq!(ci.delete(&format!("manifests/{}", first.digest())).status, 409);
    assert_eq!(ci.get("manifests/v1").expect(200).body, first.manifest.bytes);
    ci.image("latest", &first);
    let _ = ci.delete("manifests/latest").expect(202);
}

#[test]
fn nothing_is_deleted_unless_the_configuration_allows_it() {
    // D4
    let gate = gate(&Signer::generate().public_pem(), "");
    let (ci, image) = (user(&gate, CI), Image::small());
    ci.image("1", &image);
    for rest in ["manifests/1".to_owned(), format!("manifests/{}", image.digest()), format!("blobs/{}", image.layers[0].digest)] {
        let refused = ci.delete(&rest).expect(405);
        assert_eq!(refused.error().0, "UNSUPPORTED");
        assert!(refused.error().1.contains("deletes: allowed"), "{}", refused.error().1);
    }
    assert_eq!(ci.get("manifests/1").expect(200).body, image.manifest.bytes);
}

#[test]
fn a_blob_of_a_repository_stays_its_own() {
    // D1, D2: no mount from where the client may not read, and a deleted blob does not come back through another repository.
    let gate = gate(&Signer::generate().public_pem(), ", deletes: allowed");
    let (ci, other, image) = (user(&gate, CI), user(&gate, OTHER).at(&format!("{HOSTED}/other/app")), Image::small());
    ci.image("1", &image);
    let layer = &image.layers[0];
    let mount = format!("blobs/uploads/?mount={}&from={HOSTED}/{APP}", layer.digest);
    assert_eq!(other.send(other.request("POST", &mount)).status, 202, "the image is not admitted, and its blobs are not others'");
    assert_eq!((other.head(&format!("blobs/{}", layer.digest)).status, other.get(&format!("blobs/{}", layer.digest)).status), (404, 404));
    let own = ci.at(&format!("{HOSTED}/team/copy"));
    assert_eq!(own.send(own.request("POST", &mount)).status, 201, "what one uploaded oneself is mounted");
    let _ = ci.delete(&format!("blobs/{}", layer.digest)).expect(202);
    assert_eq!(own.get(&format!("blobs/{}", layer.digest)).expect(200).body, layer.bytes);
    assert_eq!(ci.get(&format!("blobs/{}", layer.digest)).status, 403);
    let unlisted = Content::new("application/octet-stream", "only here");
    let _ = ci.blob(&unlisted.digest, &unlisted.bytes).expect(201);
    let _ = ci.delete(&format!("blobs/{}", unlisted.digest)).expect(202);
    let _ = own.blob(&unlisted.digest, &unlisted.bytes).expect(201);
    assert_eq!(ci.get(&format!("blobs/{}", unlisted.digest)).status, 404);
}
