//! Money that the provider or the gateway reported beside the usage: evidence, unless the model row bills it.

use super::{Error, Node};
use crate::event::UsageEvent;
use crate::money::{Amount, Decimal};

/// xAI counts money in ticks of 10^-10 dollars.
const TICK_SCALE: u8 = 10;

/// A reported amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderCost<'a> {
    /// How much.
    pub amount: Amount,
    /// ISO 4217 code.
    pub currency: &'a str,
    /// Who reported it.
    pub source: &'a str,
}

impl<'a> ProviderCost<'a> {
    /// What the event itself carries.
    ///
    /// # Errors
    /// [`Error::Unpostable`] where the amount does not fit.
    pub(super) fn of(event: &UsageEvent<'a>) -> Result<Option<Self>, Error> {
        let Some(reported) = event.reported_cost else { return Ok(None) };
        let amount = Amount::parse(reported.amount)
            .map_err(|error| Error::unpostable(format_args!("reported_cost.amount: {error}")))?;
        let source = reported.source.unwrap_or(event.provider);
        Ok(Some(Self { amount, currency: reported.currency, source }))
    }

    /// A number of dollars.
    pub(super) fn dollars(node: Node<'a>, source: &'a str) -> Option<Self> {
        let Node::Number(text) = node else { return None };
        Some(Self { amount: Amount::parse(text).ok()?, currency: "USD", source })
    }

    /// xAI's ticks.
    pub(super) fn ticks(node: Node<'a>, source: &'a str) -> Option<Self> {
        let Node::Number(text) = node else { return None };
        let ticks = i128::from(Decimal::parse(text).ok()?.to_i64()?);
        let amount = Amount::try_from(Decimal::new(ticks, TICK_SCALE).ok()?).ok()?;
        Some(Self { amount, currency: "USD", source })
    }

    /// An object with `total_cost`, in dollars unless it names a currency.
    pub(super) fn total(node: Node<'a>, source: &'a str) -> Option<Self> {
        let total = Self::dollars(node.get("total_cost")?, source)?;
        let currency = node.get("currency").and_then(|currency| currency.text());
        Some(Self { currency: currency.unwrap_or(total.currency), ..total })
    }
}
