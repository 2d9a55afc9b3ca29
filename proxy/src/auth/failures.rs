//! How often a client may be wrong.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures that a client may make at once.
pub const BURST: u32 = 10;
/// How long it takes until one more is forgiven: ten a minute, so that guessing a password of six letters takes decades.
const FORGIVEN: Duration = Duration::from_secs(6);
/// Clients in the table; beyond them the one whose last failure is longest ago is forgotten. 10 000 take about 1 MiB.
const CLIENTS: usize = 10_000;

/// Where a client is: its IPv4 address, or the /64 network of its IPv6 address, which one host can have to itself (RFC 6177 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source(IpAddr);

impl Source {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

/// Whole seconds until the client may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limited(pub u64);

/// Counts failures by client. A failure is counted when an attempt begins and taken back when it succeeds, so that attempts at the same
/// time count too. For each client the time at which all its failures are forgiven (GCRA, ITU-T I.371).
#[derive(Debug)]
pub struct Failures {
    started: Instant,
    forgiven_at: Mutex<HashMap<Source, Duration>>,
}

impl Failures {
    /// Without any.
    #[must_use]
    pub fn new() -> Self {
        Self { started: Instant::now(), forgiven_at: Mutex::default() }
    }

    /// Whether the client may try now.
    ///
    /// # Errors
    /// Not now.
    pub fn check(&self, address: IpAddr) -> Result<(), Limited> {
        let now = self.started.elapsed();
        let forgiven_at = self.table().get(&Source::of(address)).copied().unwrap_or_default();
        allowed(now, forgiven_at).map(|_| ())
    }

    /// Counts an attempt as failed until it [`succeeded`](Self::succeeded).
    ///
    /// # Errors
    /// The client may not try now; nothing was counted.
    pub fn begin(&self, address: IpAddr) -> Result<(), Limited> {
        self.begin_at(self.started.elapsed(), address)
    }

    fn begin_at(&self, now: Duration, address: IpAddr) -> Result<(), Limited> {
        let source = Source::of(address);
        let mut table = self.table();
        let later = allowed(now, table.get(&source).copied().unwrap_or_default())?;
        if table.len() >= CLIENTS && !table.contains_key(&source) {
            table.retain(|_, forgiven_at| *forgiven_at > now);
            let oldest = table.iter().min_by_key(|(_, forgiven_at)| **forgiven_at).map(|(source, _)| *source);
            if let Some(oldest) = oldest.filter(|_| table.len() >= CLIENTS) {
                table.remove(&oldest);
            }
        }
        table.insert(source, later);
        Ok(())
    }

    /// The attempt that [`begin`](Self::begin) counted was none.
    pub fn succeeded(&self, address: IpAddr) {
        if let Some(forgiven_at) = self.table().get_mut(&Source::of(address)) {
            *forgiven_at = forgiven_at.saturating_sub(FORGIVEN);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Source, Duration>> {
        self.forgiven_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When all is forgiven after one more failure at `now`.
fn allowed(now: Duration, forgiven_at: Duration) -> Result<Duration, Limited> {
    let later = forgiven_at.max(now) + FORGIVEN;
    match later.checked_sub(now + FORGIVEN * BURST) {
        Some(wait) if !wait.is_zero() => Err(Limited(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))),
        Some(_) | None => Ok(later),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn a_client_that_is_wrong_too_often_waits_and_others_do_not() {
        let failures = Failures::new();
        for _ in 0..BURST {
            assert_eq!(failures.begin_at(Duration::ZERO, ip("192.0.2.1")), Ok(()));
        }
        assert_eq!(failures.begin_at(Duration::ZERO, ip("192.0.2.1")), Err(Limited(6)));
        assert_eq!(failures.begin_at(Duration::from_millis(5_500), ip("192.0.2.1")), Err(Limited(1)));
        assert_eq!(failures.begin_at(Duration::ZERO, ip("192.0.2.2")), Ok(()));
        assert_eq!(failures.begin_at(Duration::from_secs(6), ip("::ffff:192.0.2.1")), Ok(()));
        assert_eq!(failures.begin_at(Duration::from_secs(6), ip("192.0.2.1")), Err(Limited(6)));
        failures.succeeded(ip("192.0.2.1"));
        assert_eq!(failures.begin_at(Duration::from_secs(6), ip("192.0.2.1")), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let failures = Failures::new();
        for number in 0..BURST {
            assert_eq!(failures.begin_at(Duration::ZERO, ip(&format!("2001:db8::{number:x}"))), Ok(()));
        }
        assert_eq!(failures.begin_at(Duration::ZERO, ip("2001:db8::ffff:1")), Err(Limited(6)));
        assert_eq!(failures.begin_at(Duration::ZERO, ip("2001:db8:0:1::1")), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let failures = Failures::new();
        for number in 0..u32::try_from(CLIENTS).expect("a number") + 10 {
            let now = Duration::from_millis(u64::from(number) / 10);
            assert_eq!(failures.begin_at(now, IpAddr::V4(number.into())), Ok(()));
        }
        assert_eq!(failures.table().len(), CLIENTS);
        assert!(!failures.table().contains_key(&Source::of(IpAddr::V4(0.into()))));
    }
}
