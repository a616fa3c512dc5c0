//! What stops the server before it has started, or as soon as it has: one line that says so. And what says beforehand
//! whether it would.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::relay::threads::Shared;
use crate::tls::Identity;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(arguments)
        .env("SOTTO_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts")
}

/// Starts the server where it must not start, because something is not there or not right, and returns what it says.
fn refused(arguments: &[&str]) -> String {
    refused_with(1, arguments)
}

/// Starts the server where it must not start, and returns what it says.
fn refused_with(status: i32, arguments: &[&str]) -> String {
    let done = run(arguments);
    assert_eq!(done.status.code(), Some(status), "{arguments:?}");
    assert!(done.stdout.is_empty(), "{arguments:?} listens");
    let said = String::from_utf8(done.stderr).expect("a text");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("sotto: "), "{said}");
    said
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

#[test]
fn a_certificate_and_a_key_that_do_not_fit_are_named() {
    let (one, other) = (Identity::new(), Identity::new());
    let (certificate, key) = (text(&one.certificate), text(&one.key));
    assert_eq!(refused_with(2, &["--tls-cert", certificate]), "sotto: --tls-cert needs --tls-key\n");
    assert_eq!(refused_with(2, &["--tls-key", key]), "sotto: --tls-key needs --tls-cert\n");
    for (certificate, key, words) in [
        ("/nowhere", key, "cannot read certificates from /nowhere"),
        (certificate, "/nowhere", "cannot read a private key from /nowhere"),
        (key, key, "no certificate in"),
        (certificate, certificate, "cannot read a private key from"),
        (certificate, text(&other.key), "is not of"),
    ] {
        let said = refused(&["--tls-cert", certificate, "--tls-key", key]);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn an_option_that_cannot_be_is_named_with_where_it_is_written() {
    let identity = Identity::new();
    let file = identity.key.with_file_name("sotto.toml");
    std::fs::write(&file, "# ours\ndrain = 60\nage = 12\n").expect("a file");
    let file = text(&file);
    for arguments in [&["--config", file][..], &["check-config", "--config", file], &["healthcheck", "--config", file]]
    {
        assert_eq!(refused_with(2, arguments), format!("sotto: {file}:3: age: '12': 12 is not in 13..=99\n"));
    }
    assert!(refused_with(2, &["--ages", "20"]).contains("unexpected argument '--ages'"));
    assert!(refused_with(2, &["serve"]).contains("unrecognized subcommand 'serve'"));
    let done =
        Command::new(env!("CARGO_BIN_EXE_sotto")).env("SOTTO_DRAIN", "a while").output().expect("the binary starts");
    assert_eq!(done.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "sotto: SOTTO_DRAIN: 'a while': invalid digit found in string\n");
}

#[test]
fn help_is_the_manual() {
    let done = run(&["--help"]);
    assert!(done.status.success());
    let manual = String::from_utf8(done.stdout).expect("a text");
    for words in
        ["What to open in the firewall", "SOTTO_RELAY_HOST", "Behind a reverse proxy:", "Examples:", "Exit status:"]
    {
        assert!(manual.contains(words), "{words} is missing");
    }
    assert!(manual.lines().all(|line| line.chars().count() <= 100), "a line is too long for a terminal");
}

/// What `check-config` says, and its exit status.
fn checked(arguments: &[&str]) -> (Option<i32>, String) {
    let done = run(&[&["check-config"], arguments].concat());
    (done.status.code(), String::from_utf8(done.stdout).expect("a text"))
}

#[test]
fn a_check_says_what_would_be_and_takes_nothing() {
    let identity = Identity::new();
    let flags = identity.flags();
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    for _ in 0..2 {
        let (status, said) = checked(&[&flags[..], &["--listen", &port, "--drain", "60", "--text-line"]].concat());
        assert_eq!(status, Some(0), "{said}");
        for words in [
            &format!("well   Listens on {port}, TCP and UDP\n")[..],
            "well   HTTPS with a certificate for localhost, 127.0.0.1, which the key fits, until ",
            "voice and text\n",
            "for 60 s at most\n",
        ] {
            assert!(said.contains(words), "{words} is not in {said}");
        }
    }
    let (status, said) = checked(&["--domain", "talk.example.org", "--listen-http", "127.0.0.1:0"]);
    assert_eq!(status, Some(0), "{said}");
    for words in [
        "well   Listens on 127.0.0.1:0, TCP, and sends whoever comes by HTTP to HTTPS\n",
        "well   HTTPS with a certificate for talk.example.org that https://acme-v02.api.letsencrypt.org/directory gives\n",
        "note   The certificate is kept in memory alone",
    ] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    let shared = [
        "--redis",
        "rediss://:password@redis.example",
        "--relay-host",
        "a.example",
        "--secret-file",
        text(&identity.key),
    ];
    let (status, said) = checked(&[&shared[..], &["--listen", "127.0.0.1:0"]].concat());
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("with other servers by the Redis at redis.example:6379, which"), "{said}");
    assert!(!said.contains("password"), "{said}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (status, said) = checked(&["--listen", &taken.local_addr().expect("an address").to_string()]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("taken at the moment"), "{said}");
}

#[test]
fn a_check_finds_what_would_go_wrong() {
    let (one, other) = (Identity::new(), Identity::new());
    let (certificate, key) = (text(&one.certificate), text(&one.key));
    for (arguments, words) in [
        (&["--tls-cert", certificate, "--tls-key", text(&other.key)][..], "is not of"),
        (&["--tls-cert", "/nowhere", "--tls-key", key], "WRONG  cannot read certificates from /nowhere"),
        (
            &["--domain", "talk.example.org", "--acme-cache", "/proc/nowhere"],
            "WRONG  cannot keep certificates in /proc/nowhere",
        ),
        (
            &["--domain", "talk.example.org", "--acme-root", "/nowhere"],
            "WRONG  cannot read the authority's root from /nowhere",
        ),
        (&["--domain", "talk.example.org", "--acme-root", key], "WRONG  no certificate in"),
        (&["--secret-file", "/nowhere"], "WRONG  cannot read a secret from /nowhere"),
        // TEST-NET-1 (RFC 5737) is no machine's.
        (&["--listen", "192.0.2.1:8080"], "WRONG  cannot listen on 192.0.2.1:8080: "),
    ] {
        let (status, said) = checked(arguments);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(words), "{words} is not in {said}");
    }
    for (from, until, words) in [(2001, 2002, "was valid until 2002-01-01"), (2998, 2999, "is not valid yet")] {
        let identity = Identity::valid(from, until);
        let (status, said) = checked(&identity.flags());
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn a_secret_that_could_be_guessed_is_refused() {
    let identity = Identity::new();
    let file = identity.key.with_file_name("secret");
    std::fs::write(&file, " \nfifteen bytes..\n\n").expect("a file");
    let said = refused(&["--secret-file", text(&file)]);
    assert!(said.contains("is shorter than 16 bytes"), "{said}");
    assert!(!said.contains("fifteen"), "{said}");
    let said = refused(&["--secret-file", "/nowhere"]);
    assert!(said.contains("cannot read a secret from /nowhere"), "{said}");
}

/// The sockets of a relay that has been full let others in who ask for it. A server does not.
#[test]
fn a_second_server_takes_no_callers_from_a_relay_of_several_threads() {
    let relay = Shared::bind("127.0.0.1:0");
    let listen = relay.address.to_string();
    let expected = format!("sotto: cannot listen on {listen}: Address already in use (os error 98)\n");
    assert_eq!(refused(&["--listen", &listen]), expected, "without its TCP port");
    let _tcp = TcpListener::bind(relay.address).expect("a free port");
    assert_eq!(refused(&["--listen", &listen]), expected);
}

/// A relay that can hear nobody is not kept: whoever has started the server can start it again.
#[test]
fn a_server_whose_relay_fails_says_so_and_ends() {
    let done = Command::new("strace")
        .args(["-f", "-qqq", "-o", "/dev/null", "-e", "trace=recvmmsg", "-e", "inject=recvmmsg:error=EIO"])
        .args([env!("CARGO_BIN_EXE_sotto"), "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .output()
        .expect("strace");
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stdout.starts_with(b"listening on "));
    let said = String::from_utf8(done.stderr).expect("a text");
    assert!(said.contains("the relay cannot receive"), "{said}");
    assert_eq!(said.lines().last(), Some("sotto: the relay has failed"), "{said}");
}
