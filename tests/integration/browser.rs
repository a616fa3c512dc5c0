//! A visitor in a real browser, driven through the page's own hooks.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::room::Room;
use crate::server::DEADLINE;
use crate::sound::Sound;
use crate::wire::check_frame;

/// Whether Firefox has a microphone of its own making.
const FAKE: bool = true;

/// What visitors read where nothing else is said.
const ENGLISH: &str = "en-US, en";

/// Browsers share two cores with the server: one test of them at a time.
static TURN: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

/// Waits for the other browser tests to be done.
pub async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

/// A microphone and a camera of its own making.
const FAKE_DEVICE: &str = "--use-fake-device-for-media-stream";

/// What Chromium is started with: as root, without a network of its own, without a microphone to ask for.
const CHROMIUM_FLAGS: [&str; 16] = [
    "--headless",
    "--no-sandbox",
    // A container's is 64 MB.
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    FAKE_DEVICE,
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--mute-audio",
    "--lang=en-US",
    "--window-size=1280,900",
];

/// Wraps what the page uses, before the page's own scripts run, so that the test sees what passes.
const SPY: &str = r"
    window.frames_seen = [];
    const Socket = WebSocket;
    window.WebSocket = class extends Socket {
        constructor(...all) {
            super(...all);
            this.addEventListener('message', event => window.frames_seen.push(event.data));
        }
        send(data) { window.frames_seen.push(data); super.send(data); }
    };
    window.tracks = [];
    const { mediaDevices } = navigator;
    const ask = mediaDevices?.getUserMedia.bind(mediaDevices);
    if (ask) mediaDevices.getUserMedia = async wishes => {
        const stream = await ask(wishes);
        window.tracks.push(...stream.getTracks());
        return stream;
    };
    // The page makes its calls from a frame. Chromium runs this in each, Firefox when the frame is there.
    const from = window.top;
    from.gathered ??= [];
    from.policies ??= [];
    from.connections ??= [];
    from.certificates_read ??= 0;
    for (const place of [window, ...Array.from(document.querySelectorAll('iframe'), ({ contentWindow }) => contentWindow)]) {
        const Connection = place.RTCPeerConnection;
        place.RTCPeerConnection = class extends Connection {
            constructor(...all) {
                super(...all);
                from.connections.push(this);
                from.policies.push(all[0]?.iceTransportPolicy ?? 'all');
                this.addEventListener('icecandidate', ({ candidate }) => candidate?.candidate && from.gathered.push(candidate.type));
            }
        };
        const transport = place.RTCDtlsTransport?.prototype;
        const read = transport?.getRemoteCertificates;
        if (read) transport.getRemoteCertificates = function () {
            const certificates = read.call(this);
            from.certificates_read += certificates.length;
            return certificates;
        };
    }
    window.heard_at = null;
    window.pressed_at = null;
    addEventListener('click', event => {
        if (event.target.closest('[data-action=start]')) window.pressed_at = performance.timeOrigin + performance.now();
    }, true);
    const listen = () => {
        const stream = document.querySelector('audio')?.srcObject;
        if (!stream || !stream.getAudioTracks().length) return void setTimeout(listen, 5);
        const context = new AudioContext();
        const analyser = context.createAnalyser();
        context.createMediaStreamSource(stream).connect(analyser);
        const samples = new Float32Array(analyser.fftSize);
        const look = () => {
            analyser.getFloatTimeDomainData(samples);
            if (samples.some(sample => Math.abs(sample) > 0.01)) {
                window.heard_at = performance.timeOrigin + performance.now();
                context.close();
            } else setTimeout(look, 5);
        };
        look();
    };
    if (window === window.top) addEventListener('DOMContentLoaded', listen);
";

/// Resolves once `data-state` is one of the wanted.
const UNTIL_STATE: &str = r"
    const [wanted, done] = arguments;
    const root = document.documentElement;
    const see = () => {
        if (!wanted.includes(root.dataset.state)) return;
        observer.disconnect();
        done(root.dataset.state);
    };
    const observer = new MutationObserver(see);
    observer.observe(root, { attributes: true });
    see();
