//! What stops the server before it has started: one line that says so.

use std::path::Path;
use std::process::{Command, Stdio};

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
