//! The rules of FOCUS 1.2 for the dataset `CostAndUsage`, as far as they can be told from a file: which columns there
//! must be, what stands in them, when they are null, and what multiplies to what. The published validator knows earlier
//! versions of the specification only, so the rules are written here from the specification's own text.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use ledger::money::Decimal;

/// Columns that a file must have and that are never null.
const NEVER_NULL: &[&str] = &[
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
];
/// Columns that a file must have and that may be null.
const NULLABLE: &[&str] =
    &["BillingAccountName", "ChargeClass", "ChargeDescription", "PricingQuantity", "PricingUnit"];
/// Columns that a file must have where unit prices, price lists, sub accounts, regions, tags and kinds of accounts are
/// known, and those that are recommended.
const ASKED_FOR: &[&str] = &[
    "BillingAccountType",
    "ChargeFrequency",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "InvoiceId",
    "ListUnitPrice",
    "PricingCategory",
    "RegionId",
    "RegionName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
];
const NUMBERS: &[&str] = &[
    "BilledCost",
    "ConsumedQuantity",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "ListCost",
    "ListUnitPrice",
    "PricingQuantity",
];
const INSTANTS: &[&str] = &["BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"];
const ALLOWED: &[(&str, &[&str])] = &[
    ("ChargeCategory", &["Usage", "Purchase", "Tax", "Credit", "Adjustment"]),
    ("ChargeClass", &["", "Correction"]),
    ("ChargeFrequency", &["One-Time", "Recurring", "Usage-Based"]),
    ("PricingCategory", &["", "Standard", "Dynamic", "Committed", "Other"]),
    ("ServiceCategory", &["AI and Machine Learning", "Other"]),
    ("ServiceSubcategory", &["Generative AI", "Other (Other)"]),
];
/// Columns that are null together.
const TOGETHER: &[(&str, &str)] = &[
    ("ConsumedQuantity", "ConsumedUnit"),
    ("PricingQuantity", "PricingUnit"),
    ("RegionId", "RegionName"),
    ("SkuId", "SkuMeter"),
    ("SubAccountId", "SubAccountName"),
    ("SubAccountId", "SubAccountType"),
];
/// What a charge for usage or a purchase has, unless it is a correction; and a tax never.
const OF_PRICES: &[&str] =
    &["ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity", "SkuId", "SkuPriceId"];

/// A row by its columns; a null is the empty text.
pub type Row = BTreeMap<String, String>;

/// Reads a file and holds it to the rules.
///
/// # Errors
/// Names the first rule that it breaks, and the row.
pub fn checked(text: &str) -> Result<Vec<Row>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
    for name in NEVER_NULL.iter().chain(NULLABLE).chain(ASKED_FOR) {
        ensure!(head.iter().any(|column| column == name), "the column {name} is missing");
    }
    for name in &head {
        let is_known = NEVER_NULL.iter().chain(NULLABLE).chain(ASKED_FOR).any(|known| known == name);
        ensure!(
            is_known || name.starts_with("x_"),
            "{name} is neither a column of the specification nor marked as own"
        );
    }
    let mut rows = Vec::new();
    let mut parents: BTreeMap<String, String> = BTreeMap::new();
    for record in reader.records() {
        let row: Row = head.iter().cloned().zip(record?.iter().map(str::to_owned)).collect();
        check(&row)?;
        let parent = parents.entry(row["SkuPriceId"].clone()).or_insert_with(|| row["SkuId"].clone());
        ensure!(*parent == row["SkuId"], "a price has two SKUs: {row:?}");
        rows.push(row);
    }
    Ok(rows)
}

/// The sum of a column, exactly.
///
/// # Errors
/// Where a cell is no number.
pub fn sum(rows: &[Row], column: &str) -> Result<String> {
    let sum =
        rows.iter().try_fold(Decimal::ZERO, |sum, row| sum.checked_add(Decimal::parse(&row[column])?))?;
    Ok(sum.to_string())
}

fn check(row: &Row) -> Result<()> {
    for name in NEVER_NULL {
        ensure!(!row[*name].is_empty(), "{name} is null: {row:?}");
    }
    for (name, allowed) in ALLOWED {
        ensure!(allowed.contains(&row[*name].as_str()), "{name} is not allowed: {row:?}");
    }
    for name in NUMBERS {
        ensure!(row[*name].is_empty() || is_number(&row[*name]), "{name} is no number: {row:?}");
    }
    for name in INSTANTS {
        ensure!(is_instant(&row[*name]), "{name} is no instant in UTC: {row:?}");
    }
    for (one, other) in TOGETHER {
        ensure!(
            row[*one].is_empty() == row[*other].is_empty(),
            "only one of {one} and {other} is null: {row:?}"
        );
    }
    let currency = &row["BillingCurrency"];
    ensure!(
        currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase()),
        "no currency: {row:?}"
    );
    check_nulls(row)?;
    check_products(row)
}

fn check_nulls(row: &Row) -> Result<()> {
    let (category, is_correction) = (row["ChargeCategory"].as_str(), row["ChargeClass"] == "Correction");
    let is_priced = matches!(category, "Usage" | "Purchase");
    for name in OF_PRICES {
        ensure!(!is_priced || is_correction || !row[*name].is_empty(), "{name} is null: {row:?}");
        ensure!(category != "Tax" || row[*name].is_empty(), "{name} of a tax: {row:?}");
    }
    if category == "Usage" {
        ensure!(is_correction || !row["ConsumedQuantity"].is_empty(), "usage of no quantity: {row:?}");
    } else {
        ensure!(row["ConsumedQuantity"].is_empty(), "a quantity was used, but it is no usage: {row:?}");
    }
    ensure!(
        category != "Purchase" || row["ChargeFrequency"] != "Usage-Based",
        "a purchase by usage: {row:?}"
    );
    let tags = &row["Tags"];
    ensure!(tags.is_empty() || tags.starts_with('{'), "Tags are no object: {row:?}");
    Ok(())
}

fn check_products(row: &Row) -> Result<()> {
    let is_correction = row["ChargeClass"] == "Correction";
    for (price, cost) in [("ContractedUnitPrice", "ContractedCost"), ("ListUnitPrice", "ListCost")] {
        if row[price].is_empty() {
            ensure!(row[cost] == row["BilledCost"], "{cost} without a price is not what is billed: {row:?}");
            continue;
        }
        let unit_price = Decimal::parse(&row[price])?;
        ensure!(!unit_price.is_negative(), "{price} is below zero: {row:?}");
        let product = Decimal::parse(&row["PricingQuantity"])?.checked_mul(unit_price)?;
        ensure!(
            is_correction || product == Decimal::parse(&row[cost])?,
            "{cost} is not quantity × {price}: {row:?}"
        );
    }
    let is_paid_for = matches!(row["ChargeCategory"].as_str(), "Usage" | "Purchase");
    ensure!(is_paid_for || row["EffectiveCost"] == row["BilledCost"], "EffectiveCost: {row:?}");
    Ok(())
}

/// An integer or a decimal, without signs for what is positive, separators or an exponent.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = text.split_once('.').map_or((text, None), |(whole, part)| (whole, Some(part)));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && part.is_none_or(is_digits)
}

/// `YYYY-MM-DDTHH:mm:ssZ`.
fn is_instant(text: &str) -> bool {
    let like = b"0000-00-00T00:00:00Z";
    text.len() == like.len()
        && text
            .bytes()
            .zip(like)
            .all(|(byte, like)| if *like == b'0' { byte.is_ascii_digit() } else { byte == *like })
}
