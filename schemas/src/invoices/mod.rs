//! Invoices as they cross the boundary: the sums of entries that a bill is made of, the invoice as canonical text, its
//! hash, and the table of closed ones. The worker closes by this, and the API shows open invoices by it, so that an
//! open invoice is what a close would make of the same entries.

mod cut;
mod months;
mod sums;
mod table;
mod text;

use ledger::invoice::Month;

pub use cut::Cut;
pub use months::{Months, month_of, settled_at};
pub use sums::{SumRow, account_column, entry_line_sql, invoice_of_entry_sql, membership_sql, sums_slots};
pub use table::{InvoiceRow, Invoices};
pub use text::{Accepted, Heading, InvoiceText, LineText, Named, decimals, id, invoices};

/// Why an invoice cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A month is not one, or has no such time zone.
    #[error("the month {month} of the zone {time_zone:?} has no bounds: {detail}")]
    Bounds {
        /// The month.
        month: Month,
        /// The account's zone.
        time_zone: String,
        /// Why not.
        detail: String,
    },
    /// The store answered with what is no number.
    #[error("the store's sum {text:?} is no number of the ledger")]
    Number {
        /// What it answered.
        text: String,
    },
    /// A sum has more than 38 digits.
    #[error("a sum of account {account:?} has more than 38 digits")]
    Overflow {
        /// The account.
        account: String,
    },
}

#[cfg(test)]
mod tests {

    use std::collections::BTreeMap;

    use ledger::account::{Account, Kind, MonthlyTerms};
    use ledger::event::Millis;
    use ledger::money::Amount;

    use super::text::{instant, money};
    use super::*;

    fn account() -> Account {
        Account {
            kind: Kind::Customer,
            id: "acme".into(),
            name: "Acme".into(),
            currency: "EUR".into(),
            time_zone: "Asia/Kolkata".into(),
            grace_hours: 24,
            plan: None,
            address: None,
            tax_id: None,
            terms: MonthlyTerms::default(),
        }
    }

    fn month(text: &str) -> Month {
        Month::parse(text).unwrap()
    }

    #[test]
    fn a_month_begins_at_the_accounts_own_midnight() {
        let months = Months::new(month("2026-09"), month("2026-11"), "Asia/Kolkata").unwrap();
        let (from, to) = months.last_bounds();
        assert_eq!(
            (instant(from), instant(to)),
            ("2026-10-31T18:30:00Z".into(), "2026-11-30T18:30:00Z".into())
        );
        assert_eq!(months.starts().len(), 3);
        assert_eq!(instant(settled_at(to, &account())), "2026-12-01T18:30:00Z");
        assert_eq!(month_of(from, "Asia/Kolkata"), Some(month("2026-11")));
        assert_eq!(month_of(Millis(from.0 - 1), "Asia/Kolkata"), Some(month("2026-10")));
        assert!(Months::new(month("2026-09"), month("2026-09"), "Mars/Olympus").is_err());
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (currency, decimals) in [("USD", 2), ("JPY", 0), ("KWD", 3), ("XXX", 2)] {
            assert_eq!(super::decimals(currency), decimals, "{currency}");
        }
        let amount = |text| Amount::parse(text).unwrap();
        assert_eq!(money(amount("1.5"), 2), "1.50");
        assert_eq!(money(amount("-3"), 2), "-3.00");
        assert_eq!(money(amount("3"), 0), "3");
        assert_eq!(money(Amount::ZERO, 3), "0.000");
    }

    #[test]
    fn each_currency_has_an_invoice_and_the_accounts_own_also_without_usage() {
        let months = Months::new(month("2026-10"), month("2026-11"), "Asia/Kolkata").unwrap();
        let row = SumRow {
            account_id: "acme".into(),
            currency_code: "USD".into(),
            adjusts_month_start: months.starts()[0],
            team_name: String::new(),
            model_name: "gpt-5".into(),
            unit_name: "output_text_tokens".into(),
            unit_price_text: String::new(),
            quantity_total: "-12".into(),
            amount_total: "-0.015".into(),
        };
        let sum = months.sum(row).unwrap();
        assert_eq!(sum.key.adjusts, Some(month("2026-10")));
        let account = account();
        let heading = Heading { account: &account, months: &months, month: month("2026-11") };
        let made = invoices(&heading, BTreeMap::from([("USD".to_owned(), vec![sum])])).unwrap();
        assert_eq!(made.len(), 2);
        assert_eq!(
            (made[0].currency.as_str(), made[0].lines.len(), made[0].total.as_str()),
            ("EUR", 0, "0.00")
        );
        assert_eq!((made[1].currency.as_str(), made[1].total.as_str()), ("USD", "-0.02"));
        assert_eq!(made[1].lines[0].adjusts.as_deref(), Some("2026-10"));
        assert_ne!(made[0].id, made[1].id);
        let named = Named::parse(&made[1].id).unwrap();
        assert_eq!(
            (named.account.as_str(), named.month, named.currency.as_str()),
            ("acme", month("2026-11"), "USD")
        );
        assert_eq!(Named::parse("inv_x"), None);
    }

    #[test]
    fn a_cut_that_lacks_a_partition_or_ends_sooner_does_not_reach_the_other() {
        let cut = |ends: &[(&str, u32, u64)]| Cut {
            topics: ends.iter().map(|(topic, ..)| (*topic).to_owned()).collect(),
            partitions: ends.iter().map(|(_, partition, _)| *partition).collect(),
            nexts: ends.iter().map(|(.., next)| *next).collect(),
        };
        let before = cut(&[("u", 0, 5), ("u", 1, 7)]);
        assert!(cut(&[("c", 0, 1), ("u", 1, 7), ("u", 0, 6)]).reaches(&before));
        assert!(!cut(&[("u", 0, 5), ("u", 1, 6)]).reaches(&before));
        assert!(!cut(&[("u", 0, 9)]).reaches(&before));
        assert!(before.reaches(&Cut::default()));
        assert_eq!((before.next("u", 1), before.next("u", 2)), (7, 0));
    }

    #[test]
    fn the_hash_is_over_everything_but_itself() {
        let months = Months::new(month("2026-11"), month("2026-11"), "UTC").unwrap();
        let account = account();
        let heading = Heading { account: &account, months: &months, month: month("2026-11") };
        let mut invoice = invoices(&heading, BTreeMap::new()).unwrap().remove(0);
        let digest = invoice.digest().unwrap();
        invoice.hash = Some(digest.clone());
        assert_eq!(invoice.digest().unwrap(), digest);
        invoice.total = "0.01".into();
        assert_ne!(invoice.digest().unwrap(), digest);
    }
}
