//! Finds where an HTTP/1.1 message ends: by its length, by its chunks, or with its connection.

use std::io;

use percent_encoding::percent_decode_str;

const HEADERS_MAX: usize = 64;

/// How the body of a message is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClosed,
}

/// The head of a request, once it is complete.
pub(super) struct RequestHead {
    /// Bytes of the head, its empty line included.
    pub(super) length: usize,
    pub(super) framing: Framing,
    /// An answer to HEAD has no body whatever it says.
    pub(super) answer_has_body: bool,
    /// Method and target, escapes undone.
    pub(super) text: String,
}

impl RequestHead {
    /// `None` while the head is incomplete.
    pub(super) fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = request.parse(bytes).map_err(invalid)? else {
            return Ok(None);
        };
        let method = request.method.unwrap_or_default();
        let target = request.path.unwrap_or_default().replace('+', " ");
        Ok(Some(Self {
            length,
            framing: framing(request.headers)?.unwrap_or(Framing::Length(0)),
            answer_has_body: method != "HEAD",
            text: format!("{method} {}\n", percent_decode_str(&target).decode_utf8_lossy()),
        }))
    }
}

/// The head of an answer, once it is complete: its length and how its body is delimited.
pub(super) fn answer_head(bytes: &[u8], has_body: bool) -> io::Result<Option<(usize, Framing)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = answer.parse(bytes).map_err(invalid)? else {
        return Ok(None);
    };
    let is_empty = !has_body || matches!(answer.code, Some(204 | 304));
    let body =
        if is_empty { Framing::Length(0) } else { framing(answer.headers)?.unwrap_or(Framing::UntilClosed) };
    Ok(Some((length, body)))
}

fn framing(headers: &[httparse::Header<'_>]) -> io::Result<Option<Framing>> {
    let value = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if let Some(coding) = value("transfer-encoding") {
        return Ok(coding.value.to_ascii_lowercase().ends_with(b"chunked").then_some(Framing::Chunked));
    }
    let Some(length) = value("content-length") else { return Ok(None) };
    let length = std::str::from_utf8(length.value).map_err(invalid)?.trim().parse().map_err(invalid)?;
    Ok(Some(Framing::Length(length)))
}

/// Follows a body from piece to piece and tells how much of each piece belongs to it.
pub(super) enum Body {
    Length(u64),
    Chunks(Chunks),
    UntilClosed,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunks(Chunks::Size(Vec::new())),
            Framing::UntilClosed => Self::UntilClosed,
        }
    }

    /// How many of `bytes` belong to the body. The body then stands after them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Length(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= u64::try_from(taken).map_err(invalid)?;
                Ok(taken)
            }
            Self::Chunks(chunks) => chunks.take(bytes),
            Self::UntilClosed => Ok(bytes.len()),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunks(Chunks::End))
    }

    /// True where the end of the connection is the end of the body.
    pub(super) fn ends_with_connection(&self) -> bool {
        matches!(self, Self::UntilClosed)
    }
}

/// Where in a chunked body we are.
pub(super) enum Chunks {
    /// In a line that gives a chunk's size, of which this much has come.
    Size(Vec<u8>),
    /// In a chunk's data and the line end after it, of which this much is to come.
    Data(u64),
    /// After the last chunk, in a trailer line of which this many bytes have come.
    Trailer(usize),
    End,
}

impl Chunks {
    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while let Some(&byte) = bytes.get(taken) {
            match self {
                Self::End => break,
                Self::Data(left) => {
                    let rest = bytes.len() - taken;
                    let step = usize::try_from(*left).map_or(rest, |left| left.min(rest));
                    taken += step;
                    *left -= u64::try_from(step).map_err(invalid)?;
                    if *left == 0 {
                        *self = Self::Size(Vec::new());
                    }
                    continue;
                }
                Self::Size(line) if byte != b'\n' => line.push(byte),
                Self::Size(line) => *self = Self::after_size(line)?,
                Self::Trailer(length) if byte != b'\n' => *length += usize::from(byte != b'\r'),
                Self::Trailer(0) => *self = Self::End,
                Self::Trailer(length) => *length = 0,
            }
            taken += 1;
        }
        Ok(taken)
    }

    fn after_size(line: &[u8]) -> io::Result<Self> {
        const LINE_END: u64 = 2;
        let text = std::str::from_utf8(line).map_err(invalid)?;
        let digits = text.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(invalid)?;
        Ok(if size == 0 { Self::Trailer(0) } else { Self::Data(size + LINE_END) })
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of every size; each time the body must end after `expected` of them.
    fn check(framing: Framing, bytes: &[u8], expected: usize) {
        for size in 1..=bytes.len() {
            let mut body = Body::new(framing);
            let taken: usize = bytes.chunks(size).map(|piece| body.take(piece).unwrap()).sum();
            assert_eq!(taken, expected, "in pieces of {size}");
            assert!(body.is_complete(), "in pieces of {size}");
        }
    }

    #[test]
    fn a_body_with_a_length_ends_after_it() {
        check(Framing::Length(5), b"helloGET / HTTP/1.1", 5);
    }

    #[test]
    fn a_chunked_body_ends_after_its_empty_chunk_whatever_the_chunks_hold() {
        let body = b"5\r\n0\r\n\r\n\r\nA;name=x\r\n0123456789\r\n0\r\n\r\n";
        check(Framing::Chunked, &[body, &b"GET /"[..]].concat(), body.len());
    }

    #[test]
    fn a_chunked_body_may_have_trailers() {
        let body = b"1\r\nx\r\n0\r\nSum: 1\r\nMore: 2\r\n\r\n";
        check(Framing::Chunked, &[body, &b"rest"[..]].concat(), body.len());
    }

    #[test]
    fn a_request_is_read_with_the_escapes_of_its_url_undone() {
        let bytes = b"POST /?query=INSERT+INTO%20entries HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nrest";
        let head = RequestHead::parse(bytes).unwrap().unwrap();
        assert_eq!(head.text, "POST /?query=INSERT INTO entries\n");
        assert_eq!(head.framing, Framing::Chunked);
        assert_eq!(&bytes[head.length..], b"rest");
        assert!(RequestHead::parse(&bytes[..40]).unwrap().is_none());
    }

    #[test]
    fn an_answer_without_a_length_ends_with_its_connection_unless_it_can_have_no_body() {
        let framing = |bytes, has_body| answer_head(bytes, has_body).unwrap().unwrap().1;
        assert_eq!(framing(b"HTTP/1.1 200 OK\r\n\r\n", true), Framing::UntilClosed);
        assert_eq!(framing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", false), Framing::Length(0));
        assert_eq!(framing(b"HTTP/1.1 204 No Content\r\n\r\n", true), Framing::Length(0));
    }
}
