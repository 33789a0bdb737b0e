//! An account as JSON text.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::account::{Account, Accounts, Kind, MonthlyCredit, MonthlyTerms};
use ledger::event::Millis;
use ledger::invoice::Month;
use ledger::money::{Amount, Decimal};
use ledger::timeline::Version;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Change;

/// Hours that late events have where the account does not say.
const GRACE_HOURS_USUAL: u32 = 24;

/// One version of an account: who is invoiced. Kind and id name it, so a customer and a team may have one id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountText {
    /// The customer or the team, as entries name it.
    pub id: String,
    /// What the id names: `customer` or `team`. Never changes.
    pub kind: String,
    /// The name on the invoice; the id by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// ISO 4217 code in which it is invoiced. Never changes.
    pub currency: String,
    /// IANA time zone in which its months begin; `UTC` by default. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Hours after the end of a month in which late events still belong to it; 24 by default, at most 744.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_hours: Option<u32>,
    /// The plan, by which prices and markups may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Postal address on the invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Tax number on the invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_id: Option<String>,
    /// A flat fee that each invoice has, in the account's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<FeeText>,
    /// The least that usage, adjustments and fee of a month come to: what is missing becomes a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    /// What is given: each becomes a line below zero, of no more than what is left to pay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credits: Vec<CreditText>,
    /// A tax on all lines before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<TaxText>,
    /// From when on; for a first version the beginning of time by default, for a later one 60 s after it was logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub effective_from: Option<Timestamp>,
    /// The version that the change was prepared on, 0 for none; another one refuses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<u32>,
}

/// A flat fee of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeeText {
    /// What it is called on the invoice.
    pub name: String,
    /// How much, in the account's currency.
    pub amount: String,
}

/// What an account is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreditText {
    /// What it is called on the invoice.
    pub name: String,
    /// How much at most, in the account's currency; what a month does not take lapses.
    pub amount: String,
    /// For which month, `YYYY-MM`; for each where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
}

/// A tax on an account's invoices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaxText {
    /// What it is called on the invoice.
    pub name: String,
    /// Its rate as a factor: 19 % are `0.19`.
    pub rate: String,
}

impl AccountText {
    fn terms(&self) -> Result<MonthlyTerms, String> {
        let fee = self.fee.as_ref();
        let fee = fee.map(|FeeText { name, amount }| Ok::<_, String>((name.clone(), money("fee", amount)?)));
        let credit = |CreditText { name, amount, month }: &CreditText| {
            let month = month.as_deref().map(|text| {
                Month::parse(text).ok_or_else(|| format!("credits: month {text:?} is none such as 2026-11"))
            });
            let amount = money("credits", amount)?;
            Ok(MonthlyCredit { name: name.clone(), amount, month: month.transpose()? })
        };
        let tax = self.tax.as_ref().map(|TaxText { name, rate }| -> Result<_, String> {
            let rate = Decimal::parse(rate).map_err(|error| format!("tax: rate {rate:?}: {error}"))?;
            Ok((name.clone(), rate))
        });
        Ok(MonthlyTerms {
            fee: fee.transpose()?,
            minimum: self.minimum.as_deref().map(|text| money("minimum", text)).transpose()?,
            credits: self.credits.iter().map(credit).collect::<Result<_, String>>()?,
            tax: tax.transpose()?,
        })
    }

    fn kind(&self) -> Result<Kind, String> {
        Kind::parse(&self.kind).ok_or_else(|| format!("kind: is `customer` or `team`, not {:?}", self.kind))
    }

    /// The account of the domain.
    ///
    /// # Errors
    /// Says in words which field cannot be what it is.
    pub fn to_domain(&self) -> Result<Account, String> {
        let account = Account {
            kind: self.kind()?,
            id: self.id.clone(),
            name: self.name.clone().unwrap_or_else(|| self.id.clone()),
            currency: self.currency.clone(),
            time_zone: time_zone(self.time_zone.as_deref().unwrap_or("UTC"))?,
            grace_hours: self.grace_hours.unwrap_or(GRACE_HOURS_USUAL),
            plan: self.plan.clone(),
            address: self.address.clone(),
            tax_id: self.tax_id.clone(),
            terms: self.terms()?,
        };
        account.check().map_err(|error| error.to_string())?;
        Ok(account)
    }
}

fn money(field: &str, text: &str) -> Result<Amount, String> {
    Amount::parse(text).map_err(|error| format!("{field}: amount {text:?}: {error}"))
}

/// The name of a time zone as the database of time zones writes it.
fn time_zone(name: &str) -> Result<String, String> {
    let unknown = || {
        format!(
            "time_zone: there is no time zone {name:?}; name one of the IANA database, such as Europe/Berlin"
        )
    };
    let zone = TimeZone::get(name).map_err(|_| unknown())?;
    zone.iana_name().map(str::to_owned).ok_or_else(unknown)
}

impl Change for AccountText {
    type State = Accounts;
    const TABLE: &'static str = "accounts";
    const WHAT: &'static str = "account";

    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn effective_from(&self) -> Option<Timestamp> {
        self.effective_from
    }

    fn based_on(&self) -> Option<u32> {
        self.based_on
    }

    fn is_ended(&self) -> bool {
        false
    }

    fn concerns(&self) -> (&str, &str) {
        match Kind::parse(&self.kind) {
            Some(Kind::Customer) => (&self.id, ""),
            Some(Kind::Team) => ("", &self.id),
            None => ("", ""),
        }
    }

    /// With what the text leaves out, so that a later default changes nothing that was set.
    fn kept(&self) -> Result<Self, String> {
        let account = self.to_domain()?;
        Ok(Self {
            name: Some(account.name),
            time_zone: Some(account.time_zone),
            grace_hours: Some(account.grace_hours),
            effective_from: None,
            based_on: None,
            ..self.clone()
        })
    }

    fn insert(&self, accounts: &mut Accounts, number: u32, from: Option<Millis>) -> Result<(), String> {
        let account = self.to_domain()?;
        let before = accounts.get(account.kind, &self.id).and_then(|timeline| timeline.last_set());
        before.map_or(Ok(()), |before| account.follows(before)).map_err(|error| error.to_string())?;
        let (kind, id) = (account.kind, self.id.clone());
        accounts.insert(kind, id, Version { number, effective_from: from, value: Some(account) });
        Ok(())
    }
}
