//! `tollbook audit --repair`: puts group, ledger and log together again where a worker refuses to go on. Runs
//! offline, on store and log themselves, shows what each says, asks, and leaves a record of what it did.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use clickhouse::Client;
use ingest::append::{JournalLog, KafkaLog};
use ingest::batch::Maker;
use ingest::commands::CommandMaker;
use ingest::repair::{self, Action, Finding, Note, Repairer, Verdict};
use ingest::source::embedded::{Embedded, OldWriters};
use ingest::source::kafka::Bystander;
use ingest::source::{Outside, Partition};
use ingest::store::Store;
use journal::Journal;
use schemas::log::{COMMANDS_TOPIC, Log};
use secrecy::SecretString;
use tokio::runtime::Runtime;

use crate::options::{KafkaOptions, StoreOptions};
use crate::supervise::{Engine, EngineConfig};
use crate::{credentials, engine, store};

/// Memory that the embedded engine may use for a repair, in MiB.
const ENGINE_MEMORY_MIB: u64 = 4096;
const HEADING: &str = "Repair, offline";

/// Options of `tollbook audit --repair`.
#[derive(Debug, Args)]
#[command(next_help_heading = HEADING)]
#[group(id = "repair-options")]
pub(crate) struct Options {
    /// Repair offline what keeps a worker from going on: with every worker stopped, show for each partition what
    /// group, ledger and log say, propose one action, ask, and record it. Works on --kafka and --clickhouse, or on
    /// what `up` has embedded in --data
    #[arg(long)]
    pub(crate) repair: bool,
    /// Repair without asking
    #[arg(long)]
    yes: bool,
    /// Who repairs, for the record; else the user of this machine
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Why, for the record
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    /// Lease of the workers: what a stopped one has sent may arrive that long, and is waited for
    #[arg(long, env = "TOLLBOOK_LEASE", default_value = "10s", value_parser = crate::options::duration, value_name = "DURATION")]
    lease: Duration,
    /// The engine library libchdb.so, where the store is embedded
    #[arg(long, env = "TOLLBOOK_LIBRARY", value_name = "FILE")]
    library: Option<std::path::PathBuf>,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    kafka: KafkaOptions,
}

/// Store and log of a ledger that nothing else uses.
struct Ledger {
    store: Store,
    usage: Box<dyn Outside>,
    commands: Box<dyn Outside>,
    appends: Arc<dyn Log>,
    _engine: Option<Engine>,
}

/// A partition to repair, and what its topic's rows are in.
struct Repair {
    finding: Finding,
    action: Action,
}

/// Looks, asks and repairs.
///
/// # Errors
/// Where a worker runs, something does not answer, or a partition is beyond repair.
pub(crate) fn run(options: &Options, data: &Path) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let ledger = open(options, data, &runtime)?;
    let command_tables = CommandMaker::new(ledger.store.clone())?.tables();
    let repairer = |is_of_commands: bool| Repairer {
        store: &ledger.store,
        log: if is_of_commands { ledger.commands.as_ref() } else { ledger.usage.as_ref() },
        topic: if is_of_commands { COMMANDS_TOPIC } else { &options.kafka.topic },
        tables: if is_of_commands { command_tables } else { repair::USAGE_TABLES },
        lease: options.lease,
    };
    // Commands first: what usage is priced by is of their log.
    let repairers = [repairer(true), repairer(false)];
    ensure_alone(&repairers)?;
    let mut repairs = Vec::new();
    let mut beyond = 0;
    for repairer in &repairers {
        for partition in repairer.partitions()? {
            let finding = repairer.examine(&partition)?;
            println!("{finding}");
            match finding.verdict {
                Verdict::Agrees => {}
                Verdict::Repair(action) => repairs.push(Repair { finding, action }),
                Verdict::Beyond(_) => beyond += 1,
            }
        }
    }
    if !repairs.is_empty() {
        ask(options, repairs.len())?;
        carry_out(options, &repairers, &repairs)?;
    }
    record(&runtime, &ledger)?;
    ensure!(beyond == 0, "{beyond} partition(s) are beyond repair; each says above what helps");
    if repairs.is_empty() {
        println!("There is nothing to repair.");
    }
    Ok(())
}

