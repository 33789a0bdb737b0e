//! Steps as sentences, for who has to understand what happened.

use crate::check::Violation;
use crate::step::{Enabled, Name, Step};
use crate::world::{Answer, Insert, Intent, Lane, Phase, Record, Scenario, Table, World, each};

/// The log and the leases, then each step with the time at which it was taken, then what it led to.
pub(crate) fn describe(
    scenario: &Scenario,
    mut world: World,
    steps: &[Step],
    violation: Violation,
) -> Vec<String> {
    let mut lines = Vec::with_capacity(steps.len() + 4);
    for (partition, log) in scenario.logs.iter().enumerate() {
        let records: Vec<&str> = log.iter().map(|record| name_of(*record)).collect();
        lines.push(format!("partition {partition}: {}", records.join(", ")));
    }
    lines.push(format!(
        "leases {:?}{}",
        scenario.leases,
        if scenario.is_embedded { ", embedded" } else { "" }
    ));
    for (partition, state) in world.partitions.iter().enumerate() {
        if let Some(owner) = state.owner {
            lines.push(format!("all have joined, and W{owner} has partition {partition}"));
        }
    }
    let mut enabled = Enabled::default();
    for step in steps {
        enabled.look(&world, scenario);
        let sentence = sentence(&world, scenario, *step);
        let time = world.time;
        let phase = phase_before(&world, *step);
        // What is passed over is not what the trace is about, and what is not passed over is its last step.
        let _ = world.take(scenario, *step, enabled.faults.contains(step));
        if *step != Step::Tick {
            lines.push(format!("at {time}: {sentence}{}", outcome(&world, *step, phase)));
        }
    }
    lines.push(violation.to_string());
    lines
}

fn name_of(record: Record) -> &'static str {
    match record {
        Record::Hole => "hole",
        Record::Entry { month: 0 } => "event",
        Record::Entry { .. } => "event of the next month",
        Record::Bad => "bad record",
        Record::Unpostable => "event that the store refuses",
        Record::Duplicate => "duplicate",
    }
}

fn range(Intent { first, next }: Intent) -> String {
    format!("[{first}, {next})")
}

fn sentence(world: &World, scenario: &Scenario, step: Step) -> String {
    match step {
        Step::Tick => "time passes".into(),
        Step::Work { worker, partition } => {
            let lane = world.workers[usize::from(worker)].lanes[usize::from(partition)];
            format!("W{worker} {}, partition {partition}", work(world, scenario, worker, &lane))
        }
        Step::Choose { worker, partition, next } => {
            let first = world.workers[usize::from(worker)].lanes[usize::from(partition)].next;
            format!("W{worker} chooses [{first}, {next}), partition {partition}")
        }
        Step::SendCommit { worker } => format!("W{worker} sends the commit whose epoch was checked"),
        Step::Land(name) => format!("the coordinator gets {}", commit(world, name)),
        Step::LandWithError(name) => {
            format!("the coordinator gets {} and answers an error", commit(world, name))
        }
        Step::LoseCommit(name) => format!("{} gets lost", commit(world, name)),
        Step::Resend(name) => {
            format!("the client library of W{} sends {} again", name.worker, commit(world, name))
        }
        Step::Unanswered { worker } => format!("W{worker} gets no answer to its commit"),
        Step::Begin(name) => format!("the store begins {}", insert(world, name)),
        Step::Check(name) => format!("the store has and checks {}", insert(world, name)),
        Step::Part { insert: name, month } => {
            format!("the store shows {}", part(world, scenario, name, month))
        }
        Step::Fail(name) => format!("{} fails", insert(world, name)),
        Step::FailBetween { insert: name, month } => {
            format!("the store fails between token and part of {}", part(world, scenario, name, month))
        }
        Step::GiveUp { worker, partition } => {
            format!("W{worker} gets no answer to its insert into partition {partition}")
        }
        Step::Crash => "the store dies and comes back".into(),
        Step::CrashBetween { insert: name, month } => {
            format!("the store dies between token and part of {}", part(world, scenario, name, month))
        }
        Step::PowerLoss => "the store's power fails and comes back".into(),
        Step::ForgetTokens => "the store forgets all tokens".into(),
        Step::Sync => "the last rows reach the disk".into(),
        Step::Replicate { partition } => format!("the replica catches up with partition {partition}"),
        Step::Join { worker } => format!("W{worker} joins the group"),
        Step::Assign { worker, partition } => format!("W{worker} is assigned partition {partition}"),
        Step::Revoke { worker, partition } => format!("partition {partition} is revoked from W{worker}"),
        Step::Evict { worker } => format!("the coordinator takes W{worker} for dead"),
        Step::Notice { worker } => format!("W{worker} learns that it was taken for dead"),
        Step::Kill { worker } => format!("W{worker} dies"),
        Step::Restart { worker } => format!("W{worker} is started again"),
        Step::Stop { worker } => format!("W{worker} is stopped"),
        Step::Continue { worker } => format!("W{worker} is continued"),
    }
}

