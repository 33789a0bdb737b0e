//! The body of a request as a stream of plain pieces: takes off HTTP's content encoding and ClickHouse's
//! own compressed blocks. Holds one piece at a time.

use crate::{
    blocks::Decoder,
    exception::{Exception, code},
};
use async_compression::tokio::bufread::{GzipDecoder, Lz4Decoder, ZstdDecoder};
use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use std::{io, pin::Pin, time::Duration};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// A client that sends nothing for so long has lost its request.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const DECODED_PIECE_BYTES: usize = 128 * 1024;

/// Plain pieces of a body, none of them empty.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Exception>> + Send>>;

/// How a body is packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Packing {
    /// HTTP's `Content-Encoding`.
    pub(crate) encoding: Encoding,
    /// `decompress=1`: ClickHouse's compressed blocks.
    pub(crate) blocks: bool,
}

/// The content encodings that are understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    #[default]
    Identity,
    Gzip,
    Zstd,
    Lz4,
}

impl Encoding {
    pub(crate) fn parse(name: &str) -> Result<Self, Exception> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            "lz4" => Ok(Self::Lz4),
            other => Err(Exception::new(
                code::UNKNOWN_COMPRESSION_METHOD,
                "UNKNOWN_COMPRESSION_METHOD",
                format_args!("Unknown Content-Encoding `{other}`; gzip, zstd and lz4 are understood"),
            )),
        }
    }
}

/// The plain pieces of `body`.
pub(crate) fn pieces(body: Body, packing: Packing) -> Pieces {
    let received = received(body);
    let decoded: Pieces = match packing.encoding {
        Encoding::Identity => received.map_err(|error| exception(&error)).boxed(),
        Encoding::Gzip => decoded({
            let mut decoder = GzipDecoder::new(StreamReader::new(received));
            decoder.multiple_members(true);
            decoder
        }),
        Encoding::Zstd => decoded({
            let mut decoder = ZstdDecoder::new(StreamReader::new(received));
            decoder.multiple_members(true);
            decoder
        }),
        Encoding::Lz4 => decoded({
            let mut decoder = Lz4Decoder::new(StreamReader::new(received));
            decoder.multiple_members(true);
            decoder
        }),
    };
    match packing.blocks {
        true => blocks(decoded),
        false => decoded,
    }
}

/// Reads on and forgets, so that a client which is still sending comes to read its answer. Gives up
/// after `bytes_max` or a second of silence.
pub(crate) async fn drain(pieces: &mut Pieces, bytes_max: usize) {
    let mut bytes = 0_usize;
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(Duration::from_secs(1), pieces.next()).await {
        bytes = bytes.saturating_add(piece.len());
        if bytes > bytes_max {
            return;
        }
    }
}

fn received(body: Body) -> Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> {
    stream::try_unfold(body.into_data_stream(), |mut body| async move {
        loop {
            match tokio::time::timeout(SILENCE_MAX, body.next()).await {
                Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut)),
                Ok(None) => return Ok(None),
                Ok(Some(Ok(piece))) if piece.is_empty() => {}
                Ok(Some(Ok(piece))) => return Ok(Some((piece, body))),
                Ok(Some(Err(error))) => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, error)),
            }
        }
    })
    .boxed()
}

fn decoded(decoder: impl AsyncRead + Send + 'static) -> Pieces {
    ReaderStream::with_capacity(decoder, DECODED_PIECE_BYTES).map_err(|error| exception(&error)).boxed()
}

fn blocks(packed: Pieces) -> Pieces {
    stream::try_unfold((packed, Decoder::default()), |(mut packed, mut decoder)| async move {
        loop {
            match decoder.next()? {
                Some(block) if block.is_empty() => {}
                Some(block) => return Ok(Some((block, (packed, decoder)))),
                None => match packed.next().await {
                    Some(piece) => decoder.push(&piece?),
                    None => return decoder.end().map(|()| None),
                },
            }
        }
    })
    .boxed()
}

fn exception(error: &io::Error) -> Exception {
    match error.kind() {
        io::ErrorKind::TimedOut => Exception::new(
            code::SOCKET_TIMEOUT,
            "SOCKET_TIMEOUT",
            format_args!("The client sent nothing for {} seconds", SILENCE_MAX.as_secs()),
        ),
        io::ErrorKind::ConnectionAborted => {
            Exception::new(code::ABORTED, "ABORTED", format_args!("The request's body broke off: {error}"))
        }
        io::ErrorKind::UnexpectedEof => Exception::new(
            code::UNEXPECTED_END_OF_FILE,
            "UNEXPECTED_END_OF_FILE",
            "The compressed body broke off",
        ),
        _ => Exception::new(
            code::CANNOT_DECOMPRESS,
            "CANNOT_DECOMPRESS",
            format_args!("Cannot decompress the body: {error}"),
        ),
    }
}
