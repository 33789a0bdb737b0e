//! Asking before prices change by more than a factor. Without a terminal there is nobody to ask, and nothing is
//! published.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use ledger::money::Decimal;
use schemas::prices::Diff;

use super::report::money;

/// Changes that are spelled out where they are refused.
const NAMED_MAX: usize = 10;

/// Asks whether to go on where there are large changes.
///
/// # Errors
/// Where the answer is no, or nobody is there.
pub(super) fn before_large_changes(diff: &Diff, factor: Decimal) -> anyhow::Result<()> {
    let large = large(diff, factor);
    if large.is_empty() {
        return Ok(());
    }
    let what = describe(&large, factor);
    if !std::io::stdin().is_terminal() {
        bail!(
            "{what}\nnothing was published; look at them, then repeat with --yes or a larger --confirm-factor"
        );
    }
    // The answer of the command stands on standard output, and may be JSON.
    eprint!("{what}\nPublish all the same? [y/N] ");
    std::io::stderr().flush().context("asking")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("reading the answer")?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    bail!("nothing was published")
}

/// The prices that change by more than the factor, as text.
fn large(diff: &Diff, factor: Decimal) -> Vec<String> {
    let changes =
        diff.changed.iter().flat_map(|change| change.prices.iter().map(move |price| (change, price)));
    changes
        .filter(|(_, price)| price.exceeds(factor))
        .map(|(change, price)| {
            let when =
                if price.conditions.is_empty() { String::new() } else { format!(" {}", price.conditions) };
            format!(
                "{} {}{when}: {} → {}",
                change.row.id,
                price.unit,
                money(price.old.as_ref()),
                money(price.new.as_ref())
            )
        })
        .collect()
}

fn describe(large: &[String], factor: Decimal) -> String {
    let noun = if large.len() == 1 { "1 price changes" } else { &format!("{} prices change", large.len()) };
    let mut text = format!("{noun} by more than {factor} times, up or down:");
    for one in large.iter().take(NAMED_MAX) {
        text += &format!("\n  {one}");
    }
    if large.len() > NAMED_MAX {
        text += &format!("\n  and {} more", large.len() - NAMED_MAX);
    }
    text
}

#[cfg(test)]
mod tests {
    use ledger::event::Millis;
    use schemas::prices::{diff, list_from_json};

    use super::*;

    #[test]
    fn large_changes_are_named_with_both_prices() {
        let row = |version: &str, amount: &str| {
            let text = format!(
                r#"{{"id": "gpt@{version}", "model": "gpt", "currency": "USD", "prices": [
                    {{"unit": "input_uncached_tokens", "amount": "{amount}", "per": 1000000}},
                    {{"unit": "output_text_tokens", "amount": "8", "per": 1000000}}]}}"#
            );
            list_from_json(&text).unwrap()
        };
        let found = diff(&row("2", "4.1"), None, row("1", "2"), Millis(0));
        let two = Decimal::from(2);
        let text = describe(&large(&found, two), two);
        assert_eq!(
            text,
            "1 price changes by more than 2 times, up or down:\n  gpt@2 input_uncached_tokens: 2 / 1000000 → 4.1 / 1000000"
        );
        assert!(large(&found, Decimal::parse("2.05").unwrap()).is_empty());
        assert!(before_large_changes(&found, Decimal::from(3)).is_ok());
    }
}
