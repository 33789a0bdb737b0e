//! Reads the statement of a request: from the URL, from the body, or from a form. The data of an INSERT
//! stays in the body.

use crate::{
    body::Pieces,
    exception::{Exception, code},
    request::Request,
    sql::{self, Head},
    worker::{Action, Data},
};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::io;
use tokio::sync::mpsc;

/// A statement without its data is at most so long.
const TEXT_BYTES_MAX: usize = 16 << 20;
/// `INSERT INTO … FORMAT …`, in front of the data, is at most so long.
const INSERT_HEAD_BYTES_MAX: usize = 256 << 10;
/// Pieces under way between the body and the worker.
const PIECES_UNDER_WAY: usize = 4;

/// A statement as it came in.
pub(crate) struct Statement {
    /// Without an INSERT's FORMAT and data.
    pub(crate) text: Bytes,
    insert: Option<Insert>,
}

/// What an INSERT has behind its statement.
struct Insert {
    format: String,
    /// The beginning of its data; the rest is still in the body.
    first: Bytes,
    /// The whole text, where it is short and holds all the data: another statement may hide behind VALUES.
    checked: Option<Bytes>,
}

/// The first data of an INSERT, and where it goes with all that follows.
type Feed = (Bytes, mpsc::Sender<Data>);

impl Statement {
    /// What the worker does, and for an INSERT how it gets its data.
    pub(crate) fn into_action(self) -> (Action, Option<Feed>) {
        match self.insert {
            None => (Action::Statement(self.text), None),
            Some(Insert { format, first, checked }) => {
                let (sender, data) = mpsc::channel(PIECES_UNDER_WAY);
                (Action::Insert { statement: self.text, format, checked, data }, Some((first, sender)))
            }
        }
    }
}

/// Reads the statement: the URL's, with the body behind it, or the body's. An INSERT's data stays in `pieces`.
pub(crate) async fn read(query: Option<String>, pieces: &mut Pieces) -> Result<Statement, Exception> {
    let from_url = query.as_deref().is_some_and(|query| !query.trim().is_empty());
    let mut text = BytesMut::from(query.unwrap_or_default().as_bytes());
    if from_url {
        // As a server: a line end between the URL's part and the body's.
        text.extend_from_slice(b"\n");
    }
    let mut whole = false;
    loop {
        match sql::head(&text, whole) {
            Head::Insert { statement_end, format, data_start } => {
                let in_full = format.eq_ignore_ascii_case("Values")
                    && (whole || read_to(&mut text, pieces, INSERT_HEAD_BYTES_MAX).await?)
                    && data_start < text.len();
                let text = text.freeze();
                let checked = in_full.then(|| text.clone());
                let insert = Insert { format, first: text.slice(data_start..), checked };
                return Ok(Statement { text: text.slice(..statement_end), insert: Some(insert) });
            }
            Head::FromInfile => {
                let text = "FROM INFILE is not allowed over HTTP: send the data in the request's body";
                return Err(Exception::new(code::UNKNOWN_TYPE_OF_QUERY, "UNKNOWN_TYPE_OF_QUERY", text));
            }
            Head::Statement if whole => return Ok(Statement { text: text.freeze(), insert: None }),
            Head::Unfinished if text.len() > INSERT_HEAD_BYTES_MAX => {
                return Err(too_large(INSERT_HEAD_BYTES_MAX));
            }
            Head::Statement | Head::Unfinished => {}
        }
        match pieces.next().await {
            Some(piece) => text.extend_from_slice(&piece?),
            None => whole = true,
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(too_large(TEXT_BYTES_MAX));
        }
    }
}

/// Reads on until the body ends, `true`, or `text` is longer than `bytes_max`.
async fn read_to(text: &mut BytesMut, pieces: &mut Pieces, bytes_max: usize) -> Result<bool, Exception> {
    while text.len() <= bytes_max {
        match pieces.next().await {
            Some(piece) => text.extend_from_slice(&piece?),
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// The boundary of a form, where the request is one.
pub(crate) fn boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    multer::parse_boundary(content_type).ok()
}

/// Reads a form: `query` and parameters, as clients send them that keep values out of the URL.
pub(crate) async fn read_form(
    form: Pieces,
    boundary: String,
    request: &mut Request,
) -> Result<(), Exception> {
    let bad = |error: &dyn std::fmt::Display| {
        Exception::new(code::BAD_ARGUMENTS, "BAD_ARGUMENTS", format_args!("Cannot read the form: {error}"))
    };
    let form = form.map(|piece| piece.map_err(|exception| io::Error::other(exception.to_string())));
    let limits = multer::SizeLimit::new().whole_stream(u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX));
    let constraints = multer::Constraints::new().size_limit(limits);
    let mut form = multer::Multipart::with_constraints(form, boundary, constraints);
    while let Some(field) = form.next_field().await.map_err(|error| bad(&error))? {
        if field.file_name().is_some() {
            let text = "External data in a form is not supported";
            return Err(Exception::new(code::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", text));
        }
        let name = field.name().unwrap_or_default().to_owned();
        let value = field.text().await.map_err(|error| bad(&error))?;
        request.set(&name, value)?;
    }
    Ok(())
}

fn too_large(bytes_max: usize) -> Exception {
    Exception::new(
        code::QUERY_IS_TOO_LARGE,
        "QUERY_IS_TOO_LARGE",
        format_args!("The statement is longer than {bytes_max} bytes"),
    )
}
