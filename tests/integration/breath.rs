//! Taking a breath: neither of the two hears the other, nothing on the line shows it, and one press ends it.

use bytes::Bytes;
use serde_json::{Value, json};
use sotto::caller::beat::{Said, encode};
use sotto::caller::{Call, Caller, Options, PACKET_BYTES};
use sotto::protocol::{Languages, Role};

use crate::browser::{Browser, turn};
use crate::server::{DEADLINE, TestServer};
use crate::states::{inspect_as, with_axe};
use crate::voice::{strength, tone};

/// Keeps whatever a screen reader is told, and every change between held and not.
pub const NOTE: &str = r"
    window.told = [];
    window.changes = [];
    const status = document.querySelector('[role=status]');
    new MutationObserver(() => status.textContent && told.push(status.textContent))
        .observe(status, { childList: true, characterData: true, subtree: true });
    const root = document.documentElement;
    new MutationObserver(() => changes.push(root.hasAttribute('data-held'))).observe(root, { attributeFilter: ['data-held'] });
";

/// Resolves once this is what the page says of the call, in its heading and under the lamps.
const UNTIL_SAID: &str = r"
    const [title, note, done] = arguments;
    const part = name => document.querySelector(`[data-part=${name}]`).textContent;
    const look = () => part('call-title') === title && part('muted') === note ? done(true) : setTimeout(look, 20);
    look();
";

/// Resolves with how many packets have gone out and what they weigh, once at least so many more have than before.
const UNTIL_SENT: &str = r"
    const [before, more, done] = arguments;
    const { connections } = window;
    const look = async () => {
        for (const [, one] of await connections.at(-1).getStats()) {
            if (one.type === 'outbound-rtp' && one.packetsSent >= before + more) return done([one.packetsSent, one.bytesSent]);
        }
        setTimeout(look, 50);
    };
    look();
";

/// What both pages say when nobody takes a breath, and what they say when one does.
const TALKING: (&str, &str) = ("Hello is enough. So is silence.", "");
const MINE: (&str, &str) = ("You’re taking a breath.", "Neither of you hears the other. Come back whenever you like.");
const THEIRS: (&str, &str) = ("They’re taking a breath.", "They’ll be back in a moment, or not, and both are fine.");
const BOTH: (&str, &str) =
    ("You’re both taking a breath.", "Neither of you hears the other. Come back whenever you like.");

impl Browser {
    async fn says_of_call(&self, (title, note): (&str, &str)) {
        let said = self.wait(UNTIL_SAID, vec![json!(title), json!(note)]).await;
        assert!(said.is_some(), "not {title:?} but {:?}", self.text("main").await);
        let held = self.run(
            "return [document.documentElement.hasAttribute('data-held'), document.querySelector('audio').muted]",
            vec![],
        );
        let expected = (title, note) != TALKING && title != "Hello is enough. So is silence.";
        assert_eq!(held.await, json!([expected, expected]), "{title}");
    }

    /// Bytes of the next fifty packets that go out, on average: a whole number where all have one size.
    async fn packet_size(&self) -> f64 {
        let sent = async |before: f64, more: f64| {
            let sent = self.wait(UNTIL_SENT, vec![json!(before), json!(more)]).await.expect("packets go out");
            let [packets, bytes]: [f64; 2] = serde_json::from_value(sent).expect("two numbers");
            (packets, bytes)
        };
        let (packets, bytes) = sent(0.0, 1.0).await;
        let (more, most) = sent(packets, 50.0).await;
        (most - bytes) / (more - packets)
    }

    /// What a screen reader was told so far, from [`NOTE`] on.
    pub async fn has_told(&self) -> Vec<String> {
        serde_json::from_value(self.run("return window.told", vec![]).await).expect("a list of texts")
    }
}

/// Brings two visitors into a call, and keeps what each is told.
pub async fn talking(server: &TestServer, one: &Browser, other: &Browser) {
    for browser in [one, other] {
        browser.open(&server.url()).await;
        browser.run(NOTE, vec![]).await;
    }
    one.press("start").await;
    one.queued().await;
    other.press("start").await;
    one.until("talking").await;
    other.until("talking").await;
}

