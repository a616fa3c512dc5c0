//! Where options come from: flags first, then the environment, then a file. Whatever is an option by flag is one by the
//! other two, under the same name and by the same rules, because each of theirs becomes a flag that nobody has given.

use std::any::TypeId;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::builder::{BoolishValueParser, OsStr, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::Cli;

/// The option that says where the file is, and that cannot stand in it.
const CONFIG: &str = "config";

/// What a subcommand says of itself: the options are the server's, and its manual has them.
const SUBCOMMAND_HELP: &str =
    "{about}\n\n{usage-heading} {usage}\n{positionals}\n\nThe options are those of sotto --help.\n";

/// Why there is nothing to run.
#[derive(Debug)]
pub enum Stop {
    /// Help or the version was asked for; printing it is clap's.
    Asked(Box<clap::Error>),
    /// An option is wrong.
    Refused(Refused),
}

/// What is wrong with an option, and where it is written, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Cli {
    /// Reads what this process was started with.
    ///
    /// # Errors
    ///
    /// When help was asked for, or an option is unknown or its value impossible, wherever it is written.
    pub fn read() -> Result<Self, Stop> {
        Self::read_from(env::args_os().collect(), |name| env::var_os(name))
    }

    /// Reads these arguments, the program's name first, in this environment. Variables that are no option are nobody's
    /// mistake: Kubernetes sets some for any service that is called `sotto`.
    ///
    /// # Errors
    ///
    /// As [`Cli::read`].
    pub fn read_from(arguments: Vec<OsString>, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Stop> {
        // clap's own reading of the environment would not say which variable is wrong.
        let bare = command().mut_args(|arg| arg.env(Resettable::<OsStr>::Reset));
        let given = match bare.clone().try_get_matches_from(&arguments) {
            Ok(given) => given,
            // Again, so that it names the variables.
            Err(error) if !error.use_stderr() => {
                return Err(Stop::Asked(Box::new(command().try_get_matches_from(&arguments).err().unwrap_or(error))));
            }
            Err(error) => return Err(Refused(first_line(&error)).into()),
        };
        let mut more = from_environment(&bare, &given, variable)?;
        let all = |more: &[OsString]| {
            let mut all = arguments.clone();
            // Before a subcommand's name, where the server's options are.
            all.splice(all.len().min(1)..all.len().min(1), more.iter().cloned());
            bare.clone().try_get_matches_from(all).map_err(|error| Refused(first_line(&error)))
        };
        let mut matches = all(&more)?;
        if let Some(path) = matches.get_one::<PathBuf>(CONFIG) {
            more.extend(from_file(&bare, &matches, path)?);
            matches = all(&more)?;
        }
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| Refused(first_line(&error)))?;
        // Not a default of clap's that depends on another option: a subcommand would not see what stands before it.
        cli.config.move_to_domain(matches.value_source("listen") != Some(ValueSource::DefaultValue));
        cli.config.check()?;
        Ok(cli)
    }
}

/// The command line, with every option of the server's in front of a subcommand and behind it.
pub fn command() -> Command {
    Cli::command()
        .mut_args(|arg| {
            let arg = arg.global(true).hide_env_values(true);
            // So that the environment can take back what the file says, and a flag what the environment does.
            if !matches!(arg.get_action(), ArgAction::SetTrue) {
                return arg;
            }
            arg.action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .value_name("yes|no")
                .default_missing_value("yes")
                .default_value("no")
                .hide_default_value(true)
                .hide_possible_values(true)
                .value_parser(BoolishValueParser::new())
        })
        .mut_subcommands(|subcommand| subcommand.help_template(SUBCOMMAND_HELP))
}

/// The options that take a value, by the name of their flag.
fn options(bare: &Command) -> impl Iterator<Item = (&Arg, &str)> {
    // Help and version have no value, and no place in a file.
    let settable = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    bare.get_arguments().filter(settable).filter_map(|arg| Some((arg, arg.get_long()?)))
}

fn is_given(matches: &ArgMatches, arg: &Arg) -> bool {
    matches!(matches.value_source(arg.get_id().as_str()), Some(ValueSource::CommandLine))
}

