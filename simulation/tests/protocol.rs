//! The protocol survives whatever the scheduler does to it, and each simpler way is found out. `SIM_STEPS` sets for how
//! many steps the protocol is run, `SIM_SEED` from which seed, `SIM_FAULTS` how many faults the search of all states allows.

#![expect(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(
    clippy::print_stdout,
    reason = "what was run, and the traces, are of interest where the tests pass too"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use simulation::{Bounds, Finding, Kind, Way, explore, run};

/// Steps of each run of the protocol, unless `SIM_STEPS` says otherwise.
const STEPS: u64 = 2_000_000;
/// Steps within which each simpler way is found out.
const WAY_STEPS_MAX: u64 = 20_000_000;
/// Steps within which a shorter trace is looked for.
const SHORTER_STEPS_MAX: u64 = 1_000_000;
/// Findings of which the one with the shortest trace is shown.
const FINDINGS: usize = 3;
/// Lines of a trace at most: a longer one was not cut down to what matters.
const TRACE_LINES_MAX: usize = 75;
/// States that a search may reach.
const STATES_MAX: usize = 100_000_000;

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("the variable is a number"))
}

fn survives(seed: u64) {
    let started = Instant::now();
    let outcome = run(None, None, seed, number_of("SIM_STEPS").unwrap_or(STEPS));
    println!(
        "{} steps of {} episodes from seed {seed} in {:?}",
        outcome.steps,
        outcome.episodes,
        started.elapsed()
    );
    if let Some(finding) = outcome.finding {
        panic!("from seed {seed}: {finding}");
    }
}

/// The way goes wrong as expected, and the trace that shows it is short.
fn is_found_out(way: Way, kind: Kind) {
    let (mut seed, mut steps) = (1, 0);
    let mut shortest: Option<Finding> = None;
    for _ in 0..FINDINGS {
        let steps_min = if shortest.is_none() { WAY_STEPS_MAX } else { SHORTER_STEPS_MAX };
        let outcome = run(Some(way), Some(kind), seed, steps_min);
        steps += outcome.steps;
        let Some(finding) = outcome.finding else { break };
        seed = finding.seed.expect("a run has a seed") + 1;
        if shortest.as_ref().is_none_or(|shortest| finding.trace.len() < shortest.trace.len()) {
            shortest = Some(finding);
        }
    }
    let finding = shortest.unwrap_or_else(|| panic!("{way:?} shows nothing {kind:?} in {steps} steps"));
    println!("{way:?}, {steps} steps searched: {finding}");
    assert_eq!(finding.violation.kind(), kind, "{way:?}: {finding}");
    assert!(finding.trace.len() <= TRACE_LINES_MAX, "{way:?}: {finding}");
}

/// As [`is_found_out`], for what takes many steps in just one order and little time: all states are searched.
fn is_found_out_by_search(way: Way, kind: Kind, time_max: u16) {
    let bounds = Bounds { faults: 2, time_max, states_max: STATES_MAX };
    let explored = explore(Some(way), Some(kind), bounds);
    let Some(finding) = explored.finding else { panic!("{way:?} shows nothing {kind:?}") };
    println!("{way:?}, {} states searched: {finding}", explored.states);
    assert_eq!(finding.violation.kind(), kind, "{way:?}: {finding}");
    assert!(finding.trace.len() <= TRACE_LINES_MAX, "{way:?}: {finding}");
}

#[test]
fn the_protocol_survives_two_million_steps_of_fixed_seeds() {
    survives(number_of("SIM_SEED").unwrap_or(1));
}

#[test]
fn the_protocol_survives_as_many_steps_of_a_seed_that_is_new_each_time() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    survives(u64::from(now.subsec_nanos()) << 20);
}

#[test]
fn no_state_of_a_small_world_breaks_the_protocol() {
    let faults = number_of("SIM_FAULTS").unwrap_or(1);
    let bounds = Bounds { faults: u16::try_from(faults).unwrap(), time_max: 6, states_max: STATES_MAX };
    let explored = explore(None, None, bounds);
    println!("{} states, {} steps, all of them: {}", explored.states, explored.steps, explored.is_complete);
    if let Some(finding) = explored.finding {
        panic!("{finding}");
    }
    assert!(explored.is_complete);
}

