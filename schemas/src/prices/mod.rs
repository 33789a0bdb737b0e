//! Price files: model rows as JSON or YAML, the importers of what others publish, and what a publication changes.

mod confirm;
mod diff;
mod form;
mod genai;
mod import;
pub mod litellm;
mod models_dev;
mod new_api;
pub(crate) mod number;
mod openrouter;
mod publication;
mod row;
mod steps;
mod stored;
mod text;
mod versions;

pub use confirm::{ONLY_SOURCE, confirm};
pub use diff::{Change, Diff, PriceChange, diff};
pub use form::{Error as ReadError, Form, read};
pub use genai::BUNDLED as BUNDLED_GENAI_PRICES;
pub use import::{Import, Options, Refusal, Summary};
pub use publication::{Added, LATER_VERSION_AFTER_MS, Publication, Published, Refused, prepare};
pub use row::{Error, from_json, list_from_json, same_terms, to_json};
pub use stored::{BookRow, book};
pub use versions::{Key, Versions};
