//! An invoice as pages to print: what it is of, its lines with their arithmetic, the total, and at the end a page on how
//! amounts are made and rounded. Set in Courier, which every reader of PDF brings along, so no font is shipped; characters
//! outside of Latin-1 are shown as question marks there.

use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use schemas::invoices::{InvoiceText, LineText};

use super::File;

const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 50.0;
const SIZE: f32 = 8.0;
const LEADING: f32 = 11.0;
/// Characters of a row, at 0.6 of the size each.
const ROW: usize = 102;
/// Rows of a page, without those that name it.
const ROWS: usize = 62;
const FONT: Name<'_> = Name(b"F1");

const METHOD: &[&str] = &[
    "How the amounts come about",
    "",
    "Each attempt at a model is an entry of the ledger: its quantities by unit, each multiplied exactly by the",
    "price that held at the moment of the attempt, and rounded once, half to even, at 18 decimals.",
    "",
    "A line sums, exactly, all entries of the month that have the same model, unit and unit price. An adjustment",
    "sums what came for an earlier month after the invoice of that month was closed.",
    "",
    "The exact amount of a line is rounded once, half to even, to the decimals of the currency. The total is the",
    "sum of the rounded lines, so it is what the printed lines add up to.",
    "",
    "The entries of every line, with their prices and where they come from, can be had from the ledger that made",
    "this invoice. The hash is the SHA-256 of the invoice's text; a closed invoice never changes.",
];

pub(super) fn file(invoice: &InvoiceText) -> File {
    let mut pages: Vec<Vec<String>> = rows(invoice).chunks(ROWS).map(<[String]>::to_vec).collect();
    let method = METHOD.iter().map(|row| (*row).to_owned());
    let rounding = ["".to_owned(), format!("Rounding on this invoice: {}.", invoice.rounding)];
    pages.push(method.chain(rounding).collect());
    File { bytes: document(invoice, &pages).into(), rows: invoice.lines.len() }
}

/// What the invoice says, row by row.
fn rows(invoice: &InvoiceText) -> Vec<String> {
    let mut rows = vec![format!("INVOICE {}", invoice.period), String::new(), invoice.name.clone()];
    rows.extend(invoice.address.iter().flat_map(|address| address.lines()).map(str::to_owned));
    rows.extend(invoice.tax_id.as_ref().map(|id| format!("tax id {id}")));
    rows.extend([
        format!("{} {}, {}", invoice.kind, invoice.account, invoice.state),
        format!("from {} to {} ({})", invoice.from, invoice.to, invoice.time_zone),
        String::new(),
        apart("line", &format!("amount in {}", invoice.currency)),
        "-".repeat(ROW),
    ]);
    rows.extend(invoice.lines.iter().flat_map(of_line));
    rows.push("-".repeat(ROW));
    rows.push(apart("total", &format!("{} {}", invoice.total, invoice.currency)));
    rows.push(format!("exact usage {}", invoice.exact_usage));
    rows.push(String::new());
    rows.extend(invoice.accepted.iter().map(|found| format!("closed over {}: {}", found.what, found.detail)));
    rows.extend(invoice.reason.as_ref().map(|reason| format!("because: {reason}")));
    rows.extend(invoice.closed_at.as_ref().map(|at| format!("closed at {at}")));
    rows.extend(invoice.hash.as_ref().map(|hash| format!("SHA-256 {hash}")));
    rows.iter().flat_map(|row| folded(row)).collect()
}

/// A line: what it is, then quantity x price = exact amount, and the amount.
fn of_line(line: &LineText) -> [String; 2] {
    let kind = match &line.adjusts {
        Some(month) => format!("{} of {month}", line.kind),
        None => line.kind.clone(),
    };
    let team = line.team.as_ref().map(|team| format!("{team}: ")).unwrap_or_default();
    let unit = line.unit.as_ref().map(|unit| format!(", {unit}")).unwrap_or_default();
    let price = line.unit_price.as_ref().map(|price| format!(" x {price}")).unwrap_or_default();
    let arithmetic = format!("      {}{price} = {}", line.quantity, line.exact_amount);
    [format!("{:>4}  {kind}, {team}{}{unit}", line.number, line.model), apart(&arithmetic, &line.amount)]
}

/// Two texts, at both ends of a row.
fn apart(left: &str, right: &str) -> String {
    let between = ROW.saturating_sub(left.chars().count() + right.chars().count()).max(1);
    format!("{left}{}{right}", " ".repeat(between))
}

/// A text in rows that fit.
fn folded(row: &str) -> Vec<String> {
    let characters: Vec<char> = row.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    characters.chunks(ROW).map(|part| part.iter().collect()).collect()
}

fn document(invoice: &InvoiceText, pages: &[Vec<String>]) -> Vec<u8> {
    let mut next = Ref::new(1);
    let [catalog, tree, font, information] = [(); 4].map(|()| next.bump());
    let ids: Vec<(Ref, Ref)> = pages.iter().map(|_| (next.bump(), next.bump())).collect();
    let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    pdf.document_info(information).title(TextStr(&invoice.id));
    pdf.pages(tree).kids(ids.iter().map(|(page, _)| *page)).count(count);
    pdf.type1_font(font).base_font(Name(b"Courier")).encoding_predefined(Name(b"WinAnsiEncoding"));
    for (number, (rows, (page, content))) in (1..).zip(pages.iter().zip(&ids)) {
        let mut written = pdf.page(*page);
        written.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(*content);
        written.resources().fonts().pair(FONT, font);
        written.finish();
        let foot =
            apart(&format!("{} {}", invoice.account, invoice.period), &format!("page {number} of {count}"));
        pdf.stream(*content, &text(rows, &foot));
    }
    pdf.finish()
}

fn text(rows: &[String], foot: &str) -> Vec<u8> {
    let mut content = Content::new();
    content.begin_text().set_font(FONT, SIZE).set_leading(LEADING);
    content.next_line(MARGIN, HEIGHT - MARGIN);
    for row in rows {
        content.show(Str(&latin(row))).next_line(0.0, -LEADING);
    }
    content.end_text();
    content
        .begin_text()
        .set_font(FONT, SIZE)
        .next_line(MARGIN, MARGIN / 2.0)
        .show(Str(&latin(foot)))
        .end_text();
    content.finish().into_vec()
}

/// A text in the bytes of the font's encoding.
fn latin(text: &str) -> Vec<u8> {
    let byte = |character: char| u8::try_from(u32::from(character)).ok();
    let is_shown = |byte: &u8| matches!(byte, 0x20..=0x7e | 0xa0..=0xff);
    text.chars().map(|character| byte(character).filter(is_shown).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::super::csv::tests::invoice;
    use super::*;

    #[test]
    fn every_line_is_on_a_page_and_the_method_on_the_last() {
        let one = invoice();
        let many = InvoiceText { lines: std::iter::repeat_n(one.lines[0].clone(), 200).collect(), ..one };
        // 8 rows on top, 2 for each line, 4 below: 412 rows of 62 on a page are 7 pages, and the method is one more.
        let bytes = file(&many).bytes;
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("page 8 of 8") && !text.contains("page 9"), "pages");
        assert_eq!(text.matches("= -0.000000000000000012").count(), 200);
        assert!(text.starts_with("%PDF-1."));
    }

    #[test]
    fn a_row_is_as_wide_as_the_page_and_what_is_longer_goes_on_below() {
        assert_eq!(apart("a", "b").len(), ROW);
        assert_eq!(folded(&"x".repeat(ROW + 1)).len(), 2);
        assert_eq!(latin("\u{d7}\u{4e2d}"), [0xd7, b'?']);
    }
}
