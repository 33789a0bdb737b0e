//! The lines of an invoice as CSV, one row a line, each with what the line is of, so that many files can be put
//! together.

use schemas::invoices::{InvoiceText, LineText};

use super::{File, failed};
use crate::csv::{records, safe};
use crate::error::Problem;

pub(super) const COLUMNS: &[&str] = &[
    "invoice",
    "state",
    "kind",
    "account",
    "name",
    "period",
    "from",
    "to",
    "currency",
    "line",
    "line_kind",
    "adjusts",
    "team",
    "model",
    "unit",
    "unit_price",
    "quantity",
    "exact_amount",
    "amount",
];

pub(super) fn file(invoice: &InvoiceText) -> Result<File, Problem> {
    let head = COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    let rows = invoice.lines.iter().map(|line| cells(invoice, line));
    let bytes = records(std::iter::once(head).chain(rows)).map_err(|error| failed(&error))?;
    Ok(File { bytes, rows: invoice.lines.len() })
}

fn cells(invoice: &InvoiceText, line: &LineText) -> Vec<String> {
    let text = |value: &Option<String>| value.as_deref().map(safe).unwrap_or_default();
    vec![
        invoice.id.clone(),
        invoice.state.clone(),
        invoice.kind.clone(),
        safe(&invoice.account),
        safe(&invoice.name),
        invoice.period.clone(),
        invoice.from.clone(),
        invoice.to.clone(),
        invoice.currency.clone(),
        line.number.to_string(),
        line.kind.clone(),
        text(&line.adjusts),
        text(&line.team),
        safe(&line.model),
        text(&line.unit),
        // Numbers are never taken for formulas; a price is a number, or a number per another.
        line.unit_price.clone().unwrap_or_default(),
        line.quantity.clone(),
        line.exact_amount.clone(),
        line.amount.clone(),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An invoice of one line of usage and one adjustment.
    pub(in crate::export) fn invoice() -> InvoiceText {
        let line = |number, adjusts: Option<&str>, exact: &str, amount: &str| LineText {
            number,
            kind: if adjusts.is_some() { "adjustment" } else { "usage" }.into(),
            adjusts: adjusts.map(str::to_owned),
            team: None,
            model: "=cmd|' /C calc'!A0".into(),
            unit: Some("output_text_tokens".into()),
            unit_price: adjusts.is_none().then(|| "0.000000000000000001".to_owned()),
            quantity: "-12".into(),
            exact_amount: exact.into(),
            amount: amount.into(),
        };
        InvoiceText {
            id: "inv_1".into(),
            state: "open".into(),
            kind: "customer".into(),
            account: "a,\"b\"".into(),
            name: "+Acme".into(),
            address: None,
            tax_id: None,
            period: "2026-10".into(),
            time_zone: "UTC".into(),
            from: "2026-10-01T00:00:00Z".into(),
            to: "2026-11-01T00:00:00Z".into(),
            currency: "USD".into(),
            lines: vec![
                line(1, None, "-0.000000000000000012", "0.00"),
                line(2, Some("2026-09"), "12345678901234567890.5", "12345678901234567890.50"),
            ],
            total: "12345678901234567890.50".into(),
            exact_usage: "12345678901234567890.499999999999999988".into(),
            rounding: String::new(),
            accepted: Vec::new(),
            reason: None,
            complete_through: None,
            cut: None,
            commands_through: None,
            closed_at: None,
            hash: None,
        }
    }

    #[test]
    fn decimals_are_whole_quotes_are_doubled_and_no_text_is_a_formula() {
        let file = file(&invoice()).unwrap();
        let text = String::from_utf8(file.bytes.to_vec()).unwrap();
        let rows: Vec<&str> = text.split_terminator("\r\n").collect();
        assert_eq!(
            rows[1],
            "inv_1,open,customer,\"a,\"\"b\"\"\",'+Acme,2026-10,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,USD,1,usage,,,\
             '=cmd|' /C calc'!A0,output_text_tokens,0.000000000000000001,-12,-0.000000000000000012,0.00"
        );
        assert!(rows[2].ends_with(",,-12,12345678901234567890.5,12345678901234567890.50"), "{}", rows[2]);
        assert_eq!((rows.len(), file.rows), (3, 2));
    }
}
