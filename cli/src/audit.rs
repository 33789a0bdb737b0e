//! `tollbook audit`: the trial balance. Received = posted + duplicates + quarantined, nothing twice, and repeats beyond
//! the window reversed.

use ::api::client::Audit;
use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::repair;
use crate::service::ServiceOptions;

/// Options of `tollbook audit`.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 clean, 1 not clean or not made, 2 usage")]
pub(crate) struct Options {
    /// Read every row; without it batches are compared with their rows by digests, which takes seconds
    #[arg(long)]
    full: bool,
    /// Only read: leave repeats beyond the window for another audit to reverse
    #[arg(long)]
    read_only: bool,
    /// Show the last audit that the API's process made by itself (--audit-every), without making one
    #[arg(long, conflicts_with_all = ["full", "read_only", "reprice_check"])]
    cached: bool,
    /// Derive the amounts again from quantities and price rows, to the last digit
    #[arg(long)]
    reprice_check: bool,
    /// Derive those of that many entries, drawn at random, instead of all
    #[arg(long, value_name = "COUNT", requires = "reprice_check", value_parser = clap::value_parser!(u64).range(1..))]
    sample: Option<u64>,
    /// Draw the same sample again
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    seed: Option<u64>,
    /// Form of the report
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    repair: repair::Options,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Prints the report; fails where it is not clean. Or repairs.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if options.repair.repair {
        return repair::run(&options.repair, options.service.data());
    }
    let service = options.service.connect()?;
    let report = service.runtime.block_on(service.client.audit_as(&options.question()))?;
    match options.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => println!("{report}"),
    }
    if !report.clean {
        bail!("the audit is not clean");
    }
    Ok(())
}

impl Options {
    fn question(&self) -> Audit {
        let sample = self.sample.map_or_else(|| "all".to_owned(), |count| count.to_string());
        Audit {
            full: self.full,
            cached: self.cached,
            reverse: !self.read_only && !self.cached,
            reprice: self.reprice_check.then_some(sample),
            seed: self.seed,
        }
    }
}
