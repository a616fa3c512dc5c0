//! A voice that is not the visitor's: what the partner hears of it in real browsers, from the first packet on, and
//! above all what the partner never hears.

use serde_json::json;
use thirtyfour::prelude::*;

use crate::browser::{Browser, turn};
use crate::server::TestServer;
use crate::sound::Sound;

/// The visitor's own voice in these tests, in hertz.
const OWN: f64 = 440.0;
/// What becomes of it when chance is halfway: `RATIOS` in `static/js/disguise.js`.
const DEEPER: f64 = OWN * 0.86;
const HIGHER: f64 = OWN * 1.15;

/// Chance is halfway, and what the page makes is within reach.
const HOUSE: &str = r"
    Math.random = () => 0.5;
    window.contexts = [];
    window.disguises = [];
    window.ratios = [];
    const Context = window.AudioContext;
    window.AudioContext = class extends Context {
        constructor(...all) {
            if (window.refusing) throw new DOMException('', 'NotSupportedError');
            super(...all);
            window.contexts.push(this);
            this.addEventListener('statechange', () => window.interrupted && this.suspend());
        }
        resume() { return window.interrupted ? Promise.reject(new DOMException('', 'NotAllowedError')) : super.resume(); }
    };
    const add = Worklet.prototype.addModule;
    Worklet.prototype.addModule = function (url) {
        if (window.hanging) return new Promise(() => {});
        return add.call(this, window.missing ? '/worklet/missing.js' : url);
    };
    window.outs = [];
    const Out = window.MediaStreamAudioDestinationNode;
    window.MediaStreamAudioDestinationNode = class extends Out {
        constructor(...all) { super(...all); window.outs.push(this.stream); }
    };
    const Node = window.AudioWorkletNode;
    window.AudioWorkletNode = class extends Node {
        constructor(context, name, options) {
            super(context, name, window.breaking ? { ...options, processorOptions: { ratio: 1 } } : options);
            window.disguises.push(context);
            window.ratios.push(options.processorOptions.ratio);
        }
    };
";

/// Listens to the partner from the first sample on: how loud it ever was, and at which frequencies; and how loud at that
/// of the visitor's own voice, in dB, and when that was last to be heard.
const EAR: &str = r"
    window.ear = { looks: 0, loudest: -Infinity, heard: [], own: -200, own_last: 0 };
    const begin = () => {
        const stream = document.querySelector('audio').srcObject;
        if (!stream?.getAudioTracks().length) return void setTimeout(begin, 2);
        const context = new AudioContext();
        const analyser = context.createAnalyser();
        analyser.fftSize = 8192;
        analyser.smoothingTimeConstant = 0;
        context.createMediaStreamSource(stream).connect(analyser);
        const bins = new Float32Array(analyser.frequencyBinCount);
        const look = () => {
            analyser.getFloatFrequencyData(bins);
            const level = Math.max(...bins);
            const hertz = Math.round(bins.indexOf(level) * context.sampleRate / analyser.fftSize);
            window.ear.looks += 1;
            const middle = Math.round(440 * analyser.fftSize / context.sampleRate);
            const own = Math.max(-200, ...bins.subarray(middle - 1, middle + 2));
            window.ear.own = Math.max(window.ear.own, own);
            if (own > -50) window.ear.own_last = Date.now();
            window.ear.loudest = Math.max(window.ear.loudest, level);
            if (level > -60 && !window.ear.heard.includes(hertz)) window.ear.heard.push(hertz);
            setTimeout(look, 20);
        };
        look();
    };
    begin();
";

/// Resolves with what was heard since it was asked to begin anew, after so many looks; where there is a tone to be heard,
/// not before that, to within 10 Hz.
const AFTER_LOOKS: &str = r"
    const [count, hertz, done] = arguments;
    const { ear } = window;
    const there = () => hertz === null || ear.heard.some(heard => Math.abs(heard - hertz) < 10);
    const look = () => ear.looks >= count && there() ? done(ear) : setTimeout(look, 20);
    look();
";

const BEGIN_ANEW: &str = "Object.assign(window.ear, { looks: 0, loudest: -Infinity, heard: [], own: -200 })";

/// How loud a changed voice may be where the own one was, in dB: what the analyser's window leaks of a tone beside it.
const OWN_BOUND: f64 = -40.0;

/// How long the own voice may be heard after another is chosen, in ms: what is on its way, the partner's jitter buffer, and
/// the 170 ms that the ear looks back.
const OWN_GONE_WITHIN: f64 = 1_500.0;

/// Resolves once the page's note says this.
const UNTIL_NOTE: &str = r"
    const [words, done] = arguments;
    const look = () => document.querySelector('[data-part=muted]').textContent === words ? done(true) : setTimeout(look, 20);
    look();
";

