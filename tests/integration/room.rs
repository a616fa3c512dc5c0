//! A room in which somebody speaks or nobody does, and the microphone in it: PulseAudio without hardware. Browsers take
//! it for a machine's own, so that everything between a microphone and the wire is the real thing.

use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

use crate::browser::Scratch;
use crate::sound::Sound;

/// What is said: every vowel, plosives, fricatives and pauses.
const SENTENCES: &str = "She had your dark suit in greasy wash water all year. Don't ask me to carry an oily rag like \
    that. The quick brown fox jumps over the lazy dog! And then, he sits down in the sun, and thinks about the six \
    thick thistle sticks. How are you today? I would rather listen for a while, if that is all right with you.";

/// Of a recording by espeak-ng; the samples follow.
const HEAD_BYTES: usize = 44;

/// Ends when dropped.
pub struct Room {
    /// For the browsers that are in it.
    pub sound: Sound,
    spoken: PathBuf,
    quiet: PathBuf,
    speaker: Option<Child>,
    _folder: Scratch,
}

impl Room {
    /// A quiet one.
    pub async fn new() -> Self {
        let sound = Sound::with(&[
            "module-null-sink sink_name=air rate=48000 channels=1",
            "module-null-sink sink_name=ears rate=48000 channels=2",
            // Browsers leave monitors out of their lists.
            "module-remap-source source_name=microphone master=air.monitor",
        ])
        .await;
        let folder = Scratch::new();
        for (what, name) in [("set-default-sink", "ears"), ("set-default-source", "microphone")] {
            let done = Command::new("pactl").args([what, name]).envs([sound.variable()]).status().await;
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
        let mut room = Self { sound, spoken, quiet, speaker: None, _folder: folder };
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
            .envs([self.sound.variable()])
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
