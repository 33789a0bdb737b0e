//! Compares a ledger with the truth: what it holds after the traffic, less what it held before, must be the truth to
//! the last digit. The ledger may hold anything else, but nobody else may send meanwhile.

mod books;

use std::time::{Duration, Instant};

use ::api::client;
use anyhow::bail;
use indicatif::ProgressBar;
use traffic::Truth;

use super::truth::Period;
use crate::service::{Service, ServiceOptions};
use books::{Books, Counts};

/// Pause between two looks; where an audit takes longer, as long as that.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(500);
/// Differences that are named; the rest is counted.
const NAMED_MAX: usize = 20;

/// A comparison under way.
pub(super) struct Check {
    service: Service,
    period: Period,
    patience: Duration,
    before: Books,
}

impl Check {
    /// Notes what the ledger holds before.
    ///
    /// # Errors
    /// Where the service does not answer.
    pub(super) fn begin(
        options: &ServiceOptions,
        period: Period,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        let service = options.connect()?;
        let counts = service.runtime.block_on(async { Counts::of(&service.client.audit().await?) })?;
        let before = service.runtime.block_on(Books::read(&service.client, period, counts))?;
        Ok(Self { service, period, patience, before })
    }

    /// Waits until the ledger has everything, and compares. Of `resent` events it may have received more than one.
    ///
    /// # Errors
    /// Names each difference.
    pub(super) fn end(self, truth: &Truth, resent: u64) -> anyhow::Result<()> {
        let Self { service, period, patience, before } = self;
        let expected = Books::of(truth)?;
        let counts =
            service.runtime.block_on(wait(&service, &before.counts, &expected.counts, resent, patience))?;
        let mut found = service.runtime.block_on(async {
            let mut found = Books::read(&service.client, period, counts).await?.less(&before)?;
            found.counts.read_reasons(&service.client).await?;
            anyhow::Ok(found)
        })?;
        if resent > 0 {
            // What was acknowledged late is in the log twice: received, duplicates and quarantined grew by as much.
            let accepted = std::mem::replace(&mut found.counts, expected.counts.clone()).accepted;
            found.counts.accepted = accepted;
        }
        let differences = expected.differences(&found);
        if differences.is_empty() {
            println!(
                "Verified: the ledger has the same counts, and the same requests, attempts, quantities and cost of {} teams and {} models, to the last digit",
                truth.by_team.len(),
                truth.by_model.len()
            );
            return Ok(());
        }
        for difference in differences.iter().take(NAMED_MAX) {
            eprintln!("difference: {difference}");
        }
        if let Some(more) = differences.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
            eprintln!("and {more} more differences");
        }
        if found.counts.accepted == 0 && found.counts.duplicates >= truth.accepted {
            bail!("the ledger had all of this traffic before; send another with --seed or --start");
        }
        bail!("the ledger differs from the truth in {} places", differences.len());
    }
}

/// Waits until the ledger has received and posted everything; ends early, and answers what there is, where it gets no
/// further.
async fn wait(
    service: &Service,
    before: &Counts,
    expected: &Counts,
    resent: u64,
    patience: Duration,
) -> anyhow::Result<Counts> {
    let bar = ProgressBar::new(expected.received);
    let (mut reached, mut moved) = (None, Instant::now());
    loop {
        let asked = Instant::now();
        let counts = audit_when_free(service, patience).await?;
        let found = counts.less(before);
        bar.set_position(found.received);
        // Of what is there twice, the second can count before the first of something else.
        let is_complete =
            found.received >= expected.received && (resent == 0 || found.accepted >= expected.accepted);
        if is_complete || (reached.as_ref() == Some(&found) && moved.elapsed() >= patience) {
            bar.finish_and_clear();
            return Ok(counts);
        }
        if reached.as_ref() != Some(&found) {
            (reached, moved) = (Some(found), Instant::now());
        }
        tokio::time::sleep(asked.elapsed().max(LOOK_AGAIN_MIN)).await;
    }
}

/// The counts of an audit, once the service is there and makes no other.
async fn audit_when_free(service: &Service, patience: Duration) -> anyhow::Result<Counts> {
    let begun = Instant::now();
    loop {
        match service.client.audit().await {
            Ok(report) => return Counts::of(&report),
            Err(error) if is_passing(&error) && begun.elapsed() < patience => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(LOOK_AGAIN_MIN).await;
    }
}

/// Whether the same question may be answered later.
fn is_passing(error: &client::Error) -> bool {
    match error {
        client::Error::Unreachable { .. } => true,
        client::Error::Refused(problem) => problem.status == 503,
        client::Error::Foreign { .. } => false,
    }
}
