//! The running Tollbook that a command talks to: by --url and --token, else where `up` left them.

use std::path::{Path, PathBuf};

use ::api::client::Client;
use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;

use crate::credentials;

/// Where the service is.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServiceOptions {
    /// Address of the API, such as `https://tollbook.example.com`; else the one that `up` left in the data folder
    #[arg(long, env = "TOLLBOOK_URL", value_name = "URL")]
    url: Option<String>,
    /// API token; better given as TOLLBOOK_TOKEN; else the one that `up` left in the data folder
    #[arg(long, env = "TOLLBOOK_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<SecretString>,
    /// Data folder of `tollbook up`, where address and token are looked for
    #[arg(long, env = "TOLLBOOK_DATA", default_value = "tollbook-data", value_name = "FOLDER")]
    data: PathBuf,
}

/// A client and what runs it.
pub(crate) struct Service {
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
    pub(crate) url: String,
    pub(crate) token: SecretString,
}

impl ServiceOptions {
    /// The data folder of `up`.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The client of the service.
    ///
    /// # Errors
    /// Where neither options nor the data folder name address and token.
    pub(crate) fn connect(&self) -> anyhow::Result<Service> {
        let (left_url, left_token) = credentials::left(&self.data);
        let missing = |what: &str| {
            format!(
                "no {what}: give --{what} or TOLLBOOK_{}, or start `tollbook up` with its data in {}",
                what.to_uppercase(),
                self.data.display()
            )
        };
        let url = self.url.clone().or(left_url).with_context(|| missing("url"))?;
        let token =
            self.token.clone().or(left_token.map(SecretString::from)).with_context(|| missing("token"))?;
        let client = Client::new(&url, token.expose_secret())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Service { client, runtime, url, token })
    }
}

/// A dimension and the value that it must have.
pub(crate) type Filter = (String, String);

/// A filter of the form DIMENSION=VALUE.
pub(crate) fn filter(text: &str) -> Result<Filter, String> {
    text.split_once('=')
        .filter(|(dimension, value)| !dimension.is_empty() && !value.is_empty())
        .map(|(dimension, value)| (dimension.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` is no filter; write it as team=search-core"))
}
