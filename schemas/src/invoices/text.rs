//! The invoice as text, its id and its hash.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use iso_currency::Currency;
use jiff::Timestamp;
use ledger::account::{Account, Kind};
use ledger::event::Millis;
use ledger::invoice::{Bill, Line, LineKind, Month, Sum, Terms, bill};
use ledger::money::Amount;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{Cut, Error, Months};

/// Decimals of a currency that ISO 4217 does not know or gives no minor unit.
const DECIMALS_USUAL: u8 = 2;
/// What an invoice's id begins with.
const ID_PREFIX: &str = "inv_";

/// How many decimals the amounts of a currency have.
#[must_use]
pub fn decimals(currency: &str) -> u8 {
    let exponent = Currency::from_code(currency).and_then(Currency::exponent);
    exponent.and_then(|exponent| u8::try_from(exponent).ok()).unwrap_or(DECIMALS_USUAL)
}

/// An invoice as text: what the API shows, what exports are made of, and what the hash is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvoiceText {
    /// Names it for ever.
    pub id: String,
    /// `open`: what a close would make of the present entries; `closed`: this never changes.
    pub state: String,
    /// `customer` or `team`.
    pub kind: String,
    /// The account that is billed.
    pub account: String,
    /// The account's name.
    pub name: String,
    /// The account's postal address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The account's tax number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    /// The month, `YYYY-MM`.
    pub period: String,
    /// The zone in which the month begins.
    pub time_zone: String,
    /// Start of the month.
    pub from: String,
    /// End of the month, not part of it.
    pub to: String,
    /// ISO 4217 code of all amounts.
    pub currency: String,
    /// What is billed.
    pub lines: Vec<LineText>,
    /// The sum of the lines' rounded amounts: what is owed.
    pub total: String,
    /// The exact sum of usage and adjustments, for the balance with the ledger.
    pub exact_usage: String,
    /// How amounts were rounded.
    pub rounding: String,
    /// What it was closed over although it was not as it should be, with what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// Why it was closed over that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The log time up to which everything was in the ledger.
    pub complete_through: Option<String>,
    /// The position of each partition before which entries are on it; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
    /// The position of the command log as of which prices and accounts were in force; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands_through: Option<u64>,
    /// When it was closed; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<String>,
    /// SHA-256 of the canonical text: this object as compact JSON, in this order, without this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// What an invoice was closed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// `unpriced`, `incomplete`, `quarantine` or `audit`.
    pub what: String,
    /// What was found.
    pub detail: String,
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LineText {
    /// From 1.
    pub number: u32,
    /// `usage`, `adjustment`, `fee`, `minimum`, `credit` or `tax`.
    pub kind: String,
    /// The month that it adjusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjusts: Option<String>,
    /// The team, where the invoice is taken apart by team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// The model; of what is no usage, the description.
    pub model: String,
    /// The unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The price of one of the unit; absent where the line mixes prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
    /// How much of the unit.
    pub quantity: String,
    /// The exact sum of the entries.
    pub exact_amount: String,
    /// That sum rounded once to the currency's minor unit.
    pub amount: String,
}

/// What an account's invoice of a month is besides its lines.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    /// The account as of the end of the month.
    pub account: &'a Account,
    /// The months that were asked for; the last one is billed.
    pub months: &'a Months,
    /// The month that is billed.
    pub month: Month,
}

/// The invoices of an account's month: one for each currency that occurs, and the account's own in any case, so that a
/// month without usage can be closed too. They are open; the worker closes them.
///
/// # Errors
/// [`Error::Overflow`] where a sum has more than 38 digits.
pub fn invoices(heading: &Heading<'_>, sums: BTreeMap<String, Vec<Sum>>) -> Result<Vec<InvoiceText>, Error> {
    let own = &heading.account.currency;
    let mut sums = sums;
    sums.entry(own.clone()).or_default();
    let (terms, nothing) = (heading.account.terms(heading.month), Terms::default());
    sums.into_iter()
        .map(|(currency, sums)| {
            // Fees and the like are of the account's own currency.
            let terms = if currency == *own { &terms } else { &nothing };
            let decimals = decimals(&currency);
            let bill = bill(sums, terms, decimals);
            let bill = bill.map_err(|_| Error::Overflow { account: heading.account.id.clone() })?;
            Ok(heading.invoice(&currency, &bill, decimals))
        })
        .collect()
}

