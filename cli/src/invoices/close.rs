//! `tollbook invoices close`: makes a month final, or says for each account what speaks against it and how to get by.

use std::time::{Duration, Instant};

use ::api::answers::{Closed, Problem};
use ::api::client::{Error, MonthToClose};
use anyhow::{bail, ensure};
use clap::Args;
use serde_json::Value;

use super::{Format, totals};
use crate::options::Usage;
use crate::service::{Service, ServiceOptions};

/// What stands for every account.
const ALL: &str = "all";
/// How long a close is waited for, and how often it is asked about.
const PATIENCE: Duration = Duration::from_secs(900);
const PAUSE: Duration = Duration::from_millis(500);

/// Options of `tollbook invoices close`.
#[derive(Debug, Args)]
pub(super) struct Close {
    /// The account to close; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    account: Vec<String>,
    /// Every customer's account, or with --kind team every team's
    #[arg(long, conflicts_with = "account")]
    all: bool,
    /// customer or team
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// The month, such as 2026-10
    #[arg(long, visible_alias = "period", value_name = "YYYY-MM")]
    month: String,
    /// What to close over: unpriced, incomplete, quarantine, audit; may be repeated, and needs --reason
    #[arg(long, value_name = "WHAT", value_delimiter = ',', requires = "reason")]
    accept: Vec<String>,
    /// Why that is accepted; the invoices print it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Form of the answer; JSON has the invoices, one a line
    #[arg(long, env = "TOLLBOOK_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

pub(super) fn run(options: &Close) -> anyhow::Result<()> {
    let account = match (options.all, options.account.as_slice()) {
        (true, _) => vec![ALL.to_owned()],
        (false, []) => bail!(Usage("name the accounts to close with --account, or take --all")),
        (false, named) => named.to_vec(),
    };
    let service = options.service.connect()?;
    let month = MonthToClose {
        account,
        kind: options.kind.clone(),
        period: options.month.clone(),
        accept: options.accept.clone(),
        reason: options.reason.clone(),
    };
    let closed = match closed(&service, &month) {
        Ok(closed) => closed,
        Err(Error::Refused(problem)) if problem.blockers.is_some() => bail!("{}", refusal(&problem)),
        Err(error) => return Err(error.into()),
    };
    match options.format {
        Format::Text => println!("{}", totals(&closed.invoices)),
        Format::Json => {
            for invoice in &closed.invoices {
                println!("{}", serde_json::to_string(invoice)?);
            }
        }
    }
    ensure!(
        closed.pending.is_empty(),
        "some accounts are being closed still; repeat the command to see them"
    );
    Ok(())
}

/// The closed invoices. What takes longer than one call is asked for again, which changes nothing.
fn closed(service: &Service, month: &MonthToClose) -> Result<Closed, Error> {
    let deadline = Instant::now() + PATIENCE;
    service.runtime.block_on(async {
        loop {
            let closed = service.client.close_month(month).await?;
            if closed.pending.is_empty() || Instant::now() > deadline {
                return Ok(closed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// Why a month was not closed: each blocker of each account, and the options that close over them.
fn refusal(problem: &Problem) -> String {
    let mut text = vec!["the month was not closed".to_owned()];
    let mut kinds: Vec<&str> = Vec::new();
    let blockers = problem.blockers.as_deref().and_then(Value::as_object);
    for (account, found) in blockers.into_iter().flatten() {
        text.push(format!("  account {account}"));
        for blocker in found.as_array().into_iter().flatten() {
            let field = |name: &str| blocker[name].as_str().unwrap_or_default();
            text.push(format!("    {}: {}", field("what"), field("detail")));
            kinds.extend(blocker["what"].as_str());
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    text.push("put that right, or close over it, which the invoices print:".to_owned());
    text.push(format!("  --accept {} --reason 'why'", kinds.join(",")));
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_each_blocker_and_the_options_that_get_by() {
        let mut problem = Problem::parameter("account", "not ready");
        problem.blockers = Some(Box::new(serde_json::json!({
            "acme": [{"what": "unpriced", "detail": "2 entries have no full price"}],
            "zen": [{"what": "incomplete", "detail": "complete through nothing"},
                    {"what": "unpriced", "detail": "1 entries have no full price"}],
        })));
        assert_eq!(
            refusal(&problem),
            "the month was not closed\n  account acme\n    unpriced: 2 entries have no full price\n  account zen\n    \
             incomplete: complete through nothing\n    unpriced: 1 entries have no full price\n\
             put that right, or close over it, which the invoices print:\n  --accept incomplete,unpriced --reason 'why'"
        );
    }
}
