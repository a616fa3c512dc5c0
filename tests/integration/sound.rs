//! A sound card for browsers that run none of their audio without one: PulseAudio without hardware.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::server::DEADLINE;

/// A sound server of its own, killed when dropped.
pub struct Sound {
    _child: Child,
    folder: PathBuf,
}

impl Sound {
    /// Starts it, with a sink that leads nowhere, and waits until it serves.
    pub async fn start() -> Self {
        Self::with(&["module-null-sink"]).await
    }

    /// The same with these modules.
    pub async fn with(modules: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("sotto-sound-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let socket = format!("module-native-protocol-unix auth-anonymous=1 socket={}", folder.join("native").display());
        let mut child = Command::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--disable-shm=yes",
                "--use-pid-file=no",
                "-v",
                "--log-target=stderr",
            ])
            .args(modules.iter().flat_map(|module| ["-L", *module]))
            .args(["-L", &socket])
            .env("HOME", &folder)
            .env("XDG_RUNTIME_DIR", &folder)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("pulseaudio, which ./tests/run installs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let serving = timeout(DEADLINE, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("Daemon startup complete") {
                    return true;
                }
            }
            false
        });
        assert!(serving.await.expect("in time"), "pulseaudio does not start");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, folder }
    }

    /// The variable that leads a browser to it.
    pub fn variable(&self) -> (&'static str, String) {
        ("PULSE_SERVER", format!("unix:{}", self.folder.join("native").display()))
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
