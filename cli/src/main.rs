//! The `tollbook` command line: one enum, one match, one file a command.

#![expect(clippy::print_stdout, reason = "commands answer on standard output")]

mod api;
mod audit;
mod bench;
mod config;
mod credentials;
mod emit;
mod engine;
mod evidence;
mod ingest;
mod invoices;
mod log;
mod logging;
mod migrate;
mod operations;
mod options;
mod planes;
mod price;
mod prices;
mod probe;
mod quarantine;
mod registries;
mod repair;
mod request;
mod service;
mod spend;
mod store;
mod supervise;
mod table;
mod tokens;
mod up;
mod workers;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Usage and billing ledger for AI model traffic: every attempt priced once, exactly, provably.
///
/// Every option can also be given as a TOLLBOOK_* environment variable (--round-rows-max as TOLLBOOK_ROUND_ROWS_MAX)
/// or as a key of one TOML file (round-rows-max = 100000) named by --config or TOLLBOOK_CONFIG; a flag wins over a
/// variable, and a variable over the file. Exit codes: 0 fine, 1 failed, 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "tollbook", version, max_term_width = 110)]
struct Cli {
    /// TOML file with options by their long names
    #[arg(long, global = true, env = "TOLLBOOK_CONFIG", value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    #[command(flatten)]
    logging: logging::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: engine, log, worker, API
    Up(up::Options),
    /// Run a worker: from Kafka into ClickHouse
    Ingest(ingest::Options),
    /// Run the HTTP API
    Api(api::Options),
    /// Run the embedded ClickHouse engine alone
    Engine(engine::Options),
    /// Bring the store to this version's schema, and mint the first admin token where there is none
    Migrate(migrate::Options),
    /// Import, publish and list prices
    Prices(prices::Options),
    /// Rate one event without posting it, and show the arithmetic
    Price(price::Options),
    /// List and set markups: how charges are made of costs
    Markups(registries::Markups),
    /// List and set accounts: who is invoiced
    Accounts(registries::Accounts),
    /// List, set and import whose gateway keys are
    Owners(registries::Owners),
    /// List, show and close invoices, and write them as files
    Invoices(Box<invoices::Options>),
    /// Pack an invoice with all that it is made of into one archive
    Evidence(evidence::Evidence),
    /// Derive every amount of such an archive again, offline, and name the first difference
    Verify(evidence::Verify),
    /// Show totals by any dimensions
    Spend(spend::Options),
    /// Prove one request: its attempts, quantities, prices and amounts
    Request(request::Options),
    /// Price posted entries again after a price was put right, or take that back
    Reprice(Box<operations::Reprice>),
    /// Put recorded facts of entries right, such as owner, outcome or quantities, or take that back
    Corrections(Box<operations::Corrections>),
    /// Check the trial balance of everything posted, or repair what keeps a worker from going on
    Audit(Box<audit::Options>),
    /// Look at the records that were not posted, send them again, or let them go
    Quarantine(Box<quarantine::Options>),
    /// Mint, list and revoke API tokens
    Tokens(tokens::Options),
    /// Send realistic traffic, and check that the ledger finds in it what it must
    Emit(Box<emit::Options>),
    /// Measure throughput on this machine, against what the parts alone can do
    Bench(bench::Options),
}

/// Exit code of a process that SIGPIPE ended, as shells show it.
const BROKEN_PIPE: i32 = 141;

fn main() -> ExitCode {
    end_with_the_reader();
    let cli = match parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    logging::start(&cli.logging);
    let outcome = match cli.command {
        Command::Up(options) => up::run(&options),
        Command::Ingest(options) => ingest::run(&options),
        Command::Api(options) => api::run(&options),
        Command::Engine(options) => engine::run(options),
        Command::Migrate(options) => migrate::run(&options),
        Command::Prices(options) => prices::run(&options),
        Command::Price(options) => price::run(&options),
        Command::Markups(options) => registries::markups(options),
        Command::Accounts(options) => registries::accounts(options),
        Command::Owners(options) => registries::owners(options),
        Command::Invoices(options) => invoices::run(&options),
        Command::Evidence(options) => evidence::pack(&options),
        Command::Verify(options) => evidence::verify(&options),
        Command::Spend(options) => spend::run(&options),
        Command::Request(options) => request::run(&options),
        Command::Reprice(options) => operations::reprice(&options),
        Command::Corrections(options) => operations::corrections(&options),
        Command::Audit(options) => audit::run(&options),
        Command::Quarantine(options) => quarantine::run(&options),
        Command::Tokens(options) => tokens::run(options),
        Command::Emit(options) => emit::run(&options),
        Command::Bench(options) => bench::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollbook: {error:#}");
            if error.is::<options::Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Where whoever reads the output has gone (`tollbook spend | head`), the process ends as SIGPIPE would end it,
/// instead of with a panic's message.
fn end_with_the_reader() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_broken_pipe = panic.payload_as_str().is_some_and(|text| {
            text.starts_with("failed printing to stdout") && text.contains("Broken pipe")
        });
        if is_broken_pipe {
            std::process::exit(BROKEN_PIPE);
        }
        report(panic);
    }));
}

/// Reads the command line, with the values of the TOML file as defaults.
fn parse() -> Result<Cli, clap::Error> {
    let command = config::with_file(config::with_variables(Cli::command()), std::env::args_os())?;
    Cli::from_arg_matches(&command.get_matches())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
