//! `tollbook audit`: the trial balance. Received = posted + duplicates + quarantined, and nothing twice.

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::repair;
use crate::service::ServiceOptions;

/// Options of `tollbook audit`.
#[derive(Debug, Args)]
pub(crate) struct Options {
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
    let report = service.runtime.block_on(service.client.audit())?;
    match options.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        Format::Text => println!("{report}"),
    }
    if !report.clean {
        bail!("the audit is not clean");
    }
    Ok(())
}
