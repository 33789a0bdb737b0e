//! What an import brings, as text and as JSON: what the file has and what was refused, the difference to the published
//! book, and what it means for what is posted. The counts at the end add up.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ::api::answers::{Publishing, RowChange};
use anyhow::bail;
use ledger::prices::{ModelRow, Price};
use schemas::prices::{Change, Diff, Form, Import, ONLY_SOURCE, PriceChange};
use serde_json::{Value, json};

use crate::table::{Column, aligned};

/// Lines of a list that is not asked for whole.
const LINES_MAX: usize = 20;

/// Everything that is said of an import.
pub(super) struct Report {
    file: PathBuf,
    form: Form,
    import: Import,
    pub(super) diff: Diff,
    verbose: bool,
    /// What the service said: of a dry run, or of the publication.
    pub(super) publishing: Option<Publishing>,
}

impl Report {
    pub(super) fn new(file: &Path, form: Form, import: Import, diff: Diff, verbose: bool) -> Self {
        Self { file: file.to_owned(), form, import, diff, verbose, publishing: None }
    }

    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            println!("{}", serde_json::to_string_pretty(&self.json())?);
        } else {
            print!("{}", self.text());
        }
        Ok(())
    }

    /// An import of which a row cannot be published has failed, whatever else it did.
    pub(super) fn fail_where_refused(&self) -> anyhow::Result<()> {
        if self.diff.refused.is_empty() {
            return Ok(());
        }
        bail!(
            "{} rows of {} cannot be published; they are listed above",
            self.diff.refused.len(),
            self.file.display()
        )
    }

    /// The report for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write_file(&mut text);
        self.write_confirmation(&mut text);
        self.write_diff(&mut text);
        if let Some(publishing) = &self.publishing {
            text += &meaning(&publishing.changes);
        }
        self.write_summary(&mut text);
        text
    }

    /// What the file has, and what of it was refused.
    fn write_file(&self, text: &mut String) {
        let summary = &self.import.summary;
        let counts = [
            (summary.imported, "brought rows"),
            (summary.folded, "added conditions to another's row"),
            (summary.repeated, "repeat another"),
            (summary.conflicting, "contradict another"),
            (summary.unpriced, "have no usable price"),
        ];
        line(
            text,
            &format!(
                "{} ({}): {} entries: {}",
                self.file.display(),
                self.form,
                summary.entries,
                list(&counts)
            ),
        );
        let counts = [(summary.used, "used"), (summary.refused, "refused")];
        line(text, &format!("{} prices: {}", summary.price_keys, list(&counts)));
        if summary.rules_refused > 0 {
            line(text, &format!("{} rules name models by patterns and were refused", summary.rules_refused));
        }
        if self.import.refused.is_empty() {
            return;
        }
        line(text, "Refused:");
        if self.verbose {
            for refusal in &self.import.refused {
                line(text, &format!("  {} {}: {}", refusal.key, refusal.price_key, refusal.reason));
            }
            return;
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for refusal in &self.import.refused {
            *reasons.entry(&refusal.reason).or_default() += 1;
        }
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
        for (reason, count) in reasons {
            line(text, &format!("  {count:>5}  {reason}"));
        }
    }

    /// How many rows a second source confirms, and which it contradicts.
    fn write_confirmation(&self, text: &mut String) {
        let rows = self.to_publish();
        let counts = [
            (rows.iter().filter(|row| row.unconfirmed.is_none()).count(), "confirmed or not in question"),
            (rows.iter().filter(|row| is_contradicted(row)).count(), "contradicted by another source"),
            (
                rows.iter().filter(|row| row.unconfirmed.as_deref() == Some(ONLY_SOURCE)).count(),
                "of one source only",
            ),
        ];
        if rows.is_empty() {
            return;
        }
        line(text, &format!("Of {} rows to publish, {}", rows.len(), list(&counts)));
        let contradicted: Vec<String> = rows
            .iter()
            .filter(|row| is_contradicted(row))
            .map(|row| format!("{}: {}", row.id, row.unconfirmed.as_deref().unwrap_or_default()))
            .collect();
        self.write_some(text, &contradicted);
    }

    fn write_diff(&self, text: &mut String) {
        let Diff { new, changed, earlier, refused, gone, .. } = &self.diff;
        if !new.is_empty() {
            line(text, &format!("New: {}", new.len()));
            self.write_some(text, &new.iter().map(|row| with_start(&row.id, row)).collect::<Vec<_>>());
        }
        if !changed.is_empty() {
            line(text, &format!("Changed: {}", changed.len()));
            let table = changes(changed);
            table.lines().for_each(|row| line(text, &format!("  {}", row.trim_end())));
            self.write_some(text, &other_changes(changed));
        }
        if !gone.is_empty() {
            let source = self.import.source.as_deref().unwrap_or_default();
            line(
                text,
                &format!(
                    "Gone: {} published from {source} and not in the file; they stay in force",
                    gone.len()
                ),
            );
            self.write_some(text, &gone.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
        }
        if !earlier.is_empty() {
            line(text, &format!("Earlier: {} held before what is published, and stay out", earlier.len()));
            self.write_some(text, earlier);
        }
        if !refused.is_empty() {
            line(text, &format!("Not publishable: {}", refused.len()));
            refused.iter().for_each(|(id, reason)| line(text, &format!("  {id}: {reason}")));
        }
    }

    fn write_summary(&self, text: &mut String) {
        let Diff { new, changed, unchanged, earlier, refused, gone } = &self.diff;
        let counts = [
            (new.len(), "new"),
            (changed.len(), "changed"),
            (unchanged.len(), "unchanged"),
            (earlier.len(), "earlier than what is published"),
            (refused.len(), "not publishable"),
        ];
        line(text, &format!("{} rows: {}; {} gone", self.import.rows.len(), list(&counts), gone.len()));
        if new.is_empty() && changed.is_empty() {
            line(text, "Nothing to publish: every row is published already.");
        } else if self.publishing.as_ref().is_some_and(|publishing| publishing.dry_run) {
            line(text, "A dry run: nothing was published.");
        }
    }

    /// A list that is cut where it is long and not asked for whole.
    fn write_some(&self, text: &mut String, lines: &[String]) {
        let shown = if self.verbose { lines.len() } else { lines.len().min(LINES_MAX) };
        lines.iter().take(shown).for_each(|one| line(text, &format!("  {one}")));
        if shown < lines.len() {
            line(text, &format!("  and {} more, which --verbose lists", lines.len() - shown));
        }
    }

    fn to_publish(&self) -> Vec<&ModelRow> {
        self.diff.new.iter().chain(self.diff.changed.iter().map(|change| &change.row)).collect()
    }

    /// The report for programs; always whole.
    fn json(&self) -> Value {
        let summary = &self.import.summary;
        let ids = |rows: &[ModelRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
        json!({
            "file": self.file.display().to_string(),
            "form": self.form.name(),
            "source": self.import.source,
            "summary": {
                "entries": summary.entries, "imported": summary.imported, "folded": summary.folded,
                "repeated": summary.repeated, "conflicting": summary.conflicting, "unpriced": summary.unpriced,
                "price_keys": summary.price_keys, "used": summary.used, "refused": summary.refused,
                "rules_refused": summary.rules_refused, "rows": self.import.rows.len(),
            },
            "refused": self.import.refused.iter().map(|refusal| json!({
                "key": refusal.key, "price_key": refusal.price_key, "reason": refusal.reason,
            })).collect::<Vec<_>>(),
            "unconfirmed": self.to_publish().iter().filter(|row| row.unconfirmed.is_some()).map(|row| json!({
                "id": row.id, "why": row.unconfirmed,
            })).collect::<Vec<_>>(),
            "new": ids(&self.diff.new),
            "changed": self.diff.changed.iter().map(change_json).collect::<Vec<_>>(),
            "unchanged": self.diff.unchanged,
            "earlier": self.diff.earlier,
            "not_publishable": self.diff.refused.iter().map(|(id, reason)| json!({
                "id": id, "reason": reason,
            })).collect::<Vec<_>>(),
            "gone": ids(&self.diff.gone),
            "publishing": self.publishing,
        })
    }
}

fn is_contradicted(row: &ModelRow) -> bool {
    row.unconfirmed.as_deref().is_some_and(|why| why != ONLY_SOURCE)
}

fn with_start(id: &str, row: &ModelRow) -> String {
    let from = row.effective_from.and_then(|from| jiff::Timestamp::from_millisecond(from.0).ok());
    from.map_or_else(|| id.to_owned(), |from| format!("{id} from {from}"))
}

/// A price as text: money, and for how many.
pub(super) fn money(price: Option<&Price>) -> String {
    match price {
        None => "none".to_owned(),
        Some(price) if price.per == 1 => price.amount.to_string(),
        Some(price) => format!("{} / {}", price.amount, price.per),
    }
}

fn change_json(change: &Change) -> Value {
    let price = |price: &Price| json!({ "amount": price.amount.to_string(), "per": price.per.to_string() });
    json!({
        "id": change.row.id,
        "before": change.before.id,
        "provider": change.row.provider,
        "model": change.row.model,
        "effective_from": change.row.effective_from
            .and_then(|from| jiff::Timestamp::from_millisecond(from.0).ok())
            .map(|from| from.to_string()),
        "prices": change.prices.iter().map(|one| json!({
            "unit": one.unit.name(), "when": one.conditions, "old": one.old.as_ref().map(price),
            "new": one.new.as_ref().map(price), "percent": one.percent(),
        })).collect::<Vec<_>>(),
        "others": change.others.iter().map(|(name, old, new)| json!({
            "name": name, "old": old, "new": new,
        })).collect::<Vec<_>>(),
    })
}

/// Each price that changes, one a line.
fn changes(changed: &[Change]) -> String {
    let columns = [
        Column::Text("row"),
        Column::Text("price"),
        Column::Text("when"),
        Column::Number("old"),
        Column::Number("new"),
        Column::Number("change"),
    ];
    let rows = changed.iter().flat_map(|change| {
        let id = with_start(&change.row.id, &change.row);
        let cells = |one: &PriceChange| {
            let percent = one.percent().map(|percent| format!("{percent} %")).unwrap_or_default();
            let (old, new) = (money(one.old.as_ref()), money(one.new.as_ref()));
            vec![id.clone(), one.unit.to_string(), one.conditions.clone(), old, new, percent]
        };
        change.prices.iter().map(cells).collect::<Vec<_>>()
    });
    aligned(&columns, rows)
}

/// Whatever else changes, one a line: texts of any length, which no column would hold.
fn other_changes(changed: &[Change]) -> Vec<String> {
    let others = changed.iter().flat_map(|change| change.others.iter().map(move |other| (change, other)));
    others.map(|(change, (name, old, new))| format!("{}: {name}: {old} → {new}", change.row.id)).collect()
}

/// What a publication means for what is posted.
fn meaning(changes: &[RowChange]) -> String {
    let mut text = String::new();
    for change in changes {
        if let Some(touches) = &change.touches {
            let cost: Vec<String> = touches
                .cost
                .iter()
                .map(|one| format!("{} {}", one.amount, one.currency).trim_end().to_owned())
                .collect();
            line(
                &mut text,
                &format!(
                    "{} would have priced {} entries from {} to {}, which cost {}; they keep their price until they are repriced",
                    change.id,
                    touches.entries,
                    touches.first,
                    touches.last,
                    cost.join(" and ")
                ),
            );
        }
        if let Some(compared) = change.last_30_days.as_ref().filter(|one| one.entries + one.untold > 0) {
            let mut sentence = if compared.entries > 0 {
                format!(
                    "{}: {} entries of the last 30 days would have cost {} {} at the old price and {} at the new",
                    change.id, compared.entries, compared.old, compared.currency, compared.new
                )
            } else {
                format!("{}: what the last 30 days would have cost cannot be told", change.id)
            };
            if compared.untold > 0 {
                let _ = write!(sentence, "; {} entries have other units than common tokens", compared.untold);
            }
            if !compared.unpriced.is_empty() {
                let _ =
                    write!(sentence, "; not every entry has a price for {}", compared.unpriced.join(", "));
            }
            line(&mut text, &sentence);
        }
    }
    text
}

/// What was published, in a few lines.
pub(super) fn published(done: &Publishing) -> String {
    let mut text = meaning(&done.changes);
    let counts = [(done.new.len(), "new"), (done.changed.len(), "changed")];
    let Some(operation) = &done.operation else { return text };
    let state = match operation.state {
        ::api::answers::State::Applied => "every worker prices with them",
        _ => "not every worker knows them yet",
    };
    line(&mut text, &format!("Published: {}; {state} (operation {})", list(&counts), operation.id));
    text
}

/// Counts in one line, those that are zero left out.
fn list(counts: &[(usize, &str)]) -> String {
    let some: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}

fn line(text: &mut String, one: &str) {
    text.push_str(one);
    text.push('\n');
}

#[cfg(test)]
mod tests;
