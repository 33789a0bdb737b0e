//! The forms of price files. A file's form is told by its content; a file of no form gets an error that says what
//! each of them misses.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::import::{Import, Options};
use super::{genai, litellm, models_dev, new_api, openrouter, row, text};

/// The form of a price file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// LiteLLM's map of model prices.
    Litellm,
    /// The providers of genai-prices.
    GenaiPrices,
    /// The answer of OpenRouter's `/api/v1/models`.
    OpenRouter,
    /// The answer of a new-api instance's `/api/pricing`.
    NewApi,
    /// models.dev: `api.json`, or one model's TOML.
    ModelsDev,
    /// Tollbook's own rows.
    Rows,
}

/// Why a file brings no rows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is JSON, and broken.
    #[error("the JSON is broken")]
    Json(#[source] serde_json::Error),
    /// It is neither JSON nor TOML nor YAML.
    #[error("neither JSON nor TOML, nor YAML")]
    Unreadable(#[source] text::Error),
    /// It has none of the forms.
    #[error("a price file of no known form:{}", lines(.0))]
    Unknown(Vec<(Form, String)>),
    /// It lacks what its form needs.
    #[error("no {form} file: {missing}")]
    Missing {
        /// The form.
        form: Form,
        /// What is missing.
        missing: String,
    },
    /// It breaks its form.
    #[error("not read as {form}")]
    Broken {
        /// The form.
        form: Form,
        /// Where and how.
        #[source]
        source: serde_json::Error,
    },
    /// One of the project's own rows is wrong.
    #[error(transparent)]
    Row(#[from] row::Error),
}

fn lines(tried: &[(Form, String)]) -> String {
    tried.iter().map(|(form, missing)| format!("\n  {form}: {missing}")).collect()
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 6] =
        [Self::Litellm, Self::GenaiPrices, Self::OpenRouter, Self::NewApi, Self::ModelsDev, Self::Rows];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Litellm => "litellm",
            Self::GenaiPrices => "genai-prices",
            Self::OpenRouter => "openrouter",
            Self::NewApi => "new-api",
            Self::ModelsDev => "models.dev",
            Self::Rows => "rows",
        }
    }

    /// The form of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a price file of the given form, or of the one that its content tells.
///
/// # Errors
/// [`Error`] where the file has no known form, or breaks the one it has.
pub fn read(text: &str, form: Option<Form>, options: &Options) -> Result<(Form, Import), Error> {
    let json = as_json(text)?;
    let shape = Shape::of(&json).map_err(Error::Json)?;
    let form = form.map_or_else(|| tell(&shape), Ok)?;
    if let Some(missing) = missing(form, &shape) {
        return Err(Error::Missing { form, missing });
    }
    let broken = |source| Error::Broken { form, source };
    let import = match form {
        Form::Litellm => litellm::import(&json, options).map_err(broken)?,
        Form::GenaiPrices => genai::import(&json, options).map_err(broken)?,
        Form::OpenRouter => openrouter::import(&json, options).map_err(broken)?,
        Form::NewApi => new_api::import(&json, options)?,
        Form::ModelsDev => models_dev::import(&json, options)?,
        Form::Rows => own_rows(&json)?,
    };
    Ok((form, import))
}

/// Our own rows are strict: each price of them is used, or the file is refused.
fn own_rows(json: &str) -> Result<Import, Error> {
    let mut import = Import::of(None);
    import.rows = row::list_from_json(json)?;
    import.summary.entries = import.rows.len();
    import.summary.imported = import.rows.len();
    import.summary.price_keys = import.rows.iter().map(|row| row.prices.len()).sum();
    import.summary.used = import.summary.price_keys;
    Ok(import)
}

fn as_json(text: &str) -> Result<Cow<'_, str>, Error> {
    let Err(error) = serde_json::from_str::<&RawValue>(text) else { return Ok(Cow::Borrowed(text)) };
    if text.trim_start().starts_with('{') {
        return Err(Error::Json(error));
    }
    let json = text::json_of_toml(text).map_or_else(|| text::json_of_yaml(text), Ok);
    json.map(Cow::Owned).map_err(Error::Unreadable)
}

