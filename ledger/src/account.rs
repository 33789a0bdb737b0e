//! Accounts: who is invoiced, in which currency and time zone, and on which plan.

use std::collections::HashMap;

use crate::event::{Millis, names};
use crate::invoice::{Month, Terms};
use crate::money::{Amount, Decimal};
use crate::timeline::{Timeline, Version};

names! {
    /// What an account's id names.
    Kind {
        /// A customer: the account is billed the entries of that customer.
        Customer = "customer",
        /// A team: the account is billed the entries of that team.
        Team = "team",
    }
}

/// Who is invoiced. Kind and id name the account, so a customer and a team may have one id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What the id names.
    pub kind: Kind,
    /// The customer or the team, as entries name it.
    pub id: String,
    /// The name on the invoice.
    pub name: String,
    /// ISO 4217 code in which it is invoiced. Never changes.
    pub currency: String,
    /// IANA time zone in which its months begin. Never changes.
    pub time_zone: String,
    /// Hours after the end of a month in which late events still belong to it.
    pub grace_hours: u32,
    /// The plan, by which prices and markups may hold.
    pub plan: Option<String>,
    /// Postal address on the invoice.
    pub address: Option<String>,
    /// Tax number on the invoice.
    pub tax_id: Option<String>,
    /// What each of its invoices has besides usage.
    pub terms: MonthlyTerms,
}

/// What an account is billed besides its usage, in its own currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthlyTerms {
    /// A flat fee for each month, with what it is called.
    pub fee: Option<(String, Amount)>,
    /// The least that a month's usage, adjustments and fee come to.
    pub minimum: Option<Amount>,
    /// What is given.
    pub credits: Vec<MonthlyCredit>,
    /// A tax on the total before it: what it is called, and its rate as a factor, such as 0.19.
    pub tax: Option<(String, Decimal)>,
}

/// An amount that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthlyCredit {
    /// What it is called on the invoice.
    pub name: String,
    /// How much at most; what a month does not take lapses.
    pub amount: Amount,
    /// For which month; every one where there is none.
    pub month: Option<Month>,
}

/// Why an account cannot become what a change makes of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field that decides what its closed months hold.
    #[error(
        "the {field} of account {id:?} is {before:?} and never changes, because it decides what its invoices hold; \
         make another account instead of setting it to {after:?}"
    )]
    Fixed {
        /// Id of the account.
        id: String,
        /// The field.
        field: &'static str,
        /// What it is.
        before: String,
        /// What it was to become.
        after: String,
    },
    /// A field breaks a rule.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// Which rule, and what to do.
        detail: String,
    },
}

/// Hours that late events may have: a month and a day more than enough.
const GRACE_HOURS_MAX: u32 = 24 * 31;

impl Account {
    /// Whether it can be. Whether there is such a time zone is for others to say.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |field, detail: &str| Err(Error::Invalid { field, detail: detail.to_owned() });
        if self.id.is_empty() || self.id.chars().count() > crate::markup::NAME_CHARS_MAX {
            return invalid("id", "has 1 to 128 characters");
        }
        if self.name.is_empty() {
            return invalid("name", "must not be empty");
        }
        if !crate::markup::is_currency(&self.currency) {
            return invalid("currency", "is an ISO 4217 code of three capitals, such as `USD`");
        }
        if self.grace_hours > GRACE_HOURS_MAX {
            return invalid("grace_hours", "is at most 744, which is 31 days");
        }
        if self.plan.as_deref() == Some("") {
            return invalid("plan", "must not be empty; leave it out");
        }
        self.terms.check()
    }

    /// What the invoice of a month has besides usage.
    #[must_use]
    pub fn terms(&self, month: Month) -> Terms {
        let MonthlyTerms { fee, minimum, credits, tax } = self.terms.clone();
        let credits = credits.into_iter().filter(|credit| credit.month.is_none_or(|only| only == month));
        let credits = credits.map(|credit| (credit.name, credit.amount)).collect();
        Terms { fee, minimum, credits, tax }
    }

    /// Whether it may follow what it was before.
    ///
    /// # Errors
    /// [`Error::Fixed`] where a field differs that never changes.
    pub fn follows(&self, before: &Self) -> Result<(), Error> {
        for (field, was, is) in [
            ("currency", &before.currency, &self.currency),
            ("time_zone", &before.time_zone, &self.time_zone),
        ] {
            if was != is {
                let (id, before, after) = (self.id.clone(), was.clone(), is.clone());
                return Err(Error::Fixed { id, field, before, after });
            }
        }
        Ok(())
    }
}

/// Credits that an account can have.
const CREDITS_MAX: usize = 100;

impl MonthlyTerms {
    fn check(&self) -> Result<(), Error> {
        let credits = self.credits.iter().map(|credit| ("credits", &credit.name, Some(credit.amount)));
        let fee = self.fee.iter().map(|(name, amount)| ("fee", name, Some(*amount)));
        let tax = self.tax.iter().map(|(name, _)| ("tax", name, None));
        for (field, name, amount) in fee.chain(credits).chain(tax) {
            if name.is_empty() || name.chars().count() > crate::markup::NAME_CHARS_MAX {
                return Err(Error::Invalid { field, detail: "name: has 1 to 128 characters".into() });
            }
            if amount.is_some_and(|amount| amount <= Amount::ZERO) {
                return Err(Error::Invalid { field, detail: "amount: is above zero; leave it out".into() });
            }
        }
        let invalid = |field, detail: &str| Err(Error::Invalid { field, detail: detail.to_owned() });
        if self.minimum.is_some_and(|minimum| minimum <= Amount::ZERO) {
            return invalid("minimum", "is above zero; leave it out");
        }
        if self.tax.as_ref().is_some_and(|(_, rate)| *rate <= Decimal::ZERO || *rate >= Decimal::ONE) {
            return invalid("tax", "rate: is a factor above 0 and below 1: 19 % are 0.19");
        }
        if self.credits.len() > CREDITS_MAX {
            return invalid("credits", "are at most 100");
        }
        Ok(())
    }
}

/// All accounts by version.
#[derive(Debug, Default)]
pub struct Accounts {
    customers: HashMap<String, Timeline<Account>>,
    teams: HashMap<String, Timeline<Account>>,
}

impl Accounts {
    /// Adds a version of an account.
    pub fn insert(&mut self, kind: Kind, id: String, version: Version<Account>) {
        let accounts = match kind {
            Kind::Customer => &mut self.customers,
            Kind::Team => &mut self.teams,
        };
        accounts.entry(id).or_default().insert(version);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.teams.is_empty()
    }

    /// All versions of an account; `None` where there is none.
    #[must_use]
    pub fn get(&self, kind: Kind, id: &str) -> Option<&Timeline<Account>> {
        match kind {
            Kind::Customer => self.customers.get(id),
            Kind::Team => self.teams.get(id),
        }
    }

    /// The plan that a customer's account was on at an instant.
    #[must_use]
    pub fn plan(&self, customer: &str, at: Millis) -> Option<&str> {
        let (_, account) = self.customers.get(customer)?.at(at)?;
        account.plan.as_deref()
    }
}
