//! Failures on order, for tests (F19, F20). Empty outside of them.

use std::io;

/// A step that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written.
    Write,
    /// All is written and may reach the disk; syncing it fails.
    Sync,
    /// The tail cannot be opened again.
    #[cfg_attr(not(test), allow(dead_code))]
    Reopen,
}

/// The failures that are still to come.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    #[cfg(test)]
    waiting: std::sync::Mutex<Vec<Fault>>,
}

impl Faults {
    /// Lets the next such step fail, once.
    #[cfg(test)]
    pub(crate) fn inject(&self, fault: Fault) {
        self.waiting.lock().expect("no panic under the lock").push(fault);
    }

    #[cfg(test)]
    pub(super) fn check(&self, fault: Fault) -> io::Result<()> {
        let mut waiting = self.waiting.lock().expect("no panic under the lock");
        match waiting.iter().position(|next| *next == fault) {
            Some(at) => {
                waiting.remove(at);
                Err(io::Error::from_raw_os_error(5))
            }
            None => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    pub(super) fn check(&self, _fault: Fault) -> io::Result<()> {
        Ok(())
    }
}
