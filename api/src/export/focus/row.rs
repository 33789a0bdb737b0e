//! One row of FOCUS 1.2 and its columns, each with what stands in it. An empty cell is a null.

use ledger::account::Kind;
use ledger::money::Amount;
use schemas::invoices::InvoiceText;
use serde_json::json;

use super::super::charges::Charge;
use crate::csv::safe;

/// What all rows of an invoice have in common.
pub(super) struct Heading<'a> {
    pub(super) invoice: &'a InvoiceText,
    pub(super) kind: Kind,
    pub(super) issuer: &'a str,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// `ChargeCategory`.
    pub(super) category: &'static str,
    /// Whether it corrects a month that was invoiced before.
    pub(super) is_correction: bool,
    pub(super) description: String,
    pub(super) frequency: &'static str,
    /// What is billed, before rounding; what it comes to by contract and effectively is the same.
    pub(super) billed: Amount,
    /// `ListCost`.
    pub(super) list: String,
    pub(super) pricing: Option<Pricing>,
    pub(super) consumed: Option<String>,
    pub(super) sku: Option<Sku>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) charge: Option<Charge>,
    pub(super) line: Option<u32>,
}

/// Quantity × price = cost, by contract and by list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pricing {
    pub(super) quantity: String,
    pub(super) unit: String,
    pub(super) price: String,
    pub(super) list_price: String,
    pub(super) list_cost: String,
}

/// What was sold, what of it was measured, and at which price row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sku {
    pub(super) id: String,
    pub(super) meter: String,
    pub(super) price_id: String,
}