/// What the environment has that no flag says, as flags.
fn from_environment(
    bare: &Command,
    given: &ArgMatches,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, Refused> {
    let mut flags = Vec::new();
    let with_names = command();
    for (arg, name) in options(&with_names) {
        let Some(env) = arg.get_env().and_then(|env| env.to_str()) else { continue };
        let Some(value) = variable(env).filter(|value| !value.is_empty() && !is_given(given, arg)) else { continue };
        let flag = flag(name, &value);
        try_alone(bare, &flag)
            .map_err(|why| Refused(format!("{env}: '{}': {}", without_password(&value.to_string_lossy()), why.text)))?;
        flags.push(flag);
    }
    Ok(flags)
}

/// What the file has that neither a flag nor the environment says, as flags.
fn from_file(bare: &Command, given: &ArgMatches, path: &Path) -> Result<Vec<OsString>, Refused> {
    let text = fs::read_to_string(path)
        .map_err(|error| Refused(format!("cannot read options from {}: {error}", path.display())))?;
    let at = |span: Range<usize>, words: &str| {
        let line = 1 + text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count();
        Refused(format!("{}:{line}: {words}", path.display()))
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let words = error.message().lines().collect::<Vec<_>>().join(", ");
        at(error.span().unwrap_or_default(), &words)
    })?;
    let mut flags = Vec::new();
    for (key, value) in table.get_ref() {
        let (name, span) = (key.get_ref().as_ref(), key.span());
        let Some((arg, _)) = options(bare).find(|(_, long)| *long == name && name != CONFIG) else {
            let like = try_alone(bare, &flag(name, &"".into())).err().and_then(|why| why.like);
            let like = like.map(|like| format!("; is it {like}?")).unwrap_or_default();
            return Err(at(span, &format!("{name}: there is no such option in a file{like}")));
        };
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let values = match value.get_ref() {
            DeValue::Array(values) if is_list => values.iter().collect(),
            DeValue::Array(_) => return Err(at(span, &format!("{name} is one value and no list"))),
            _ => vec![value],
        };
        for value in values {
            let text = scalar(arg, value.get_ref()).map_err(|why| at(value.span(), &format!("{name} {why}")))?;
            let flag = flag(name, &text.into());
            try_alone(bare, &flag)
                .map_err(|why| at(value.span(), &format!("{name}: '{}': {}", without_password(text), why.text)))?;
            if !is_given(given, arg) {
                flags.push(flag);
            }
        }
    }
    Ok(flags)
}

/// A value as a flag has it. What is on or off takes that; a text has quotes, a number has none.
///
/// # Errors
///
/// Why the value is of no use.
fn scalar<'a>(arg: &Arg, value: &'a DeValue<'_>) -> Result<&'a str, &'static str> {
    let is_switch = arg.get_value_parser().type_id() == TypeId::of::<bool>();
    match value {
        DeValue::Boolean(on) if is_switch => Ok(if *on { "yes" } else { "no" }),
        _ if is_switch => Err("is true or false, without quotes"),
        DeValue::String(text) => Ok(text),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str()),
        DeValue::Integer(_) => Err("cannot be a number of that kind"),
        DeValue::Boolean(_) => Err("cannot be true or false"),
        DeValue::Float(_) => Err("cannot have a fraction"),
        DeValue::Datetime(_) => Err("cannot be a date"),
        DeValue::Array(_) => Err("cannot be a list in a list"),
        DeValue::Table(_) => Err("cannot be a table"),
    }
}

fn flag(name: &str, value: &OsString) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

/// What clap says against one option.
struct Why {
    text: String,
    /// The option that may have been meant.
    like: Option<String>,
}

/// Gives this one flag to clap and nothing else.
fn try_alone(bare: &Command, flag: &OsString) -> Result<(), Why> {
    let Err(error) = bare.clone().try_get_matches_from([&OsString::from("sotto"), flag]) else { return Ok(()) };
    let reason = std::error::Error::source(&error).map(ToString::to_string);
    let text = match error.kind() {
        ErrorKind::ValueValidation => reason.unwrap_or_else(|| first_line(&error)),
        ErrorKind::InvalidUtf8 => "not UTF-8".to_owned(),
        ErrorKind::InvalidValue => "a value is missing".to_owned(),
        _ => first_line(&error),
    };
    let like = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(like)) => Some(like.trim_start_matches("--").to_owned()),
        _ => None,
    };
    Err(Why { text, like })
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let words = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if !value.is_empty() => words.replace(value, &without_password(value)),
        _ => words.to_owned(),
    }
}

/// A value that is wrong, as it can be logged by whatever has started us: without what a URL has in front of its host.
fn without_password(value: &str) -> String {
    match (value.find("://"), value.rfind('@')) {
        (Some(scheme), Some(host)) if scheme < host => format!("{}://…{}", &value[..scheme], &value[host..]),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
