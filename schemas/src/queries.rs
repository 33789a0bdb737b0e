//! The named queries: one `.sql` file each, with bound parameters `{name:Type}` and a few slots `{{name}}` that
//! hold expressions chosen from closed sets, never text of a caller.
//!
//! A query that reads customers' rows is [`Bounded`]: its slot `{{conditions}}` takes the restriction of the token
//! that asks, and whoever runs it must bring one.

/// A query over customers' rows. It cannot run without the conditions of the token that asks.
#[derive(Clone, Copy, Debug)]
pub struct Bounded(&'static str);

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
    /// Who changed what.
    AUDIT_LOG: Open = "audit_log";
    /// What entries come to by the lines of invoices.
    INVOICE_SUMS: Bounded = "invoice_sums";
    /// Whether an entry is on an invoice; a condition of the others.
    INVOICE_MEMBERSHIP: Open = "invoice_membership";
    /// What the entries of an invoice come to by a dimension.
    INVOICE_SUBTOTALS: Bounded = "invoice_subtotals";
    /// Entries without a full price that would be on invoices.
    INVOICE_UNPRICED: Bounded = "invoice_unpriced";
    /// Closed invoices.
    INVOICES: Bounded = "invoices";
    /// Every month that is closed.
    INVOICE_CLOSES: Open = "invoice_closes";
    /// How far each partition is posted.
    POSITIONS: Open = "positions";
    /// The first entry of some accounts before an instant.
    INVOICE_FIRST_ENTRIES: Bounded = "invoice_first_entries";
    /// The last closed month of some accounts.
    INVOICES_CLOSED: Open = "invoices_closed";
    /// Totals over segments.
    SPEND: Bounded = "spend";
    /// The groups with the largest amounts, over the segments of [`SPEND`].
    SPEND_TOP: Bounded = "spend_top";
    /// One segment of [`SPEND`]: whole entries.
    SPEND_SEGMENT: Bounded = "spend_segment";
    /// One segment of [`SPEND`]: entries taken apart into lines.
    SPEND_LINES: Bounded = "spend_lines";
    /// Count of unpriced entries over segments.
    SPEND_UNPRICED: Bounded = "spend_unpriced";
    /// One segment of [`SPEND_UNPRICED`].
    SPEND_UNPRICED_SEGMENT: Bounded = "spend_unpriced_segment";
    /// Which units lack a price.
    UNPRICED_UNITS: Bounded = "unpriced_units";
    /// Ledger entries, newest first.
    ENTRIES: Bounded = "entries";
    /// Records in quarantine, newest first.
    QUARANTINE: Bounded = "quarantine";
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
    /// Those of some ids that are published.
    MODEL_ROW_IDS: Open = "model_row_ids";
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
    /// What the tables hold for some batches of one partition.
    AUDIT_ROWS: Open = "audit_rows";
    /// Every record of one batch and where it is.
    AUDIT_RECORDS: Open = "audit_records";
    /// Rows of a partition that no closed batch covers.
    AUDIT_OUTSIDE: Open = "audit_outside";
    /// Daily totals of the entries or of one of their projections.
    AUDIT_DAYS: Open = "audit_days";
    /// Quarter-hour totals, summed by day, of the entries or of their projection.
    AUDIT_QUARTERS: Open = "audit_quarters";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_over_customers_rows_takes_the_conditions_of_the_token() {
        for (name, text, kind) in ALL {
            let reads_rows =
                text.contains("FROM entries") || text.contains("FROM quarantine") || *name == "registry";
            if *kind == "Bounded" && reads_rows {
                assert!(text.contains("{{conditions}}"), "{name} forgets the conditions");
            }
            if *kind == "Open" && reads_rows {
                assert!(name.starts_with("audit_"), "{name} reads customers' rows without conditions");
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
