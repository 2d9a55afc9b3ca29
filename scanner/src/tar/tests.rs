use super::build::{Builder, header, seal};
use super::*;
use crate::compression::Plain;

fn entries(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, Problem> {
    let mut archive = Archive::new(Plain::open(bytes, None)?);
    let mut all = vec![];
    while let Some(entry) = archive.next_entry()? {
        let mut content = vec![];
        let mut buffer = [0; 100];
        loop {
            let count = archive.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            content.extend_from_slice(&buffer[..count]);
        }
        all.push((entry, content));
    }
    Ok(all)
}

fn paths(bytes: &[u8]) -> Vec<String> {
    entries(bytes).expect("an archive").into_iter().map(|(entry, _)| String::from_utf8_lossy(&entry.path).into_owned()).collect()
}

#[test]
fn files_links_and_folders_are_told_apart() {
    let bytes = Builder::default()
        .folder("etc/")
        .file("etc/passwd", b"root")
        .symlink("lib", "usr/lib")
        .hard_link("etc/p2", "etc/passwd")
        .entry(b'3', "dev/null", "", 0o666, b"")
        .entry(0, "old/", "", 0o755, b"")
        .mode("bin/su", 0o4755, &[7; 1000])
        .finish();
    let all = entries(&bytes).expect("an archive");
    let kinds: Vec<_> = all.iter().map(|(entry, _)| entry.kind).collect();
    use EntryKind::*;
    assert_eq!(kinds, [Directory, File, Symlink, HardLink, Special, Directory, File]);
    assert_eq!(all[1].1, b"root");
    assert_eq!(all[2].0.target, b"usr/lib");
    assert_eq!((all[6].0.mode, all[6].0.size, all[6].1.len()), (0o4755, 1000, 1000));
}

#[test]
fn long_names_come_from_pax_and_from_gnu() {
    let long = "d/".repeat(150) + "f";
    let bytes = Builder::default()
        .pax(b'x', &[("path", long.as_bytes()), ("SCHILY.xattr.security.capability", b"\x01\0\0\x02=\n")])
        .file("short", b"1")
        .entry(b'L', "././@LongLink", "", 0, format!("{long}\0").as_bytes())
        .entry(b'K', "././@LongLink", "", 0, format!("{long}2\0").as_bytes())
        .symlink("short", "target")
        .file("plain", b"2")
        .finish();
    let all = entries(&bytes).expect("an archive");
    assert_eq!(all[0].0.path, long.as_bytes());
    assert_eq!(all[0].0.capability.as_deref(), Some(&b"\x01\0\0\x02=\n"[..]));
    assert_eq!((all[1].0.path.as_slice(), all[1].0.target.as_slice()), (long.as_bytes(), format!("{long}2").as_bytes()));
    assert_eq!(all[2].0.path, b"plain");
}

#[test]
fn sparse_files_have_their_own_name_and_size() {
    let mut old = header(b'S', b"old", "", 0o644, 512);
    old[257..265].copy_from_slice(b"ustar  \0");
    old[482] = 1;
    old[483..495].copy_from_slice(b"00000010000\0");
    let records: [(&str, &[u8]); 4] =
        [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.name", b"real"), ("GNU.sparse.realsize", b"9000")];
    let bytes = Builder::default()
        .raw(&seal(old))
        .raw(&[0; 512])
        .raw(&[1; 512])
        .pax(b'x', &records)
        .file("GNUSparseFile.0/real", b"1\n0\n1\nx")
        .finish();
    let all = entries(&bytes).expect("an archive");
    assert_eq!((all[0].0.sparse, all[0].0.size, all[0].1.len()), (true, 4096, 512));
    assert_eq!((all[1].0.sparse, all[1].0.size, all[1].0.path.as_slice()), (true, 9000, &b"real"[..]));
}

#[test]
fn a_pax_size_counts_before_the_headers() {
    let bytes = Builder::default().pax(b'x', &[("size", b"3")]).raw(&header(b'0', b"f", "", 0o644, 0)).raw(b"abc").raw(&[0; 509]).finish();
    assert_eq!(entries(&bytes).expect("an archive")[0].1, b"abc");
}

#[test]
fn an_archive_cut_off_anywhere_inside_an_entry_is_refused() {
    let bytes = Builder::default().pax(b'x', &[("path", b"p")]).file("a", &[1; 700]).file("b", b"2").finish();
    assert_eq!(paths(&bytes).len(), 2);
    let whole = [0, 512 + 512 + 512 + 1024, bytes.len() - 1024, bytes.len() - 512];
    for length in (0..bytes.len() - 512).filter(|length| !whole.contains(length)) {
        assert!(matches!(entries(&bytes[..length]), Err(Problem::Truncated { .. })), "{length}");
    }
    // The stream's end after an entry is the archive's end, as every engine reads it.
    assert_eq!(paths(&bytes[..bytes.len() - 1024]).len(), 2);
}

#[test]
fn headers_with_two_meanings_are_refused() {
    let one = || Builder::default().file("a", b"1");
    let mut broken = one().finish();
    broken[0] ^= 1;
    let mut negative = header(b'0', b"n", "", 0o644, 0);
    negative[124..136].fill(0xff);
    let long = (b'L', "l", "other\0");
    for (what, bytes) in [
        ("a wrong checksum", broken),
        ("a lone block of zeros", one().raw(&[0; 512]).file("b", b"2").finish()),
        ("a negative size", Builder::default().raw(&seal(negative)).finish()),
        ("a global header that renames", Builder::default().pax(b'g', &[("path", b"x")]).file("a", b"1").finish()),
        (
            "two long names",
            Builder::default().pax(b'x', &[("path", b"x")]).entry(long.0, long.1, "", 0, long.2.as_bytes()).file("a", b"1").finish(),
        ),
        ("a PAX record without its end", Builder::default().entry(b'x', "x", "", 0, b"9 path=abc").file("a", b"1").finish()),
        ("a PAX name with a NUL", Builder::default().pax(b'x', &[("path", b"a\0b")]).file("a", b"1").finish()),
        ("a PAX size that is none", Builder::default().pax(b'x', &[("size", b"-1")]).file("a", b"1").finish()),
    ] {
        assert!(matches!(entries(&bytes), Err(Problem::Header { .. })), "{what}: {:?}", entries(&bytes));
    }
    let odd = Builder::default().entry(b'M', "a", "", 0o644, b"").finish();
    assert!(matches!(entries(&odd), Err(Problem::EntryType { found: 'M', .. })));
    let mut after = one().finish();
    after.extend_from_slice(&one().finish());
    assert!(matches!(entries(&after), Err(Problem::Trailing { .. })));
    let comment = Builder::default().pax(b'g', &[("comment", b"a commit")]).file("a", b"1").finish();
    assert_eq!(paths(&comment), ["a"]);
}

#[test]
fn extended_headers_are_bounded() {
    let huge = Builder::default().raw(&header(b'L', b"l", "", 0, EXTENDED_HEADER_BYTES + 1)).finish();
    assert!(matches!(entries(&huge), Err(Problem::Limit { .. })));
    let many: Vec<(&str, &[u8])> = (0..=crate::limits::PAX_RECORDS).map(|_| ("k", &b"v"[..])).collect();
    assert!(matches!(entries(&Builder::default().pax(b'x', &many).file("a", b"1").finish()), Err(Problem::Limit { .. })));
}
