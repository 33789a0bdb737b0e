//! `POST /v1/reprice`, `POST /v1/corrections` and their reverts: what is asked is checked here, and what came of it is
//! answered.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::tz::TimeZone;
use ledger::event::Outcome as Owed;
use schemas::caller::Caller;
use schemas::operations::{Call, Facts, Filters, Known, What, check_usage, filter_names};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::run;
use crate::auth::Unbound;
use crate::body::Body;
use crate::error::Problem;
use crate::parameters::Parameters;
use crate::period::{instant, rfc3339};
use crate::router::Service;

/// Values that one filter may name, and events that one correction may.
const VALUES_MAX: usize = 1_000;
/// Bytes of a reason.
const REASON_BYTES_MAX: usize = 1_000;

/// Body of `POST /v1/reprice`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repricing {
    /// A date or an instant: entries from then on.
    from: String,
    /// A date or an instant: entries before then.
    to: String,
    /// Values by dimension; entries that have one of each. `*` is any text.
    #[serde(default)]
    filters: Filters,
    /// Why, as the corrected entries say it.
    reason: String,
    /// Only tell what would change.
    #[serde(default)]
    dry_run: bool,
}

/// Body of `POST /v1/corrections`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Correcting {
    /// A date or an instant: entries from then on.
    from: String,
    /// A date or an instant: entries before then.
    to: String,
    /// Values by dimension; entries that have one of each. `*` is any text.
    #[serde(default)]
    filters: Filters,
    /// The events that are put right; all that the filters leave, where none is named.
    #[serde(default)]
    event_ids: Vec<String>,
    /// What is put right.
    set: Facts,
    /// Why, as the corrected entries say it.
    reason: String,
    /// Only tell what would change.
    #[serde(default)]
    dry_run: bool,
}

/// Body of a revert; it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reverting {
    /// Why.
    #[serde(default)]
    reason: Option<String>,
}

/// How far a repricing or a correction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Nothing was or will be changed.
    DryRun,
    /// It goes on by itself; nobody sees any of it before it is finished.
    Running,
    /// It is finished, and all of it counts.
    Finished,
}

/// What a repricing or a correction did, or in a dry run would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Changed {
    /// The operation; null in a dry run.
    pub id: Option<String>,
    /// How far it is.
    pub state: Progress,
    /// Entries that were taken back and posted anew.
    pub entries: u64,
    /// By how much charges changed, by currency.
    pub delta: Vec<CurrencyAmount>,
    /// By how much each plane of money changed: `list_cost`, `cost`, `charge`.
    pub planes: BTreeMap<String, Vec<CurrencyAmount>>,
    /// Entries that stay as they are because the new ones would not fit the ledger.
    pub unpostable: u64,
    /// Why some of them do; only in a dry run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpostable_because: Vec<String>,
    /// Charges before and after by model and customer; only in a dry run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Steps that the operation has.
    pub steps: u32,
    /// Steps that are carried out.
    pub steps_done: u32,
    /// Why it was asked for.
    pub reason: String,
    /// When it was logged; null in a dry run.
    #[schema(format = DateTime)]
    pub logged_at: Option<String>,
    /// The number of the operation that took it back; null where none did.
    pub reverted_by: Option<u64>,
}

/// An amount in a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyAmount {
    /// ISO 4217 code.
    pub currency: String,
    /// A decimal.
    pub amount: String,
}

/// What would change of a model and a customer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// The model.
    pub model: String,
    /// The customer; null where the entries have none.
    pub customer: Option<String>,
    /// ISO 4217 code of the charges.
    pub currency: String,
    /// Entries that it would have.
    pub entries: u64,
    /// What the entries that change are charged now.
    pub old: String,
    /// What they would be charged.
    pub new: String,
}

impl Changed {
    /// What an operation did so far.
    pub(crate) fn of(known: &Known) -> Self {
        let planes = planes(&known.outcome.delta);
        let state = if known.finished_at.is_some() { Progress::Finished } else { Progress::Running };
        Self {
            id: Some(known.id.clone()),
            state,
            entries: known.outcome.entries,
            delta: planes.get("charge").cloned().unwrap_or_default(),
            planes,
            unpostable: known.outcome.unpostable,
            unpostable_because: Vec::new(),
            changes: Vec::new(),
            steps: known.started.steps,
            steps_done: known.steps_done,
            reason: known.started.call.reason.clone(),
            logged_at: Some(rfc3339(known.logged_at)),
            reverted_by: known.reverted_by,
        }
    }

