//! The table of uploads that have begun: each under an identifier that cannot be guessed, for whoever began it, for a limited time.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sealgate_verifier::Algorithm;

use super::account::Account;
use super::session::{Session, UploadId};
use super::{PushError, Pusher};

/// Uploads that may be unfinished at once: each holds about 1 KiB, and a file on the disk once it has bytes.
pub const UPLOADS: usize = 8_192;
/// Uploads that one client may have unfinished. A docker push has five under way; a thousand serve two hundred CI jobs in one name.
pub const UPLOADS_OF_ONE: usize = 1_000;

/// All uploads that have begun.
pub struct Uploads {
    sessions: Mutex<HashMap<UploadId, Arc<Session>>>,
    /// Most of them.
    limit: usize,
    idle: Duration,
    started: Instant,
}

impl Uploads {
    /// An empty table, whose uploads expire after `idle` without a request.
    #[must_use]
    pub fn new(idle: Duration) -> Self {
        Self { sessions: Mutex::default(), limit: UPLOADS, idle, started: Instant::now() }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the table was made.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Removes what has expired, files included, and says how many that were. Blocks on the disk.
    pub fn sweep(&self) -> usize {
        let (now, idle) = (self.now(), u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX));
        let expired = |session: &Session| now.saturating_sub(session.used.load(Ordering::Relaxed)) > idle;
        let mut sessions = self.sessions();
        // One that is being written to is in use, however long that takes.
        let gone: Vec<UploadId> =
            sessions.iter().filter(|(_, session)| expired(session) && session.is_at_rest()).map(|(id, _)| id.clone()).collect();
        let gone: Vec<Arc<Session>> = gone.iter().filter_map(|id| sessions.remove(id)).collect();
        drop(sessions);
        gone.len()
    }

    /// How many are unfinished.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions().len()
    }

    pub(super) fn begin(&self, pusher: &Pusher, algorithm: Algorithm, limit: u64, evidence: bool) -> Result<UploadId, PushError> {
        let id = UploadId::generate()?;
        let session = Session::new(pusher, algorithm, limit, evidence, self.now());
        let mut sessions = self.sessions();
        let own = sessions.values().filter(|other| other.account == session.account).count();
        if own >= UPLOADS_OF_ONE {
            return Err(PushError::TooManyUploads { limit: UPLOADS_OF_ONE });
        }
        let mut displaced = None;
        if sessions.len() >= self.limit {
            displaced = displace(&mut sessions, own);
            if displaced.is_none() {
                return Err(PushError::TooManyUploads { limit: self.limit });
            }
        }
        sessions.insert(id.clone(), Arc::new(session));
        drop(sessions);
        if displaced.is_some() {
            tracing::warn!(uploads = self.limit, "too many uploads are unfinished: one of whoever has most of them was given up");
        }
        Ok(id)
    }

    /// The upload `id`, where this pusher began it in this repository (D12).
    pub(super) fn find(&self, pusher: &Pusher, id: &UploadId) -> Result<Arc<Session>, PushError> {
        let session = self.sessions().get(id).cloned().filter(|session| session.is_of(pusher)).ok_or(PushError::UploadUnknown)?;
        session.used.store(self.now(), Ordering::Relaxed);
        Ok(session)
    }

    /// Takes the upload out of the table: of several who end it, one does.
    pub(super) fn take(&self, id: &UploadId) -> Result<Arc<Session>, PushError> {
        self.sessions().remove(id).ok_or(PushError::UploadUnknown)
    }
}

/// When the table is full, whoever has most of it loses the upload that rested longest, to make room for a client that has `own`: else
/// a few could keep all others from pushing. None where that client itself has as many as anybody, or nothing rests.
fn displace(sessions: &mut HashMap<UploadId, Arc<Session>>, own: usize) -> Option<Arc<Session>> {
    let mut counts: HashMap<&Account, usize> = HashMap::new();
    for session in sessions.values() {
        *counts.entry(&session.account).or_default() += 1;
    }
    let most = counts.values().copied().max().filter(|most| *most > own + 1)?;
    let resting = sessions.iter().filter(|(_, session)| counts.get(&session.account) == Some(&most) && session.is_at_rest());
    let id = resting.min_by_key(|(_, session)| session.used.load(Ordering::Relaxed)).map(|(id, _)| id.clone())?;
    sessions.remove(&id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Principal;
    use crate::gate::push::Extent;

    fn pusher(user: &str) -> Pusher {
        let principal = Principal::User(user.into());
        let account = Account::of(&principal, [192, 0, 2, 1].into());
        let repository = "hosted.local/team/app".parse().unwrap();
        Pusher { repository, principal, account, extent: Extent::Everything }
    }

    fn begin(table: &Uploads, user: &str) -> Result<UploadId, PushError> {
        table.begin(&pusher(user), Algorithm::Sha256, 1, false)
    }

    #[test]
    fn one_client_has_a_limit_of_its_own() {
        let table = Uploads::new(Duration::from_mins(1));
        for _ in 0..UPLOADS_OF_ONE {
            begin(&table, "a").unwrap();
        }
        assert!(matches!(begin(&table, "a"), Err(PushError::TooManyUploads { limit: UPLOADS_OF_ONE })));
        begin(&table, "b").unwrap();
    }

    #[test]
    fn a_full_table_takes_from_whoever_has_most_of_it() {
        let table = Uploads { limit: 10, ..Uploads::new(Duration::from_mins(1)) };
        let greedy: Vec<UploadId> = (0..10).map(|_| begin(&table, "greedy").unwrap()).collect();
        assert!(matches!(begin(&table, "greedy"), Err(PushError::TooManyUploads { limit: 10 })), "not from themselves");
        // Which one is busy stays; the others go in the order of their last use.
        let busy = table.find(&pusher("greedy"), &greedy[0]).unwrap();
        let _state = busy.state().unwrap();
        let modest: Vec<UploadId> = (0..5).map(|_| begin(&table, "modest").unwrap()).collect();
        assert!(begin(&table, "modest").is_err(), "both have five");
        assert_eq!(table.count(), 10);
        assert!(modest.iter().all(|id| table.find(&pusher("modest"), id).is_ok()));
        assert!(table.find(&pusher("greedy"), &greedy[0]).is_ok());
        assert_eq!(greedy.iter().filter(|id| table.find(&pusher("greedy"), id).is_ok()).count(), 5);
    }

    #[test]
    fn what_rests_too_long_is_swept_and_what_is_written_to_is_not() {
        let table = Uploads::new(Duration::ZERO);
        let (resting, busy) = (begin(&table, "a").unwrap(), begin(&table, "a").unwrap());
        let session = table.find(&pusher("a"), &busy).unwrap();
        let _state = session.state().unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(table.sweep(), 1);
        assert!(table.find(&pusher("a"), &resting).is_err());
        assert!(table.find(&pusher("a"), &busy).is_ok());
    }

    #[test]
    fn an_upload_belongs_to_its_principal_and_repository() {
        // D12
        let table = Uploads::new(Duration::from_mins(1));
        let id = begin(&table, "a").unwrap();
        assert!(table.find(&pusher("b"), &id).is_err());
        let elsewhere = Pusher { repository: "hosted.local/team/other".parse().unwrap(), ..pusher("a") };
        assert!(table.find(&elsewhere, &id).is_err());
        assert!(table.find(&pusher("a"), &id).is_ok());
    }
}
