//! Goal: every row of a FOCUS export keeps to the specification, whatever kind of line it is made of. Method: charges and
//! lines of each kind by hand, and the rules of `tests::focus` over the file.

use ledger::account::Kind;
use ledger::invoice::Month;
use ledger::money::{Amount, Decimal};
use schemas::invoices::{InvoiceText, LineText};
use tests::focus::{Row, checked, sum};

use super::super::charges::Charge;
use super::super::csv::tests::invoice;
use super::row::{COLUMNS, Heading};
use super::rows;

fn charge(line: u32, quantity: &str, price: &str, amount: &str) -> Charge {
    Charge {
        line,
        adjusts: None,
        model: "gpt-5".into(),
        unit: "output_text_tokens".into(),
        quantity: Decimal::parse(quantity).unwrap(),
        amount: Amount::parse(amount).unwrap(),
        list_amount: Amount::parse(amount).unwrap(),
        unit_price: Decimal::parse(price).ok(),
        list_price: Decimal::parse(price).ok(),
        price_row: Some(("openai/gpt-5@1".into(), "openai/gpt-5".into())),
        markup: None,
        is_unpriced: false,
        provider: Some("openai".into()),
        region: Some("eu".into()),
        owners: [("team", "=search".to_owned())].into(),
        entries: 1,
    }
}

fn line(number: u32, kind: &str, amount: &str) -> LineText {
    LineText {
        number,
        kind: kind.into(),
        adjusts: None,
        team: None,
        model: format!("the {kind}"),
        unit: None,
        unit_price: None,
        quantity: "1".into(),
        exact_amount: amount.into(),
        amount: amount.into(),
    }
}

/// The file's rows, which keep to the rules, of an invoice with that total.
fn exported(lines: Vec<LineText>, total: &str, charges: &[Charge]) -> Vec<Row> {
    let invoice = InvoiceText { lines, total: total.into(), account: "acme".into(), ..invoice() };
    let heading = Heading { invoice: &invoice, kind: Kind::Customer, issuer: "Example Ltd." };
    let head = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rows = rows(&invoice, charges).unwrap();
    let cells = rows.iter().map(|row| COLUMNS.iter().map(|(_, cell)| cell(&heading, row)).collect());
    let bytes = crate::csv::records(std::iter::once(head).chain(cells)).unwrap();
    let rows = checked(std::str::from_utf8(&bytes).unwrap()).unwrap();
    assert_eq!(sum(&rows, "BilledCost").unwrap(), Decimal::parse(total).unwrap().to_string());
    rows
}

/// 3 × 0.002 = 0.006 is billed as 0.01: 0.004 are rounding.
#[test]
fn rows_are_exact_and_one_row_of_rounding_makes_them_what_is_owed() {
    let rows = exported(Vec::new(), "0.01", &[charge(1, "3", "0.002", "0.006")]);
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0]["PricingQuantity"].as_str(), rows[0]["PricingUnit"].as_str()), ("3", "Tokens"));
    assert_eq!(
        (rows[0]["SkuPriceId"].as_str(), rows[0]["SkuId"].as_str()),
        ("openai/gpt-5@1", "openai/gpt-5")
    );
    assert_eq!((rows[0]["SubAccountId"].as_str(), rows[0]["SubAccountType"].as_str()), ("'=search", "Team"));
    assert_eq!((rows[1]["ChargeCategory"].as_str(), rows[1]["BilledCost"].as_str()), ("Adjustment", "0.004"));
    assert_eq!(rows[1]["ProviderName"], "Example Ltd.");
    assert_eq!(
        exported(Vec::new(), "0.006", &[charge(1, "3", "0.002", "0.006")]).len(),
        1,
        "nothing is rounded"
    );
}

#[test]
fn what_has_no_price_that_ends_is_a_lump_and_what_is_given_back_is_one_less() {
    let rows = exported(
        Vec::new(),
        "0.11",
        &[charge(1, "3600", "0.111 per 3600", "0.111"), charge(1, "2", "", "-0.001")],
    );
    let priced = |row: &Row| (row["PricingQuantity"].clone(), row["ContractedUnitPrice"].clone());
    assert_eq!(priced(&rows[0]), ("1".into(), "0.111".into()));
    assert_eq!(priced(&rows[1]), ("-1".into(), "0.001".into()));
    assert_eq!(rows[1]["ConsumedQuantity"], "2");
}

#[test]
fn a_correction_names_the_month_that_it_corrects_and_what_has_no_price_is_no_usage() {
    let late = Charge { adjusts: Month::parse("2026-09"), ..charge(1, "3", "0.002", "0.006") };
    let unpriced = Charge { is_unpriced: true, amount: Amount::ZERO, ..charge(2, "5", "", "0") };
    let rows = exported(Vec::new(), "0.01", &[late, unpriced]);
    assert_eq!(rows[0]["ChargeClass"], "Correction");
    assert_eq!(rows[0]["ChargePeriodStart"], "2026-09-01T00:00:00Z");
    assert_eq!((rows[1]["ChargeCategory"].as_str(), rows[1]["SkuPriceId"].as_str()), ("Adjustment", ""));
    assert_eq!(rows[1]["x_Quantity"], "5");
}

#[test]
fn fees_credits_and_taxes_are_charges_of_their_own_kinds() {
    let lines =
        vec![line(1, "fee", "10"), line(2, "credit", "-5"), line(3, "tax", "0.95"), line(4, "minimum", "1")];
    let rows = exported(lines, "6.95", &[]);
    let kinds: Vec<_> = rows.iter().map(|row| row["ChargeCategory"].as_str()).collect();
    assert_eq!(kinds, ["Purchase", "Credit", "Tax", "Adjustment"]);
}

/// By contract 0.002, by the list 0.0025 each: 3 cost 0.0075 by the list.
#[test]
fn the_list_cost_is_that_of_the_public_price() {
    let mut charge = charge(1, "3", "0.002", "0.006");
    charge.list_price = Decimal::parse("0.0025").ok();
    let rows = exported(Vec::new(), "0.006", &[charge]);
    assert_eq!((rows[0]["ListCost"].as_str(), rows[0]["ContractedCost"].as_str()), ("0.0075", "0.006"));
}
