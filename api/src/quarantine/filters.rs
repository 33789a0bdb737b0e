//! What is asked of the quarantine: the parameters that choose records, as conditions of a query.

use ledger::reject::Reason;
use schemas::caller::Caller;
use schemas::log::COMMANDS_TOPIC;

use crate::bounds::{Bounds, Conditions, Value, Values};
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::Period;

/// Parameters that choose records by what they are.
pub(super) const FILTERS: [&str; 7] =
    ["reason", "topic", "partition", "event_id", "customer", "team", "search"];

/// Records without a row in `quarantine_resolutions` are open.
const OPEN: &str = "(topic, partition, offset) NOT IN \
    (SELECT record_topic, record_partition, record_offset FROM quarantine_resolutions)";
pub(super) const REPLAYED: &str = "(topic, partition, offset) IN \
    (SELECT record_topic, record_partition, record_offset FROM quarantine_resolutions WHERE state = 'replayed')";
pub(super) const DISCARDED: &str = "(topic, partition, offset) IN \
    (SELECT record_topic, record_partition, record_offset FROM quarantine_resolutions WHERE state = 'discarded')";

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Replayed,
    Discarded,
}

/// The states by their names.
const STATES: [(&str, State); 3] =
    [("open", State::Open), ("replayed", State::Replayed), ("discarded", State::Discarded)];

/// The records that are asked for.
pub(super) struct Selection {
    pub(super) conditions: Conditions,
    pub(super) time: String,
    /// The states that were named; none where the call says which it means.
    pub(super) states: Vec<State>,
}

impl Selection {
    /// Takes the parameters that choose records; those of other tokens are never among them.
    pub(super) fn take(caller: &Caller, parameters: &mut Parameters) -> Result<Self, Problem> {
        let mut conditions = visible(caller);
        take_reasons(parameters, &mut conditions)?;
        for column in ["topic", "event_id", "customer", "team"] {
            let names = parameters.all(column);
            if !names.is_empty() {
                let names = conditions.values.bind_texts(&names);
                conditions.and(format!("{column} IN {names}"));
            }
        }
        if let Some(text) = parameters.one("partition")? {
            let number: u32 = text.parse().map_err(|_| {
                Problem::parameter("partition", format!("`partition` cannot be `{text}`"))
                    .allowed(["a whole number"])
            })?;
            let number = conditions.values.bind("UInt32", Value::Unsigned(u64::from(number)));
            conditions.and(format!("partition = {number}"));
        }
        if let Some(text) = parameters.one("search")? {
            let text = conditions.values.bind_text(&text);
            conditions.and(format!("positionCaseInsensitiveUTF8(detail, {text}) > 0"));
        }
        let time = take_time(parameters, &mut conditions.values)?;
        let states = take_states(parameters)?;
        Ok(Self { conditions, time, states })
    }

    /// The condition of the states; where none was named, that of the given ones.
    pub(super) fn state_sql(&self, unless_named: &[State]) -> String {
        let states = if self.states.is_empty() { unless_named } else { &self.states };
        let terms: Vec<&str> = states
            .iter()
            .map(|state| match state {
                State::Open => OPEN,
                State::Replayed => REPLAYED,
                State::Discarded => DISCARDED,
            })
            .collect();
        if terms.is_empty() { "true".to_owned() } else { terms.join(" OR ") }
    }
}

/// The conditions of what a token may see here. What a broken command says of customers is no customer's business.
pub(super) fn visible(caller: &Caller) -> Conditions {
    let mut conditions = Conditions::of(&Bounds::of(caller));
    if caller.is_bound() {
        let commands = conditions.values.bind_text(COMMANDS_TOPIC);
        conditions.and(format!("topic != {commands}"));
    }
    conditions
}

fn take_reasons(parameters: &mut Parameters, conditions: &mut Conditions) -> Result<(), Problem> {
    let reasons = parameters.all("reason");
    if let Some(unknown) = reasons.iter().find(|reason| Reason::parse(reason).is_none()) {
        return Err(Problem::parameter("reason", format!("there is no reason `{unknown}`"))
            .allowed(Reason::ALL.iter().map(|reason| reason.name())));
    }
    if !reasons.is_empty() {
        let reasons = conditions.values.bind_texts(&reasons);
        conditions.and(format!("reason IN {reasons}"));
    }
    Ok(())
}

fn take_states(parameters: &mut Parameters) -> Result<Vec<State>, Problem> {
    let state = |name: &String| {
        STATES.iter().find(|(known, _)| known == name).map(|(_, state)| *state).ok_or_else(|| {
            Problem::parameter("state", format!("there is no state `{name}`"))
                .allowed(STATES.iter().map(|(name, _)| *name))
        })
    };
    parameters.all("state").iter().map(state).collect()
}

fn take_time(parameters: &mut Parameters, values: &mut Values) -> Result<String, Problem> {
    let (from, to) = Period::take_open(parameters)?;
    let terms: Vec<String> = [(">=", from), ("<", to)]
        .into_iter()
        .filter_map(|(relation, instant)| {
            let instant = values.bind("Int64", Value::Int(instant?));
            Some(format!("log_time {relation} fromUnixTimestamp64Milli({instant}, 'UTC')"))
        })
        .collect();
    Ok(if terms.is_empty() { "true".to_owned() } else { terms.join(" AND ") })
}
