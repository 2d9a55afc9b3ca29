use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sealgate_verifier::{Repository, Revision};

use super::fault::Fault;
use super::*;

struct Data {
    _parent: tempfile::TempDir,
    folder: PathBuf,
}

fn data() -> Data {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("ledger");
    Data { _parent: parent, folder }
}

impl Data {
    fn file(&self) -> PathBuf {
        self.folder.join(format!("{:020}.jsonl", 0))
    }

    /// A ledger of `count` records, closed again.
    fn filled(&self, count: u64) -> Checkpoint {
        let (ledger, _) = self.open().unwrap();
        (0..count).for_each(|number| assert_eq!(append(&ledger, number).unwrap().seq, number + 1));
        ledger.checkpoint()
    }

    fn open(&self) -> Result<(Ledger, Recovery), LedgerError> {
        Ledger::open(&self.folder, None)
    }
}

fn event(number: u64) -> Event {
    Event::PolicyLoaded { revision: Revision(Digest::sha256(&number.to_le_bytes())) }
}

fn append(ledger: &Ledger, number: u64) -> Result<Position, LedgerError> {
    ledger.append_blocking(Timestamp(i64::try_from(number).unwrap()), event(number))
}

fn events(ledger: &Ledger, from: Option<Position>) -> Vec<Event> {
    ledger.replay(from).unwrap().map(|record| record.unwrap().event).collect()
}

