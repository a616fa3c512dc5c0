//! The page's files: that a visitor is given what is in the repository, and can tell.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::http::{get, piped};
use crate::server::TestServer;

/// Where the page's files are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("static")
}

/// Every file of the page in the repository, by its path.
fn on_disk() -> BTreeMap<String, Vec<u8>> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder()]);
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder()).expect("inside").to_str().expect("a plain name").to_owned();
                found.insert(name, fs::read(path).expect("a file"));
            }
        }
    }
    found
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_list_of_hashes_is_of_what_is_delivered_and_of_the_repository() {
    let server = TestServer::start_with(&[]).await;
    let answer = get(&server, "/hashes.txt", "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let list = String::from_utf8(answer.body.clone()).expect("a text");
    let lines: Vec<_> = list.lines().map(|line| line.split_once("  ").expect("a hash and a path")).collect();
    let expected: Vec<_> = on_disk().into_iter().map(|(path, bytes)| (sha256(&bytes), path)).collect();
    let same = lines.iter().map(|(hash, path)| ((*hash).to_owned(), (*path).to_owned()));
    assert_eq!(same.collect::<Vec<_>>(), expected, "the files of the repository, in order");

    // What a GET brings, as it is and compressed.
    let mut compressed = 0;
    for (hash, path) in &lines {
        for accepting in ["", "Accept-Encoding: gzip\r\n", "Accept-Encoding: gzip, deflate, br, zstd\r\n"] {
            let answer = get(&server, &format!("/{path}"), accepting).await;
            assert_eq!((answer.status, sha256(&answer.content().await).as_str()), (200, *hash), "{path} {accepting}");
            compressed += usize::from(answer.header("content-encoding").is_some());
        }
    }
    assert!(compressed > lines.len() * 3 / 2, "{compressed} answers for {} files came compressed", lines.len());
    // The addresses without the file's own name.
    for (path, file) in [
        ("/", "index.html"),
        ("/privacy", "privacy.html"),
        ("/accessibility", "accessibility.html"),
        ("/rules", "rules.html"),
        ("/help", "help.html"),
    ] {
        let hash = lines.iter().find(|(_, path)| *path == file).expect("a line").0;
        assert_eq!(sha256(&get(&server, path, "").await.body), hash, "{path}");
    }

    // The command of the README and of the page, in a checkout; and what it says of another page.
    let check = async |list: &str| {
        let mut command = Command::new("sha256sum");
        piped(command.args(["--check", "--strict", "--quiet"]).current_dir(folder()), list.as_bytes()).await
    };
    assert!(check(&list).await.status.success());
    let said = check(&list.replacen(lines[0].0, &sha256(b"another page"), 1)).await;
    assert!(!said.status.success());
    assert_eq!(String::from_utf8_lossy(&said.stdout), format!("{}: FAILED\n", lines[0].1));

    // The binary says the same without being asked over a network.
    let said = Command::new(env!("CARGO_BIN_EXE_sotto")).arg("hashes").output().await.expect("the binary starts");
    assert!(said.status.success() && said.stderr.is_empty());
    assert_eq!(said.stdout, answer.body);
    server.stop().await;
}
