//! Price files: model rows as JSON text, and the importers of what others publish.

pub mod litellm;
pub(crate) mod number;
mod row;

pub use row::{Error, from_json, list_from_json, same_terms, to_json};
