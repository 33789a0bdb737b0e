//! The one thread that writes. It gathers what arrives together, writes it as one transaction, and answers.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Error;
use crate::config::Clock;
use crate::handle::Shared;
use crate::partition::Partition;
use crate::plan::Plan;
use crate::queue::{Popped, Request};
use crate::retention;

/// How often retention looks at a journal to which nothing is appended.
const IDLE: Duration = Duration::from_secs(30);

/// What the writer thread works on. `partitions` is what the last durable transaction left.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    partitions: Vec<Partition>,
    clock: Clock,
}

/// Starts the thread.
pub(crate) fn spawn(writer: Writer) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("journal-writer".to_owned()).spawn(move || writer.run())
}

/// Ends the journal however the thread ends, so that nobody waits for it in vain.
#[derive(Debug)]
struct EndsJournal(Arc<Shared>);

impl Drop for EndsJournal {
    fn drop(&mut self) {
        self.0.end(Error::Closed { folder: self.0.config.path.clone() });
        self.0.queue.abandon();
        self.0.store.close();
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, partitions: Vec<Partition>, clock: Clock) -> Writer {
        Writer { shared, partitions, clock }
    }

    fn run(mut self) {
        let _ends_journal = EndsJournal(Arc::clone(&self.shared));
        loop {
            let group = match self.shared.queue.pop(Instant::now() + IDLE) {
                Popped::Request(first) => self.gather(first),
                Popped::Nothing if self.is_trim_due() => Vec::new(),
                Popped::Nothing => continue,
                Popped::Closed => return,
            };
            self.write(group);
            if let Some(stopped) = self.shared.store.stopped() {
                tracing::error!(error = %stopped, "The journal has stopped");
                self.shared.end(stopped);
                return;
            }
        }
    }

    /// What arrives within `group_commit_wait` of the first request, up to `group_commit_bytes_max`.
    fn gather(&self, first: Request) -> Vec<Request> {
        let config = &self.shared.config;
        let deadline = Instant::now() + config.group_commit_wait;
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while bytes < config.group_commit_bytes_max {
            let Popped::Request(request) = self.shared.queue.pop(deadline) else { break };
            bytes = bytes.saturating_add(request.bytes());
            group.push(request);
        }
        group
    }

    fn is_trim_due(&self) -> bool {
        retention::is_due(&self.partitions, &self.shared.config, (self.clock)())
    }

    /// Writes a group as one transaction and answers each request. After a failure the store is opened anew.
    fn write(&mut self, group: Vec<Request>) {
        let recovered = if self.shared.store.is_broken() { self.reopen() } else { Ok(()) };
        let mut plan = Plan::new(self.partitions.clone(), (self.clock)());
        for request in group {
            plan.add(request);
        }
        if let Err(error) = recovered {
            return plan.answers.fail(&error);
        }
        match plan.write(&self.shared, &self.partitions) {
            Ok(dropped_blocks) => {
                self.publish(plan.partitions);
                plan.answers.succeed(dropped_blocks);
            }
            Err(error) => {
                tracing::warn!(%error, "A transaction of the journal failed");
                let reopened = if self.shared.store.stopped().is_some() { Ok(()) } else { self.reopen() };
                if let Err(error) = reopened {
                    tracing::warn!(%error, "The journal could not be opened anew; the next request tries again");
                }
                plan.answers.fail(&error);
            }
        }
    }

    /// What the file holds counts from here on: a transaction that failed late may have become durable.
    fn reopen(&mut self) -> Result<(), Error> {
        let partitions = self.shared.store.reopen()?;
        self.publish(partitions);
        Ok(())
    }

    fn publish(&mut self, partitions: Vec<Partition>) {
        for (live, partition) in self.shared.live.iter().zip(&partitions) {
            live.publish(partition);
        }
        self.partitions = partitions;
    }
}
