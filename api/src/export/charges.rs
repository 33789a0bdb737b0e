//! What the lines of an invoice are made of: the sums of its entries by price row, provider, owners and the like, each
//! under the number of its line. They add up to their lines exactly, or there is no export.

use std::collections::{BTreeMap, HashMap};

use axum::http::StatusCode;
use clickhouse::Row;
use ledger::invoice::Month;
use ledger::money::{Amount, Decimal};
use schemas::invoices::{LineText, SumRow, sums_slots};
use schemas::queries;
use serde::Deserialize;

use super::failed;
use crate::bounds::{Bounds, Value, Values};
use crate::error::Problem;
use crate::invoices::Found;
use crate::store::{Snapshot, Store};

/// Charges that one export may have.
const CHARGES_MAX: u64 = 200_000;

/// One row of `invoice_charges.sql`, whose columns it names.
#[derive(Clone, Debug, Row, Deserialize)]
struct ChargeRow {
    adjusts_month_start: i64,
    team_name: String,
    model_name: String,
    unit_name: String,
    line_price_text: String,
    unit_price_text: String,
    list_price_text: String,
    price_row: String,
    markup_version: String,
    is_unpriced: bool,
    provider_name: String,
    region_name: String,
    owner_customer: String,
    owner_team: String,
    owner_app: String,
    owner_environment: String,
    owner_project: String,
    owner_cost_center: String,
    entry_lines: u64,
    quantity_total: String,
    amount_total: String,
    list_total: String,
}

/// What entries of one line come to that are alike in all that an export tells of them.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    /// Number of the line.
    pub(super) line: u32,
    pub(super) adjusts: Option<Month>,
    pub(super) model: String,
    pub(super) unit: String,
    pub(super) quantity: Decimal,
    /// The exact sum.
    pub(super) amount: Amount,
    pub(super) list_amount: Amount,
    /// The price of one of the unit, where there is one that ends.
    pub(super) unit_price: Option<Decimal>,
    pub(super) list_price: Option<Decimal>,
    /// Id of the price row, where one priced it; and the provider and model that the row is of.
    pub(super) price_row: Option<(String, String)>,
    pub(super) markup: Option<String>,
    pub(super) is_unpriced: bool,
    pub(super) provider: Option<String>,
    pub(super) region: Option<String>,
    /// Owners by their names; those there are.
    pub(super) owners: BTreeMap<&'static str, String>,
    /// How many entries have it.
    pub(super) entries: u64,
}

/// The charges of an invoice, in the order of its lines.
pub(super) async fn read(store: &Snapshot, bounds: &Bounds, found: &Found) -> Result<Vec<Charge>, Problem> {
    let mut conditions = found.question.conditions(bounds);
    conditions.values = conditions
        .values
        .with("currency", Value::Text(found.invoice.currency.clone()))
        .with("limit", Value::Unsigned(CHARGES_MAX));
    let rows: Vec<ChargeRow> = store
        .ledger(queries::INVOICE_CHARGES, conditions, |statement| {
            sums_slots(found.kind)
                .into_iter()
                .fold(statement, |statement, (name, sql)| statement.slot(name, &sql))
        })
        .await?;
    if u64::try_from(rows.len()).unwrap_or(u64::MAX) >= CHARGES_MAX {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "export-too-large",
            "The export is too large",
            format!("the invoice has {CHARGES_MAX} charges or more; take its entries, or another format"),
        ));
    }
    let names = models(store, &rows).await?;
    let mut charges = Charges::new(&found.invoice.lines);
    for row in rows {
        charges.add(found, row, &names)?;
    }
    charges.finish()
}

