//! What the fuzzer has found, replayed: every input in `tests/fuzz/corpus` reached something that no other did.

use std::{fs, path::Path};

use crate::relay::rules;

fn replay(target: &str, least: usize, rules: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        rules(&fs::read(entry.unwrap().path()).unwrap());
        replayed += 1;
    }
    assert!(replayed >= least, "{replayed}");
}

#[test]
fn datagrams_of_every_kind() {
    replay("datagrams", 50, rules::datagrams);
}

#[test]
fn sequences_of_every_kind() {
    replay("sequences", 50, rules::sequences);
}

#[test]
fn streams_of_every_kind() {
    replay("framing", 20, rules::framing);
}