const UNHEARD: &str = "Your changed voice isn’t working, so they can’t hear you now.";

/// One with a tone for a voice, and one who listens from the first sample on.
async fn pair(server: &TestServer) -> (Browser, Browser) {
    let (one, other) = (Browser::chromium(Some(OWN)).await, Browser::chromium(None).await);
    one.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": HOUSE })).await;
    one.open(&server.url()).await;
    other.open(&server.url()).await;
    other.run(EAR, vec![]).await;
    (one, other)
}

async fn call(one: &Browser, other: &Browser) {
    one.press("start").await;
    one.queued().await;
    other.press("start").await;
    one.until("talking").await;
    other.until("talking").await;
}

impl Browser {
    /// Chooses a voice before a call, as a visitor does.
    async fn choose_before(&self, voice: &str) {
        let summary = self.driver.find(By::Css("summary")).await.expect("the wishes");
        if self.run("return !document.querySelector('details').open", vec![]).await == json!(true) {
            summary.click().await.expect("a click");
        }
        let radio = self.driver.find(By::Css(format!("[name=voice][value={voice}]"))).await.expect("a choice");
        radio.click().await.expect("a click");
    }

    /// Chooses a voice in a call, as a visitor does.
    async fn choose_voice(&self, voice: &str) {
        let option = self.driver.find(By::Css(format!("select[name=voice] option[value={voice}]"))).await;
        option.expect("a choice").click().await.expect("a click");
    }

    /// Waits until the note under the heading says this.
    async fn notes(&self, words: &str) {
        let said = self.wait(UNTIL_NOTE, vec![json!(words)]).await;
        assert!(said.is_some(), "the page says {:?}", self.text("[data-part=muted]").await);
    }

    /// Fails if the visitor's own voice is among what the ear has heard; the voice that was chosen has to be. In so many
    /// looks at least, 20 ms each.
    async fn has_heard_only(&self, hertz: f64, looks: u32) {
        let ear = self.wait(AFTER_LOOKS, vec![json!(looks), json!(hertz)]).await;
        let there = ear.is_some();
        let ear = self.run("return window.ear", vec![]).await;
        let heard: Vec<f64> = serde_json::from_value(ear["heard"].clone()).expect("frequencies");
        assert!(heard.iter().all(|heard| (heard - OWN).abs() > 25.0), "the visitor's own voice: {heard:?}");
        assert!(there, "not {hertz} Hz but {heard:?}");
        let own = ear["own"].as_f64().expect("a level");
        println!("own voice under {hertz:.0} Hz: {own:.0} dB");
        assert!(own < OWN_BOUND, "the visitor's own voice has {own:.0} dB beside {hertz} Hz");
    }

    /// The same from now on.
    async fn hears_only(&self, hertz: f64) {
        self.run(BEGIN_ANEW, vec![]).await;
        self.has_heard_only(hertz, 50).await;
    }

    /// Fails if anything is heard from now on.
    async fn hears_nothing(&self, looks: u32) {
        self.run(BEGIN_ANEW, vec![]).await;
        self.has_heard_nothing(looks).await;
    }

    async fn has_heard_nothing(&self, looks: u32) {
        let ear = self.wait(AFTER_LOOKS, vec![json!(looks), json!(null)]).await.expect("the ear listens");
        assert_eq!(ear["heard"], json!([]), "{ear}");
    }
}

