//! The named queries: one `.sql` file each, with bound parameters `{name:Type}` and a few slots `{{name}}` that
//! hold expressions chosen from closed sets, never text of a caller.
//!
//! A query that reads customers' rows is [`Bounded`]: its slot `{{conditions}}` takes the restriction of the token
//! that asks, and whoever runs it must bring one.

/// A query over customers' rows. It cannot run without the conditions of the token that asks.
#[derive(Clone, Copy, Debug)]
pub struct Bounded(&'static str);

/// A query over entries. Besides the conditions of a token it needs to know which operations count, so that no reader
/// sees one that is half done.
#[derive(Clone, Copy, Debug)]
pub struct Ledger(&'static str);

/// A query over what belongs to no customer: tokens, commands, progress, prices, the trial balance.
#[derive(Clone, Copy, Debug)]
pub struct Open(&'static str);

impl Bounded {
    /// The query's text with its slots.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.0
    }
}

impl Ledger {
    /// The query's text with its slots.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.0
    }
}

impl Open {
    /// The query's text with its slots.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.0
    }
}

macro_rules! queries {
    ($($(#[$meta:meta])* $name:ident: $kind:ident = $file:literal;)+) => {
        $(
            $(#[$meta])*
            pub const $name: $kind = $kind(include_str!(concat!("../clickhouse/queries/", $file, ".sql")));
        )+

        /// Name, text and whether it needs the conditions of a token, of every query.
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$(($file, $name.0, stringify!($kind))),+];
    };
}

queries! {
    /// The price rows that the commands before a position published.
    BOOK_ROWS: Open = "book_rows";
    /// The versions of a registry that the commands before a position set.
    REGISTRY_ROWS: Open = "registry_rows";
    /// Whole rows of entries.
    POSTED_ROWS: Open = "posted_rows";
    /// The live entries that an operation is about.
    OPERATION_LIVE: Open = "operation_live";
    /// What an operation posted, and what it took back.
    OPERATION_REVERTED: Open = "operation_reverted";
    /// How many entries an operation is about.
    OPERATION_COUNTS: Open = "operation_counts";
    /// Whether the rows of an operation were taken back by others.
    OPERATION_TOUCHED: Open = "operation_touched";
    /// The commands of all operations.
    OPERATIONS: Open = "operations";
    /// The operations that are finished.
    OPERATIONS_FINISHED: Open = "operations_finished";
    /// The body of a command.
    OPERATION_BODY: Open = "operation_body";
    /// Who changed what.
    AUDIT_LOG: Open = "audit_log";
    /// What entries come to by the lines of invoices.
    INVOICE_SUMS: Ledger = "invoice_sums";
    /// Whether an entry is on an invoice; a condition of the others.
    INVOICE_MEMBERSHIP: Open = "invoice_membership";
    /// The closed invoice that an entry is on; an expression of the others.
    INVOICE_OF_ENTRY: Open = "invoice_of_entry";
    /// What the entries of an invoice come to by a dimension.
    INVOICE_SUBTOTALS: Ledger = "invoice_subtotals";
    /// What the entries of an invoice come to by the charges that its lines are made of.
    INVOICE_CHARGES: Ledger = "invoice_charges";
    /// Whether an entry has a line that a line of an invoice sums; a condition of the others.
    INVOICE_ENTRY_LINE: Open = "invoice_entry_line";
    /// Which models some price rows are of.
    MODEL_ROW_MODELS: Open = "model_row_models";
    /// Entries without a full price that would be on invoices.
    INVOICE_UNPRICED: Ledger = "invoice_unpriced";
    /// Closed invoices.
    INVOICES: Bounded = "invoices";
    /// Every month that is closed.
    INVOICE_CLOSES: Open = "invoice_closes";
    /// How far each partition is posted.
    POSITIONS: Open = "positions";
    /// The first entry of some accounts before an instant.
    INVOICE_FIRST_ENTRIES: Ledger = "invoice_first_entries";
    /// The last closed month of some accounts.
    INVOICES_CLOSED: Open = "invoices_closed";
    /// Totals over segments.
    SPEND: Ledger = "spend";
    /// The groups with the largest amounts, over the segments of [`SPEND`].
    SPEND_TOP: Ledger = "spend_top";
    /// One segment of [`SPEND`]: whole entries.
    SPEND_SEGMENT: Ledger = "spend_segment";
    /// One segment of [`SPEND`]: entries taken apart into lines.
    SPEND_LINES: Ledger = "spend_lines";
    /// Count of unpriced entries over segments.
    SPEND_UNPRICED: Ledger = "spend_unpriced";
    /// One segment of [`SPEND_UNPRICED`].
    SPEND_UNPRICED_SEGMENT: Ledger = "spend_unpriced_segment";
    /// Which units lack a price.
    UNPRICED_UNITS: Ledger = "unpriced_units";
    /// Ledger entries, newest first.
    ENTRIES: Ledger = "entries";
    /// Records in quarantine, by log time.
    QUARANTINE: Bounded = "quarantine";
    /// Counts of records in quarantine.
    QUARANTINE_SUMMARY: Bounded = "quarantine_summary";
    /// What was decided about records in quarantine.
    QUARANTINE_RESOLUTIONS: Bounded = "quarantine_resolutions";
    /// Replays whose event is not known to be logged.
    QUARANTINE_UNLOGGED: Open = "quarantine_unlogged";
    /// The log time up to which everything is in the ledger.
    COMPLETE_THROUGH: Open = "complete_through";
    /// How far every worker knows the command log.
    COMMANDS_THROUGH: Open = "commands_through";
    /// How long ago the worker of the command log last spoke.
    COMMANDS_SEEN: Open = "commands_seen";
    /// The state of one command.
    COMMAND: Open = "command";
    /// The present state of every token.
    TOKENS: Open = "tokens";
    /// Published price rows.
    MODEL_ROWS: Open = "model_rows";
    /// All published price rows.
    MODEL_ROWS_ALL: Open = "model_rows_all";
    /// What was posted between the instants at which price rows begin.
    PRICE_TOUCHED: Ledger = "price_touched";
    /// Quantities of fixed token units by what their price may depend on.
    PRICE_USAGE: Ledger = "price_usage";
    /// Where some price rows were taken from.
    MODEL_ROW_SOURCES: Open = "model_row_sources";
    /// Versions of a registry.
    REGISTRY: Bounded = "registry";
    /// Everything that a registry holds.
    REGISTRY_ALL: Open = "registry_all";
    /// Some versions of a registry.
    REGISTRY_VERSIONS: Open = "registry_versions";
    /// Batches of one partition.
    AUDIT_BATCHES: Open = "audit_batches";
    /// The partitions that have batches, and how many.
    AUDIT_PARTITIONS: Open = "audit_partitions";
    /// Rows and digests of a partition's entries by batch.
    AUDIT_DIGESTS: Open = "audit_digests";
    /// Rows and digests of a partition's quarantine by batch.
    AUDIT_QUARANTINE: Open = "audit_quarantine";
    /// The first entry of a batch whose cost is not that of its lines.
    AUDIT_LINES: Open = "audit_lines";
    /// How many records of each partition were reversed as repeats.
    AUDIT_REVERSED: Open = "audit_reversed";
    /// Reversed entries that do not come out at nothing.
    AUDIT_REVERSALS: Open = "audit_reversals";
    /// Usage entries with all that their cost was derived from.
    STORED_ENTRIES: Bounded = "stored_entries";
    /// The condition that draws a sample of entries.
    AUDIT_SAMPLE: Open = "audit_sample";
    /// Every published price row.
    AUDIT_PRICES: Open = "audit_prices";
    /// How far the entries were searched for repeats.
    AUDIT_SWEPT: Open = "audit_swept";
    /// How far the closed batches of each partition of usage reach.
    AUDIT_CLOSED: Open = "audit_closed";
    /// Ids that several records have.
    AUDIT_REPEATS: Open = "audit_repeats";
    /// The condition of [`AUDIT_REPEATS`] that one of them is new.
    AUDIT_REPEATS_NEW: Open = "audit_repeats_new";
    /// The records of some ids.
    AUDIT_OCCURRENCES: Open = "audit_occurrences";
    /// What became of some commands.
    AUDIT_COMMAND: Open = "audit_command";
    /// Which records of some ids were reversed as repeats.
    AUDIT_TAKEN_BACK: Open = "audit_taken_back";
    /// What the tables hold for some batches of one partition.
    AUDIT_ROWS: Open = "audit_rows";
    /// Every record of one batch and where it is.
    AUDIT_RECORDS: Open = "audit_records";
    /// Rows of a partition that no closed batch covers.
    AUDIT_OUTSIDE: Open = "audit_outside";
    /// Counts of what waits in quarantine, for one owner.
    AUDIT_QUARANTINE_OPEN: Open = "audit_quarantine_open";
    /// What was lost and is known to be.
    AUDIT_LOSSES: Open = "audit_losses";
    /// Daily totals of the entries or of one of their projections.
    AUDIT_DAYS: Open = "audit_days";
    /// Quarter-hour totals, summed by day, of the entries or of their projection.
    AUDIT_QUARTERS: Open = "audit_quarters";
}

/// A pattern with `*` as SQL's LIKE writes it.
#[must_use]
pub fn like(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len() + 8);
    for character in pattern.chars() {
        match character {
            '*' => text.push('%'),
            '%' | '_' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_over_customers_rows_takes_the_conditions_of_the_token() {
        for (name, text, kind) in ALL {
            let reads_rows =
                text.contains("FROM entries") || text.contains("FROM quarantine\n") || *name == "registry";
            if *kind == "Ledger" && reads_rows {
                let counts = "operation IN {operations:Array(UInt64)}";
                assert!(
                    text.contains(counts) || text.contains("{{membership}}"),
                    "{name} counts half an operation"
                );
            }
            if *kind != "Open" && reads_rows {
                assert!(text.contains("{{conditions}}"), "{name} forgets the conditions");
            }
            if *kind == "Open" && reads_rows {
                assert!(
                    name.starts_with("audit_") || name.starts_with("operation_"),
                    "{name} reads customers' rows without conditions"
                );
            }
        }
    }

    #[test]
    fn every_query_opens_with_a_comment_and_is_one_statement() {
        for (name, text, _) in ALL {
            assert!(text.starts_with("-- "), "{name} has no comment on top");
            let sql: String = text.lines().filter(|line| !line.starts_with("--")).collect();
            assert!(!sql.contains(';'), "{name} is more than one statement");
            assert!(!text.contains('?'), "{name} has a character that the client takes for a parameter");
        }
    }
}
