//! What stops the server before it has started, or as soon as it has: one line that says so.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::relay::threads::Shared;
use crate::tls::Identity;

/// Starts the server where it must not start, and returns what it says.
fn refused(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(arguments)
        .env("SOTTO_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    assert!(!done.status.success(), "{arguments:?} starts");
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
    assert_eq!(refused(&["--tls-cert", certificate]), "sotto: --tls-cert needs --tls-key\n");
    assert_eq!(refused(&["--tls-key", key]), "sotto: --tls-key needs --tls-cert\n");
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
