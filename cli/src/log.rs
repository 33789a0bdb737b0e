//! What the commands of long life share: the topics that must exist, and the signals that end them.

use ingest::source::kafka;
use schemas::log::COMMANDS_TOPIC;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Creates the topics that are missing and checks those that are there.
///
/// # Errors
/// Where a topic is compacted, the command log has more than one partition, or the brokers do not answer.
pub(crate) fn ensure_topics(runtime: &Runtime, config: &kafka::Config, topic: &str) -> anyhow::Result<()> {
    let topics = [(topic, None), (COMMANDS_TOPIC, Some(1))];
    runtime.block_on(ingest::append::ensure_topics(config, &topics))?;
    Ok(())
}

/// SIGTERM and SIGINT, or a reason of our own to end.
#[derive(Clone)]
pub(crate) struct Signals {
    ending: watch::Sender<bool>,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn listen(runtime: &Runtime) -> anyhow::Result<Self> {
        let ending = watch::Sender::new(false);
        let _inside = runtime.enter();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let sender = ending.clone();
        runtime.spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            sender.send_replace(true);
        });
        Ok(Self { ending })
    }

    /// Whether the process should end.
    pub(crate) fn came(&self) -> bool {
        *self.ending.borrow()
    }

    /// Ends the process as a signal would.
    pub(crate) fn raise(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until the process should end.
    pub(crate) async fn wait(self) {
        // The sender is held here, so waiting cannot fail.
        let _ = self.ending.subscribe().wait_for(|ending| *ending).await;
    }
}
