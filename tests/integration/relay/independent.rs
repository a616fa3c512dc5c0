//! aioice, a TURN client from PyPI that shares no code with ours, talks to itself through the relay.
//!
//! `tests/run` installs it; by hand: `python3 -m venv target/tools/python` and
//! `target/tools/python/bin/pip install aioice==0.13.0`.

use std::{path::Path, process::Command};

use sotto::protocol::Side;

use super::{CALL, Relay};

#[test]
fn a_client_of_another_make_talks_through_the_relay() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/tools/python/bin/python");
    assert!(python.exists(), "aioice, which ./tests/run installs");
    let relay = Relay::start("127.0.0.1:0");
    let mut talk = Command::new(python);
    talk.arg(root.join("tests/integration/relay/independent.py")).arg(relay.address.port().to_string());
    for side in [Side::A, Side::B] {
        let credentials = relay.mint(CALL, side);
        talk.args([credentials.username, credentials.credential]);
    }
    let output = talk.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), "100 each way");
}