    fn of_preview(preview: super::preview::Preview, reason: String) -> Self {
        let planes = planes(&preview.delta);
        Self {
            id: None,
            state: Progress::DryRun,
            entries: preview.entries,
            delta: planes.get("charge").cloned().unwrap_or_default(),
            planes,
            unpostable: preview.unpostable,
            unpostable_because: preview.reasons,
            changes: preview.changes,
            steps: 0,
            steps_done: 0,
            reason,
            logged_at: None,
            reverted_by: None,
        }
    }
}

/// Sums without those that are nothing.
fn planes(delta: &BTreeMap<String, BTreeMap<String, String>>) -> BTreeMap<String, Vec<CurrencyAmount>> {
    let amount = |(currency, amount): (&String, &String)| CurrencyAmount {
        currency: currency.clone(),
        amount: amount.clone(),
    };
    let sums = |sums: &BTreeMap<String, String>| {
        sums.iter().filter(|(_, amount)| amount.as_str() != "0").map(amount).collect::<Vec<_>>()
    };
    delta.iter().map(|(plane, of)| (plane.clone(), sums(of))).filter(|(_, of)| !of.is_empty()).collect()
}

/// Prices entries of a period by the prices, markups and accounts as they are now.
#[utoipa::path(
    post, path = "/v1/reprice", tag = "corrections", request_body = Repricing,
    responses(
        (status = 200, body = Changed),
        (status = 202, body = Changed, description = "It goes on by itself; `GET /v1/operations/{id}` tells how far it is"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json", description = "Another operation changes entries of the period")
    ),
    security(("token" = []))
)]
pub(crate) async fn reprice(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Body(body): Body<Repricing>,
) -> Result<Response, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let Repricing { from, to, filters, reason, dry_run } = body;
    let call = call(What::Reprice, (&from, &to), filters, (Vec::new(), Facts::default()), reason)?;
    carry_out(&service, &caller, call, dry_run).await
}

/// Puts recorded facts of entries right and prices them again.
#[utoipa::path(
    post, path = "/v1/corrections", tag = "corrections", request_body = Correcting,
    responses(
        (status = 200, body = Changed),
        (status = 202, body = Changed, description = "It goes on by itself; `GET /v1/operations/{id}` tells how far it is"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json", description = "Another operation changes entries of the period")
    ),
    security(("token" = []))
)]
pub(crate) async fn correct(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Body(body): Body<Correcting>,
) -> Result<Response, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    let Correcting { from, to, filters, mut event_ids, set, reason, dry_run } = body;
    check_setting(&set)?;
    event_ids.sort_unstable();
    event_ids.dedup();
    if event_ids.len() > VALUES_MAX {
        let detail = format!("`event_ids` names more than {VALUES_MAX} events; correct them in parts");
        return Err(Problem::parameter("event_ids", detail));
    }
    if event_ids.is_empty() && filters.is_empty() {
        return Err(Problem::parameter(
            "filters",
            "a correction names its entries by `filters` or `event_ids`; `{}` of both would be all entries",
        ));
    }
    let call = call(What::Correct, (&from, &to), filters, (event_ids, set), reason)?;
    carry_out(&service, &caller, call, dry_run).await
}

/// Takes a repricing back.
#[utoipa::path(
    post, path = "/v1/reprice/{id}/revert", tag = "corrections", request_body(content = Reverting, description = "May be left out"),
    params(("id" = String, Path, description = "The operation, as its answer named it")),
    responses(
        (status = 200, body = Changed),
        (status = 202, body = Changed, description = "It goes on by itself"),
        (status = 404, body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json", description = "It is not finished, was reverted before, or a later operation changed its entries")
    ),
    security(("token" = []))
)]
pub(crate) async fn revert_repricing(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    revert(&service, &caller, (What::Reprice, &id), &body).await
}

/// Takes a correction back.
#[utoipa::path(
    post, path = "/v1/corrections/{id}/revert", tag = "corrections", request_body(content = Reverting, description = "May be left out"),
    params(("id" = String, Path, description = "The operation, as its answer named it")),
    responses(
        (status = 200, body = Changed),
        (status = 202, body = Changed, description = "It goes on by itself"),
        (status = 404, body = crate::error::Problem, content_type = "application/problem+json"),
        (status = 409, body = crate::error::Problem, content_type = "application/problem+json", description = "It is not finished, was reverted before, or a later operation changed its entries")
    ),
    security(("token" = []))
)]
pub(crate) async fn revert_correction(
    State(service): State<Service>,
    Unbound(caller): Unbound,
    OriginalUri(uri): OriginalUri,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    Parameters::parse(&uri)?.finish([""; 0])?;
    revert(&service, &caller, (What::Correct, &id), &body).await
}