#[tokio::test]
async fn a_changed_voice_is_the_only_one_from_the_first_packet_on() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = pair(&server).await;
    one.choose_before("deeper").await;
    for browser in [&one, &other] {
        browser.run("document.querySelector('[data-part=same]').checked = true", vec![]).await;
    }
    call(&one, &other).await;
    other.hears(DEEPER).await;
    other.has_heard_only(DEEPER, 100).await;
    one.notes("").await;
    one.screenshot("changed voice").await;

    // Muted it is silent, and comes back as it was.
    one.press("mute").await;
    other.lamp("them", false, 0.02).await;
    one.press("mute").await;
    other.hears(DEEPER).await;

    // Changed in the middle of the call.
    one.choose_voice("higher").await;
    other.hears(HIGHER).await;
    other.hears_only(HIGHER).await;
    one.choose_voice("own").await;
    other.hears(OWN).await;
    one.choose_voice("deeper").await;
    let chosen = one.run("return Date.now()", vec![]).await.as_f64().expect("a time");
    other.hears(DEEPER).await;
    other.hears_only(DEEPER).await;
    let last = other.run("return ear.own_last", vec![]).await.as_f64().expect("a time");
    println!("the own voice was last heard {:.0} ms after the choice", last - chosen);
    assert!(last > 0.0 && last - chosen < OWN_GONE_WITHIN, "heard {} ms after the choice", last - chosen);

    // Another microphone goes the same way.
    let renew = "window.tracks.at(-1).stop(); document.dispatchEvent(new Event('visibilitychange'));";
    one.run(renew, vec![]).await;
    let renewed =
        "const done = arguments[0]; const look = () => tracks.length > 1 ? done(true) : setTimeout(look, 20); look();";
    assert!(one.wait(renewed, vec![]).await.is_some(), "a dead microphone is replaced");
    other.hears(DEEPER).await;
    other.hears_only(DEEPER).await;

    // It stays for the next call, whose own ratio is drawn anew, and the last one's context is gone.
    one.press("end").await;
    other.until("ended").await;
    let closed = "const done = arguments[0];
        const look = () => contexts.filter(({ state }) => state === 'running').length === 0 ? done(true) : setTimeout(look, 20);
        look();";
    assert!(one.wait(closed, vec![]).await.is_some(), "a context runs on after the call");
    assert_eq!(one.run("return document.querySelector('select[name=voice]').value", vec![]).await, json!("deeper"));
    assert_eq!(one.run("return JSON.stringify(localStorage)", vec![]).await, json!("{}"), "it is not stored");
    one.run("window.ratios.length = 0; Math.random = () => 1", vec![]).await;
    one.press("again").await;
    other.press("again").await;
    other.until("talking").await;
    other.hears(OWN * 0.88).await;
    assert_eq!(one.run("return ratios", vec![]).await, json!([0.88]));
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn a_changed_voice_that_fails_is_silence_until_the_visitor_decides() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    // How it is broken before the call, and how it is mended.
    let cases = [
        ("refusing", "window.refusing = true", "window.refusing = false"),
        ("breaking", "window.breaking = true", "window.breaking = false"),
        (
            "another rate",
            "window.rate = AudioContext.prototype.createMediaStreamSource;
             AudioContext.prototype.createMediaStreamSource = function (stream) {
                 if (this === disguises.at(-1)) throw new DOMException('', 'NotSupportedError');
                 return rate.call(this, stream);
             };",
            "AudioContext.prototype.createMediaStreamSource = window.rate",
        ),
        ("interrupted", "window.interrupted = true", "window.interrupted = false"),
        ("missing", "window.missing = true", "window.missing = false"),
        ("hanging", "window.hanging = true", "window.hanging = false"),
    ];
    for (name, spoil, mend) in cases {
        println!("{name}");
        let (one, other) = pair(&server).await;
        one.run(spoil, vec![]).await;
        one.choose_before("deeper").await;
        call(&one, &other).await;
        one.notes(UNHEARD).await;
        other.has_heard_nothing(50).await;
        // It stays so: nothing falls back by itself.
        other.hears_nothing(100).await;
        if name == "refusing" {
            one.screenshot("changed voice fails").await;
        }
        one.run(mend, vec![]).await;
        if name == "another rate" {
            one.press("own-voice").await;
            one.notes("").await;
            other.hears(OWN).await;
        } else {
            one.press("try-voice").await;
            one.notes("").await;
            other.hears(DEEPER).await;
            other.hears_only(DEEPER).await;
        }
        assert_eq!(
            one.run("return document.querySelector('[data-part=unheard]').checkVisibility()", vec![]).await,
            json!(false)
        );
        one.quit().await;
        other.quit().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_changed_voice_that_is_interrupted_comes_back_as_it_was() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = pair(&server).await;
    one.choose_before("deeper").await;
    call(&one, &other).await;
    other.hears(DEEPER).await;

    // As by a phone call: the context stops, and may go on at the next press.
    one.run("window.interrupted = true; disguises.at(-1).suspend()", vec![]).await;
    one.notes(UNHEARD).await;
    assert_eq!(one.run("return document.documentElement.hasAttribute('data-muted')", vec![]).await, json!(true));
    other.lamp("them", false, 0.02).await;
    other.hears_nothing(50).await;
    one.run("window.interrupted = false", vec![]).await;
    one.press("help").await;
    one.notes("").await;
    other.hears(DEEPER).await;
    other.has_heard_only(DEEPER, 50).await;
    one.driver.active_element().await.expect("a focus").send_keys(Key::Escape).await.expect("a key");

    // Taken away for good.
    one.run("disguises.at(-1).close()", vec![]).await;
    one.notes(UNHEARD).await;
    other.lamp("them", false, 0.02).await;
    other.hears_nothing(50).await;
    // Nobody is told that they are heard.
    one.press("mute").await;
    one.press("mute").await;
    one.notes(UNHEARD).await;
    one.press("try-voice").await;
    one.notes("").await;
    other.hears(DEEPER).await;
    other.has_heard_only(DEEPER, 50).await;
    assert_eq!(one.run("return document.activeElement.name", vec![]).await, json!("voice"), "the focus is not lost");
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn firefox_without_sound_of_its_own_sends_silence_and_says_so() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::firefox().await, Browser::chromium(None).await);
    one.open(&server.url()).await;
    other.open(&server.url()).await;
    other.run(EAR, vec![]).await;
    one.choose_before("deeper").await;
    call(&one, &other).await;
    // Headless Firefox has no sound device, and its contexts never run.
    one.notes(UNHEARD).await;
    other.has_heard_nothing(100).await;
    one.press("own-voice").await;
    one.notes("").await;
    other.lamp("them", true, 0.05).await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}
