//! Tells the encoding of a record: by its content type where there is one, else by its first bytes.

use ledger::reject::{Reason, Reject};

use super::reject;

/// How a record is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object: the event, or a CloudEvent that carries it in `data`.
    Json,
    /// A structured CloudEvent, because the content type says so.
    CloudEvent,
    /// Avro behind byte 0x00 and a schema id of four bytes.
    Confluent,
    /// Avro behind C3 01 and the fingerprint of its schema.
    SingleObject,
}

/// Names the encoding of a record.
///
/// # Errors
/// `decode` where the content type names neither JSON nor Avro, or Avro without one of its two headers.
pub(super) fn detect(value: &[u8], content_type: Option<&str>) -> Result<Format, Reject> {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(Format::Json);
    }
    match essence.to_ascii_lowercase().as_str() {
        "" | "application/octet-stream" | "text/plain" => Ok(by_bytes(value)),
        "application/cloudevents+json" => Ok(Format::CloudEvent),
        "application/cloudevents-batch+json" => {
            Err(reject(Reason::Decode, "a batch of CloudEvents in one record: send one event a record"))
        }
        "text/json" | "application/x-ndjson" | "application/ndjson" => Ok(Format::Json),
        name if name.ends_with("+json") => Ok(Format::Json),
        name if name.contains("avro") => avro(value),
        name => Err(reject(
            Reason::Decode,
            format!(
                "content type `{}` is neither JSON nor Avro",
                name.escape_debug().take(80).collect::<String>()
            ),
        )),
    }
}

/// The encoding that the first bytes tell; JSON where they tell nothing.
pub(super) fn by_bytes(value: &[u8]) -> Format {
    match value {
        [0x00, ..] => Format::Confluent,
        [0xC3, 0x01, ..] => Format::SingleObject,
        _ => Format::Json,
    }
}

fn avro(value: &[u8]) -> Result<Format, Reject> {
    match by_bytes(value) {
        Format::Json => Err(reject(
            Reason::Decode,
            "Avro by its content type, but it begins with neither 00 and a schema id nor C3 01 and a fingerprint",
        )),
        format => Ok(format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_wins_over_the_bytes() {
        assert_eq!(detect(b"\0\0\0\0\x01", Some("application/json; charset=utf-8")).unwrap(), Format::Json);
        assert_eq!(detect(b"{}", Some("Application/CloudEvents+JSON")).unwrap(), Format::CloudEvent);
        assert_eq!(detect(b"{}", Some("application/avro")).unwrap_err().reason, Reason::Decode);
        assert_eq!(detect(b"{}", Some("application/x-protobuf")).unwrap_err().reason, Reason::Decode);
    }

    #[test]
    fn without_a_content_type_the_bytes_tell() {
        for content_type in [None, Some(""), Some("application/octet-stream")] {
            assert_eq!(detect(b"{}", content_type).unwrap(), Format::Json);
            assert_eq!(detect(b"\0\0\0\0\x01", content_type).unwrap(), Format::Confluent);
            assert_eq!(detect(b"\xC3\x01", content_type).unwrap(), Format::SingleObject);
        }
    }
}