/// What a worker does next, by the phase in which its lane is.
fn work(world: &World, scenario: &Scenario, worker: u8, lane: &Lane) -> String {
    let batch = range(lane.intent);
    match lane.phase {
        Phase::Look => "asks for the committed intent".into(),
        Phase::Compare => format!("compares {} with the ledger", committed(lane.intent)),
        Phase::Wait => {
            format!("has waited {} from {} on for old writers", world.wait(scenario, worker), lane.since)
        }
        Phase::Announce => format!("announces {batch}"),
        Phase::Announcing => match world.workers[usize::from(worker)].commit.and_then(|commit| commit.answer)
        {
            Some(Answer::Yes) => format!("has the yes to the intent {batch}"),
            _ => format!("has an error for the intent {batch}"),
        },
        Phase::Settle => "sees no insert that runs".into(),
        Phase::ReadBack => format!("reads back {batch}"),
        Phase::Send if lane.to_send.all() == 0 => format!("has sent the rows of {batch}"),
        Phase::Send => format!("sends rows of {batch}"),
        Phase::Sending => format!("has {} for rows of {batch}", answer(lane)),
        Phase::Verify => format!("reads back {batch} once more"),
        Phase::Close => format!("closes {batch}"),
        Phase::Closing => format!("has {} for the batches row of {batch}", answer(lane)),
        Phase::Away | Phase::Choose => "does nothing".into(),
    }
}

fn committed(intent: Intent) -> String {
    if intent.next == 0 { "nothing committed".into() } else { range(intent) }
}

fn answer(lane: &Lane) -> &'static str {
    match lane.answer {
        Some(Answer::Yes) => "a clean answer",
        Some(Answer::TooLate) => "a refusal by the lease",
        Some(Answer::BadRow) => "a refusal for a value",
        Some(Answer::Error) | None => "an error",
    }
}

fn phase_before(world: &World, step: Step) -> Phase {
    let Step::Work { worker, partition } = step else { return Phase::Away };
    world.workers[usize::from(worker)].lanes[usize::from(partition)].phase
}

/// What a worker's step came to, where its sentence does not say so.
fn outcome(world: &World, step: Step, before: Phase) -> String {
    let Step::Work { worker, partition } = step else { return String::new() };
    let lane = &world.workers[usize::from(worker)].lanes[usize::from(partition)];
    match (before, lane.phase) {
        (Phase::Compare, Phase::Wait | Phase::Announce) => format!(": {} is open", range(lane.intent)),
        (_, Phase::Choose) => format!(": goes on at {}", lane.next),
        (Phase::ReadBack, _) => format!(": to send {}", offsets(lane.to_send.all())),
        (Phase::Announcing, Phase::Send | Phase::Settle) => {
            format!(": the lease ends at {}", lane.write_before)
        }
        (Phase::Verify, Phase::Announce) => ": not all is there".into(),
        (Phase::Sending, Phase::Announce) => format!(": {} is to be announced", range(lane.intent)),
        _ => String::new(),
    }
}

fn offsets(set: u16) -> String {
    let offsets: Vec<String> = each(set).map(|offset| offset.to_string()).collect();
    if offsets.is_empty() { "nothing".into() } else { offsets.join(" ") }
}

fn commit(world: &World, name: Name) -> String {
    let found =
        world.commits.iter().find(|commit| commit.worker == name.worker && commit.number == name.number);
    let Some(commit) = found else { return "a commit".into() };
    let fate = if commit.is_current { "" } else { ", of an old generation" };
    format!("W{}'s intent {}, partition {}{fate}", commit.worker, range(commit.intent), commit.partition)
}

fn insert(world: &World, name: Name) -> String {
    find(world, name).map_or("an insert".into(), |insert| rows(insert, insert.rows))
}

fn part(world: &World, scenario: &Scenario, name: Name, month: u8) -> String {
    find(world, name).map_or("an insert".into(), |insert| rows(insert, insert.part(scenario, month)))
}

fn find(world: &World, name: Name) -> Option<&Insert> {
    world.inserts.iter().find(|insert| insert.name() == name)
}

fn rows(insert: &Insert, set: u16) -> String {
    let Insert { worker, partition, intent, write_before, .. } = insert;
    let what = match insert.table {
        Table::Batches => format!("batches row of {}", range(*intent)),
        Table::Entries => format!("entries {}", offsets(set)),
        Table::Quarantine => format!("quarantine rows {}", offsets(set)),
    };
    format!("W{worker}'s {what}, partition {partition}, to be written before {write_before}")
}