#[tokio::test]
async fn a_breath_holds_both_directions_and_the_line_stays() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    talking(&server, &one, &other).await;
    one.hears(880.0).await;
    other.hears(440.0).await;
    let before = one.packet_size().await;

    one.press("breath").await;
    one.says_of_call(MINE).await;
    other.says_of_call(THEIRS).await;
    // Whoever is held says nothing either: nobody listens in while they seem to be away.
    for browser in [&one, &other] {
        browser.lamp("them", false, 0.02).await;
        browser.lamp("me", false, 0.02).await;
        assert_eq!(browser.packet_size().await, before, "packets go on as they were");
        with_axe(browser).await;
    }
    inspect_as(&one, "talking", "breath-mine").await;
    inspect_as(&other, "talking", "breath-theirs").await;

    // The other takes one too, mutes meanwhile, and is still held when back.
    other.press("breath").await;
    other.says_of_call(BOTH).await;
    one.says_of_call(BOTH).await;
    inspect_as(&one, "talking", "breath-both").await;
    other.press("mute").await;
    other.press("breath").await;
    other.says_of_call(THEIRS).await;
    one.says_of_call(MINE).await;
    one.lamp("them", false, 0.02).await;

    one.press("breath").await;
    one.says_of_call(TALKING).await;
    other.says_of_call((TALKING.0, "They can’t hear you right now.")).await;
    other.hears(440.0).await;
    one.lamp("them", false, 0.02).await;
    other.press("mute").await;
    other.says_of_call(TALKING).await;
    one.hears(880.0).await;
    assert_eq!(one.packet_size().await, before);

    // A screen reader is told of each once, and of nothing that is not so.
    assert_eq!(
        other.has_told().await.iter().filter(|text| text.starts_with(THEIRS.0)).count(),
        2,
        "at first, and when back"
    );
    let mine = format!("{} {}", MINE.0, MINE.1);
    assert_eq!(one.has_told().await, [TALKING.0, &mine, "They can hear you again."]);

    // One can go while it lasts, and the next partner knows nothing of it.
    one.press("breath").await;
    other.says_of_call(THEIRS).await;
    one.press("end").await;
    other.until("ended").await;
    one.until("ended").await;
    let third = Browser::chromium(Some(660.0)).await;
    third.open(&server.url()).await;
    third.press("start").await;
    third.queued().await;
    one.press("again").await;
    third.until("talking").await;
    third.says_of_call(TALKING).await;
    one.says_of_call(TALKING).await;
    third.hears(440.0).await;
    one.hears(660.0).await;
    for browser in [one, other, third] {
        browser.quit().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn firefox_and_chromium_take_a_breath() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (firefox, chromium) = (Browser::firefox().await, Browser::chromium(Some(440.0)).await);
    talking(&server, &firefox, &chromium).await;
    chromium.lamp("them", true, 0.05).await;
    let before = firefox.packet_size().await;
    for who in [&firefox, &chromium] {
        let whom = if std::ptr::eq(who, &firefox) { &chromium } else { &firefox };
        who.press("breath").await;
        who.says_of_call(MINE).await;
        whom.says_of_call(THEIRS).await;
        chromium.lamp("them", false, 0.02).await;
        assert_eq!(firefox.packet_size().await, before, "packets go on as they were");
        who.press("breath").await;
        who.says_of_call(TALKING).await;
        whom.says_of_call(TALKING).await;
        chromium.lamp("them", true, 0.05).await;
    }
    firefox.quit().await;
    chromium.quit().await;
    server.stop().await;
}

/// A browser in a call with a native caller, which is the offerer.
pub async fn with_native(server: &TestServer, visitor: &Browser) -> Call {
    visitor.open(&server.url()).await;
    visitor.run(NOTE, vec![]).await;
    visitor.press("start").await;
    visitor.queued().await;
    let options = Options { voice: tone(880), ..Options::default() };
    let mut caller = Caller::connect(&server.ws(), options).await.expect("a welcome");
    let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
    caller.join(languages, Role::Either, false).await.expect("a place in the queue");
    let mut call = caller.call(DEADLINE).await.expect("a partner");
    call.connected().await.expect("connected");
    visitor.until("talking").await;
    // Before these are there, whatever is not of them ends the call.
    visitor.emoji().await;
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breath_outlasts_a_restart_of_the_line() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let visitor = Browser::chromium(Some(440.0)).await;
    let mut call = with_native(&server, &visitor).await;
    visitor.hears(880.0).await;
    let heard = call.hear(100, DEADLINE).await.expect("two seconds of the browser's voice");
    let (voice, other) = (strength(&heard.last, 440), strength(&heard.last, 880));
    assert!(voice > 10.0 * other, "the microphone's tone {voice}, some other {other}");

    call.breathe(true).await;
    visitor.says_of_call(THEIRS).await;
    visitor.lamp("them", false, 0.02).await;
    call.restart(DEADLINE).await.expect("a line made anew");
    visitor.says_of_call(THEIRS).await;
    visitor.press("breath").await;
    visitor.says_of_call(BOTH).await;
    call.their_breath(true, DEADLINE).await.expect("it is told on the new line");
    call.breathe(false).await;
    visitor.says_of_call(MINE).await;
    call.restart(DEADLINE).await.expect("a line made anew");

    // Two seconds of nothing, in packets of the size that they always have.
    let from = call.heard().count;
    let heard = call.hear(from + 150, DEADLINE).await.expect("packets go on");
    assert!(heard.last.iter().all(|packet| packet.len() == PACKET_BYTES));
    assert!(strength(&heard.last, 440) < voice / 100.0, "{} of {voice}", strength(&heard.last, 440));
    visitor.press("breath").await;
    call.their_breath(false, DEADLINE).await.expect("it is told that they are back");
    visitor.says_of_call(TALKING).await;
    visitor.hears(880.0).await;
    let from = call.heard().count;
    let heard = call.hear(from + 100, DEADLINE).await.expect("packets go on");
    assert!(strength(&heard.last, 440) > voice / 2.0, "and the voice is in them again");
    call.leave().await.expect("idle").close().await;
    visitor.until("ended").await;
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_partner_cannot_make_the_page_flicker() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let visitor = Browser::chromium(None).await;
    let call = with_native(&server, &visitor).await;
    for wrong in [&[5][..], &[5, 1], &[5, 2, 0], &[5, 1, 0, 0], &[5; 2_003]] {
        call.send(Bytes::copy_from_slice(wrong)).await;
    }
    for number in 0..200 {
        call.send(Bytes::copy_from_slice(&encode(Said { breath: number % 2 == 0, stretches: 0 }))).await;
    }
    // What it says last, over and over, is what holds.
    call.breathe(true).await;
    visitor.says_of_call(THEIRS).await;
    let changes = visitor.run("return window.changes", vec![]).await;
    assert!(changes.as_array().is_some_and(|changes| changes.len() <= 9), "{changes}");
    assert!(visitor.has_told().await.len() <= 10);
    visitor.press("end").await;
    visitor.until("ended").await;
    assert_eq!(
        visitor.run("return document.documentElement.hasAttribute('data-held')", vec![]).await,
        Value::Bool(false)
    );
    visitor.quit().await;
    server.stop().await;
}
