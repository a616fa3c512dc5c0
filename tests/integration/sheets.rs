//! What `sotto print` has for systemd and Docker, as their own programs read it. What it has for proxies is run: see
//! `proxies`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sotto::caller::{Caller, Options};

use crate::server::{DEADLINE, TestServer};
use crate::shim::talk;

/// A folder that is gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("sotto-sheets-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sotto(arguments: &[&str], variables: &[(String, String)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sotto")).args(arguments).envs(variables.iter().cloned()).output().expect("it runs")
}

/// What the binary prints.
pub fn printed(name: &str) -> String {
    let done = sotto(&["print", name], &[]);
    assert!(done.status.success(), "{name}");
    String::from_utf8(done.stdout).expect("a text")
}

fn run(program: &str, arguments: &[&str], file: &Path) -> String {
    let done = Command::new(program).args(arguments).arg(file).output();
    let done = done.unwrap_or_else(|error| panic!("{program} is installed: {error}"));
    let said = [done.stdout, done.stderr].map(|said| String::from_utf8(said).expect("a text")).concat();
    assert!(done.status.success(), "{program}: {said}");
    said
}

/// Whether the server would take these variables, but for the port and the folder, which are not this machine's.
fn assert_understood(variables: &[(String, String)]) {
    let folder = Folder::new();
    let here = |(name, value): &(String, String)| match name.as_str() {
        "SOTTO_ACME_CACHE" => (name.clone(), folder.0.join("kept").display().to_string()),
        _ => (name.clone(), value.clone()),
    };
    let mut variables: Vec<_> = variables.iter().map(here).collect();
    variables.push(("SOTTO_LISTEN".to_owned(), "127.0.0.1:0".to_owned()));
    variables.push(("SOTTO_LISTEN_HTTP".to_owned(), "127.0.0.1:0".to_owned()));
    let done = sotto(&["check-config"], &variables);
    let said = String::from_utf8(done.stdout).expect("a text");
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("calls go on for 600 s at most") && said.contains("for talk.example.org"), "{said}");
}

#[test]
fn systemd_takes_the_service() {
    let unit = printed("systemd");
    let folder = Folder::new();
    let command = "ExecStart=/usr/local/bin/sotto\n";
    assert!(unit.contains(command), "{unit}");
    let file =
        folder.put("sotto.service", &unit.replace(command, &format!("ExecStart={}\n", env!("CARGO_BIN_EXE_sotto"))));
    assert_eq!(run("systemd-analyze", &["verify", "--man=no"], &file), "");
    // From 0 to 100, where 20 is what it calls well.
    run("systemd-analyze", &["security", "--offline=true", "--threshold=20", "--no-pager"], &file);
    let variables = unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
    let variables: Vec<_> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_understood(&variables);
    let drain = "SOTTO_DRAIN".to_owned();
    assert!(
        variables.contains(&(drain, "600".to_owned())) && unit.contains("TimeoutStopSec=660"),
        "it waits for longer"
    );
    // A line that systemd does not know would be a warning, and so is found above.
    let wrong = folder
        .put("wrong.service", &unit.replace("ProtectHome=", "ProtectHouse=").replace(command, "ExecStart=/bin/true\n"));
    assert!(run("systemd-analyze", &["verify", "--man=no"], &wrong).contains("ProtectHouse"));
}

/// The system calls of systemd's sets, by the names of the sets.
fn allowed(set: &str, all: &str) -> BTreeSet<String> {
    let own = all.lines().skip_while(|line| *line != set).skip(1).take_while(|line| !line.starts_with('@'));
    let names = own.map(str::trim).filter(|name| !name.is_empty() && !name.starts_with('#'));
    names.flat_map(|name| if name.starts_with('@') { allowed(name, all) } else { [name.to_owned()].into() }).collect()
}

