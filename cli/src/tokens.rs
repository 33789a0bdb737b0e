//! `tollbook tokens`: mint, list, rotate and revoke API tokens.

use ::api::client::NewToken;
use clap::{Args, Subcommand};

use crate::service::ServiceOptions;

/// Options of `tollbook tokens`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    service: ServiceOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mint a token; its text is shown this once
    Create {
        /// What the token is for
        #[arg(long)]
        name: String,
        /// What it may do: ingest, read or admin; may be repeated
        #[arg(long, required = true, value_delimiter = ',')]
        scope: Vec<String>,
        /// Bind it to a customer; may be repeated
        #[arg(long)]
        customer: Vec<String>,
        /// Bind it to a team; may be repeated
        #[arg(long)]
        team: Vec<String>,
        /// When it stops working, such as 2027-01-31T00:00:00Z
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// List all tokens, without their texts
    List,
    /// Mint a token in the place of another, which works on for a while
    Rotate {
        /// Public id of the token to replace
        id: String,
        /// Hours for which the old token works on
        #[arg(long, default_value_t = 24)]
        overlap_hours: u32,
        /// When the new one stops working, such as 2027-01-31T00:00:00Z
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Revoke a token; it stops working within seconds
    Revoke {
        /// Public id of the token
        id: String,
    },
}

/// Carries out the subcommand.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let service = options.service.connect()?;
    let client = &service.client;
    match options.command {
        Command::Create { name, scope, customer, team, expires_at } => {
            let token = NewToken { name, scopes: scope, customers: customer, teams: team, expires_at };
            print(&service.runtime.block_on(client.mint(&token))?)
        }
        Command::List => print(&service.runtime.block_on(client.tokens())?),
        Command::Rotate { id, overlap_hours, expires_at } => {
            let rotated = client.rotate(&id, overlap_hours, expires_at.as_deref());
            print(&service.runtime.block_on(rotated)?)
        }
        Command::Revoke { id } => print(&service.runtime.block_on(client.revoke(&id))?),
    }
}

fn print(answer: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}
