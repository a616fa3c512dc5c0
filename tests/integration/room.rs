//! A room in which somebody speaks or nobody does, and the microphone in it: PulseAudio without hardware. Browsers take
//! it for a machine's own, so that everything between a microphone and the wire is the real thing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::browser::Scratch;
use crate::server::DEADLINE;

/// What is said: every vowel, plosives, fricatives and pauses.
const SENTENCES: &str = "She had your dark suit in greasy wash water all year. Don't ask me to carry an oily rag like \
    that. The quick brown fox jumps over the lazy dog! And then, he sits down in the sun, and thinks about the six \
    thick thistle sticks. How are you today? I would rather listen for a while, if that is all right with you.";

/// Of a recording by espeak-ng; the samples follow.
const HEAD_BYTES: usize = 44;

/// Ends when dropped.
pub struct Room {
    /// For the `PULSE_SERVER` of whoever is in it.
    pub server: String,
    spoken: PathBuf,
    quiet: PathBuf,
    speaker: Option<Child>,
    _pulse: Child,
    _folder: Scratch,
}

impl Room {
    /// A quiet one.
    pub async fn new() -> Self {
        let folder = Scratch::new();
        let socket = folder.0.join("socket");
        let server = format!("unix:{}", socket.display());
        let mut pulse = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes", "--use-pid-file=no"])
            .args(["-v", "--log-target=stderr", "--log-time=no"])
            .args(["-L", "module-null-sink sink_name=air rate=48000 channels=1"])
            .args(["-L", "module-null-sink sink_name=ears rate=48000 channels=2"])
            // Browsers leave monitors out of their lists.
            .args(["-L", "module-remap-source source_name=microphone master=air.monitor"])
            .arg("-L")
            .arg(format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display()))
            .envs([("HOME", &folder.0), ("XDG_RUNTIME_DIR", &folder.0)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("pulseaudio, which tests/run installs");
        let up = watch::Sender::new(false);
        let mut lines = BufReader::new(pulse.stderr.take().expect("a pipe")).lines();
        let mut is_up = up.subscribe();
        // Its output has to be read for as long as it runs.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("Daemon startup complete") {
                    up.send_replace(true);
                }
            }
        });
        timeout(DEADLINE, is_up.wait_for(|up| *up)).await.expect("in time").expect("pulseaudio starts");
        for (what, name) in [("set-default-sink", "ears"), ("set-default-source", "microphone")] {
            let done = Command::new("pactl").args([what, name]).env("PULSE_SERVER", &server).status().await;
            assert!(done.is_ok_and(|status| status.success()), "{what} {name}");
        }
        let speech = folder.0.join("speech.wav");
        let spoken = Command::new("espeak-ng").arg("-w").arg(&speech).arg(SENTENCES).status().await;
        assert!(spoken.is_ok_and(|status| status.success()), "espeak-ng, which tests/run installs");
        let speech = std::fs::read(speech).expect("a recording");
        let (head, samples) = speech.split_at(HEAD_BYTES);
        let samples: Vec<i16> = samples.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
        let record = |name: &str, loud: i16| {
            let file = folder.0.join(name);
            let noisy = samples.iter().zip(noise()).map(|(sample, noise)| (sample * loud).saturating_add(noise));
            let bytes: Vec<u8> = head.iter().copied().chain(noisy.flat_map(i16::to_le_bytes)).collect();
            std::fs::write(&file, bytes).expect("a file");
            file
        };
        let (spoken, quiet) = (record("spoken.wav", 1), record("quiet.wav", 0));
        let mut room = Self { server, spoken, quiet, speaker: None, _pulse: pulse, _folder: folder };
        room.hush();
        room
    }

    /// Somebody speaks, from the beginning.
    pub fn speak(&mut self) {
        self.speaker = Some(self.play(&self.spoken));
    }

    /// Nobody speaks. No room is without a sound, and a microphone that gives nothing but zeros is taken for dead.
    pub fn hush(&mut self) {
        self.speaker = Some(self.play(&self.quiet));
    }

    fn play(&self, file: &Path) -> Child {
        Command::new("paplay")
            .args(["--device=air", "--latency-msec=20"])
            .arg(file)
            .env("PULSE_SERVER", &self.server)
            .kill_on_drop(true)
            .spawn()
            .expect("paplay")
    }
}

/// What a quiet room has, about 60 dB below full scale.
fn noise() -> impl Iterator<Item = i16> {
    let mut state = 1_u32;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 26) as i16 - 32
    })
}
