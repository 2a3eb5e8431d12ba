//! The file of settings: TOML, with the names of the flags and `_` for `-`, limits in a table.
//!
//! Read once by `main`, together with the command line. Its law: a flag wins over its variable, that
//! over the file, the file over the default; a name that is no setting is an error, never ignored.

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, Error, FromArgMatches, Parser};
use toml::{Table, Value};

use super::CommandLine;

/// The flag that names the file, which the file cannot.
const CONFIG: &str = "config";
/// The table of limits; the flags of its names begin with it.
const LIMITS: &str = "limits";

/// What the command line, the environment and the file that they name ask for.
pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<CommandLine, Error> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let known = CommandLine::command();
    let matches = known.clone().try_get_matches_from(words.clone())?;
    let (command, asked) = match matches.subcommand() {
        Some((name, asked)) => (known.find_subcommand(name).unwrap_or(&known), asked),
        None => (&known, &matches),
    };
    let Some(path) = asked.try_get_one::<PathBuf>(CONFIG).ok().flatten() else {
        return CommandLine::from_arg_matches(&matches);
    };
    let wrong = |what: &dyn Display| {
        Error::raw(ErrorKind::InvalidValue, format!("{}: {what}\n", path.display()))
    };
    let mut said = Vec::new();
    for (flag, value) in settings(path).map_err(|what| wrong(&what))? {
        if flag == CONFIG || !has(&known, &flag) {
            return Err(wrong(&format!("{} is no setting", flag.replace('-', "_"))));
        }
        let Some(value) = value else {
            // A list of none is what a flag of lists says where it is not there.
            if takes_list(&known, &flag) {
                continue;
            }
            return Err(wrong(&format!("{} cannot be an empty list", key(&flag))));
        };
        if has(command, &flag) && !is_given(command, asked, &flag) {
            words.push(format!("--{flag}={value}").into());
            said.push((flag, value));
        }
    }
    CommandLine::try_parse_from(words).map_err(|error| match blamed(&error, &said) {
        Some((flag, value)) => {
            let why = error.source().map(|why| format!(": {why}")).unwrap_or_default();
            wrong(&format!("{} cannot be {value}{why}", key(flag)))
        }
        None => error,
    })
}

/// The setting of the file in which an error of the command line lies.
fn blamed<'a>(error: &Error, said: &'a [(String, String)]) -> Option<&'a (String, String)> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let name = argument.split([' ', '=']).next()?.strip_prefix("--")?;
    said.iter().find(|(flag, _)| flag == name)
}

/// A flag's name as the file has it.
fn key(flag: &str) -> String {
    match flag.strip_prefix(LIMITS).and_then(|name| name.strip_prefix('-')) {
        Some(name) => format!("{LIMITS}.{}", name.replace('-', "_")),
        None => flag.replace('-', "_"),
    }
}

fn has(command: &Command, flag: &str) -> bool {
    command.get_arguments().any(|argument| argument.get_long() == Some(flag))
}

/// Whether its values are parted by commas.
fn takes_list(command: &Command, flag: &str) -> bool {
    let mut arguments = command.get_arguments();
    let argument = arguments.find(|argument| argument.get_long() == Some(flag));
    argument.is_some_and(|argument| argument.get_value_delimiter().is_some())
}