async fn revert(
    service: &Service,
    caller: &Caller,
    (what, id): (What, &str),
    body: &Bytes,
) -> Result<Response, Problem> {
    let Reverting { reason } = if body.is_empty() {
        Reverting::default()
    } else {
        serde_json::from_slice(body)
            .map_err(|error| Problem::body(format!("the body is not valid: {error}")))?
    };
    let known = run::find(&service.store, id).await?.filter(|known| known.started.call.what == what);
    let known = known.ok_or_else(|| Problem::not_found("operation of that id that could be reverted"))?;
    let reason = reason.unwrap_or_else(|| format!("revert of {id}"));
    check_reason(&reason)?;
    let call = Call {
        what: What::Revert,
        filters: Filters::new(),
        event_ids: Vec::new(),
        set: Facts::default(),
        reverts: known.started.operation,
        reason,
        ..known.started.call.clone()
    };
    answered(&run::revert(service, caller, call, &known).await?)
}

async fn carry_out(
    service: &Service,
    caller: &Caller,
    call: Call,
    dry_run: bool,
) -> Result<Response, Problem> {
    if dry_run {
        let reason = call.reason.clone();
        let preview = run::dry_run(service, &call).await?;
        return Ok(Json(Changed::of_preview(preview, reason)).into_response());
    }
    answered(&run::apply(service, caller, call).await?)
}

fn answered(known: &Known) -> Result<Response, Problem> {
    let changed = Changed::of(known);
    if changed.state == Progress::Finished {
        return Ok(Json(changed).into_response());
    }
    let place = HeaderValue::from_str(&format!("/v1/operations/{}", known.id));
    let mut response = (StatusCode::ACCEPTED, Json(changed)).into_response();
    if let Ok(place) = place {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// The call in one form, however it was written.
fn call(
    what: What,
    (from, to): (&str, &str),
    mut filters: Filters,
    (event_ids, set): (Vec<String>, Facts),
    reason: String,
) -> Result<Call, Problem> {
    let from = instant("from", from, &TimeZone::UTC)?;
    let to = instant("to", to, &TimeZone::UTC)?;
    if from >= to {
        return Err(Problem::parameter("to", "`to` is not after `from`; the period is empty"));
    }
    check_reason(&reason)?;
    for (name, values) in &mut filters {
        values.sort_unstable();
        values.dedup();
        let is_tag = name.strip_prefix("tag:").is_some_and(|tag| !tag.is_empty());
        if !is_tag && !filter_names().contains(name) {
            return Err(Problem::parameter(
                "filters",
                format!("there is no dimension `{name}` to filter by"),
            )
            .allowed(filter_names()));
        }
        if values.is_empty() || values.len() > VALUES_MAX {
            return Err(Problem::parameter(
                "filters",
                format!("the filter `{name}` needs 1 to {VALUES_MAX} values; leave it out for all"),
            ));
        }
    }
    Ok(Call { what, from, to, filters, event_ids, set, reverts: 0, reason })
}

fn check_reason(reason: &str) -> Result<(), Problem> {
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(Problem::parameter(
            "reason",
            format!("`reason` says why in 1 to {REASON_BYTES_MAX} bytes; the corrected entries show it"),
        ));
    }
    Ok(())
}

fn check_setting(set: &Facts) -> Result<(), Problem> {
    if set.is_empty() {
        return Err(Problem::parameter("set", "`set` names nothing to put right"));
    }
    if let Some(outcome) = &set.outcome
        && Owed::parse(outcome).is_none()
    {
        return Err(Problem::parameter("set.outcome", format!("`set.outcome` cannot be `{outcome}`"))
            .allowed(Owed::ALL.iter().map(|outcome| outcome.name())));
    }
    if let Some(usage) = &set.usage {
        if set.units.is_some() {
            return Err(Problem::parameter(
                "set.usage",
                "`set` names `usage` and `units`; one of them tells",
            ));
        }
        check_usage(&usage.0).map_err(|detail| Problem::parameter("set.usage", detail))?;
    }
    if set.key.as_deref() == Some("") {
        return Err(Problem::parameter("set.key", "every entry has a key; `set.key` cannot be empty"));
    }
    set.quantities().map(drop).map_err(|error| Problem::parameter("set.units", error.to_string()))
}