/// Everything that the service may not ask of the system it does not ask: not for a call, and not for hearing oneself.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_has_every_system_call_that_it_needs() {
    let folder = Folder::new();
    let trace = folder.0.join("trace");
    let mut command = tokio::process::Command::new("strace");
    command.args(["-f", "-qqq", "-o"]).arg(&trace).args([env!("CARGO_BIN_EXE_sotto"), "--allow-native"]);
    let server = TestServer::start_as(command.env("SOTTO_LISTEN", "127.0.0.1:0")).await;
    talk(&server.ws()).await;
    let mut caller = Caller::connect(&server.ws(), Options::default()).await.expect("a welcome");
    caller.hear_yourself().await.expect("somebody");
    let mut call = caller.call(DEADLINE).await.expect("a call");
    call.connected().await.expect("connected");
    call.leave().await.expect("idle").close().await;
    // It is strace that was started.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.pid())).expect("a list");
    assert!(Command::new("kill").args(["-TERM", children.trim()]).status().expect("kill runs").success());
    server.ended().await;

    let unit = printed("systemd");
    assert!(unit.contains("SystemCallFilter=@system-service\n"), "{unit}");
    let sets = run("systemd-analyze", &["--no-pager"], Path::new("syscall-filter"));
    let allowed: BTreeSet<_> = ["@system-service", "@default"].iter().flat_map(|set| allowed(set, &sets)).collect();
    assert!(allowed.len() > 200 && !allowed.contains("reboot"), "{allowed:?}");
    let trace = std::fs::read_to_string(&trace).expect("a trace");
    let name = |line: &str| {
        let (_, call) = line.split_once(' ')?;
        let (name, _) = call.trim_start().split_once('(')?;
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then(|| name.to_owned())
    };
    let asked: BTreeSet<_> = trace.lines().filter_map(name).collect();
    assert!(asked.contains("recvmmsg") && asked.contains("sendmmsg"), "{asked:?}");
    assert_eq!(asked.difference(&allowed).collect::<Vec<_>>(), Vec::<&String>::new());
    let families: BTreeSet<_> = trace.split("socket(AF_").skip(1).filter_map(|rest| rest.split(',').next()).collect();
    let line = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies=")).expect("a line");
    for family in families {
        assert!(line.split(' ').any(|known| known == format!("AF_{family}")), "{family} is not in {line}");
    }
}

#[test]
fn docker_compose_takes_the_file() {
    let folder = Folder::new();
    let file = folder.put("compose.yaml", &printed("compose"));
    let whole = Command::new("docker-compose").args(["config", "--no-interpolate"]).current_dir(&folder.0).output();
    let whole = whole.expect("docker-compose is installed");
    let said = String::from_utf8(whole.stdout).expect("a text");
    assert!(whole.status.success(), "{said}{}", String::from_utf8_lossy(&whole.stderr));
    // As it has understood it, a line for each.
    let lines: BTreeSet<_> = said.lines().map(|line| line.trim().trim_start_matches("- ")).collect();
    for line in
        ["read_only: true", "no-new-privileges:true", "ALL", "stop_grace_period: 11m", "certificates:/certificates:rw"]
    {
        assert!(lines.contains(line), "{line} is not in {said}");
    }
    let ports = said.split("protocol: ").skip(1).map(|port| port.split_whitespace().collect::<Vec<_>>().join(" "));
    let ports: Vec<_> = ports.map(|port| port.split(" - ").next().unwrap_or_default().to_owned()).collect();
    for port in ["tcp published: 80 target: 80", "tcp published: 443 target: 443", "udp published: 443 target: 443"] {
        assert!(ports.iter().any(|known| known.starts_with(port)), "{port} is not in {ports:?}");
    }
    let variables = lines.iter().filter(|line| line.starts_with("SOTTO_")).filter_map(|line| line.split_once(": "));
    let variables: Vec<_> =
        variables.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect();
    assert_eq!(variables.len(), 3, "{said}");
    assert_understood(&variables);
    // The image has that folder, and these are the ports that it names.
    let image = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).expect("a file");
    assert!(image.contains(" /certificates /certificates\n") && image.contains("443/tcp 443/udp 80/tcp"), "{image}");

    let wrong = std::fs::read_to_string(&file).expect("a file").replace("read_only:", "reed_only:");
    std::fs::write(&file, wrong).expect("a file");
    let done = Command::new("docker-compose").arg("config").current_dir(&folder.0).output().expect("it runs");
    assert!(!done.status.success(), "anything is taken");
}

#[test]
fn every_sheet_is_in_the_manual_and_says_whose_name_to_change() {
    let done = sotto(&["print", "--help"], &[]);
    let manual = String::from_utf8(done.stdout).expect("a text");
    for name in ["nginx", "haproxy", "caddy", "systemd", "compose"] {
        assert!(manual.contains(name), "{name} is not in {manual}");
        let text = printed(name);
        assert!(text.contains("Put your name in") && text.contains("talk.example.org"), "{name}");
    }
    let done = sotto(&["print", "apache"], &[]);
    assert_eq!(done.status.code(), Some(2));
    let said = String::from_utf8(done.stderr).expect("a text");
    assert_eq!(said.lines().count(), 1, "{said}");
}
