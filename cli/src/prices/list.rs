//! `tollbook prices list`: published rows, as of any instant and as of what was known then.

use ::api::answers::ModelRow;
use clap::Args;

use super::Format;
use crate::service::ServiceOptions;
use crate::table::{Column, aligned};

/// Rows of a page.
const PAGE: &str = "1000";

/// Options of `tollbook prices list`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Rows of that provider
    #[arg(long)]
    provider: Option<String>,
    /// Rows of that model
    #[arg(long)]
    model: Option<String>,
    /// Rows in force at that date or instant; all versions where not given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Only what was published up to that date or instant
    #[arg(long, value_name = "TIME")]
    known_at: Option<String>,
    /// Form of the answer
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    service: ServiceOptions,
}

/// Asks and prints.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let given = [
            ("provider", options.provider.as_deref()),
            ("model", options.model.as_deref()),
            ("at", options.at.as_deref()),
            ("known_at", options.known_at.as_deref()),
            ("limit", Some(PAGE)),
            ("cursor", cursor.as_deref()),
        ];
        let parameters: Vec<(&str, &str)> =
            given.iter().filter_map(|(name, value)| value.map(|value| (*name, value))).collect();
        let page = service.runtime.block_on(service.client.models(&parameters))?;
        rows.extend(page.rows);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    match options.format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows)?),
        Format::Text => println!("{}", table(&rows)),
    }
    Ok(())
}

fn table(rows: &[ModelRow]) -> String {
    let columns = ["id", "provider", "model", "currency", "from", "to", "for", "confirmed"];
    let columns = columns.map(Column::Text);
    aligned(
        &columns,
        rows.iter().map(|row| {
            let to = match &row.superseded_by {
                Some(id) => format!("superseded by {id}"),
                None => row.effective_to.clone().unwrap_or_default(),
            };
            let confirmed = match &row.unconfirmed {
                Some(why) => format!("no: {why}"),
                None if row.confirmed_by.is_empty() => String::new(),
                None => format!("by {}", row.confirmed_by.join(", ")),
            };
            vec![
                row.id.clone(),
                row.provider.clone().unwrap_or_else(|| "any".to_owned()),
                row.model.clone(),
                row.currency.clone(),
                row.effective_from.clone().unwrap_or_else(|| "the beginning".to_owned()),
                to,
                row.scope.as_ref().map(|scope| scope.get().to_owned()).unwrap_or_default(),
                confirmed,
            ]
        }),
    )
}