#[tokio::test]
async fn firefox_changes_a_voice_where_it_has_a_sound_card() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let sound = Sound::start().await;
    let (one, other) = (Browser::firefox_hearing(&sound).await, Browser::chromium(None).await);
    one.open(&server.url()).await;
    one.run("Math.random = () => 0.5", vec![]).await;
    other.open(&server.url()).await;
    other.run(EAR, vec![]).await;
    one.choose_before("deeper").await;
    call(&one, &other).await;
    other.hears(DEEPER).await;
    other.has_heard_only(DEEPER, 100).await;
    one.notes("").await;
    one.choose_voice("higher").await;
    other.hears(HIGHER).await;
    other.hears_only(HIGHER).await;
    one.choose_voice("own").await;
    other.hears(OWN).await;
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

/// Resolves with by how much each beep is later on the changed track than on the microphone's own, in ms; both go the
/// same way from there on.
const LATER: &str = r"
    const done = arguments[0];
    const context = new AudioContext();
    const ears = context.createScriptProcessor(1024, 2, 1);
    const merger = context.createChannelMerger(2);
    merger.connect(ears).connect(context.destination);
    [new MediaStream([window.tracks.at(-1)]), window.outs.at(-1)].forEach((stream, index) =>
        context.createMediaStreamSource(stream).connect(merger, 0, index));
    const onsets = [[], []];
    const quiet = [0, 0];
    let at = 0;
    ears.onaudioprocess = ({ inputBuffer }) => {
        for (const channel of [0, 1]) {
            inputBuffer.getChannelData(channel).forEach((sample, index) => {
                if (Math.abs(sample) < 0.02) quiet[channel] += 1;
                else {
                    if (quiet[channel] > context.sampleRate / 10) onsets[channel].push(at + index);
                    quiet[channel] = 0;
                }
            });
        }
        at += inputBuffer.length;
        if (onsets[0].length < 14 || onsets[1].length < 14) return;
        ears.onaudioprocess = null;
        const later = onsets[0].slice(1).flatMap(onset => onsets[1].filter(one => one >= onset && one < onset + context.sampleRate / 5).slice(0, 1)
            .map(one => (one - onset) * 1000 / context.sampleRate));
        context.close();
        done(later.sort((one, other) => one - other));
    };
";

/// Resolves with how many microseconds a block of 128 samples takes, mean over ten seconds of a voice-like noise.
const COST: &str = r"
    const [ratio, done] = arguments;
    import('/worklet/shifter.js').then(({ Shifter }) => {
        const shifter = new Shifter(ratio, 48000);
        const [voice, out] = [new Float32Array(48000), new Float32Array(128)];
        voice.forEach((_, index) => { voice[index] = (index % 400 < 4 ? 0.5 : 0) + 0.05 * Math.random(); });
        const seconds = count => {
            for (let second = 0; second < count; second += 1)
                for (let at = 0; at + 128 <= 48000; at += 128) shifter.process(voice.subarray(at, at + 128), out);
        };
        seconds(2);
        const start = performance.now();
        seconds(10);
        done((performance.now() - start) * 1000 / 3750);
    });
";

#[tokio::test]
async fn what_a_changed_voice_costs() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    // Its own fake microphone beeps, which tells when.
    let (one, other) = (Browser::chromium(None).await, Browser::chromium(None).await);
    one.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": HOUSE })).await;
    one.open(&server.url()).await;
    other.open(&server.url()).await;
    for voice in ["deeper", "higher"] {
        one.choose_before(voice).await;
        call(&one, &other).await;
        let later: Vec<f64> = serde_json::from_value(one.wait(LATER, vec![]).await.expect("beeps")).expect("numbers");
        let mean = later.iter().sum::<f64>() / later.len() as f64;
        // Told, not judged: this machine is shared. The README has it.
        println!("{voice} adds {mean:.0} ms on average: {later:.0?}");
        let cost = one.wait(COST, vec![json!(if voice == "deeper" { 0.84 } else { 1.185 })]).await;
        println!("{voice}: {:.1} µs for a block of 2,667 µs", cost.expect("an end").as_f64().expect("a number"));
        one.open(&server.url()).await;
        other.until("ended").await;
        other.open(&server.url()).await;
    }
    one.quit().await;
    other.quit().await;
    server.stop().await;
}