#[test]
fn records_come_back_in_order_and_chained() {
    let data = data();
    let head = data.filled(5);
    let text = fs::read_to_string(data.file()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    let zeros = "0".repeat(64);
    let first = r#"{"seq":1,"time":0,"prev":"sha256:"#.to_owned() + &zeros + r#"","event":{"type":"policy-loaded","revision":"sha256:"#;
    assert!(lines[0].starts_with(&first), "{}", lines[0]);
    for (line, next) in lines.iter().zip(&lines[1..]) {
        assert!(next.contains(&format!(r#""prev":"{}""#, Digest::sha256(line.as_bytes()))));
    }
    let (ledger, recovery) = data.open().unwrap();
    assert_eq!(recovery, Recovery { torn_bytes: 0, checkpoint_holds: true, records_checked: 5 });
    assert_eq!((ledger.checkpoint(), head.position.offset), (head, text.len() as u64));
    assert_eq!(events(&ledger, None), (0..5).map(event).collect::<Vec<_>>());
    let third = ledger.replay(None).unwrap().nth(2).unwrap().unwrap().position;
    assert_eq!(events(&ledger, Some(third)), [event(3), event(4)]);
    assert!(events(&ledger, Some(head.position)).is_empty());
}

#[test]
fn from_a_checkpoint_only_the_tail_is_checked() {
    let data = data();
    data.filled(3);
    let (ledger, _) = data.open().unwrap();
    let checkpoint = ledger.checkpoint();
    (3..10).for_each(|number| assert_eq!(append(&ledger, number).unwrap().seq, number + 1));
    drop(ledger);
    let (ledger, recovery) = Ledger::open(&data.folder, Some(checkpoint)).unwrap();
    assert_eq!(recovery, Recovery { torn_bytes: 0, checkpoint_holds: true, records_checked: 7 });
    assert_eq!(ledger.high_water(), Timestamp(9));
    drop(ledger);
    // One that lies on no record, on another's end, or beyond.
    let wrong_hash = Position { hash: Digest::sha256(b"x"), ..checkpoint.position };
    let wrong_end = Position { offset: checkpoint.position.offset - 1, ..checkpoint.position };
    let wrong_seq = Position { seq: 4, ..checkpoint.position };
    let beyond = Position { offset: 1 << 40, ..checkpoint.position };
    for position in [wrong_hash, wrong_end, wrong_seq, beyond] {
        let (ledger, recovery) = Ledger::open(&data.folder, Some(Checkpoint { position, ..checkpoint })).unwrap();
        assert_eq!((recovery.checkpoint_holds, recovery.records_checked), (false, 10), "{position:?}");
        assert_eq!(ledger.high_water(), Timestamp(9));
    }
}

#[test]
fn a_last_record_torn_anywhere_is_cut_off_and_the_rest_stays() {
    // F21
    let data = data();
    let head = data.filled(3);
    let whole = fs::read(data.file()).unwrap();
    let start = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for end in start..whole.len() {
        fs::write(data.file(), &whole[..end]).unwrap();
        let (ledger, recovery) = data.open().unwrap();
        assert_eq!((recovery.torn_bytes, ledger.head().seq), ((end - start) as u64, 2));
        assert_eq!(append(&ledger, 2).unwrap(), head.position);
        drop(ledger);
        assert_eq!(fs::read(data.file()).unwrap(), whole);
    }
}

#[test]
fn a_tail_whose_blocks_were_never_written_is_cut_off() {
    // F22: the file grew, the blocks did not reach the disk.
    let data = data();
    data.filled(20);
    let whole = fs::read(data.file()).unwrap();
    let mut behind = whole.clone();
    behind.extend([0; 3_000]);
    let mut middle = whole.clone();
    middle[1024..1536].fill(0);
    for (bytes, kept) in [(behind, 20), (middle, whole[..1024].iter().filter(|byte| **byte == b'\n').count() as u64)] {
        fs::write(data.file(), &bytes).unwrap();
        let (ledger, recovery) = data.open().unwrap();
        assert!(recovery.torn_bytes > 0);
        assert_eq!(ledger.head().seq, kept);
    }
}

#[test]
fn every_flipped_bit_is_refused_and_says_where() {
    // F23
    let data = data();
    data.filled(4);
    let whole = fs::read(data.file()).unwrap();
    // A flip of the very last newline makes a torn record, which is another test.
    for at in 0..whole.len() - 1 {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 7);
        let before = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        fs::write(data.file(), &bytes).unwrap();
        match data.open() {
            Err(LedgerError::Damaged { seq, .. }) => assert!(seq == before || seq == before + 1, "byte {at}: {seq}"),
            Err(other) => panic!("byte {at}: {other:?}"),
            Ok(_) => {
                // The chain cannot see a change of the last record that leaves it a record: an exported head does.
                assert_eq!(before, 3, "byte {at}");
                let error =
                    verify(&data.folder, Some((4, Digest::sha256(whole[..whole.len() - 1].rsplit(|byte| *byte == b'\n').next().unwrap()))));
                assert!(matches!(error, Err(LedgerError::Head { .. })), "byte {at}: {error:?}");
            }
        }
        assert_eq!(fs::read(data.file()).unwrap(), bytes, "a refused ledger is left as it is");
    }
    let error = {
        fs::write(data.file(), whole.repeat(2)).unwrap();
        data.open().err().unwrap().to_string()
    };
    assert!(error.contains("after record 4") && error.contains("Restore the data folder"), "{error}");
}

#[test]
fn a_dropped_tail_shows_against_an_exported_head() {
    let data = data();
    let head = data.filled(5).position;
    let exported = Some((head.seq, head.hash));
    assert_eq!(verify(&data.folder, exported).unwrap().head, head);
    let whole = fs::read(data.file()).unwrap();
    let cut = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(data.file(), &whole[..cut]).unwrap();
    assert_eq!(verify(&data.folder, None).unwrap().head.seq, 4);
    let error = verify(&data.folder, exported).unwrap_err();
    assert!(matches!(&error, LedgerError::Head { seq: 5, .. }) && error.to_string().contains("tail was dropped"), "{error}");
    // Other records in their place do not help.
    let (ledger, _) = data.open().unwrap();
    append(&ledger, 99).unwrap();
    let error = ledger.verify(exported).unwrap_err().to_string();
    assert!(error.contains("history was rewritten"), "{error}");
}

#[test]
fn a_missing_segment_and_an_unknown_event_are_refused() {
    let data = data();
    let head = data.filled(2);
    fs::write(data.folder.join(format!("{:020}.jsonl", head.position.offset + 7)), "").unwrap();
    assert!(matches!(data.open(), Err(LedgerError::Damaged { .. })));
    fs::remove_file(data.folder.join(format!("{:020}.jsonl", head.position.offset + 7))).unwrap();
    let mut bytes = fs::read(data.file()).unwrap();
    line::write(&mut bytes, &head.position, Timestamp(3), r#"{"type":"from-the-future"}"#);
    fs::write(data.file(), bytes).unwrap();
    let (ledger, _) = data.open().unwrap();
    let last = ledger.replay(None).unwrap().last().unwrap();
    assert!(matches!(last, Err(LedgerError::UnknownEvent { seq: 3, .. })), "{last:?}");
}

#[test]
fn the_chain_runs_across_segments() {
    let data = data();
    let first = data.filled(3);
    // As a rotation leaves it: the next segment begins where the last one ends.
    let second = data.folder.join(format!("{:020}.jsonl", first.position.offset));
    let mut bytes = Vec::new();
    let end = line::write(&mut bytes, &first.position, Timestamp(3), &serde_json::to_string(&event(3)).unwrap());
    for content in [&bytes[..], b""] {
        fs::write(&second, content).unwrap();
        let (ledger, _) = data.open().unwrap();
        if content.is_empty() {
            assert_eq!(ledger.head(), first.position);
            assert_eq!(append(&ledger, 3).unwrap(), end);
        }
        assert_eq!(ledger.head(), end);
        assert_eq!(events(&ledger, None).len(), 4);
        assert_eq!(events(&ledger, Some(first.position)), [event(3)]);
        assert_eq!(ledger.verify(Some((3, first.position.hash))).unwrap().head, end);
    }
    assert_eq!(fs::read(&second).unwrap(), bytes);
    // A torn record in a segment that has a successor is damage.
    let whole = fs::read(data.file()).unwrap();
    fs::write(data.file(), &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(data.open(), Err(LedgerError::Damaged { .. })));
}

#[test]
fn a_full_segment_is_followed_by_the_next() {
    let data = data();
    let (ledger, _) = data.open().unwrap();
    let big = || Event::ManifestStored {
        repository: "nginx".parse::<Repository>().unwrap(),
        digest: Digest::sha256(b"x"),
        size: 1,
        media_type: "x".repeat(RECORD_BYTES - 1_000),
        lists: Listing::Blobs(Vec::new()),
    };
    for _ in 0..18 {
        ledger.append_blocking(Timestamp(1), big()).unwrap();
    }
    assert_eq!(fs::read_dir(&data.folder).unwrap().count(), 2);
    let head = ledger.checkpoint();
    assert_eq!(ledger.replay(None).unwrap().count(), 18);
    drop(ledger);
    assert_eq!(data.open().unwrap().0.checkpoint(), head);
    assert_eq!(Ledger::open(&data.folder, Some(head)).unwrap().1.records_checked, 0);
}

#[test]
fn a_record_over_the_limit_is_refused_and_harms_nothing() {
    let data = data();
    let (ledger, _) = data.open().unwrap();
    let large = Event::ManifestStored {
        repository: "nginx".parse::<Repository>().unwrap(),
        digest: Digest::sha256(b"x"),
        size: 1,
        media_type: "x".repeat(RECORD_BYTES),
        lists: Listing::Blobs(Vec::new()),
    };
    assert!(matches!(ledger.append_blocking(Timestamp(1), large), Err(LedgerError::TooLarge { .. })));
    assert_eq!(append(&ledger, 0).unwrap().seq, 1);
}

fn appends_again(ledger: &Ledger, number: u64) -> Position {
    let began = Instant::now();
    loop {
        match append(ledger, number) {
            Ok(position) => return position,
            Err(LedgerError::Unavailable { .. }) if began.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn after_a_failed_write_or_sync_nothing_is_acknowledged_until_the_tail_is_whole_again() {
    // F20: "not persisted" and "persisted anyway"; then the file cannot be opened for a while.
    for faults in
        [vec![Fault::Write], vec![Fault::Sync], vec![Fault::Sync, Fault::Reopen], vec![Fault::Write, Fault::Reopen, Fault::Reopen]]
    {
        let data = data();
        let (ledger, _) = data.open().unwrap();
        append(&ledger, 0).unwrap();
        let before = ledger.checkpoint();
        faults.iter().for_each(|fault| ledger.inject(*fault));
        assert!(matches!(append(&ledger, 1), Err(LedgerError::Unavailable { .. })));
        assert!(ledger.trouble().is_some());
        assert_eq!(ledger.checkpoint(), before);
        assert_eq!(events(&ledger, None), [event(0)], "reads go on");
        let position = appends_again(&ledger, 2);
        assert_eq!((position.seq, ledger.trouble()), (2, None), "{faults:?}");
        drop(ledger);
        let (ledger, recovery) = data.open().unwrap();
        assert_eq!(recovery.torn_bytes, 0);
        assert_eq!(events(&ledger, None), [event(0), event(2)]);
    }
}

#[test]
fn a_ledger_that_was_changed_behind_its_back_is_not_written_on() {
    let data = data();
    let (ledger, _) = data.open().unwrap();
    append(&ledger, 0).unwrap();
    append(&ledger, 1).unwrap();
    fs::write(data.file(), "something else\n").unwrap();
    ledger.inject(Fault::Write);
    assert!(append(&ledger, 2).is_err());
    std::thread::sleep(Duration::from_millis(700));
    assert!(append(&ledger, 3).is_err());
    assert!(ledger.trouble().unwrap().contains("no longer what was acknowledged"), "{:?}", ledger.trouble());
    assert_eq!(fs::read_to_string(data.file()).unwrap(), "something else\n");
}

#[derive(Default)]
struct Groups(Mutex<Vec<(Vec<u64>, Checkpoint)>>);

impl Follower for Groups {
    fn committed(&self, records: &[Record], checkpoint: Checkpoint) {
        let seqs = records.iter().map(|record| record.position.seq).collect();
        self.0.lock().unwrap().push((seqs, checkpoint));
        // A slow disk: meanwhile the next group gathers.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn records_that_wait_together_share_one_sync_and_reach_the_follower_in_order() {
    let data = data();
    let (ledger, _) = data.open().unwrap();
    let groups = Arc::new(Groups::default());
    ledger.follow(groups.clone());
    let replies: Vec<_> = (0..500).map(|number| ledger.append(Timestamp(1_000 - number), event(number as u64))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let seqs: Vec<u64> = replies.into_iter().map(|reply| runtime.block_on(reply).unwrap().seq).collect();
    assert_eq!(seqs, (1..=500).collect::<Vec<_>>());
    let groups = groups.0.lock().unwrap();
    assert!(groups.len() < 50, "{} groups", groups.len());
    assert_eq!(groups.iter().flat_map(|(seqs, _)| seqs.clone()).collect::<Vec<_>>(), seqs);
    let last = groups.last().unwrap().1;
    assert_eq!((last.position.seq, last.high_water), (500, Timestamp(1_000)));
    assert_eq!(ledger.checkpoint(), last);
}

#[test]
fn a_closed_ledger_refuses_and_has_everything() {
    let data = data();
    let (ledger, _) = data.open().unwrap();
    let waiting: Vec<_> = (0..100).map(|number| ledger.append(Timestamp(1), event(number))).collect();
    ledger.close();
    assert!(matches!(append(&ledger, 7), Err(LedgerError::Closed)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(waiting.into_iter().all(|reply| runtime.block_on(reply).is_ok()));
    assert_eq!(data.open().unwrap().0.head().seq, 100);
}

#[test]
fn a_ledger_in_memory_chains_as_one_on_disk() {
    let data = data();
    let head = data.filled(3);
    let ledger = Ledger::in_memory();
    (0..3).for_each(|number| assert_eq!(append(&ledger, number).unwrap().seq, number + 1));
    assert_eq!(ledger.checkpoint(), head);
}