";

/// Resolves once the server has said that this page is in the queue.
const UNTIL_QUEUED: &str = r#"
    const [done] = arguments;
    const look = () => window.frames_seen.some(frame => frame.includes('"waiting"')) ? done(true) : setTimeout(look, 10);
    look();
"#;

/// Resolves with the strongest frequency of the received track once it is within 10 Hz of the wanted one.
const UNTIL_TONE: &str = r"
    const [hertz, done] = arguments;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 8192;
    context.createMediaStreamSource(document.querySelector('audio').srcObject).connect(analyser);
    const bins = new Float32Array(analyser.frequencyBinCount);
    const look = () => {
        analyser.getFloatFrequencyData(bins);
        const loudest = bins.indexOf(Math.max(...bins));
        const found = loudest * context.sampleRate / analyser.fftSize;
        if (bins[loudest] > -60 && Math.abs(found - hertz) < 10) done(found); else setTimeout(look, 20);
    };
    look();
";

/// Resolves with the numbers of the six emoji, once each of them is there with its word.
const UNTIL_EMOJI: &str = r"
    const done = arguments[0];
    const look = () => {
        const six = [...document.querySelectorAll('[data-emoji]')].filter(one => one.checkVisibility() && /\p{L}/u.test(one.innerText));
        if (six.length === 6) done(six.map(one => Number(one.dataset.emoji))); else setTimeout(look, 20);
    };
    look();
";

/// Resolves once a lamp's level is on the wanted side of a threshold.
const UNTIL_LEVEL: &str = r"
    const [who, above, threshold, done] = arguments;
    const lamp = document.querySelector(`[data-level=${who}]`);
    const look = () => {
        const level = Number(lamp.style.getPropertyValue('--level'));
        if ((level > threshold) === above) done(level); else setTimeout(look, 20);
    };
    look();
";

/// Whether the partner's audio is playing: the element's clock moves only with media.
pub const UNTIL_PLAYING: &str = r"
    const done = arguments[0];
    const audio = document.querySelector('audio');
    const look = () => audio.srcObject && !audio.paused && audio.currentTime > 1 ? done(true) : setTimeout(look, 20);
    look();
";

/// One browser with a profile of its own. Killed with all its processes when dropped.
pub struct Browser {
    /// For what has no method here.
    pub driver: WebDriver,
    child: Child,
    chromium: bool,
    _profile: Scratch,
}