/// What a column has in a row.
type Cell = fn(&Heading<'_>, &Row) -> String;

/// The columns in order: those of the specification by name, then those of our own.
pub(super) const COLUMNS: &[(&str, Cell)] = &[
    ("BilledCost", |_, row| row.billed.to_string()),
    ("BillingAccountId", |heading, _| safe(&heading.invoice.account)),
    ("BillingAccountName", |heading, _| safe(&heading.invoice.name)),
    ("BillingAccountType", |heading, _| words(heading.kind.name())),
    ("BillingCurrency", |heading, _| heading.invoice.currency.clone()),
    ("BillingPeriodEnd", |heading, _| heading.invoice.to.clone()),
    ("BillingPeriodStart", |heading, _| heading.invoice.from.clone()),
    ("ChargeCategory", |_, row| row.category.to_owned()),
    ("ChargeClass", |_, row| if row.is_correction { "Correction".to_owned() } else { String::new() }),
    ("ChargeDescription", |_, row| safe(&row.description)),
    ("ChargeFrequency", |_, row| row.frequency.to_owned()),
    ("ChargePeriodEnd", |_, row| row.to.clone()),
    ("ChargePeriodStart", |_, row| row.from.clone()),
    ("ConsumedQuantity", |_, row| row.consumed.clone().unwrap_or_default()),
    ("ConsumedUnit", |_, row| row.consumed.as_ref().map(|_| row.measure()).unwrap_or_default()),
    ("ContractedCost", |_, row| row.billed.to_string()),
    ("ContractedUnitPrice", |_, row| row.priced(|pricing| &pricing.price)),
    ("EffectiveCost", |_, row| row.billed.to_string()),
    ("InvoiceId", |heading, _| heading.invoice.id.clone()),
    ("InvoiceIssuerName", |heading, _| safe(heading.issuer)),
    ("ListCost", |_, row| row.list.clone()),
    ("ListUnitPrice", |_, row| row.priced(|pricing| &pricing.list_price)),
    ("PricingCategory", |_, row| row.pricing.as_ref().map(|_| "Standard".to_owned()).unwrap_or_default()),
    ("PricingQuantity", |_, row| row.priced(|pricing| &pricing.quantity)),
    ("PricingUnit", |_, row| row.priced(|pricing| &pricing.unit)),
    ("ProviderName", provider),
    ("PublisherName", provider),
    ("RegionId", |_, row| row.of_charge(|charge| charge.region.as_deref())),
    ("RegionName", |_, row| row.of_charge(|charge| charge.region.as_deref())),
    ("ServiceCategory", |_, row| {
        if row.charge.is_some() { "AI and Machine Learning" } else { "Other" }.to_owned()
    }),
    ("ServiceName", |_, row| if row.charge.is_some() { "Model usage" } else { "Billing" }.to_owned()),
    ("ServiceSubcategory", |_, row| {
        if row.charge.is_some() { "Generative AI" } else { "Other (Other)" }.to_owned()
    }),
    ("SkuId", |_, row| row.sku.as_ref().map(|sku| safe(&sku.id)).unwrap_or_default()),
    ("SkuMeter", |_, row| row.sku.as_ref().map(|sku| sku.meter.clone()).unwrap_or_default()),
    ("SkuPriceDetails", |_, _| String::new()),
    ("SkuPriceId", |_, row| row.sku.as_ref().map(|sku| safe(&sku.price_id)).unwrap_or_default()),
    ("SubAccountId", sub_account),
    ("SubAccountName", sub_account),
    ("SubAccountType", |heading, row| {
        if sub_account(heading, row).is_empty() {
            String::new()
        } else {
            words(sub_account_type(heading.kind))
        }
    }),
    ("Tags", |_, row| row.tags()),
    ("x_InvoiceState", |heading, _| heading.invoice.state.clone()),
    ("x_Line", |_, row| row.line.map(|line| line.to_string()).unwrap_or_default()),
    ("x_Model", |_, row| row.of_charge(|charge| Some(&charge.model))),
    ("x_Unit", |_, row| row.of_charge(|charge| Some(&charge.unit))),
    ("x_Quantity", |_, row| {
        row.charge.as_ref().map(|charge| charge.quantity.to_string()).unwrap_or_default()
    }),
    ("x_Markup", |_, row| row.of_charge(|charge| charge.markup.as_deref())),
    ("x_EntryLines", |_, row| {
        row.charge.as_ref().map(|charge| charge.entries.to_string()).unwrap_or_default()
    }),
];

impl Row {
    fn priced(&self, part: fn(&Pricing) -> &String) -> String {
        self.pricing.as_ref().map(part).cloned().unwrap_or_default()
    }

    fn of_charge(&self, part: fn(&Charge) -> Option<&str>) -> String {
        self.charge.as_ref().and_then(part).map(safe).unwrap_or_default()
    }

    fn measure(&self) -> String {
        self.charge.as_ref().map(|charge| measure(&charge.unit)).unwrap_or_default()
    }

    /// Owners as JSON; null where nothing is known of them.
    fn tags(&self) -> String {
        let owners = self.charge.as_ref().map(|charge| &charge.owners).filter(|owners| !owners.is_empty());
        owners.map(|owners| json!(owners).to_string()).unwrap_or_default()
    }
}

/// Who served it; of what nobody served, the issuer.
fn provider(heading: &Heading<'_>, row: &Row) -> String {
    let served = row.charge.as_ref().and_then(|charge| charge.provider.as_deref());
    safe(served.unwrap_or(heading.issuer))
}

/// A customer's usage is divided by team, a team's by project.
const fn sub_account_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Customer => "team",
        Kind::Team => "project",
    }
}

fn sub_account(heading: &Heading<'_>, row: &Row) -> String {
    let owners = row.charge.as_ref().map(|charge| &charge.owners);
    let name = owners.and_then(|owners| owners.get(sub_account_type(heading.kind)));
    name.map(|name| safe(name)).unwrap_or_default()
}

/// A name of ours in words: `output_text_tokens` as `Output Text Tokens`.
pub(super) fn words(name: &str) -> String {
    let capital = |word: &str| {
        let mut characters = word.chars();
        characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
    };
    name.split('_').map(capital).collect::<Vec<_>>().join(" ")
}

/// What a unit is counted in: `output_text_tokens` in `Tokens`.
pub(super) fn measure(unit: &str) -> String {
    words(unit.rsplit('_').next().unwrap_or(unit))
}