/// Whether a flag or a variable says it already.
fn is_given(command: &Command, asked: &ArgMatches, flag: &str) -> bool {
    let mut arguments = command.get_arguments();
    let argument = arguments.find(|argument| argument.get_long() == Some(flag));
    let source = argument.and_then(|argument| asked.value_source(argument.get_id().as_str()));
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

/// Flags and their values as the file says them; an empty list is none.
fn settings(path: &Path) -> Result<Vec<(String, Option<String>)>, String> {
    let text = std::fs::read_to_string(path).map_err(|fault| fault.to_string())?;
    let table: Table = text.parse().map_err(|fault: toml::de::Error| fault.to_string())?;
    let mut settings = Vec::new();
    for (name, value) in &table {
        match value {
            Value::Table(limits) if name == LIMITS => {
                for (name, value) in limits {
                    settings.push((flag(&format!("{LIMITS}_{name}"))?, said(name, value)?));
                }
            }
            value => settings.push((flag(name)?, said(name, value)?)),
        }
    }
    Ok(settings)
}

fn flag(name: &str) -> Result<String, String> {
    if name.contains('-') {
        return Err(format!("{name} is no setting; write {}", name.replace('-', "_")));
    }
    Ok(name.replace('_', "-"))
}

/// A value as a flag would have it; none of an empty list, which a flag cannot say.
fn said(name: &str, value: &Value) -> Result<Option<String>, String> {
    let values = match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        _ => Err(format!("{name} is neither a text, a number nor a list of them")),
    };
    let values: Vec<String> = values.iter().map(one).collect::<Result<_, _>>()?;
    Ok((!values.is_empty()).then(|| values.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Settings, Task};

    /// What a command line with this file comes to.
    fn with(text: &str, words: &[&str]) -> Result<CommandLine, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("house.toml");
        std::fs::write(&path, text).unwrap();
        let words = ["wasmchannel"].iter().chain(words).map(OsString::from);
        let file = [OsString::from("--config"), path.into_os_string()];
        read(words.chain(file)).map_err(|error| error.to_string())
    }

    fn settings(text: &str, words: &[&str]) -> Settings {
        let line = with(text, words).unwrap();
        match line.command {
            Some(Task::Serve(settings)) => *settings,
            _ => line.settings,
        }
    }

    const FILE: &str = "
        addr = '127.0.0.1:4000'
        public_url = 'https://chat.example.org'
        trusted_proxies = ['10.0.0.0/8', '::1']

        [limits]
        text_chars = 256
        sends_per_user = '5/s burst 7'
    ";

    #[test]
    fn the_file_says_what_no_flag_says() {
        for words in [&[][..], &["serve"]] {
            let settings = settings(FILE, words);
            assert_eq!(settings.place.addr.port(), 4_000);
            assert!(settings.place.https());
            assert_eq!(settings.trusted_proxies.len(), 2);
            assert_eq!(settings.limits.text_chars, 256);
            assert_eq!(settings.limits.sends_per_user.to_string(), "5/s burst 7");
            assert_eq!(settings.limits.sockets, 10_000, "what it does not name has its default");
        }
        let settings = settings(FILE, &["--limits-text-chars", "300"]);
        assert_eq!(settings.limits.text_chars, 300);
    }

    #[test]
    fn a_list_of_none_says_what_no_flag_says() {
        let empty = settings("trusted_proxies = []", &[]);
        assert!(empty.trusted_proxies.is_empty());
        let given = settings("trusted_proxies = []", &["--trusted-proxies", "::1"]);
        assert_eq!(given.trusted_proxies.len(), 1, "a flag wins");
    }

    #[test]
    fn a_command_with_few_settings_reads_the_same_file() {
        let line = with(FILE, &["setup-link"]).unwrap();
        let Some(Task::SetupLink(place)) = line.command else { panic!("{line:?}") };
        assert_eq!(place.shown_url(), "https://chat.example.org");
    }

    #[test]
    fn what_is_no_setting_or_no_value_is_an_error_that_names_it() {
        for (text, named) in [
            ("prot = 3", "prot is no setting"),
            ("[limits]\nsocket = 3", "limits_socket is no setting"),
            ("public-url = 'x'", "public_url"),
            ("config = 'other.toml'", "config is no setting"),
            ("[limits]\nsockets = 0", "house.toml: limits.sockets cannot be 0: 0 is not in 1..="),
            ("addr = 'x'", "house.toml: addr cannot be x"),
            ("addr = []", "house.toml: addr cannot be an empty list"),
            ("trusted_proxies = [['::1']]", "trusted_proxies is neither"),
            ("[limits]\nsockets = true", "sockets is neither"),
            ("[place]\naddr = 'x'", "place is neither"),
            ("addr = ", "house.toml"),
        ] {
            let words = with(text, &[]).unwrap_err();
            assert!(words.contains(named), "{text}: {words}");
        }
        let words = with(FILE, &["--limits-sockets", "0"]).unwrap_err();
        assert!(!words.contains("house.toml"), "what a flag says is not the file's: {words}");
        let missing = ["wasmchannel", "--config", "/nowhere.toml"].map(OsString::from);
        assert!(read(missing).unwrap_err().to_string().contains("/nowhere.toml"));
    }
}