/// A folder that goes with its owner.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// A new one.
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("sotto-test-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Browser {
    /// Chromium with a tone as its microphone; without one, its own fake microphone beeps.
    pub async fn chromium(tone: Option<f64>) -> Self {
        Self::chromium_with(tone, &[]).await
    }

    /// Chromium with further flags.
    pub async fn chromium_with(tone: Option<f64>, flags: &[&str]) -> Self {
        let profile = Scratch::new();
        let mut capabilities = DesiredCapabilities::chrome();
        for flag in CHROMIUM_FLAGS.iter().chain(flags) {
            capabilities.add_arg(flag).expect("a flag");
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.0.display())).expect("a flag");
        if let Some(hertz) = tone {
            let file = profile.0.join("tone.wav");
            std::fs::write(&file, wav(hertz)).expect("a file");
            let flag = format!("--use-file-for-fake-audio-capture={}", file.display());
            capabilities.add_arg(&flag).expect("a flag");
        }
        Self::chromium_as(capabilities, profile, None).await
    }

    /// Chromium with the microphone of this room.
    pub async fn chromium_in(room: &Room) -> Self {
        let profile = Scratch::new();
        let mut capabilities = DesiredCapabilities::chrome();
        for flag in CHROMIUM_FLAGS.iter().filter(|flag| **flag != FAKE_DEVICE) {
            capabilities.add_arg(flag).expect("a flag");
        }
        capabilities.add_arg(&format!("--user-data-dir={}", profile.0.display())).expect("a flag");
        Self::chromium_as(capabilities, profile, Some(&room.sound)).await
    }

    async fn chromium_as(
        capabilities: thirtyfour::ChromeCapabilities,
        profile: Scratch,
        sound: Option<&Sound>,
    ) -> Self {
        let (child, port) = driver("chromedriver", &["--port=0"], "successfully on port ", sound).await;
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.expect("a session");
        let browser = Self { driver, child, chromium: true, _profile: profile };
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": SPY })).await;
        browser
    }

    /// Chromium of somebody who reads these languages, the dearest first: RFC 5646, with commas.
    pub async fn chromium_reading(tone: Option<f64>, languages: &str) -> Self {
        Self::chromium_with(tone, &[&format!("--accept-lang={languages}")]).await
    }

    /// Firefox with its own fake microphone, and pages from whoever shows any certificate. Without a sound card, it runs
    /// no WebAudio.
    pub async fn firefox() -> Self {
        Self::firefox_as(ENGLISH, FAKE, None).await
    }

    /// The same with a sound card.
    pub async fn firefox_hearing(sound: &Sound) -> Self {
        Self::firefox_as(ENGLISH, FAKE, Some(sound)).await
    }

    /// Firefox with the microphone of this room.
    pub async fn firefox_in(room: &Room) -> Self {
        Self::firefox_as(ENGLISH, !FAKE, Some(&room.sound)).await
    }

    /// Firefox of somebody who reads these languages.
    pub async fn firefox_reading(languages: &str) -> Self {
        Self::firefox_as(languages, FAKE, None).await
    }

    async fn firefox_as(languages: &str, fake: bool, sound: Option<&Sound>) -> Self {
        let mut capabilities = DesiredCapabilities::firefox();
        capabilities.accept_insecure_certs(true).expect("a capability");
        Self::firefox_with(capabilities, Scratch::new(), languages, fake, sound).await
    }

    /// Firefox as visitors have it, but for an authority (PEM) that it trusts besides those it knows. `turns:` is no
    /// page, and takes no certificate that nobody vouches for.
    pub async fn firefox_that_trusts(authority: &Path) -> Self {
        let profile = Scratch::new();
        let database = format!("sql:{}", profile.0.display());
        let authority = authority.to_str().expect("a plain path");
        for arguments in [&["-N", "--empty-password"][..], &["-A", "-n", "a test's", "-t", "C,,", "-i", authority]] {
            let done = std::process::Command::new("certutil").args(["-d", &database]).args(arguments).status();
            assert!(done.is_ok_and(|status| status.success()), "certutil {arguments:?}");
        }
        let mut capabilities = DesiredCapabilities::firefox();
        capabilities.add_arg("-profile").expect("a flag");
        capabilities.add_arg(profile.0.to_str().expect("a plain path")).expect("a flag");
        Self::firefox_with(capabilities, profile, ENGLISH, FAKE, None).await
    }

    async fn firefox_with(
        mut capabilities: thirtyfour::FirefoxCapabilities,
        profile: Scratch,
        languages: &str,
        fake: bool,
        sound: Option<&Sound>,
    ) -> Self {
        capabilities.set_headless().expect("a flag");
        let mut preferences = thirtyfour::common::capabilities::firefox::FirefoxPreferences::new();
        for name in ["media.navigator.permission.disabled", "media.peerconnection.ice.loopback"] {
            preferences.set(name, true).expect("a preference");
        }
        preferences.set("media.navigator.streams.fake", fake).expect("a preference");
        preferences.set("media.autoplay.default", 0).expect("a preference");
        preferences.set("media.navigator.audio.fake_frequency", 440).expect("a preference");
        preferences.set("intl.accept_languages", languages).expect("a preference");
        capabilities.set_preferences(preferences).expect("preferences");
        let (child, port) = driver("geckodriver", &["--port", "0"], "Listening on 127.0.0.1:", sound).await;
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.expect("a session");
        Self { driver, child, chromium: false, _profile: profile }
    }

    /// Which of the two makes it is.
    pub fn is_chromium(&self) -> bool {
        self.chromium
    }

    /// Opens the page.
    pub async fn open(&self, url: &str) -> &Self {
        self.driver.goto(url).await.expect("the page");
        self.until("landing").await;
        if !self.chromium {
            // Its driver cannot be earlier than the page's scripts; they open the socket at the press.
            self.run(SPY, vec![]).await;
        }
        self
    }

    /// Waits until the page is in this state.
    pub async fn until(&self, state: &str) {
        self.until_one(&[state]).await;
    }

    /// Waits until the page is in one of these states, and says which.
    pub async fn until_one(&self, states: &[&str]) -> String {
        match self.wait(UNTIL_STATE, vec![json!(states)]).await {
            Some(state) => state.as_str().unwrap_or_default().to_owned(),
            None => panic!("not {states:?} but {} in time", self.state().await),
        }
    }

    /// Waits until this page is in the queue: whoever comes now comes second. The page shows `waiting` a moment before.
    pub async fn queued(&self) {
        assert!(self.wait(UNTIL_QUEUED, vec![]).await.is_some(), "{} and not in the queue", self.state().await);
    }

    /// Waits for a state that takes its time.
    pub async fn until_within(&self, state: &str, within: Duration) {
        let give_up = tokio::time::Instant::now() + within;
        while self.wait(UNTIL_STATE, vec![json!([state])]).await.is_none() {
            assert!(tokio::time::Instant::now() < give_up, "not {state} but {} in {within:?}", self.state().await);
        }
    }

    /// The state the page is in.
    pub async fn state(&self) -> String {
        let state = self.run("return document.documentElement.dataset.state", vec![]).await;
        state.as_str().unwrap_or_default().to_owned()
    }

    /// Presses the control with this `data-action` that can be seen.
    pub async fn press(&self, action: &str) {
        let controls = self.driver.find_all(By::Css(format!("[data-action={action}]"))).await.expect("controls");
        for control in controls {
            if control.is_displayed().await.unwrap_or(false) {
                return control.click().await.expect("a click");
            }
        }
        panic!("no {action} to press in {}", self.state().await);
    }

    /// Waits until the partner's voice is this tone.
    pub async fn hears(&self, hertz: f64) {
        assert!(self.wait(UNTIL_TONE, vec![json!(hertz)]).await.is_some(), "{hertz} Hz is not heard");
    }

    /// Waits until the six emoji are to be seen, and says which they are.
    pub async fn emoji(&self) -> [u8; 6] {
        let six = self.wait(UNTIL_EMOJI, vec![]).await;
        let Some(six) = six else { panic!("no emoji but {} in time", self.state().await) };
        serde_json::from_value(six).expect("six numbers")
    }

    /// Waits until a lamp (`me` or `them`) is brighter or darker than the threshold.
    pub async fn lamp(&self, who: &str, above: bool, threshold: f64) {
        let seen = self.wait(UNTIL_LEVEL, vec![json!(who), json!(above), json!(threshold)]).await;
        assert!(seen.is_some(), "the lamp {who} stays {} {threshold}", if above { "below" } else { "above" });
    }

    /// When the button was pressed and when the partner was first heard, in milliseconds since the epoch.
    pub async fn pressed_and_heard(&self) -> (f64, f64) {
        let both = r"const done = arguments[0];
            const look = () => window.heard_at ? done([window.pressed_at, window.heard_at]) : setTimeout(look, 5);
            look();";
        let both = self.wait(both, vec![]).await.expect("the partner is heard");
        (both[0].as_f64().expect("a press"), both[1].as_f64().expect("a voice"))
    }

    /// Everything that passed its WebSocket so far, each frame checked.
    pub async fn frames(&self) -> Vec<String> {
        let frames = self.run("return window.frames_seen ?? []", vec![]).await;
        let frames: Vec<String> = serde_json::from_value(frames).expect("frames");
        frames.iter().for_each(|frame| check_frame(frame));
        frames
    }

    /// How many ICE candidates it has gathered so far. Each is a relayed one, and no connection may have others.
    pub async fn relayed(&self) -> usize {
        let both = self.run("return [window.policies ?? [], window.gathered ?? []]", vec![]).await;
        let [policies, types]: [Vec<String>; 2] = serde_json::from_value(both).expect("names");
        assert!(policies.iter().chain(&types).all(|name| name == "relay"), "policies {policies:?}, gathered {types:?}");
        types.len()
    }

    /// Waits until the page is drawn in this language.
    pub async fn reads(&self, language: &str) {
        let drawn = r"
            const [wanted, done] = arguments;
            const { documentElement: root } = document;
            const look = () => root.lang === wanted && !('words' in root.dataset) ? done(true) : setTimeout(look, 10);
            look();
        ";
        assert!(self.wait(drawn, vec![json!(language)]).await.is_some(), "it is not drawn in {language}");
    }

    /// What is announced to a screen reader at this moment.
    pub async fn text(&self, css: &str) -> String {
        let text = "return document.querySelector(arguments[0])?.textContent ?? ''";
        self.run(text, vec![json!(css)]).await.as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script and returns what it returns.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.driver.execute(script, arguments).await.expect("a script").json().clone()
    }

    /// Runs a script that calls its last argument; `None` when it does not in time.
    pub async fn wait(&self, script: &str, arguments: Vec<Value>) -> Option<Value> {
        let done = timeout(DEADLINE, self.driver.execute_async(script, arguments)).await.ok()?;
        Some(done.ok()?.json().clone())
    }

    /// Speaks to Chromium itself.
    pub async fn cdp(&self, command: &str, parameters: Value) {
        self.driver.cdp().send_raw(command, parameters).await.expect("a command");
    }

    /// Saves what is to be seen.
    pub async fn screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        self.driver.screenshot(&folder.join(format!("{name}.png"))).await.expect("a picture");
    }

    /// Ends it in good order, after a look at everything that passed its socket and at its candidates.
    pub async fn quit(self) {
        self.frames().await;
        self.relayed().await;
        let _ = self.driver.clone().quit().await;
    }

    /// The process group that it and its driver are in.
    pub fn group(&self) -> String {
        self.child.id().expect("it runs").to_string()
    }

    /// Kills every process of it, as a crash or an empty battery does.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The last clone would ask a driver that is dead for a minute to end the session.
        std::mem::forget(self.driver.clone());
        if let Some(group) = self.child.id() {
            let _ = std::process::Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status();
        }
    }
}

