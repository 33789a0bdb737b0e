//! One TOML file whose keys are the options' long names. Its values become the options' defaults, so that flags and
//! variables win over them; a key that no command has is refused with the file's name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, Command};
use toml::Value;

/// The command with the file's values as defaults, where a file is named.
///
/// # Errors
/// Where the file cannot be read, is not TOML, or has a key that no command knows.
pub(crate) fn with_file(
    command: Command,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Command, clap::Error> {
    let Some(path) = named_file(arguments).or_else(|| std::env::var_os("TOLLBOOK_CONFIG").map(PathBuf::from))
    else {
        return Ok(command);
    };
    let refuse = |what: String| {
        clap::Error::raw(
            ErrorKind::InvalidValue,
            format!("the configuration file {}: {what}\n", path.display()),
        )
    };
    let text = std::fs::read_to_string(&path).map_err(|error| refuse(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| refuse(error.to_string()))?;
    table.iter().try_fold(command, |command, (key, value)| {
        let values = texts(value).ok_or_else(|| {
            refuse(format!("`{key}` is neither a text, a number, a boolean nor a list of texts"))
        })?;
        set_default(command, key, &values).ok_or_else(|| {
            refuse(format!(
                "`{key}` is no option; `tollbook help <command>` lists the options, written without --"
            ))
        })
    })
}

/// The command with a TOLLBOOK_* variable for every option that has none yet.
pub(crate) fn with_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| match (argument.get_long(), argument.get_env()) {
        (Some("help" | "version"), _) | (None, _) | (_, Some(_)) => argument,
        (Some(long), None) => {
            let variable = format!("TOLLBOOK_{}", long.to_uppercase().replace('-', "_"));
            argument.env(variable)
        }
    });
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_variables))
}

/// The file named on the command line, before anything else of it is looked at.
fn named_file(mut arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(Path::new(path).to_owned());
        }
    }
    None
}

fn texts(value: &Value) -> Option<Vec<String>> {
    Some(match value {
        Value::String(text) => vec![text.clone()],
        Value::Integer(number) => vec![number.to_string()],
        Value::Boolean(flag) => vec![flag.to_string()],
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => return None,
    })
}

/// Sets the default of the option in every command that has it; `None` where none has.
fn set_default(command: Command, key: &str, values: &[String]) -> Option<Command> {
    let mut found = false;
    let command = set_in(command, key, values, &mut found);
    found.then_some(command)
}

fn set_in(command: Command, key: &str, values: &[String], found: &mut bool) -> Command {
    let id = command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(key))
        .map(|argument| argument.get_id().clone());
    let mut command = match id {
        None => command,
        Some(id) => {
            *found = true;
            command.mut_arg(id, |argument: Arg| argument.required(false).default_values(values.to_vec()))
        }
    };
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |sub| set_in(sub, key, values, found));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command::new("t")
            .subcommand(Command::new("up").arg(Arg::new("listen").long("listen").default_value("a")))
            .subcommand(Command::new("api").arg(Arg::new("kafka").long("kafka").required(true)))
    }

    fn parse(file: &str, arguments: &[&str]) -> Result<clap::ArgMatches, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollbook.toml");
        std::fs::write(&path, file).unwrap();
        let named = ["--config".into(), path.clone().into_os_string()];
        let command = with_file(command(), named.into_iter()).map_err(|error| error.to_string())?;
        command.try_get_matches_from(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let matches = parse("listen = \"b\"", &["t", "up"]).unwrap();
        assert_eq!(matches.subcommand().unwrap().1.get_one::<String>("listen").unwrap(), "b");
        let matches = parse("listen = \"b\"", &["t", "up", "--listen", "c"]).unwrap();
        assert_eq!(matches.subcommand().unwrap().1.get_one::<String>("listen").unwrap(), "c");
    }

    #[test]
    fn a_required_option_may_come_from_the_file() {
        let matches = parse("kafka = \"broker:9092\"", &["t", "api"]).unwrap();
        assert_eq!(matches.subcommand().unwrap().1.get_one::<String>("kafka").unwrap(), "broker:9092");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = parse("lisen = \"b\"", &["t", "up"]).unwrap_err();
        assert!(error.contains("`lisen` is no option"), "{error}");
    }
}
