//! An invoice as rows of FOCUS 1.2 (FinOps Open Cost and Usage Specification, dataset `CostAndUsage`) in CSV. A charge of
//! the invoice is a row; what the rounding of the lines makes of their exact sum is one row more, so that `BilledCost`
//! adds up to what is owed. Columns for discounts by commitment, capacity, zones and resources are left out: nothing of
//! the kind is billed here. So are those of a pricing currency: a charge is priced in the currency that it is billed in.

mod row;

use ledger::invoice::Month;
use ledger::money::Amount;
use schemas::invoices::{InvoiceText, LineText, Months};

use self::row::{COLUMNS, Heading, Pricing, Row, Sku};
use super::charges::Charge;
use super::{File, failed};
use crate::csv::records;
use crate::error::Problem;
use crate::invoices::Found;

/// A charge without a price for one of its unit is one lump, so that price × quantity is its cost all the same.
const LUMP: &str = "Lump Sums";

/// The file.
pub(super) fn file(found: &Found, charges: &[Charge], issuer: &str) -> Result<File, Problem> {
    let rows = rows(&found.invoice, charges)?;
    let heading = Heading { invoice: &found.invoice, kind: found.kind, issuer };
    let head = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cells = rows.iter().map(|row| COLUMNS.iter().map(|(_, cell)| cell(&heading, row)).collect());
    let bytes = records(std::iter::once(head).chain(cells)).map_err(|error| failed(&error))?;
    Ok(File { bytes, rows: rows.len() })
}

fn rows(invoice: &InvoiceText, charges: &[Charge]) -> Result<Vec<Row>, Problem> {
    let nothing = |charge: &&Charge| {
        charge.quantity.is_zero() && charge.amount.is_zero() && charge.list_amount.is_zero()
    };
    let usage = charges.iter().filter(|charge| !nothing(charge)).map(|charge| of_charge(invoice, charge));
    let others = invoice.lines.iter().filter(|line| line.unit.is_none()).map(|line| of_line(invoice, line));
    let mut rows: Vec<Row> = usage.chain(others).collect::<Result<_, _>>()?;
    rows.extend(rounding(invoice, &rows)?);
    Ok(rows)
}

/// A charge for usage. What has no price is no usage that is billed, but has a row, so that it is seen.
fn of_charge(invoice: &InvoiceText, charge: &Charge) -> Result<Row, Problem> {
    let is_priced = charge.price_row.is_some() && !charge.is_unpriced;
    let category = if is_priced { "Usage" } else { "Adjustment" };
    let pricing = is_priced.then(|| pricing(charge));
    let list =
        pricing.as_ref().map_or_else(|| charge.amount.to_string(), |pricing| pricing.list_cost.clone());
    let what = format!("{}, {}", charge.model, row::words(&charge.unit));
    let description = match (charge.adjusts, is_priced) {
        (Some(month), true) => format!("{what}, added to {month} after its invoice"),
        (None, true) => what,
        (_, false) => format!("{what}, which has no price"),
    };
    let (from, to) = match charge.adjusts {
        Some(month) => bounds(month, &invoice.time_zone)?,
        None => (invoice.from.clone(), invoice.to.clone()),
    };
    Ok(Row {
        category,
        is_correction: charge.adjusts.is_some(),
        description,
        frequency: if is_priced { "Usage-Based" } else { "One-Time" },
        billed: charge.amount,
        list,
        sku: charge.price_row.as_ref().filter(|_| is_priced).map(|(id, model)| Sku {
            id: model.clone(),
            meter: row::words(&charge.unit),
            price_id: id.clone(),
        }),
        consumed: is_priced.then(|| charge.quantity.to_string()),
        pricing,
        from,
        to,
        charge: Some(charge.clone()),
        line: Some(charge.line),
    })
}

/// A line that is no usage: what is paid for each month, given, or due to the state.
fn of_line(invoice: &InvoiceText, line: &LineText) -> Result<Row, Problem> {
    let billed = Amount::parse(&line.exact_amount).map_err(|error| failed(&error))?;
    let is_fee = line.kind == "fee" && billed >= Amount::ZERO;
    let (category, frequency) = match line.kind.as_str() {
        "fee" if is_fee => ("Purchase", "Recurring"),
        "credit" => ("Credit", "One-Time"),
        "tax" => ("Tax", "One-Time"),
        _ => ("Adjustment", "One-Time"),
    };
    Ok(Row {
        category,
        is_correction: false,
        description: line.model.clone(),
        frequency,
        billed,
        list: billed.to_string(),
        pricing: is_fee.then(|| lump(billed, billed)),
        consumed: None,
        sku: is_fee.then(|| Sku {
            id: format!("{}/{}", line.kind, line.model),
            meter: row::words(&line.kind),
            price_id: format!("{}/{}", line.kind, line.model),
        }),
        from: invoice.from.clone(),
        to: invoice.to.clone(),
        charge: None,
        line: Some(line.number),
    })
}

/// What the lines' rounding adds to their exact sum; no row where that is nothing.
fn rounding(invoice: &InvoiceText, rows: &[Row]) -> Result<Option<Row>, Problem> {
    let mut left = Amount::parse(&invoice.total).map_err(|error| failed(&error))?;
    for row in rows {
        left = left.checked_add(row.billed.neg()).ok_or_else(Problem::internal)?;
    }
    Ok((!left.is_zero()).then(|| Row {
        category: "Adjustment",
        is_correction: false,
        description: format!("Rounding: {}", invoice.rounding),
        frequency: "One-Time",
        billed: left,
        list: left.to_string(),
        pricing: None,
        consumed: None,
        sku: None,
        from: invoice.from.clone(),
        to: invoice.to.clone(),
        charge: None,
        line: None,
    }))
}

/// Quantity and prices of a charge: by its unit where quantity × price is the charge to the last digit, else one lump.
fn pricing(charge: &Charge) -> Pricing {
    let by_unit = charge.unit_price.filter(|price| {
        !price.is_negative() && charge.quantity.checked_mul(*price) == Ok(charge.amount.to_decimal())
    });
    let Some(price) = by_unit else { return lump(charge.amount, charge.list_amount) };
    let list = charge.list_price.filter(|list| !list.is_negative()).unwrap_or(price);
    let (list, list_cost) = match charge.quantity.checked_mul(list) {
        Ok(cost) => (list, cost),
        Err(_) => (price, charge.amount.to_decimal()),
    };
    Pricing {
        quantity: charge.quantity.to_string(),
        unit: row::measure(&charge.unit),
        price: price.to_string(),
        list_price: list.to_string(),
        list_cost: list_cost.to_string(),
    }
}

/// No price is below zero, so what is given back is a lump less.
fn lump(amount: Amount, list: Amount) -> Pricing {
    let is_back = amount < Amount::ZERO;
    let size = |amount: Amount| if is_back { amount.neg() } else { amount };
    let list = if size(list) < Amount::ZERO { amount } else { list };
    Pricing {
        quantity: if is_back { "-1" } else { "1" }.to_owned(),
        unit: LUMP.to_owned(),
        price: size(amount).to_string(),
        list_price: size(list).to_string(),
        list_cost: list.to_string(),
    }
}

fn bounds(month: Month, time_zone: &str) -> Result<(String, String), Problem> {
    let months = Months::new(month, month, time_zone).map_err(|error| failed(&error))?;
    let (from, to) = months.last_bounds();
    Ok((crate::period::rfc3339(from.0), crate::period::rfc3339(to.0)))
}

#[cfg(test)]
mod tests;