/// Starts a driver in a process group of its own and waits for the port that it names.
async fn driver(program: &str, arguments: &[&str], before_port: &str, sound: Option<&Sound>) -> (Child, u16) {
    let mut child = Command::new(program)
        .args(arguments)
        .envs(sound.map(Sound::variable))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let port = timeout(DEADLINE, async {
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some((_, rest)) = line.split_once(before_port) {
                return rest.trim_end_matches('.').trim().parse().ok();
            }
        }
        None
    });
    let port = port.await.ok().flatten().unwrap_or_else(|| panic!("{program} names no port"));
    // Its output has to be read for as long as it runs.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, port)
}

/// Ten seconds of a tone, 48 kHz, 16 bit, mono; Chromium plays it over and over, so they hold whole periods.
fn wav(hertz: f64) -> Vec<u8> {
    const RATE: u32 = 48_000;
    let samples = (0..RATE * 10).map(|n| {
        let phase = f64::from(n) * hertz * std::f64::consts::TAU / f64::from(RATE);
        #[allow(clippy::cast_possible_truncation)]
        let sample = (phase.sin() * 12_000.0) as i16;
        sample
    });
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let length = u32::try_from(data.len()).expect("a short tone");
    let mut file = Vec::new();
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + length).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * 2).to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&16_u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend(data);
    file
}

/// How long a page may take to notice by itself that its partner is gone without a word.
pub const NOTICED_WITHIN: Duration = Duration::from_secs(60);
