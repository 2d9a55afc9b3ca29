//! The request to stop.

use tokio::sync::watch;

/// Requests the shutdown. Dropping it requests it too, so that a server never outlives whoever would stop it.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Tells when the shutdown is requested. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A pair of both.
#[must_use]
pub fn shutdown() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// Requests the shutdown. Again is the same as once.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Waits until the shutdown is requested.
    pub async fn requested(&self) {
        // An error means that the trigger is gone, which requests it too.
        let _gone = self.0.clone().wait_for(|requested| *requested).await.is_err();
    }

    /// Whether it is requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