/// Provider and model of the rows that priced something, as one name.
async fn models(store: &Store, rows: &[ChargeRow]) -> Result<HashMap<String, String>, Problem> {
    #[derive(Row, Deserialize)]
    struct Model {
        row_id: String,
        provider_name: String,
        model_name: String,
    }
    let mut ids: Vec<String> = rows.iter().map(|row| row.price_row.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let values = Values::default().with("row_ids", Value::Texts(ids));
    let models: Vec<Model> = store.open(queries::MODEL_ROW_MODELS, values).await?;
    let named = |model: Model| (model.row_id, format!("{}/{}", model.provider_name, model.model_name));
    Ok(models.into_iter().map(named).collect())
}

/// A line as its charges name it: month that it adjusts, team, model, unit, unit price.
type Key = (String, String, String, String, String);

/// Charges that are being added up by line.
struct Charges {
    lines: HashMap<Key, (u32, Amount)>,
    /// What is left of each line, and of what is no line because it comes to nothing.
    left: HashMap<Key, Amount>,
    charges: Vec<Charge>,
}

impl Charges {
    fn new(lines: &[LineText]) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let lines = lines.iter().filter(|line| line.unit.is_some()).filter_map(|line| {
            let key = (
                text(&line.adjusts),
                text(&line.team),
                line.model.clone(),
                text(&line.unit),
                text(&line.unit_price),
            );
            Some((key, (line.number, Amount::parse(&line.exact_amount).ok()?)))
        });
        let lines: HashMap<_, _> = lines.collect();
        let left = lines.iter().map(|(key, (_, amount))| (key.clone(), *amount)).collect();
        Self { lines, left, charges: Vec::new() }
    }

    fn add(&mut self, found: &Found, row: ChargeRow, names: &HashMap<String, String>) -> Result<(), Problem> {
        // What a sum of the invoice is, this is too: the same reading of it tells the line.
        let sum = found
            .question
            .months
            .sum(SumRow {
                account_id: String::new(),
                currency_code: String::new(),
                adjusts_month_start: row.adjusts_month_start,
                team_name: row.team_name,
                model_name: row.model_name,
                unit_name: row.unit_name,
                unit_price_text: row.line_price_text,
                quantity_total: row.quantity_total,
                amount_total: row.amount_total,
            })
            .map_err(|error| failed(&error))?;
        let adjusts = sum.key.adjusts.map(|month| month.to_string()).unwrap_or_default();
        let key = (adjusts, sum.key.team, sum.key.model, sum.key.unit, sum.key.unit_price);
        let left = self.left.entry(key.clone()).or_insert(Amount::ZERO);
        *left = left.checked_add(sum.amount.neg()).ok_or_else(Problem::internal)?;
        let Some((line, _)) = self.lines.get(&key) else { return Ok(()) };
        let text = |value: String| Some(value).filter(|value| !value.is_empty());
        let owners = [
            ("customer", row.owner_customer),
            ("team", row.owner_team),
            ("app", row.owner_app),
            ("environment", row.owner_environment),
            ("project", row.owner_project),
            ("cost_center", row.owner_cost_center),
        ];
        self.charges.push(Charge {
            line: *line,
            adjusts: sum.key.adjusts,
            model: key.2,
            unit: key.3,
            quantity: sum.quantity,
            amount: sum.amount,
            list_amount: Amount::parse(&row.list_total).map_err(|error| failed(&error))?,
            unit_price: Decimal::parse(&row.unit_price_text).ok(),
            list_price: Decimal::parse(&row.list_price_text).ok(),
            price_row: text(row.price_row).map(|id| {
                let model = names.get(&id).cloned().unwrap_or_else(|| id.clone());
                (id, model)
            }),
            markup: text(row.markup_version),
            is_unpriced: row.is_unpriced,
            provider: text(row.provider_name),
            region: text(row.region_name),
            owners: owners.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            entries: row.entry_lines,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Charge>, Problem> {
        if let Some((key, left)) = self.left.iter().find(|(_, left)| !left.is_zero()) {
            tracing::error!(?key, left = left.to_string(), "The charges of a line do not add up to it");
            return Err(Problem::internal());
        }
        self.charges.sort_by_key(|charge| charge.line);
        Ok(self.charges)
    }
}
