//! An invoice as a spreadsheet: its lines with typed cells under a header that stays in place, their sum as a formula, and
//! a second sheet with what the invoice says besides. Numbers of a spreadsheet are binary floats with 15 digits; an amount
//! that has more is text, and so are quantities, prices and exact amounts, which a float would not hold.

use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Formula, Workbook, Worksheet, XlsxError};
use schemas::invoices::{InvoiceText, LineText, decimals};

use super::{File, failed};
use crate::error::Problem;

/// Digits that a float holds, whatever they are.
const DIGITS_MAX: usize = 15;
const COLUMNS: &[(&str, f64)] = &[
    ("line", 6.0),
    ("kind", 12.0),
    ("adjusts", 9.0),
    ("team", 16.0),
    ("model", 28.0),
    ("unit", 28.0),
    ("unit price", 18.0),
    ("quantity", 18.0),
    ("exact amount", 24.0),
    ("amount", 16.0),
];
/// The column of the amounts, by number and by letter.
const AMOUNT: u16 = 9;
const AMOUNT_LETTER: &str = "J";

pub(super) fn file(invoice: &InvoiceText) -> Result<File, Problem> {
    let bytes = workbook(invoice).map_err(|error| failed(&error))?;
    Ok(File { bytes: bytes.into(), rows: invoice.lines.len() })
}

fn workbook(invoice: &InvoiceText) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    // Equal invoices give equal bytes, so the file does not say when it was made.
    let long_ago = ExcelDateTime::from_ymd(2000, 1, 1)?;
    workbook.set_properties(&DocProperties::new().set_title(&invoice.id).set_creation_datetime(&long_ago));
    lines(workbook.add_worksheet().set_name("Lines")?, invoice)?;
    about(workbook.add_worksheet().set_name("Invoice")?, invoice)?;
    workbook.save_to_buffer()
}

fn lines(sheet: &mut Worksheet, invoice: &InvoiceText) -> Result<(), XlsxError> {
    let bold = Format::new().set_bold();
    for (column, (name, width)) in (0..).zip(COLUMNS) {
        sheet.write_string_with_format(0, column, *name, &bold)?.set_column_width(column, *width)?;
    }
    sheet.set_freeze_panes(1, 0)?;
    let money = Format::new().set_num_format(pattern(&invoice.currency));
    let mut row = 1;
    for line in &invoice.lines {
        write(sheet, row, line, &money)?;
        row += 1;
    }
    let total = Format::new().set_bold().set_num_format(pattern(&invoice.currency));
    sheet.write_string_with_format(row, 0, "total", &bold)?;
    sheet.write_string_with_format(row, AMOUNT - 1, &invoice.currency, &bold)?;
    // A program that does not calculate shows the result that is kept beside the formula.
    let sum = if invoice.lines.is_empty() {
        Formula::new("=0")
    } else {
        Formula::new(format!("=SUM({AMOUNT_LETTER}2:{AMOUNT_LETTER}{row})"))
    };
    sheet.write_formula_with_format(row, AMOUNT, sum.set_result(&invoice.total), &total)?;
    Ok(())
}

fn write(sheet: &mut Worksheet, row: u32, line: &LineText, money: &Format) -> Result<(), XlsxError> {
    sheet.write_number(row, 0, line.number)?;
    let texts = [
        Some(line.kind.as_str()),
        line.adjusts.as_deref(),
        line.team.as_deref(),
        Some(line.model.as_str()),
        line.unit.as_deref(),
        line.unit_price.as_deref(),
        Some(line.quantity.as_str()),
        Some(line.exact_amount.as_str()),
    ];
    for (column, text) in (1..).zip(texts) {
        if let Some(text) = text {
            sheet.write_string(row, column, text)?;
        }
    }
    match number(&line.amount) {
        Some(amount) => sheet.write_number_with_format(row, AMOUNT, amount, money)?,
        None => sheet.write_string(row, AMOUNT, &line.amount)?,
    };
    Ok(())
}

fn about(sheet: &mut Worksheet, invoice: &InvoiceText) -> Result<(), XlsxError> {
    let none = String::new();
    let mut rows = vec![
        ("invoice", &invoice.id),
        ("state", &invoice.state),
        ("account", &invoice.account),
        ("kind", &invoice.kind),
        ("name", &invoice.name),
        ("address", invoice.address.as_ref().unwrap_or(&none)),
        ("tax id", invoice.tax_id.as_ref().unwrap_or(&none)),
        ("month", &invoice.period),
        ("time zone", &invoice.time_zone),
        ("from", &invoice.from),
        ("to", &invoice.to),
        ("currency", &invoice.currency),
        ("total", &invoice.total),
        ("exact usage", &invoice.exact_usage),
        ("rounding", &invoice.rounding),
        ("closed at", invoice.closed_at.as_ref().unwrap_or(&none)),
        ("hash", invoice.hash.as_ref().unwrap_or(&none)),
    ];
    for accepted in &invoice.accepted {
        rows.push(("closed over", &accepted.detail));
    }
    rows.extend(invoice.reason.as_ref().map(|reason| ("because", reason)));
    let bold = Format::new().set_bold();
    for (row, (name, value)) in (0..).zip(rows) {
        sheet.write_string_with_format(row, 0, name, &bold)?;
        sheet.write_string(row, 1, value)?;
    }
    sheet.set_column_width(0, 14)?.set_column_width(1, 70)?.set_freeze_panes(0, 1)?;
    Ok(())
}

/// How amounts of a currency are shown: `0.00`.
fn pattern(currency: &str) -> String {
    match decimals(currency) {
        0 => "0".to_owned(),
        places => format!("0.{}", "0".repeat(places.into())),
    }
}

/// An amount as a spreadsheet keeps numbers; none where its digits would not be kept.
fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (digits <= DIGITS_MAX).then(|| text.parse().ok()).flatten()
}