#[test]
fn the_same_seed_makes_the_same_finding() {
    let first = run(Some(Way::NoWait), None, 1, WAY_STEPS_MAX).finding.expect("a finding");
    let again = run(Some(Way::NoWait), None, first.seed.expect("a seed"), 1).finding.expect("the finding");
    assert_eq!(again.to_string(), first.to_string());
}

/// The next owner's look for rows after the batch turns what would be doubled into a dead end; that another batch is
/// committed than the one that is being closed shows it sooner.
#[test]
fn an_epoch_checked_without_lock_lets_a_commit_land_after_the_revocation() {
    is_found_out(Way::EpochCheckedWithoutLock, Kind::Unannounced);
}

#[test]
fn to_go_on_after_a_commit_without_answer_ends_in_a_dead_end() {
    is_found_out(Way::GoOnUnanswered, Kind::DeadEnd);
}

#[test]
fn another_batch_after_an_error_that_is_no_answer_ends_in_a_dead_end() {
    is_found_out(Way::AnotherBatchAfterError, Kind::DeadEnd);
}

#[test]
fn a_clean_answer_taken_for_proof_loses_records() {
    is_found_out_by_search(Way::CleanAnswerIsProof, Kind::Lost, 1);
}

#[test]
fn a_lease_renewed_by_the_local_epoch_doubles_records() {
    is_found_out(Way::LeaseRenewedByLocalEpoch, Kind::Doubled);
}

#[test]
fn to_send_before_reading_back_doubles_records_once_the_tokens_are_forgotten() {
    is_found_out(Way::SendBeforeReadBack, Kind::Doubled);
}

#[test]
fn tokens_made_of_the_gap_in_place_of_the_wait_double_records() {
    is_found_out(Way::TokensInsteadOfWait, Kind::Doubled);
}

#[test]
fn without_a_lease_a_late_insert_doubles_records() {
    is_found_out(Way::NoLease, Kind::Doubled);
}

#[test]
fn without_the_wait_an_old_insert_doubles_records() {
    is_found_out(Way::NoWait, Kind::Doubled);
}

#[test]
fn a_lease_checked_when_the_query_starts_doubles_records() {
    is_found_out(Way::LeaseCheckedAtQueryStart, Kind::Doubled);
}

#[test]
fn running_inserts_that_nobody_looks_for_double_records() {
    is_found_out(Way::RunningInsertsIgnored, Kind::Doubled);
}

#[test]
fn a_smaller_range_after_a_refusal_is_a_dead_end() {
    is_found_out(Way::SmallerRangeOnRefusal, Kind::DeadEnd);
}

#[test]
fn a_replica_that_lags_doubles_records() {
    is_found_out(Way::LaggingReplica, Kind::Doubled);
}

#[test]
fn a_wait_shorter_than_the_old_owners_lease_doubles_records() {
    is_found_out(Way::WaitByOwnLease, Kind::Doubled);
}

#[test]
fn a_commit_that_the_client_library_sends_again_ends_in_a_dead_end() {
    is_found_out_by_search(Way::CommitSentAgain, Kind::DeadEnd, 0);
}

#[test]
fn a_duplicate_taken_for_the_refused_record_keeps_the_batch_open_for_ever() {
    is_found_out(Way::DuplicatesCountAsMissing, Kind::Stuck);
}

#[test]
fn an_old_owner_that_does_not_know_it_takes_the_new_owners_rows_for_a_broken_ledger() {
    is_found_out(Way::OldOwnerRefuses, Kind::DeadEnd);
}

#[test]
fn an_old_owner_that_does_not_know_it_closes_the_batch_once_more() {
    is_found_out_by_search(Way::ClosedUnlessLast, Kind::Untiled, 3);
}

#[test]
fn rows_that_are_acknowledged_before_they_are_on_disk_are_lost_with_the_power() {
    is_found_out(Way::RowsNotSynced, Kind::Lost);
}
