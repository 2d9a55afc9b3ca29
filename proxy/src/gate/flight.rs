//! Single flight: any number of callers of one key cause one piece of work, which goes on when they leave.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::gate::error::GateError;

type Outcome<V> = Option<Result<V, GateError>>;

/// Work under way, by key.
#[derive(Debug)]
pub struct Flights<K, V> {
    /// Each entry is removed by the task that does its work, before the result is published.
    under_way: Mutex<HashMap<K, watch::Receiver<Outcome<V>>>>,
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { under_way: Mutex::new(HashMap::new()) }
    }
}

/// Removes the entry also when the work panics, so that the next caller starts anew.
struct Entry<K: Eq + Hash, V> {
    flights: Arc<Flights<K, V>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Joins the work on `key`, or starts it. The work runs in a task of its own: a caller that leaves cancels nothing. Of the callers
    /// that joined work which failed in passing one starts it again, once (F6).
    ///
    /// # Errors
    /// The work's own error; [`GateError::Internal`] when it panicked.
    pub async fn join<W, F>(self: &Arc<Self>, key: K, work: W) -> Result<V, GateError>
    where
        W: FnOnce() -> F,
        F: Future<Output = Result<V, GateError>> + Send + 'static,
    {
        let mut work = Some(work);
        let mut outcome = Self::landed(self.board(&key, &mut work)).await;
        if work.is_some() && outcome.as_ref().is_err_and(GateError::is_passing) {
            outcome = Self::landed(self.board(&key, &mut work)).await;
        }
        outcome
    }

    /// The flight of `key`; takes `work` to start one where there is none.
    fn board<W, F>(self: &Arc<Self>, key: &K, work: &mut Option<W>) -> watch::Receiver<Outcome<V>>
    where
        W: FnOnce() -> F,
        F: Future<Output = Result<V, GateError>> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = under_way.get(key) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        if let Some(work) = work.take() {
            under_way.insert(key.clone(), receiver.clone());
            let entry = Entry { flights: Arc::clone(self), key: key.clone() };
            let work = work();
            tokio::spawn(async move {
                let outcome = work.await;
                drop(entry);
                sender.send_replace(Some(outcome));
            });
        }
        receiver
    }

    async fn landed(mut receiver: watch::Receiver<Outcome<V>>) -> Result<V, GateError> {
        match receiver.wait_for(Option::is_some).await {
            Ok(outcome) => (*outcome).clone().unwrap_or(Err(GateError::Internal)),
            Err(_) => Err(GateError::Internal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn fifty_callers_cause_one_piece_of_work_that_outlives_the_first() {
        // F4, F5
        let flights = Arc::new(Flights::<&str, u32>::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let work = |runs: Arc<AtomicUsize>| async move {
            runs.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(7)
        };
        let leader = tokio::spawn({
            let (flights, runs) = (flights.clone(), runs.clone());
            async move { flights.join("a", || work(runs)).await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        leader.abort();
        let others = (0..50).map(|_| {
            let (flights, runs) = (flights.clone(), runs.clone());
            tokio::spawn(async move { flights.join("a", || work(runs)).await })
        });
        for other in others.collect::<Vec<_>>() {
            assert!(matches!(other.await, Ok(Ok(7))));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn one_of_those_who_waited_for_a_failure_tries_again() {
        // F6
        let flights = Arc::new(Flights::<&str, u32>::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let work = |runs: Arc<AtomicUsize>| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            match runs.fetch_add(1, Ordering::SeqCst) {
                0 => Err(GateError::Upstream(sealgate_registry::FetchError::Unavailable { status: 500 })),
                _ => Ok(7),
            }
        };
        let callers = (0..10).map(|_| {
            let (flights, runs) = (flights.clone(), runs.clone());
            tokio::spawn(async move { flights.join("a", || work(runs)).await })
        });
        let mut served = 0;
        for caller in callers.collect::<Vec<_>>() {
            served += usize::from(matches!(caller.await, Ok(Ok(7))));
        }
        assert_eq!((served, runs.load(Ordering::SeqCst)), (9, 2));
    }

    #[tokio::test]
    async fn a_panic_frees_the_waiters_and_the_key() {
        let flights = Arc::new(Flights::<&str, u32>::default());
        assert!(matches!(flights.join("a", || async { panic!("on purpose") }).await, Err(GateError::Internal)));
        assert!(matches!(flights.join("a", || async { Ok(1) }).await, Ok(1)));
    }
}
