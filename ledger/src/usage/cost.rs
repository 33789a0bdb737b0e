//! Money that the provider or the gateway reported beside the usage: evidence, unless the model row bills it.

use super::{Error, Node};
use crate::event::UsageEvent;
use crate::money::{self, Amount, Decimal, rate};

/// xAI counts money in ticks of 10^-10 dollars.
const TICKS_A_DOLLAR: u64 = 10_000_000_000;

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
        let amount = amount(reported.amount, 1)
            .map_err(|error| Error::unpostable(format_args!("reported_cost.amount: {error}")))?;
        let source = reported.source.unwrap_or(event.provider);
        Ok(Some(Self { amount, currency: reported.currency, source }))
    }

    /// A number of dollars.
    pub(super) fn dollars(node: Node<'a>, source: &'a str) -> Option<Self> {
        Self::of_dollars(node, 1, source)
    }

    /// xAI's ticks.
    pub(super) fn ticks(node: Node<'a>, source: &'a str) -> Option<Self> {
        Self::of_dollars(node, TICKS_A_DOLLAR, source)
    }

    fn of_dollars(node: Node<'a>, per: u64, source: &'a str) -> Option<Self> {
        let (Node::Number(text) | Node::Text(text)) = node else { return None };
        let amount = amount(text, per).ok().filter(|amount| *amount >= Amount::ZERO)?;
        Some(Self { amount, currency: "USD", source })
    }

    /// An object with `total_cost` or `amount`, in dollars unless it names a currency.
    pub(super) fn total(node: Node<'a>, source: &'a str) -> Option<Self> {
        let total = Self::dollars(node.get("total_cost").or_else(|| node.get("amount"))?, source)?;
        let currency = node.get("currency").and_then(|currency| currency.text());
        Some(Self { currency: currency.unwrap_or(total.currency), ..total })
    }
}

/// A reported number divided by `per`, rounded half-even at 18 decimals: providers print binary floats, whose digits
/// reach further than any money does.
fn amount(text: &str, per: u64) -> Result<Amount, money::Error> {
    rate(Decimal::parse(text)?, Decimal::ONE, Decimal::ONE, per)
}
