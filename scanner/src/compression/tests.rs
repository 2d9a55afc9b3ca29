use super::*;
use crate::tar::build::{gzip, zstd};

fn read(bytes: &[u8], expected: Option<Compression>) -> Result<Vec<u8>, Problem> {
    let mut plain = Plain::open(bytes, expected)?;
    let mut all = vec![];
    let mut buffer = [0; 1000];
    loop {
        match plain.read(&mut buffer)? {
            0 => return Ok(all),
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

#[test]
fn every_format_gives_back_what_went_in() {
    let content: Vec<u8> = (0..300_000u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
    for (format, bytes) in [(Compression::Plain, content.clone()), (Compression::Gzip, gzip(&content)), (Compression::Zstd, zstd(&content))]
    {
        assert!(read(&bytes, Some(format)).expect("a stream") == content, "{format:?}");
        assert_eq!(Compression::of_bytes(&bytes), format);
    }
}

#[test]
fn members_and_frames_are_read_one_after_the_other() {
    let skippable = [&[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let zstd = [skippable.clone(), zstd(b"one"), skippable, zstd(b"two"), zstd(b"")].concat();
    assert_eq!(read(&zstd, Some(Compression::Zstd)).as_deref(), Ok(&b"onetwo"[..]));
    let gzip = [gzip(b"one"), gzip(b""), gzip(b"two")].concat();
    assert_eq!(read(&gzip, Some(Compression::Gzip)).as_deref(), Ok(&b"onetwo"[..]));
}

#[test]
fn a_label_that_differs_from_the_bytes_is_refused() {
    for (bytes, label) in [(gzip(b"x"), Compression::Plain), (zstd(b"x"), Compression::Gzip), (b"plain".to_vec(), Compression::Gzip)] {
        assert!(matches!(read(&bytes, Some(label)), Err(Problem::Compression { .. })), "{label:?}");
    }
}

#[test]
fn media_types_of_layers_are_known_and_others_refused() {
    for (media_type, format) in [
        ("application/vnd.oci.image.layer.v1.tar", Compression::Plain),
        ("application/vnd.oci.image.layer.v1.tar+gzip", Compression::Gzip),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Compression::Zstd),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::Gzip),
    ] {
        assert_eq!(Compression::of_media_type(media_type), Ok(format));
    }
    for media_type in [
        "",
        "application/json",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
    ] {
        assert!(matches!(Compression::of_media_type(media_type), Err(Problem::MediaType { .. })), "{media_type}");
    }
}

#[test]
fn broken_streams_are_refused() {
    for (format, whole) in [(Compression::Gzip, gzip(&[5; 5000])), (Compression::Zstd, zstd(&[5; 5000]))] {
        for length in 4..whole.len() {
            assert!(read(&whole[..length], Some(format)).is_err(), "{format:?} cut at {length}");
        }
        let mut garbage = whole.clone();
        garbage.extend_from_slice(b"garbage after the end");
        assert!(matches!(read(&garbage, Some(format)), Err(Problem::Stream { .. })), "{format:?}");
    }
    let mut checksum = gzip(b"content");
    let at = checksum.len() - 8;
    checksum[at] ^= 1;
    assert!(matches!(read(&checksum, Some(Compression::Gzip)), Err(Problem::Stream { .. })));
}

#[test]
fn a_bomb_ends_at_the_ratio() {
    // A11
    let zeros = vec![0; 96 << 20];
    for (format, bomb) in [(Compression::Gzip, gzip(&zeros)), (Compression::Zstd, zstd(&zeros))] {
        let problem = read_and_drop(&bomb).expect_err("a bomb");
        assert!(matches!(&problem, Problem::Limit { what, limit: RATIO, .. } if what.contains("growth")), "{format:?}: {problem}");
    }
}

fn read_and_drop(bytes: &[u8]) -> Result<u64, Problem> {
    let mut plain = Plain::open(bytes, None)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut sum = 0;
    loop {
        match plain.read(&mut buffer)? {
            0 => return Ok(sum),
            count => sum += count as u64,
        }
    }
}