fn tell(shape: &Shape<'_>) -> Result<Form, Error> {
    let mut tried = Vec::new();
    for form in Form::ALL {
        match missing(form, shape) {
            None => return Ok(form),
            Some(missing) => tried.push((form, missing)),
        }
    }
    Err(Error::Unknown(tried))
}

type Fields<'t> = BTreeMap<String, &'t RawValue>;

/// The outline of a JSON text.
enum Shape<'t> {
    Object(Fields<'t>),
    List(Vec<&'t RawValue>),
    Scalar,
}

impl<'t> Shape<'t> {
    fn of(json: &'t str) -> Result<Self, serde_json::Error> {
        let first = json.trim_start().chars().next();
        Ok(match first {
            Some('{') => Self::Object(serde_json::from_str(json)?),
            Some('[') => Self::List(serde_json::from_str(json)?),
            _ => {
                serde_json::from_str::<&RawValue>(json)?;
                Self::Scalar
            }
        })
    }

    /// A field, where this is an object.
    fn field(&self, name: &str) -> Option<Self> {
        match self {
            Self::Object(fields) => Self::of(fields.get(name)?.get()).ok(),
            _ => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        matches!(self, Self::Object(fields) if fields.contains_key(name))
    }

    /// The values of an object or the members of a list, as far as they are objects.
    fn objects(&self) -> impl Iterator<Item = Self> + '_ {
        let values: Vec<&'t RawValue> = match self {
            Self::Object(fields) => fields.values().copied().collect(),
            Self::List(values) => values.clone(),
            Self::Scalar => Vec::new(),
        };
        values
            .into_iter()
            .filter_map(|value| Self::of(value.get()).ok())
            .filter(|shape| matches!(shape, Self::Object(_)))
    }

    fn any_has(&self, names: &[&str]) -> bool {
        self.objects().any(|object| names.iter().all(|name| object.has(name)))
    }
}

/// What a text lacks to be of a form; `None` where it looks like it.
fn missing(form: Form, shape: &Shape<'_>) -> Option<String> {
    let lacks = |is_there: bool, what: &str| (!is_there).then(|| what.to_owned());
    match form {
        Form::Litellm => {
            let is_map = matches!(shape, Shape::Object(_)) && shape.any_has(&["litellm_provider"]);
            lacks(is_map, "no model with a `litellm_provider`")
        }
        Form::GenaiPrices => {
            let is_provider = |shape: &Shape<'_>| {
                shape.objects().any(|provider| {
                    provider.field("models").is_some_and(|models| models.any_has(&["match", "prices"]))
                })
            };
            let there = is_provider(shape) || shape.field("providers").is_some_and(|list| is_provider(&list));
            lacks(there, "no `providers` with `models` that have `match` and `prices`")
        }
        Form::OpenRouter => {
            let there = shape.field("data").is_some_and(|data| data.any_has(&["id", "pricing"]));
            lacks(there, "no `data` with models that have `id` and `pricing`")
        }
        Form::NewApi => {
            let there = shape.field("data").is_some_and(|data| data.any_has(&["model_name", "quota_type"]));
            lacks(there, "no `data` with models that have `model_name` and `quota_type`")
        }
        Form::ModelsDev => {
            let has_models = |shape: &Shape<'_>| matches!(shape.field("models"), Some(Shape::Object(_)));
            let is_model = matches!(shape.field("cost"), Some(Shape::Object(_)));
            let is_all =
                matches!(shape, Shape::Object(_)) && shape.objects().any(|object| has_models(&object));
            lacks(
                is_model || has_models(shape) || is_all,
                "neither providers with `models` nor a model's `cost`",
            )
        }
        Form::Rows => {
            let is_row = |shape: &Shape<'_>| shape.has("id") && shape.has("prices");
            let has_rows =
                |shape: &Shape<'_>| matches!(shape, Shape::List(_)) && shape.any_has(&["id", "prices"]);
            let there =
                is_row(shape) || has_rows(shape) || shape.field("rows").is_some_and(|rows| has_rows(&rows));
            lacks(there, "no row with `id` and `prices`")
        }
    }
}

/// A document that is read for one field.
#[derive(Deserialize)]
pub(super) struct Data<T> {
    pub(super) data: Vec<T>,
}

#[cfg(test)]
mod tests;
