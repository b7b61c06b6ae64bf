//! Ending in order.

use std::io;

use tokio::signal::unix::{SignalKind, signal as listen};
use tokio::sync::watch;

/// Tells everybody that it is time to end.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// A shutdown, and what triggers it: send `true`.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Shutdown) {
        let (trigger, receiver) = watch::channel(false);
        (trigger, Shutdown(receiver))
    }

    /// Waits until it is time, or until nobody is left who could say so.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone: the same.
        let _told = self.0.wait_for(|ending| *ending).await;
    }
}

/// A shutdown that SIGTERM and SIGINT trigger.
///
/// # Errors
/// The signals cannot be listened to.
pub fn signal() -> io::Result<Shutdown> {
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        trigger.send_replace(true);
    });
    Ok(shutdown)
}
