//! Cores, and what `/proc` says of a process.

use std::{fs, time::Duration};

use anyhow::Context;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::Pid,
};

/// Which core somebody runs on; on one with a single core, both are that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Core {
    Server,
    Callers,
}

/// Moves this thread, and whatever process it starts, to a core.
pub fn stay_on(core: Core) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).max(CORES);
    let mut set = CpuSet::new();
    set.set(if core == Core::Server { 0 } else { 1.min(cores - 1) })?;
    sched_setaffinity(Pid::from_raw(0), &set).context("choosing a core")
}

/// As many as are used. (Once it is on one core, a thread is told that there is one.)
const CORES: usize = 2;

/// As many files as the system lets us have: coturn opens one for each allocation.
pub fn allow_many_files() -> anyhow::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(())
}

/// The CPU time that all threads of a process have had. (`/proc/PID/stat` says the same in hundredths of a second;
/// this is in nanoseconds.)
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let spent = text.split_whitespace().next().context("no time")?;
        total += spent.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// The resident memory of a process that is its own, in kilobytes.
pub fn memory(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find(|line| line.starts_with("RssAnon:")).context("no memory")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}
