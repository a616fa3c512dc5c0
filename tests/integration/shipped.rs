//! The binary as the image runs it: somebody without rights, on a file system that cannot be written, with the health
//! check that the image names. Needs root, as the tests' own installation does.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::server::{DEADLINE, TestServer};

/// Everything mounted read-only, no capability left, and the user that the image's base names `nonroot`.
const CONFINED: &str = r#"
    set -e
    mount -o remount,ro,bind /
    if touch "$HOME/sotto-was-here" 2>/dev/null; then echo "the file system can be written"; exit 1; fi
    exec setpriv --reuid 65532 --regid 65532 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"#;

#[tokio::test]
async fn it_runs_unprivileged_and_writes_nothing() {
    // Where everybody may read it, unlike the home of whoever runs the tests.
    let binary = std::env::temp_dir().join(format!("sotto-shipped-{}", uuid::Uuid::new_v4()));
    std::fs::copy(env!("CARGO_BIN_EXE_sotto"), &binary).expect("a copy");
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).expect("permissions");
    let mut child = Command::new("unshare")
        .args(["--mount", "sh", "-c", CONFINED, "sh"])
        .arg(&binary)
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("unshare, which every Debian has");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.expect("in time").expect("a pipe").expect("a line");
    let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}"));

    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().expect("it runs"))).expect("a status");
    for expected in ["Uid:\t65532\t65532\t65532\t65532", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(expected), "{expected} in {status}");
    }
    let check = |address: &str| Command::new(&binary).args(["healthcheck", "--listen", address]).status();
    assert!(check(address).await.expect("it runs").success());
    child.kill().await.expect("it ends");
    assert!(!check(address).await.expect("it runs").success(), "nobody is well who is not there");
    std::fs::remove_file(binary).expect("the copy");
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_in_one_line() {
    let server = TestServer::start().await;
    let listen = format!("127.0.0.1:{}", server.port);
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["--listen", &listen])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut text = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut text).await.expect("text");
    let status = timeout(DEADLINE, child.wait()).await.expect("in time").expect("a status");
    assert!(!status.success());
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with(&format!("sotto: cannot listen on {listen}")), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn ctrl_c_ends_it_as_sigterm_does() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sotto"))
        .args(["--listen", "[::1]:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.expect("in time").expect("a pipe").expect("a line");
    assert!(line.starts_with("listening on http://[::1]:"), "{line}");
    let pid = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.expect("kill runs").success());
    assert!(timeout(DEADLINE, child.wait()).await.expect("in time").expect("a status").success());
}
