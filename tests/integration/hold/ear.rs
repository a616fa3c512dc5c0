//! What is heard at both ends of a call while something is done to it, and what the pages show.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::sleep;

use crate::browser::Browser;
use crate::server::DEADLINE;

/// A silence this long is none of speech, and no packet that was lost: the line does not carry.
const SILENCE_MS: f64 = 250.0;

/// How long both have to hear each other without a silence to be heard again.
const STEADY: Duration = Duration::from_secs(2);

/// Notes when nothing is heard of the partner, from when until when in milliseconds since the epoch, and what the page
/// shows. A tone is listened to; where there is no WebAudio, packets of a voice are counted, which are one every 20 ms.
const LISTEN: &str = r"
    const [by_ear, done] = arguments;
    const now = () => performance.timeOrigin + performance.now();
    const root = document.documentElement;
    window.ear = { silences: [], since: null, states: [[now(), root.dataset.state]] };
    new MutationObserver(() => {
        const { state } = root.dataset;
        if (ear.states.at(-1)[1] !== state) ear.states.push([now(), state]);
    }).observe(root, { attributes: true });
    let at = now(), last = at;
    const note = sounds => {
        at = now();
        if (!sounds) return void (ear.since ??= last);
        if (ear.since !== null) ear.silences.push([ear.since, at]);
        ear.since = null;
        last = at;
    };
    if (by_ear) {
        const context = new AudioContext();
        const analyser = context.createAnalyser();
        analyser.fftSize = 1024;
        context.createMediaStreamSource(document.querySelector('audio').srcObject).connect(analyser);
        const samples = new Float32Array(analyser.fftSize);
        const look = () => {
            analyser.getFloatTimeDomainData(samples);
            note(samples.some(sample => Math.abs(sample) > 0.01));
            setTimeout(look, 10);
        };
        look();
    } else {
        let packets = 0;
        const look = async () => {
            const stats = [...(await connections.at(-1).getStats()).values()];
            const { packetsReceived = 0 } = stats.find(({ type }) => type === 'inbound-rtp') ?? {};
            note(packetsReceived > packets);
            packets = packetsReceived;
            setTimeout(look, 50);
        };
        look();
    }
    done();
";

/// Now, as the pages' clocks have it.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1_000.0
}

/// What an ear has noted, in milliseconds since the epoch.
#[derive(Debug, serde::Deserialize)]
pub struct Noted {
    silences: Vec<[f64; 2]>,
    /// The silence that has not ended.
    since: Option<f64>,
    /// What the page has shown from when on.
    states: Vec<(f64, String)>,
}

impl Noted {
    /// When the partner was heard again for good after this moment: the moment itself where they were heard all along.
    /// `None` while they are not.
    fn heard_since(&self, moment: f64) -> Option<f64> {
        if self.since.is_some_and(|since| now() - since > SILENCE_MS) {
            return None;
        }
        let ends = self.silences.iter().filter(|[from, to]| to - from > SILENCE_MS).map(|[_, to]| *to);
        Some(ends.fold(moment, f64::max))
    }

    /// Whether the partner was heard all the time, as far as a machine goes that is shared by many.
    pub fn is_unbroken(&self) -> bool {
        self.longest(0.0) < 2.0
    }

    /// The longest silence since then, in seconds.
    fn longest(&self, moment: f64) -> f64 {
        let longest = self.silences.iter().filter(|[_, to]| *to > moment).map(|[from, to]| to - from);
        longest.filter(|ms| *ms > SILENCE_MS).fold(0.0, f64::max) / 1_000.0
    }

    /// What the page has shown since then, with the seconds after which each came.
    fn shown(&self, moment: f64) -> String {
        let states = self.states.iter().filter(|(at, _)| *at > moment);
        states.map(|(at, state)| format!("{state} {:.1}", (at - moment) / 1_000.0)).collect::<Vec<_>>().join(", ")
    }
}

impl Browser {
    /// Begins to note what is heard in a call.
    pub async fn listen(&self) {
        // Nothing of another call is counted.
        assert!(self.wait(LISTEN, vec![json!(self.is_chromium())]).await.is_some(), "no ear");
    }

    /// By which way it reaches the relay at this moment.
    async fn way(&self) -> String {
        let way = r"
            const [done] = arguments;
            connections.at(-1).getStats().then(stats => {
                const all = [...stats.values()];
                const { selectedCandidatePairId: id } = all.find(({ type, selectedCandidatePairId }) => type === 'transport' && selectedCandidatePairId) ?? {};
                const pair = stats.get(id) ?? all.find(({ type, selected }) => type === 'candidate-pair' && selected);
                done(stats.get(pair?.localCandidateId)?.relayProtocol ?? 'none');
            });
        ";
        self.wait(way, vec![]).await.and_then(|way| way.as_str().map(str::to_owned)).expect("a way")
    }

    /// What it has noted since.
    pub async fn noted(&self) -> Noted {
        serde_json::from_value(self.run("return ear", vec![]).await).expect("notes")
    }
}

/// Something that is done to a call, from now until it is over.
pub struct Trial {
    what: String,
    begun: f64,
}

/// Begins to watch.
pub fn trial(what: &str) -> Trial {
    Trial { what: what.to_owned(), begun: now() }
}

impl Trial {
    /// It is done, and what was taken away is back from this moment on: waits until both hear each other again, and tells
    /// how long that took. It fails where it takes longer than `within`, which is generous: this machine is shared.
    pub async fn over(self, pair: [&Browser; 2], within: Duration) {
        let back = now();
        let give_up = back + within.as_secs_f64() * 1_000.0;
        loop {
            let [one, other] = [pair[0].noted().await, pair[1].noted().await];
            let heard = one.heard_since(back).zip(other.heard_since(back)).map(|(one, other)| one.max(other));
            if let Some(heard) = heard
                && heard + STEADY.as_secs_f64() * 1_000.0 < now()
            {
                let makes = pair.map(|browser| if browser.is_chromium() { "Chromium" } else { "Firefox" }).join(", ");
                let ways = [pair[0].way().await, pair[1].way().await].join(", ");
                println!(
                    "held | {} | {makes}, {ways} | heard again after {:.1} s | silence {:.1} and {:.1} s | {} | {}",
                    self.what,
                    (heard - back) / 1_000.0,
                    one.longest(self.begun),
                    other.longest(self.begun),
                    one.shown(self.begun),
                    other.shown(self.begun),
                );
                return;
            }
            assert!(now() < give_up, "{}: not heard again in {within:?}: {one:?} {other:?}", self.what);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Two browsers in a call that hear each other; each comes by a way of its own. The first waits, the second makes the
/// offer.
pub async fn in_call(one: &Browser, one_url: &str, other: &Browser, other_url: &str) {
    one.open(one_url).await;
    other.open(other_url).await;
    one.press("start").await;
    one.queued().await;
    other.press("start").await;
    for browser in [one, other] {
        browser.until("talking").await;
        browser.listen().await;
    }
    let begun = now();
    let both = async {
        loop {
            let heard = [one.noted().await.heard_since(begun), other.noted().await.heard_since(begun)];
            if heard.iter().all(Option::is_some) && now() > begun + SILENCE_MS * 2.0 {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(DEADLINE, both).await.expect("both hear each other");
}
