//! Users of the htpasswd file: bcrypt off the runtime, bounded, and no faster for a name that does not exist.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ring::{digest, hmac, rand};
use sealgate_config::{ConfigErrors, Htpasswd, PasswordHash, load_htpasswd};
use tokio::sync::{Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use crate::server::{Shutdown, Stamp, stamp};

/// Passwords that may wait for their check; more are told to come back. With a cost of 10 a check takes about 50 ms.
const QUEUE: usize = 64;
/// Most checks at once: bcrypt must leave cores to those who pull.
const PARALLEL: usize = 4;
/// bcrypt reads no more bytes of a password: a longer one would be equal to its beginning.
const PASSWORD_BYTES: usize = 72;
/// How long a correct password need not be checked again, while its entry in the file stays as it is.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Correct passwords that are remembered.
const REMEMBERED_PASSWORDS: usize = 1_024;
/// How often the file is looked at.
const RELOAD_EVERY: Duration = Duration::from_secs(5);
/// A hash that no password is known for, of each cost: what an unknown user's password is checked against.
const DECOY: &str = "c4WoMPo3SXsafkva.HHa6uXQZWr8oboPiC2bT/r7q1BB8I2s0BRqC";

/// Too many passwords wait for their check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// One load of the file.
struct Loaded {
    users: Htpasswd,
    /// As dear as the dearest entry.
    decoy: String,
}

impl Loaded {
    fn new(users: Htpasswd) -> Self {
        let cost = users.users().map(|(_, hash)| hash.cost()).max().unwrap_or(10);
        Self { users, decoy: format!("$2b${cost:02}${DECOY}") }
    }
}

/// The users of one file.
pub struct Users {
    path: PathBuf,
    loaded: ArcSwap<Loaded>,
    /// Of the file as it was when it was last read, usable or not.
    stamp: Mutex<Option<Stamp>>,
    /// Held by checks and those that wait for one.
    queue: Semaphore,
    /// Held by checks.
    checks: Semaphore,
    /// MAC of user and password, with the entry that they matched.
    remembered: Mutex<HashMap<[u8; 32], (String, Instant)>>,
    /// Of this process: nothing in memory is a hash that could be guessed offline.
    key: hmac::Key,
}

/// A place for one check.
pub struct Turn<'a> {
    _queue: SemaphorePermit<'a>,
    _check: SemaphorePermit<'a>,
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    /// Every line that is no user with a bcrypt hash.
    pub fn load(path: PathBuf) -> Result<Self, String> {
        let first = stamp(&path);
        let users = load_htpasswd(&path).map_err(|errors| errors.to_string())?;
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new()).map_err(|_| "no randomness".to_owned())?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            path,
            loaded: ArcSwap::from_pointee(Loaded::new(users)),
            stamp: Mutex::new(first),
            queue: Semaphore::new(QUEUE),
            checks: Semaphore::new((cores / 2).clamp(1, PARALLEL)),
            remembered: Mutex::default(),
            key,
        })
    }

    /// Reads the file again. One with a problem changes nothing: the last good one stays in force. Blocks on file I/O.
    ///
    /// # Errors
    /// Every line that is no user with a bcrypt hash.
    pub fn reload(&self) -> Result<(), ConfigErrors> {
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp(&self.path);
        match load_htpasswd(&self.path) {
            Ok(users) => {
                tracing::info!(htpasswd = %self.path.display(), users = users.users().count(), "users reloaded");
                self.loaded.store(Arc::new(Loaded::new(users)));
                Ok(())
            }
            Err(errors) => {
                errors.0.iter().for_each(|error| tracing::error!("{error}"));
                tracing::error!(htpasswd = %self.path.display(), "users not reloaded; the last good ones stay in force");
                Err(errors)
            }
        }
    }

    /// Reloads whenever the file changes, until the shutdown; `report` hears how each reload ended.
    pub async fn watch(self: Arc<Self>, shutdown: Shutdown, report: impl Fn(bool)) {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(RELOAD_EVERY) => {}
            }
            let users = Arc::clone(&self);
            let look = move || {
                let changed = *users.stamp.lock().unwrap_or_else(PoisonError::into_inner) != stamp(&users.path);
                changed.then(|| users.reload().is_ok())
            };
            if let Ok(Some(reloaded)) = tokio::task::spawn_blocking(look).await {
                report(reloaded);
            }
        }
    }

    /// Names the present entry of a user, without telling what it holds: another password is another entry.
    pub fn entry(&self, user: &str) -> Option<String> {
        self.loaded.load().users.user(user).map(entry)
    }

    /// The user's entry, where this password was found right lately.
    pub fn recall(&self, user: &str, password: &str) -> Option<String> {
        let present = self.entry(user)?;
        let (found, since) = self.remembered().get(&self.mac(user, password)).cloned()?;
        (found == present && since.elapsed() < REMEMBERED).then_some(present)
    }

    /// Waits for a place to check one password.
    ///
    /// # Errors
    /// Too many wait already.
    pub async fn turn(&self) -> Result<Turn<'_>, Busy> {
        let queue = self.queue.try_acquire().map_err(|_| Busy)?;
        let check = self.checks.acquire().await.map_err(|_| Busy)?;
        Ok(Turn { _queue: queue, _check: check })
    }

    /// The user's entry, if the password is right. Takes the same time for a user who does not exist.
    pub async fn check(&self, turn: Turn<'_>, user: &str, password: &Zeroizing<String>) -> Option<String> {
        let loaded = self.loaded.load_full();
        let known = loaded.users.user(user).map(|hash| (hash.expose().to_owned(), entry(hash)));
        let (hash, entry) = known.map_or_else(|| (loaded.decoy.clone(), None), |(hash, entry)| (hash, Some(entry)));
        let usable = password.len() <= PASSWORD_BYTES && !password.contains('\0');
        let tried = if usable { password.clone() } else { Zeroizing::default() };
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(tried.as_bytes(), &hash)).await;
        drop(turn);
        let right = matches!(checked, Ok(Ok(true))) && usable;
        let entry = entry.filter(|_| right)?;
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_PASSWORDS {
            remembered.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        }
        if remembered.len() >= REMEMBERED_PASSWORDS {
            remembered.clear();
        }
        remembered.insert(self.mac(user, password), (entry.clone(), Instant::now()));
        Some(entry)
    }

    fn mac(&self, user: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(user.len() as u64).to_le_bytes());
        context.update(user.as_bytes());
        context.update(password.as_bytes());
        let mut mac = [0; 32];
        mac.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        mac
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<[u8; 32], (String, Instant)>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry(hash: &PasswordHash) -> String {
    let digest = digest::digest(&digest::SHA256, hash.expose().as_bytes());
    digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(entries: &[(&str, &str)]) -> (tempfile::NamedTempFile, Users) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        write(&file, entries);
        let users = Users::load(file.path().to_owned()).expect("users");
        (file, users)
    }

    fn write(file: &tempfile::NamedTempFile, entries: &[(&str, &str)]) {
        let line = |(name, password): &(&str, &str)| format!("{name}:{}\n", bcrypt::hash(password, 5).expect("a hash"));
        std::fs::write(file.path(), entries.iter().map(line).collect::<String>()).expect("written");
    }

    async fn check(users: &Users, user: &str, password: &str) -> bool {
        let turn = users.turn().await.expect("a turn");
        users.check(turn, user, &Zeroizing::new(password.to_owned())).await.is_some()
    }

    #[tokio::test]
    async fn only_the_right_password_of_that_user_is_right() {
        let long = "p".repeat(PASSWORD_BYTES);
        let (_file, users) = users(&[("alice", "correct horse"), ("bob", "battery"), ("long", &long)]);
        assert!(check(&users, "alice", "correct horse").await);
        assert!(check(&users, "long", &long).await);
        for (user, password) in [
            ("alice", "battery"),
            ("alice", ""),
            ("alice", "correct horse "),
            ("alice", "correct horse\0"),
            ("bob", "correct horse"),
            ("carol", "correct horse"),
            ("", ""),
            ("long", &format!("{long}p")),
        ] {
            assert!(!check(&users, user, password).await, "{user} {password}");
        }
    }

    #[tokio::test]
    async fn a_remembered_password_ends_with_its_entry() {
        // D7
        let (file, users) = users(&[("alice", "one"), ("bob", "two")]);
        assert_eq!(users.recall("alice", "one"), None);
        assert!(check(&users, "alice", "one").await && check(&users, "bob", "two").await);
        assert!(users.recall("alice", "one").is_some() && users.recall("alice", "two").is_none());
        write(&file, &[("alice", "three")]);
        users.reload().expect("reloaded");
        assert_eq!((users.recall("alice", "one"), users.recall("bob", "two")), (None, None));
        assert!(!check(&users, "alice", "one").await && check(&users, "alice", "three").await);
        std::fs::write(file.path(), "alice:plaintext\n").expect("written");
        assert!(users.reload().is_err());
        assert!(check(&users, "alice", "three").await, "the last good file stays in force");
    }

    // D11
    #[test]
    fn an_unknown_user_is_checked_against_a_hash_as_dear_as_the_dearest() {
        let (_file, users) = users(&[("alice", "one")]);
        let loaded = users.loaded.load();
        assert!(loaded.decoy.starts_with("$2b$05$"));
        assert!(matches!(bcrypt::verify("any", &loaded.decoy), Ok(false)), "the decoy must cost a whole check");
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let (_file, users) = users(&[]);
        let held = users.queue.try_acquire_many(u32::try_from(QUEUE).expect("a number")).expect("all places");
        assert_eq!(users.turn().await.err(), Some(Busy));
        drop(held);
        assert!(users.turn().await.is_ok());
    }
}
