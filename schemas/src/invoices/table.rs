//! The table of closed invoices.

use ledger::event::Millis;
use ledger::money::Amount;

use super::{Cut, InvoiceText};
use crate::columns::{Fixed, List, Text, table};
use crate::tables::{Origin, push_list};

table! {
    /// Rows of `invoices`.
    Invoices = "invoices" {
        topic: Text = "String",
        partition: Fixed<4> = "UInt32",
        offset: Fixed<8> = "UInt64",
        ordinal: Fixed<4> = "UInt32",
        invoice_id: Text = "String",
        kind: Text = "String",
        account: Text = "String",
        month: Text = "String",
        currency: Text = "String",
        period_from: Fixed<8> = "DateTime64(3, 'UTC')",
        period_to: Fixed<8> = "DateTime64(3, 'UTC')",
        cut_topics: List<Text> = "Array(String)",
        cut_partitions: List<Fixed<4>> = "Array(UInt32)",
        cut_nexts: List<Fixed<8>> = "Array(UInt64)",
        total: Fixed<16> = "Decimal(38, 18)",
        exact_usage: Fixed<16> = "Decimal(38, 18)",
        hash: Text = "String",
        body: Text = "String",
        closed_at: Fixed<8> = "DateTime64(3, 'UTC')",
    }
}

/// A closed invoice.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "fields are the columns, which 0016_invoices.sql explains")]
pub struct InvoiceRow<'a> {
    pub origin: Origin<'a>,
    pub invoice: &'a InvoiceText,
    pub body: &'a str,
    pub bounds: (Millis, Millis),
    pub cut: &'a Cut,
    pub total: Amount,
    pub exact_usage: Amount,
    pub closed_at: Millis,
}

impl Invoices {
    /// Appends one row.
    pub fn push(&mut self, row: &InvoiceRow<'_>) {
        self.rows += 1;
        self.topic.push(row.origin.topic);
        self.partition.push(row.origin.partition.to_le_bytes());
        self.offset.push(row.origin.offset.to_le_bytes());
        self.ordinal.push(row.origin.ordinal.to_le_bytes());
        self.invoice_id.push(&row.invoice.id);
        self.kind.push(&row.invoice.kind);
        self.account.push(&row.invoice.account);
        self.month.push(&row.invoice.period);
        self.currency.push(&row.invoice.currency);
        self.period_from.push(row.bounds.0.0.to_le_bytes());
        self.period_to.push(row.bounds.1.0.to_le_bytes());
        push_list(&mut self.cut_topics, &row.cut.topics);
        for partition in &row.cut.partitions {
            self.cut_partitions.items.push(partition.to_le_bytes());
        }
        self.cut_partitions.end_row(row.cut.partitions.len());
        for next in &row.cut.nexts {
            self.cut_nexts.items.push(next.to_le_bytes());
        }
        self.cut_nexts.end_row(row.cut.nexts.len());
        self.total.push(row.total.raw().to_le_bytes());
        self.exact_usage.push(row.exact_usage.raw().to_le_bytes());
        self.hash.push(row.invoice.hash.as_deref().unwrap_or_default());
        self.body.push(row.body);
        self.closed_at.push(row.closed_at.0.to_le_bytes());
    }
}
