//! Every option by each of the three ways.

use std::collections::BTreeSet;

use super::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Quoted in a file.
    Text,
    /// Not quoted in a file.
    Number,
    /// `true` or `false` in a file.
    Switch,
    /// May be given more than once; a list in a file.
    List,
}

use Kind::{List, Number, Switch, Text};

/// An option, three values that it can have, one that it cannot (where any text is one, none), and what it needs beside it.
type Row = (&'static str, Kind, [&'static str; 3], &'static str, &'static [&'static str]);

/// All of them. One that is added has to be added here: see the first test.
const ROWS: &[Row] = &[
    ("listen", Text, ["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"], "nowhere", &[]),
    ("listen-http", Text, ["none", "127.0.0.1:2", "[::1]:3"], "nowhere", &["--domain=a.example"]),
    ("domain", List, ["a.example", "b.example", "c.example"], "192.0.2.1", &[]),
    ("acme-cache", Text, ["a", "b", "c"], "", &["--domain=a.example"]),
    ("acme-contact", Text, ["a@a.example", "b@b.example", "c@c.example"], "somebody", &["--domain=a.example"]),
    ("acme-directory", Text, ["https://a/a", "https://b/b", "https://c/c"], "http://a/a", &["--domain=a.example"]),
    ("acme-root", Text, ["a", "b", "c"], "", &["--domain=a.example"]),
    ("tls-cert", Text, ["a.pem", "b.pem", "c.pem"], "", &["--tls-key=k.pem"]),
    ("tls-key", Text, ["a.pem", "b.pem", "c.pem"], "", &["--tls-cert=c.pem"]),
    ("origin", List, ["https://a.example", "https://b.example", "https://c.example"], "a.example", &[]),
    ("allow-native", Switch, ["yes", "no", "yes"], "perhaps", &[]),
    ("trusted-proxies", List, ["10.0.0.0/8", "::1", "10.1.0.0/16"], "10.0.0.1/8", &[]),
    ("relay-host", Text, ["a.example", "b.example:1", "[::1]"], "turn:a", &[]),
    ("secret-file", Text, ["a", "b", "c"], "", &[]),
    (
        "redis",
        Text,
        ["redis://a", "rediss://:b@b", "redis://c:1/2"],
        "http://a",
        &["--relay-host=a", "--secret-file=a"],
    ),
    ("text-line", Switch, ["yes", "no", "yes"], "maybe", &[]),
    ("age", Number, ["13", "21", "99"], "12", &[]),
    ("ask-rules", Switch, ["yes", "no", "yes"], "2", &[]),
    ("hours", List, ["20:00-23:00 UTC", "mon-fri 20:00-23:00 Europe/Berlin", "sat 14:00-18:00 UTC"], "evenings", &[]),
    ("work-above", Number, ["30", "500", "4000"], "29", &[]),
    ("drain", Number, ["0", "60", "86400"], "86401", &[]),
    ("handover", Switch, ["yes", "no", "yes"], "-1", &[]),
    ("log", Text, ["off", "debug", "trace"], "loud", &[]),
];

/// A file of a test's own, removed when dropped.
struct Options(PathBuf);

impl Options {
    fn new(text: &str) -> Self {
        let path = env::temp_dir().join(format!("sotto-options-{}.toml", uuid::Uuid::new_v4()));
        fs::write(&path, text).expect("a file");
        Self(path)
    }

    fn flag(&self) -> String {
        format!("--config={}", self.0.display())
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn variable(name: &str) -> String {
    format!("SOTTO_{}", name.to_uppercase().replace('-', "_"))
}

fn line(name: &str, kind: Kind, value: &str) -> String {
    match kind {
        Text => format!("{name} = \"{value}\""),
        Number => format!("{name} = {value}"),
        Switch => format!("{name} = {}", value.replace("yes", "true").replace("no", "false")),
        List => format!("{name} = [\"{value}\"]"),
    }
}

/// What comes of these flags, these variables and this file.
fn read(flags: &[String], variables: &[(String, &str)], file: &str) -> Result<String, Stop> {
    let file = Options::new(file);
    let arguments =
        ["sotto".to_owned(), file.flag()].into_iter().chain(flags.iter().cloned()).map(Into::into).collect();
    let variable = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| (*value).into());
    Cli::read_from(arguments, variable).map(|cli| format!("{:?}", cli.config)).map_err(|stop| match stop {
        // Its name is as long as it is: not part of what is compared.
        Stop::Refused(Refused(words)) => Stop::Refused(Refused(words.replace(&file.0.display().to_string(), "FILE"))),
        asked @ Stop::Asked(_) => asked,
    })
}

fn refused(flags: &[String], variables: &[(String, &str)], file: &str) -> String {
    let words = match read(flags, variables, file) {
        Err(Stop::Refused(Refused(words))) => words,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(words.lines().count(), 1, "{words}");
    words
}

fn with(row: &Row, more: &[String]) -> Vec<String> {
    row.4.iter().map(|&flag| flag.to_owned()).chain(more.iter().cloned()).collect()
}

#[test]
fn the_table_has_every_option_and_each_has_a_variable_and_a_place_in_the_manual() {
    let command = command();
    let known: BTreeSet<_> = options(&command).map(|(_, name)| name).filter(|name| *name != CONFIG).collect();
    assert_eq!(known, ROWS.iter().map(|row| row.0).collect());
    for (arg, name) in options(&command) {
        assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(&*variable(name)), "{name}");
        assert!(arg.get_help_heading().is_some(), "{name} is among the rest in --help");
    }
}

#[test]
fn every_option_can_be_set_by_flag_by_environment_and_in_a_file() {
    for row in ROWS {
        let (name, kind, values, ..) = *row;
        let usual = read(&with(row, &[]), &[], "").ok();
        for value in values {
            let flag = read(&with(row, &[format!("--{name}={value}")]), &[], "").expect(name);
            let environment = read(&with(row, &[]), &[(variable(name), value)], "").expect(name);
            let file = read(&with(row, &[]), &[], &line(name, kind, value)).expect(name);
            assert_eq!((&environment, &file), (&flag, &flag), "{name}");
            assert!(usual.as_ref() != Some(&flag) || value == "no", "{name}: {value} changes nothing");
        }
    }
}

#[test]
fn a_flag_comes_before_the_environment_and_that_before_the_file() {
    for row in ROWS {
        let (name, kind, [first, second, third], ..) = *row;
        let alone = |value| read(&with(row, &[format!("--{name}={value}")]), &[], "").expect(name);
        let variables = [(variable(name), second)];
        let file = line(name, kind, third);
        let all = read(&with(row, &[format!("--{name}={first}")]), &variables, &file).expect(name);
        assert_eq!(all, alone(first), "{name}");
        assert_eq!(read(&with(row, &[]), &variables, &file).expect(name), alone(second), "{name}");
        // A variable that is empty is none.
        assert_eq!(read(&with(row, &[]), &[(variable(name), "")], &file).expect(name), alone(third), "{name}");
    }
}

#[test]
fn what_an_option_cannot_be_is_refused_in_a_line_that_says_where_it_is_written() {
    for row in ROWS {
        let (name, kind, _, wrong, _) = *row;
        let words = refused(&with(row, &[format!("--{name}={wrong}")]), &[], "");
        assert!(words.contains(&format!("'--{name}")), "{words}");
        if !wrong.is_empty() {
            let words = refused(&with(row, &[]), &[(variable(name), wrong)], "");
            assert!(words.starts_with(&format!("{}: '{wrong}': ", variable(name))), "{words}");
        }
        let words = refused(&with(row, &[]), &[], &format!("# one\n\n{}\n", line(name, kind, wrong)));
        assert!(words.starts_with("FILE:3: "), "{words}");
        assert!(kind == Switch || words.starts_with(&format!("FILE:3: {name}: '{wrong}': ")), "{words}");
        // Of another kind altogether.
        let other = if kind == Switch { "\"yes\"" } else { "true" };
        let words = refused(&with(row, &[]), &[], &format!("{name} = {other}"));
        assert!(words.starts_with(&format!("FILE:1: {name} ")), "{words}");
    }
}

#[test]
fn what_is_no_option_is_refused_in_a_file() {
    for (file, words) in [
        ("age = 18\nages = 19", "FILE:2: ages: there is no such option in a file; is it age?"),
        ("tls-certificate = \"a\"", "FILE:1: tls-certificate: there is no such option in a file"),
        ("\nconfig = \"a\"", "FILE:2: config: there is no such option in a file"),
        ("help = true", "FILE:1: help: there is no such option in a file"),
        ("[tls]\ncert = \"a\"", "FILE:1: tls: there is no such option in a file"),
        ("[age]\nyears = 18", "FILE:1: age cannot be a table"),
        ("age = [18]", "FILE:1: age is one value and no list"),
        ("age = 18.5", "FILE:1: age cannot have a fraction"),
        ("age = 0x12", "FILE:1: age cannot be a number of that kind"),
        ("origin = [\n  \"https://a.example\",\n  [\"b\"]\n]", "FILE:3: origin cannot be a list in a list"),
        ("log = 2026-11-22", "FILE:1: log cannot be a date"),
        ("tls-cert = \"a\"", "--tls-cert needs --tls-key"),
    ] {
        let refused = refused(&[], &[], file);
        assert!(refused.starts_with(words), "{refused}");
    }
    for file in ["age = 18\nage = 19", "age = ", "age", "age = 18 19", "= 3", "\"age = 3"] {
        let words = refused(&[], &[], file);
        let line = if file.contains('\n') { "FILE:2: " } else { "FILE:1: " };
        assert!(words.starts_with(line), "{file}: {words}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let words = |arguments: &[&str]| match Cli::read_from(arguments.iter().map(Into::into).collect(), |_| None) {
        Err(Stop::Refused(Refused(words))) => words,
        other => panic!("not refused: {other:?}"),
    };
    assert!(words(&["sotto", "--config", "/nowhere"]).starts_with("cannot read options from /nowhere: "));
    // Nothing is made up where the program's name is missing.
    assert!(Cli::read_from(Vec::new(), |_| None).is_ok());
}

#[test]
fn options_are_the_servers_before_a_subcommand_and_behind_it() {
    let file = Options::new("listen = \"127.0.0.1:7\"");
    let listen = |arguments: &[&str]| {
        let cli = Cli::read_from(arguments.iter().map(Into::into).collect(), |_| None).expect("valid");
        assert!(matches!(cli.command, Some(super::super::Command::Healthcheck)));
        cli.config.listen.port()
    };
    assert_eq!(listen(&["sotto", "healthcheck", "--listen", "127.0.0.1:8"]), 8);
    assert_eq!(listen(&["sotto", "--listen", "127.0.0.1:8", "healthcheck"]), 8);
    assert_eq!(listen(&["sotto", "healthcheck", &file.flag()]), 7);
    assert_eq!(listen(&["sotto", "healthcheck", &file.flag(), "--listen", "127.0.0.1:8"]), 8);
}

#[test]
fn every_switch_can_be_turned_off_again() {
    let on = "text-line = true\nask-rules = true";
    let off = ["--text-line=no".to_owned(), "--ask-rules=no".to_owned()];
    assert_eq!(read(&off, &[], on).expect("valid"), read(&[], &[], "").expect("valid"));
    assert_ne!(read(&[], &[], on).expect("valid"), read(&[], &[], "").expect("valid"));
    // A flag that is only named is on, and takes nothing that follows it.
    let named = read(&["--text-line".to_owned(), "--ask-rules".to_owned()], &[], "").expect("valid");
    assert_eq!(named, read(&[], &[], on).expect("valid"));
}

#[test]
fn no_password_is_in_what_is_said_of_a_wrong_url() {
    let wrong = "reddis://:a@secret@redis.example";
    let (variables, file) = ([(variable("redis"), wrong)], line("redis", Text, wrong));
    for said in [
        refused(&[format!("--redis={wrong}")], &[], ""),
        refused(&[], &variables, ""),
        refused(&[], &[], &file),
        refused(&[], &[], &file[..file.len() - 1]),
    ] {
        assert!(!said.contains("secret"), "{said}");
    }
    let right = wrong.replace("reddis", "redis");
    assert!(!refused(&[format!("--redis={right}")], &[], "").contains("secret@"));
}
