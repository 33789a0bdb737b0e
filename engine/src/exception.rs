//! An error as ClickHouse's HTTP interface tells it: code, message, HTTP status, and the frame that ends
//! an answer which fails after it has begun.

use crate::library::Failure;
use axum::http::StatusCode;
use std::fmt;

/// Error codes of ClickHouse that this crate itself answers with, or looks for.
pub(crate) mod code {
    pub(crate) const UNEXPECTED_END_OF_FILE: u32 = 3;
    pub(crate) const BAD_ARGUMENTS: u32 = 36;
    pub(crate) const TOO_LARGE_SIZE_COMPRESSED: u32 = 39;
    pub(crate) const CHECKSUM_DOESNT_MATCH: u32 = 40;
    pub(crate) const NOT_IMPLEMENTED: u32 = 48;
    pub(crate) const LOGICAL_ERROR: u32 = 49;
    pub(crate) const SYNTAX_ERROR: u32 = 62;
    pub(crate) const UNKNOWN_TYPE_OF_QUERY: u32 = 78;
    pub(crate) const UNKNOWN_COMPRESSION_METHOD: u32 = 89;
    pub(crate) const READONLY: u32 = 164;
    pub(crate) const TOO_MANY_SIMULTANEOUS_QUERIES: u32 = 202;
    pub(crate) const SOCKET_TIMEOUT: u32 = 209;
    pub(crate) const QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: u32 = 216;
    pub(crate) const QUERY_IS_TOO_LARGE: u32 = 229;
    pub(crate) const ABORTED: u32 = 236;
    pub(crate) const CANNOT_DECOMPRESS: u32 = 271;
    pub(crate) const INTO_OUTFILE_NOT_ALLOWED: u32 = 358;
    pub(crate) const SESSION_NOT_FOUND: u32 = 372;
    pub(crate) const SESSION_IS_LOCKED: u32 = 373;
    pub(crate) const QUERY_WAS_CANCELLED: u32 = 394;
    pub(crate) const AUTHENTICATION_FAILED: u32 = 516;
}

/// What a client is told: `Code: 60. DB::Exception: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    pub(crate) code: u32,
    message: String,
}

impl Exception {
    /// An error of this crate's own, in ClickHouse's words: `name` is the code's name.
    pub(crate) fn new(code: u32, name: &str, text: impl fmt::Display) -> Self {
        Self { code, message: format!("Code: {code}. DB::Exception: {text}. ({name})") }
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(code::QUERY_WAS_CANCELLED, "QUERY_WAS_CANCELLED", "Query was cancelled")
    }

    pub(crate) fn stopping() -> Self {
        Self::new(code::ABORTED, "ABORTED", "The engine is stopping")
    }

    /// The status that a ClickHouse server gives to the code.
    pub(crate) fn status(&self) -> StatusCode {
        match self.code {
            // REQUIRED_PASSWORD
            194 => StatusCode::UNAUTHORIZED,
            // UNKNOWN_USER, WRONG_PASSWORD, AUTHENTICATION_FAILED, SET_NON_GRANTED_ROLE
            192 | 193 | 512 | code::AUTHENTICATION_FAILED => StatusCode::FORBIDDEN,
            // BAD_ARGUMENTS, the CANNOT_PARSE family, SYNTAX_ERROR, TYPE_MISMATCH, INCORRECT_DATA …
            6 | 25 | 26 | 27 | 32 | 36 | 38 | 41 | 53 | 62 | 70 | 72 | 117 | 130 | 131 | 321 | 427 | 456 => {
                StatusCode::BAD_REQUEST
            }
            // UNKNOWN_TABLE, _FUNCTION, _IDENTIFIER, _TYPE, _STORAGE, _DATABASE, _SETTING, _FORMAT …
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 141 | 336 | 511 => StatusCode::NOT_FOUND,
            code::QUERY_IS_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
            code::NOT_IMPLEMENTED => StatusCode::NOT_IMPLEMENTED,
            // TIMEOUT_EXCEEDED
            159 => StatusCode::REQUEST_TIMEOUT,
            // CANNOT_OPEN_FILE, SOCKET_TIMEOUT, CANNOT_SCHEDULE_TASK; and here: the engine is stopping
            76 | code::SOCKET_TIMEOUT | 439 | code::ABORTED => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The last frame of an answer that fails after it has begun: clients find it by the tag, which the
    /// answer's headers announced.
    pub(crate) fn frame(&self, tag: &str) -> Vec<u8> {
        let message = format!("{}\n", self.message);
        format!("\r\n__exception__\r\n{tag}\r\n{message}{} {tag}\r\n__exception__\r\n", message.len())
            .into_bytes()
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for Exception {
    fn from(Failure(message): Failure) -> Self {
        let code = message
            .strip_prefix("Code: ")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(number, _)| number.parse().ok());
        match code {
            Some(code) => Self { code, message },
            None => Self::new(code::LOGICAL_ERROR, "LOGICAL_ERROR", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_message_of_the_engine() {
        let exception = Exception::from(Failure("Code: 60. DB::Exception: no. (UNKNOWN_TABLE)".into()));
        assert_eq!((exception.code, exception.status()), (60, StatusCode::NOT_FOUND));
        assert_eq!(Exception::from(Failure("strange".into())).code, code::LOGICAL_ERROR);
    }

    #[test]
    fn the_frame_states_the_length_of_its_message() {
        let exception = Exception::from(Failure("Code: 1. x".into()));
        let expected = "\r\n__exception__\r\nTAG\r\nCode: 1. x\n11 TAG\r\n__exception__\r\n";
        assert_eq!(exception.frame("TAG"), expected.as_bytes());
    }
}
