//! Cursors of lists: where the next page begins, bound to the token and to the question. A cursor grants nothing:
//! the next page applies the token's bounds again, and the digest only keeps a cursor with its own question.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use schemas::caller::Caller;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::error::Problem;

const DIGEST_BYTES: usize = 16;

/// The question that a cursor belongs to: the token and the call with all its parameters but `cursor` and `limit`.
#[derive(Clone, Debug)]
pub(crate) struct Question(String);

impl Question {
    pub(crate) fn of(caller: &Caller, path: &str, query: Option<&str>) -> Self {
        let mut parameters: Vec<&str> = query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.starts_with("cursor=") && !pair.starts_with("limit="))
            .collect();
        parameters.sort_unstable();
        Self(format!("{}\n{path}\n{}", caller.token_id, parameters.join("&")))
    }

    /// The cursor of a position.
    pub(crate) fn cursor<P: Serialize>(&self, position: &P) -> Result<String, Problem> {
        let position = serde_json::to_vec(position).map_err(|_| Problem::internal())?;
        let mut bytes = self.digest(&position);
        bytes.extend_from_slice(&position);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The position of a cursor, where the cursor belongs to this question.
    pub(crate) fn position<P: DeserializeOwned>(&self, cursor: &str) -> Result<P, Problem> {
        let refused = || {
            Problem::parameter(
                "cursor",
                "the cursor does not belong to this token and question; begin again without `cursor`",
            )
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let (digest, position) = bytes.split_at_checked(DIGEST_BYTES).ok_or_else(refused)?;
        if digest != self.digest(position) {
            return Err(refused());
        }
        serde_json::from_slice(position).map_err(|_| refused())
    }

    fn digest(&self, position: &[u8]) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(self.0.as_bytes());
        hash.update([0]);
        hash.update(position);
        hash.finalize().get(..DIGEST_BYTES).map(<[u8]>::to_vec).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(token_id: &str) -> Caller {
        Caller { token_id: token_id.to_owned(), scopes: Vec::new(), customers: Vec::new(), teams: Vec::new() }
    }

    #[test]
    fn a_cursor_reads_back_under_its_own_question_whatever_the_limit() {
        let question = Question::of(&caller("a"), "/v1/entries", Some("team=x&limit=2"));
        let cursor = question.cursor(&(7, "seven")).unwrap();
        let again = Question::of(&caller("a"), "/v1/entries", Some("limit=5&cursor=zzz&team=x"));
        assert_eq!(again.position::<(i64, String)>(&cursor).unwrap(), (7, "seven".to_owned()));
    }

    #[test]
    fn another_token_question_or_text_is_refused() {
        let cursor = Question::of(&caller("a"), "/v1/entries", Some("team=x")).cursor(&7).unwrap();
        for question in [
            Question::of(&caller("b"), "/v1/entries", Some("team=x")),
            Question::of(&caller("a"), "/v1/entries", Some("team=y")),
            Question::of(&caller("a"), "/v1/spend", Some("team=x")),
        ] {
            assert_eq!(question.position::<i64>(&cursor).unwrap_err().parameter.as_deref(), Some("cursor"));
        }
        let question = Question::of(&caller("a"), "/v1/entries", Some("team=x"));
        assert!(question.position::<i64>("").is_err());
        assert!(question.position::<i64>(&format!("{cursor}A")).is_err());
    }
}
