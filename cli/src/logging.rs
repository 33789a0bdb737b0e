//! Logs to standard error: text on a terminal, JSON lines otherwise.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to log, such as `info` or `ingest=debug,warn`
    #[arg(long, global = true, env = "TOLLBOOK_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    /// Form of the log; by default text on a terminal and JSON elsewhere
    #[arg(long, global = true, env = "TOLLBOOK_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Starts logging; a filter that cannot be read falls back to `info` and says so.
pub(crate) fn start(options: &Options) {
    let (filter, complaint) = match EnvFilter::try_new(&options.log) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let is_terminal = std::io::stderr().is_terminal();
    let default = if is_terminal { Format::Text } else { Format::Json };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match options.log_format.unwrap_or(default) {
        Format::Text => builder.with_ansi(is_terminal).init(),
        Format::Json => builder.json().flatten_event(true).init(),
    }
    if let Some(error) = complaint {
        tracing::warn!("--log {:?} cannot be read ({error}); logging at info", options.log);
    }
}
