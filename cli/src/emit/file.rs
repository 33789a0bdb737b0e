//! Traffic into a file.

use std::path::Path;

use super::flow::Flow;
use super::options::Format;

/// Writes everything; a file that exists is replaced.
///
/// # Errors
/// Where the file cannot be written, or holds no such event.
pub(super) fn write(flow: &mut Flow, path: &Path, format: Format) -> anyhow::Result<()> {
    let format = match format {
        Format::Json => traffic::Format::Ndjson,
        Format::Avro => traffic::Format::Avro,
    };
    traffic::to_file(flow, path, format)?;
    Ok(())
}
