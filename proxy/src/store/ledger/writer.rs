//! The one thread that writes: groups, syncs once, acknowledges, and mends itself after an error.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sealgate_verifier::Timestamp;
use tokio::sync::oneshot;

use super::fault::{Fault, Faults};
use super::segment::Tail;
use super::{Checkpoint, Event, Follower, GROUP_BYTES, LedgerError, Position, QUEUE, RECORD_BYTES, Record, line};

/// Pause between attempts to open the tail again: disk full must end within seconds after there is room.
const RETRY: Duration = Duration::from_millis(500);

type Reply = oneshot::Sender<Result<Position, LedgerError>>;

pub(super) struct Request {
    time: Timestamp,
    event: Event,
    json: String,
    reply: Reply,
}

/// What the writer shows to everybody.
pub(super) struct Shared {
    /// Written by the writer alone, after the follower has seen the records.
    head: Mutex<Checkpoint>,
    trouble: Mutex<Option<String>>,
    follower: OnceLock<Arc<dyn Follower>>,
    pub(super) faults: Faults,
}

impl Shared {
    pub(super) fn new(head: Checkpoint) -> Self {
        Self { head: Mutex::new(head), trouble: Mutex::default(), follower: OnceLock::new(), faults: Faults::default() }
    }

    pub(super) fn head(&self) -> Checkpoint {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(super) fn follow(&self, follower: Arc<dyn Follower>) {
        let _ = self.follower.set(follower);
    }

    /// Shows durable records to the follower, then to everybody.
    fn publish(&self, records: &[Record]) {
        let mut head = self.head();
        for record in records {
            head = Checkpoint { position: record.position, high_water: head.high_water.max(record.time) };
        }
        if let Some(follower) = self.follower.get() {
            follower.committed(records, head);
        }
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

/// How records get to the disk, or do not.
pub(super) enum Writer {
    Thread { sender: Mutex<Option<SyncSender<Request>>>, thread: Mutex<Option<JoinHandle<()>>> },
    Memory { shared: Arc<Shared>, turn: Mutex<()> },
}

impl Writer {
    pub(super) fn thread(shared: Arc<Shared>, folder: PathBuf, tail: Option<Tail>) -> Result<Self, LedgerError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let good = shared.head().position;
        let mut scribe = Scribe { receiver, shared, good, folder, tail, tried: None };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || scribe.run());
        let thread = thread.map_err(LedgerError::io("opened"))?;
        Ok(Self::Thread { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) const fn memory(shared: Arc<Shared>) -> Self {
        Self::Memory { shared, turn: Mutex::new(()) }
    }

    /// Hands a record over. Never blocks on the disk.
    pub(super) fn submit(&self, time: Timestamp, event: Event) -> Result<oneshot::Receiver<Result<Position, LedgerError>>, LedgerError> {
        let json = serde_json::to_string(&event).map_err(|error| LedgerError::Unavailable { reason: error.to_string() })?;
        // The fields around the event: under 200 bytes.
        if json.len() + 256 > RECORD_BYTES {
            return Err(LedgerError::TooLarge { found: json.len(), limit: RECORD_BYTES - 256 });
        }
        let (reply, receiver) = oneshot::channel();
        match self {
            Self::Thread { sender, .. } => {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
                match sender.as_ref().ok_or(LedgerError::Closed)?.try_send(Request { time, event, json, reply }) {
                    Ok(()) => Ok(receiver),
                    Err(TrySendError::Full(_)) => Err(LedgerError::Overloaded),
                    Err(TrySendError::Disconnected(_)) => Err(LedgerError::Closed),
                }
            }
            Self::Memory { shared, turn } => {
                let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                let position = line::write(&mut Vec::new(), &shared.head().position, time, &json);
                shared.publish(&[Record { position, time, event }]);
                let _ = reply.send(Ok(position));
                Ok(receiver)
            }
        }
    }

    pub(super) fn close(&self) {
        if let Self::Thread { sender, thread } = self {
            drop(sender.lock().unwrap_or_else(PoisonError::into_inner).take());
            let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("the ledger's writer panicked");
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread's own state.
struct Scribe {
    receiver: Receiver<Request>,
    shared: Arc<Shared>,
    folder: PathBuf,
    /// The last acknowledged record.
    good: Position,
    /// None after an I/O error, until it was opened again.
    tail: Option<Tail>,
    /// When opening it again was tried last.
    tried: Option<Instant>,
}

impl Scribe {
    fn run(&mut self) {
        loop {
            let first = if self.tail.is_some() {
                self.receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.receiver.recv_timeout(RETRY)
            };
            match first {
                Ok(first) => self.group(first),
                Err(RecvTimeoutError::Timeout) => self.reopen(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes `first` and what else waits by now.
    fn group(&mut self, first: Request) {
        if self.tail.is_none() && self.tried.is_none_or(|tried| tried.elapsed() >= RETRY) {
            self.reopen();
        }
        let mut bytes = Vec::new();
        let mut records = Vec::new();
        let mut replies = Vec::new();
        let mut end = self.good;
        let mut next = Some(first);
        while let Some(Request { time, event, json, reply }) = next {
            end = line::write(&mut bytes, &end, time, &json);
            records.push(Record { position: end, time, event });
            replies.push(reply);
            next = if bytes.len() < GROUP_BYTES { self.receiver.try_recv().ok() } else { None };
        }
        let Some(tail) = &mut self.tail else {
            return self.refuse(replies);
        };
        match tail.write(&bytes, end, &self.shared.faults) {
            Ok(()) => {
                self.good = end;
                self.shared.publish(&records);
                for (reply, record) in replies.into_iter().zip(&records) {
                    let _ = reply.send(Ok(record.position));
                }
            }
            Err(error) => {
                tracing::error!(%error, records = records.len(), "the ledger could not be written; it opens its tail again by itself");
                self.shared.set_trouble(Some(error.to_string()));
                self.tail = None;
                self.tried = Some(Instant::now());
                self.refuse(replies);
            }
        }
    }

    fn refuse(&self, replies: Vec<Reply>) {
        let reason = self.shared.trouble().unwrap_or_default();
        for reply in replies {
            let _ = reply.send(Err(LedgerError::Unavailable { reason: reason.clone() }));
        }
    }

    fn reopen(&mut self) {
        self.tried = Some(Instant::now());
        let opened =
            self.shared.faults.check(Fault::Reopen).map_err(LedgerError::io("opened")).and_then(|()| Tail::open(&self.folder, self.good));
        match opened {
            Ok(tail) => {
                tracing::info!(seq = self.good.seq, "the ledger can be written again");
                self.tail = Some(tail);
                self.shared.set_trouble(None);
            }
            Err(error) => self.shared.set_trouble(Some(error.to_string())),
        }
    }
}