impl Heading<'_> {
    fn invoice(&self, currency: &str, bill: &Bill, decimals: u8) -> InvoiceText {
        let Self { account, months, month } = self;
        let (from, to) = months.last_bounds();
        let kind = account.kind.name();
        InvoiceText {
            id: id(kind, &account.id, *month, currency),
            state: "open".into(),
            kind: kind.into(),
            account: account.id.clone(),
            name: account.name.clone(),
            address: account.address.clone(),
            tax_id: account.tax_id.clone(),
            period: month.to_string(),
            time_zone: months.time_zone().to_owned(),
            from: instant(from),
            to: instant(to),
            currency: currency.into(),
            lines: (1..)
                .zip(&bill.lines)
                .map(|(number, line)| LineText::of(number, line, decimals))
                .collect(),
            total: money(bill.total, decimals),
            exact_usage: bill.exact_usage.to_string(),
            rounding: format!("each line once, half to even, to {decimals} decimals"),
            accepted: Vec::new(),
            reason: None,
            complete_through: None,
            cut: None,
            commands_through: None,
            closed_at: None,
            hash: None,
        }
    }
}

impl LineText {
    fn of(number: u32, line: &Line, decimals: u8) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let is_counted = matches!(line.kind, LineKind::Usage | LineKind::Adjustment);
        Self {
            number,
            kind: line.kind.name().into(),
            adjusts: line.key.adjusts.map(|month| month.to_string()),
            team: text(&line.key.team),
            model: line.key.model.clone(),
            unit: text(&line.key.unit).filter(|_| is_counted),
            unit_price: text(&line.key.unit_price),
            quantity: line.quantity.to_string(),
            exact_amount: line.exact_amount.to_string(),
            amount: money(line.amount, decimals),
        }
    }
}

impl InvoiceText {
    /// The canonical text, which the hash is over.
    ///
    /// # Errors
    /// Where it cannot be written, which no invoice is known for.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Self { hash: None, ..self.clone() })
    }

    /// The SHA-256 of the canonical text, in hexadecimal.
    ///
    /// # Errors
    /// As [`InvoiceText::canonical`].
    pub fn digest(&self) -> Result<String, serde_json::Error> {
        Ok(hexadecimal(&Sha256::digest(self.canonical()?.as_bytes())))
    }
}

/// The id of an invoice: what names it, so that an open one has the id that it keeps when it is closed.
#[must_use]
pub fn id(kind: &str, account: &str, month: Month, currency: &str) -> String {
    let name = serde_json::json!([kind, account, month.to_string(), currency]).to_string();
    format!("{ID_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(name))
}

/// What an invoice's id names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What the account's id names.
    pub kind: Kind,
    /// The account.
    pub account: String,
    /// The month.
    pub month: Month,
    /// ISO 4217 code.
    pub currency: String,
}

impl Named {
    /// Reads an id; `None` where it is none.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let name = BASE64_URL_SAFE_NO_PAD.decode(id.strip_prefix(ID_PREFIX)?).ok()?;
        let (kind, account, month, currency): (String, String, String, String) =
            serde_json::from_slice(&name).ok()?;
        Some(Self { kind: Kind::parse(&kind)?, account, month: Month::parse(&month)?, currency })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

pub(super) fn instant(at: Millis) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// An amount with all the decimals of its currency: `1.50`.
pub(super) fn money(amount: Amount, decimals: u8) -> String {
    let mut text = amount.to_string();
    let places = text.split_once('.').map_or(0, |(_, places)| places.len());
    let missing = usize::from(decimals).saturating_sub(places);
    if missing > 0 {
        if places == 0 {
            text.push('.');
        }
        text.push_str(&"0".repeat(missing));
    }
    text
}
