//! Price files: reading one of any form, and comparing its prices with those of other sources.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use ledger::event::Millis;
use ledger::money::Decimal;
use ledger::prices::ModelRow;
use schemas::prices::{self, BUNDLED_GENAI_PRICES, Import};

/// Which file, and what it does not say itself.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// Form of the file; told by its content where not given
    #[arg(long, env = "TOLLBOOK_PRICES_FROM", visible_alias = "form", value_name = "FORM")]
    from: Option<Form>,
    /// Version of the source that its rows name; else the file's own, or a hash of it
    #[arg(long, value_name = "VERSION")]
    map_version: Option<String>,
    /// Who serves the models, where the file does not say: new-api, and a model of models.dev
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The model, where the file is of one and does not name it: the TOML of models.dev
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Group of a new-api instance whose ratio is on its prices; `default` where not given
    #[arg(long, value_name = "NAME")]
    price_group: Option<String>,
    /// Ratio on a new-api instance's prices, instead of a group's
    #[arg(long, value_name = "RATIO", value_parser = ratio, conflicts_with = "price_group")]
    group_ratio: Option<Decimal>,
    /// A price file of another source to compare with; may be repeated
    #[arg(long, value_name = "FILE")]
    confirm_with: Vec<PathBuf>,
}

/// Form of a price file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// LiteLLM's map of model prices
    Litellm,
    /// The providers of genai-prices
    GenaiPrices,
    /// The answer of OpenRouter's /api/v1/models
    #[value(name = "openrouter")]
    OpenRouter,
    /// The answer of a new-api instance's /api/pricing
    NewApi,
    /// models.dev: api.json, or one model's TOML
    #[value(name = "models.dev")]
    ModelsDev,
    /// Tollbook's own rows, JSON or YAML
    Rows,
}

impl From<Form> for prices::Form {
    fn from(form: Form) -> Self {
        match form {
            Form::Litellm => Self::Litellm,
            Form::GenaiPrices => Self::GenaiPrices,
            Form::OpenRouter => Self::OpenRouter,
            Form::NewApi => Self::NewApi,
            Form::ModelsDev => Self::ModelsDev,
            Form::Rows => Self::Rows,
        }
    }
}

fn ratio(text: &str) -> Result<Decimal, String> {
    let ratio = Decimal::parse(text).map_err(|error| error.to_string())?;
    if ratio.is_negative() { Err("a ratio is not below zero".into()) } else { Ok(ratio) }
}

/// A file that was read.
pub(super) struct Read {
    pub(super) form: prices::Form,
    pub(super) import: Import,
}

impl Options {
    /// A file of our own rows, and nothing to say of it.
    pub(super) fn own_rows(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            from: Some(Form::Rows),
            map_version: None,
            provider: None,
            model: None,
            price_group: None,
            group_ratio: None,
            confirm_with: Vec::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    fn importing(&self) -> prices::Options {
        let (provider, model) = place_in_models_dev(&self.file).unzip();
        prices::Options {
            version: self.map_version.clone(),
            provider: self.provider.clone().or(provider),
            model: self.model.clone().or(model),
            group: self.price_group.clone(),
            group_ratio: self.group_ratio,
        }
    }
}

/// Reads the file.
pub(super) fn read(options: &Options) -> anyhow::Result<Read> {
    let (form, import) = read_as(&options.file, options.from.map(Into::into), &options.importing())?;
    ensure!(!import.rows.is_empty(), "{} has no price that can be used", options.file.display());
    Ok(Read { form, import })
}

/// The rows of a price file of any form, compared with the other source that the program has.
pub(crate) fn rows_of(file: &Path, form: Option<Form>) -> anyhow::Result<Vec<ModelRow>> {
    let options = Options { from: form, ..Options::own_rows(file) };
    let Read { form, mut import } = read(&options)?;
    confirm(&mut import, form, &options, &[], ingest::book::wall_clock())?;
    Ok(import.rows)
}

fn read_as(
    path: &Path,
    form: Option<prices::Form>,
    options: &prices::Options,
) -> anyhow::Result<(prices::Form, Import)> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("reading standard input")?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?
    };
    prices::read(&text, form, options).with_context(|| format!("reading {}", path.display()))
}

/// Provider and model of a TOML file in its place in models.dev: `providers/openai/models/gpt-4o.toml`.
fn place_in_models_dev(path: &Path) -> Option<(String, String)> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let start = parts.windows(3).position(|three| three[0] == "providers" && three[2] == "models")?;
    let model = parts.get(start + 3..)?.join("/");
    Some((parts.get(start + 1)?.to_string(), model.strip_suffix(".toml")?.to_owned()))
}

/// Compares an import with the published rows and files of other sources, and LiteLLM's map with the copy of
/// genai-prices that the program has. The project's own rows say themselves whether they are confirmed.
pub(super) fn confirm(
    import: &mut Import,
    form: prices::Form,
    options: &Options,
    published: &[ModelRow],
    at: Millis,
) -> anyhow::Result<()> {
    if form == prices::Form::Rows && options.confirm_with.is_empty() {
        return Ok(());
    }
    let mut others = Vec::new();
    if form == prices::Form::Litellm {
        let (_, bundled) =
            prices::read(BUNDLED_GENAI_PRICES, Some(prices::Form::GenaiPrices), &prices::Options::default())
                .context("reading the copy of genai-prices in this program")?;
        others.extend(bundled.rows);
    }
    let given = others.iter().map(|row| row.source.name.clone()).next();
    for path in &options.confirm_with {
        others.extend(read_as(path, None, &prices::Options::default())?.1.rows);
    }
    // What is published from a source that is at hand whole would only say the same twice.
    others.extend(published.iter().filter(|row| given.as_ref() != Some(&row.source.name)).cloned());
    prices::confirm(&mut import.rows, &others, at);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toml_in_its_place_names_provider_and_model() {
        let place = |path: &str| place_in_models_dev(Path::new(path));
        let named = |provider: &str, model: &str| Some((provider.to_owned(), model.to_owned()));
        assert_eq!(place("models.dev/providers/openai/models/gpt-9.toml"), named("openai", "gpt-9"));
        assert_eq!(place("providers/novita/models/zai/glm.toml"), named("novita", "zai/glm"));
        assert_eq!(place("gpt-9.toml"), None);
    }
}