fn ask(options: &Options, count: usize) -> anyhow::Result<()> {
    if options.yes {
        return Ok(());
    }
    ensure!(
        std::io::stdin().is_terminal(),
        "nothing was changed: {count} partition(s) need a repair, and nobody is there to be asked; give --yes to make it"
    );
    print!("Repair {count} partition(s) as shown? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    ensure!(matches!(answer.trim(), "y" | "Y" | "yes"), "nothing was changed");
    Ok(())
}

/// Repairs after everything has settled that a stopped worker may have sent, and only what is still as it was shown.
fn carry_out(options: &Options, repairers: &[Repairer<'_>], repairs: &[Repair]) -> anyhow::Result<()> {
    let note = Note { actor: actor(options), reason: options.reason.clone() };
    for repairer in repairers {
        let mine: Vec<&Repair> =
            repairs.iter().filter(|repair| *repair.finding.partition.topic == *repairer.topic).collect();
        if mine.is_empty() {
            continue;
        }
        let partitions: Vec<&Partition> = mine.iter().map(|repair| &repair.finding.partition).collect();
        repairer.settle(&partitions)?;
        for Repair { finding, action } in mine {
            let now = repairer.examine(&finding.partition)?;
            ensure!(
                now.is_like(finding),
                "{}: meanwhile it is another state, so nothing was changed here; stop whatever writes there, and run \
                 this again:\n{now}",
                finding.partition
            );
            ensure_alone(std::slice::from_ref(repairer))?;
            let id = format!("repair{}", credentials::random_text()?.split_at(32).0);
            let repair = repairer.carry_out(finding, *action, &id, &note)?;
            let lost =
                if repair.lost > 0 { format!("; {} offsets are lost", repair.lost) } else { String::new() };
            println!("{}: repaired{lost} ({id})", finding.partition);
        }
    }
    Ok(())
}

/// Refuses while anybody reads under one of the groups.
fn ensure_alone(repairers: &[Repairer<'_>]) -> anyhow::Result<()> {
    for repairer in repairers {
        let readers = repairer.log.readers()?;
        if !readers.is_empty() {
            bail!(
                "{} is being read by {}: stop every worker first; one that was killed counts until its session times out",
                repairer.topic,
                readers.join(", ")
            );
        }
    }
    Ok(())
}

/// Appends what is repaired to the command log; where that fails, the next start of a worker does it.
fn record(runtime: &Runtime, ledger: &Ledger) -> anyhow::Result<()> {
    let repairs = repair::unrecorded(&ledger.store)?;
    if let Err(why) = runtime.block_on(repair::record(ledger.appends.as_ref(), &repairs)) {
        println!(
            "The command log does not take the record of the repair yet ({why}); the next worker to start adds it."
        );
    }
    Ok(())
}

fn actor(options: &Options) -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let user = || variable("USER").or_else(|| variable("LOGNAME")).unwrap_or_else(|| "unknown".into());
    let host = || variable("HOSTNAME").map_or(String::new(), |host| format!("@{host}"));
    options.actor.clone().unwrap_or_else(|| format!("{}{}", user(), host()))
}

fn open(options: &Options, data: &Path, runtime: &Runtime) -> anyhow::Result<Ledger> {
    let kafka = options.kafka.config()?;
    // The journal first: its lock says whether `up` runs, which has the engine too.
    let journal = if kafka.is_none() { Some(open_journal(data)?) } else { None };
    let (client, engine) = open_store(options, data)?;
    runtime.block_on(schemas::migrate::check(&client))?;
    let store = Store::new(client, runtime.handle().clone());
    let topic = &options.kafka.topic;
    if let Some(kafka) = kafka {
        let commands = crate::workers::of_commands(&kafka);
        return Ok(Ledger {
            store,
            usage: Box::new(Bystander::new(&kafka, topic)?),
            commands: Box::new(Bystander::new(&commands, COMMANDS_TOPIC)?),
            appends: Arc::new(KafkaLog::new(&kafka, &[COMMANDS_TOPIC])?),
            _engine: engine,
        });
    }
    let journal = journal.context("the embedded log was opened")?;
    let old_writers = if engine.is_some() { OldWriters::Gone } else { OldWriters::MayLinger };
    Ok(Ledger {
        store,
        usage: Box::new(Embedded::new(journal.clone(), topic, old_writers)),
        commands: Box::new(Embedded::new(journal.clone(), COMMANDS_TOPIC, old_writers)),
        appends: Arc::new(JournalLog::new(journal, COMMANDS_TOPIC)),
        _engine: engine,
    })
}

fn open_journal(data: &Path) -> anyhow::Result<Journal> {
    let folder = data.join("log");
    ensure!(
        folder.exists(),
        "there is no embedded log in {}: name the brokers with --kafka, or the folder of `up` with --data",
        data.display()
    );
    Journal::open(journal::Config::new(folder), &[])
        .context("opening the embedded log, with `tollbook up` stopped")
}

fn open_store(options: &Options, data: &Path) -> anyhow::Result<(Client, Option<Engine>)> {
    if let Some(url) = &options.store.clickhouse {
        return Ok((store::client(&options.store, url, options.store.clickhouse_password.as_ref()), None));
    }
    let path = data.join("engine");
    ensure!(
        path.exists(),
        "there is no embedded store in {}: name it with --clickhouse, or the folder of `up` with --data",
        data.display()
    );
    let secret = SecretString::from(credentials::random_text()?);
    let library = options.library.clone().map_or_else(engine::find_library, Ok)?;
    let engine =
        Engine::start(EngineConfig { library, path, secret: secret.clone(), memory_mib: ENGINE_MEMORY_MIB })
            .context("starting the embedded engine")?;
    let url = format!("http://{}", engine.address);
    let local = StoreOptions { clickhouse_user: "default".into(), ..options.store.clone() };
    Ok((store::client(&local, &url, Some(&secret)), Some(engine)))
}
