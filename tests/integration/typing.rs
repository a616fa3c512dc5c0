//! The text line: the two in a call type to each other, where the operator lets them.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sotto::caller::text::{FRAME_BYTES, encode};
use sotto::caller::{Call, Caller, Options};
use sotto::protocol::{Languages, Role};
use thirtyfour::prelude::*;

use crate::browser::{Browser, turn};
use crate::server::{DEADLINE, TestServer};

/// What is in the log: who, and the text.
const LOG: &str = r"
    return [...document.querySelectorAll('[data-part=log] > *')].map(entry =>
        [entry.querySelector('[data-word]').dataset.word, entry.querySelector('bdi').textContent]);
";

/// Resolves once this is the last line in the log.
const UNTIL_LINE: &str = r"
    const [text, done] = arguments;
    const look = () => [...document.querySelectorAll('[data-part=log] bdi')].at(-1)?.textContent === text ? done(true) : setTimeout(look, 20);
    look();
";

/// Resolves once nothing of a text line is to be seen or left in the page.
const UNTIL_FORGOTTEN: &str = r"
    const [done] = arguments;
    const part = name => document.querySelector(`[data-part=${name}]`);
    const look = () => part('typing').hidden && !part('typing').open && part('log').childNodes.length === 0 && part('line').value === ''
        ? done(true) : setTimeout(look, 20);
    look();
";

/// What an attacker would type, and what people do.
const TEXTS: [&str; 5] = [
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>",
    "&amp; {\"type\":\"leave\"} bye ${document.cookie} javascript:alert(1)",
    "שלום 👋🏽 مرحبا, and left to right again",
    "👩‍👩‍👧‍👦 🏳️‍🌈 ❤️ z̸̢̛̥̈́̃a̷l̵g̷o̶",
    "This one is long and has no spaces: wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww",
];

impl Browser {
    /// Opens the panel, as a visitor does.
    pub async fn open_text_line(&self) {
        let title = self.driver.find(By::Css("[data-part=typing-title]")).await.expect("a panel");
        title.click().await.expect("a click");
        let open = "const [done] = arguments; const look = () => document.querySelector('[data-part=typing]').open ? done(true) : setTimeout(look, 20); look();";
        assert!(self.wait(open, vec![]).await.is_some(), "the panel opens");
    }

    /// Puts a text into the line and sends it, whatever characters the driver's keyboard has.
    pub async fn types(&self, text: &str) {
        let script = r"
            const input = document.querySelector('[data-part=line]');
            input.value = arguments[0];
            input.dispatchEvent(new InputEvent('input', { bubbles: true }));
            input.form.requestSubmit();
        ";
        self.run(script, vec![json!(text)]).await;
    }

    /// Waits until this is the last line of the log.
    pub async fn sees_typed(&self, text: &str) {
        let seen = self.wait(UNTIL_LINE, vec![json!(text)]).await;
        assert!(seen.is_some(), "{text} is not read: {}", self.run(LOG, vec![]).await);
    }

    async fn forgets(&self) {
        assert!(self.wait(UNTIL_FORGOTTEN, vec![]).await.is_some(), "something typed is left");
    }
}

async fn talking(server: &TestServer, one: &Browser, other: &Browser) {
    one.open(&server.url()).await;
    other.open(&server.url()).await;
    one.press("start").await;
    one.queued().await;
    other.press("start").await;
    one.until("talking").await;
    other.until("talking").await;
}

/// Both type to each other whatever people type, and nothing of it is left.
async fn type_to_each_other(one: Browser, other: Browser) {
    let server = TestServer::start_with(&["--text-line"]).await;
    talking(&server, &one, &other).await;
    one.open_text_line().await;
    for text in TEXTS {
        one.types(text).await;
        one.sees_typed(text).await;
        other.sees_typed(text).await;
    }
    // Whoever has the panel closed is told, once.
    let title = "return document.querySelector('[data-part=typing-title]').textContent";
    assert_eq!(other.run(title, vec![]).await, json!("They have typed something."));
    assert_eq!(one.run(title, vec![]).await, json!("Type instead"));
    other.open_text_line().await;
    let told = r"const [done] = arguments; const title = document.querySelector('[data-part=typing-title]');
        const look = () => title.textContent === 'Type instead' ? done(true) : setTimeout(look, 20); look();";
    assert!(other.wait(told, vec![]).await.is_some(), "what has been looked at is no news");

    // By the keyboard: letters are letters, and Enter sends.
    let line = other.driver.find(By::Css("[data-part=line]")).await.expect("a line");
    line.send_keys("mum, M" + Key::Enter).await.expect("keys");
    one.sees_typed("mum, M").await;
    for _ in 0..4 {
        let shift = other.driver.action_chain().key_down(Key::Shift).key_up(Key::Shift);
        shift.perform().await.expect("a key");
    }
    assert_eq!(other.state().await, "talking");
    assert_eq!(other.run("return document.documentElement.hasAttribute('data-muted')", vec![]).await, json!(false));
    let button = one.driver.find(By::Css("[data-part=type] button")).await.expect("a button");
    one.driver.find(By::Css("[data-part=line]")).await.expect("a line").send_keys("yes").await.expect("keys");
    button.click().await.expect("a click");
    other.sees_typed("yes").await;
    assert_eq!(one.run("return document.querySelector('[data-part=line]').value", vec![]).await, json!(""));

    let mine = TEXTS.map(|text| json!(["type.me", text]));
    let log = one.run(LOG, vec![]).await;
    assert_eq!(log.as_array().expect("a log")[..5], mine);
    assert_eq!(log[5], json!(["type.them", "mum, M"]));
    for browser in [&one, &other] {
        assert_eq!(browser.run("return document.title", vec![]).await, json!("Sotto"));
        let strange = "return document.querySelectorAll('[data-part=log] :not(p, span, bdi)').length";
        assert_eq!(browser.run(strange, vec![]).await, json!(0), "a text is a text");
        // Only what the other has typed is read out.
        let live = "return [...document.querySelectorAll('[data-part=log] > *')].map(entry => entry.getAttribute('aria-live'))";
        let live: Vec<Option<String>> =
            serde_json::from_value(browser.run(live, vec![]).await).expect("a list of attributes");
        let log: Vec<[String; 2]> = serde_json::from_value(browser.run(LOG, vec![]).await).expect("a log");
        let expected = log.iter().map(|[who, _]| (who == "type.me").then(|| "off".to_owned()));
        assert_eq!(live, expected.collect::<Vec<_>>());
    }

    // Half a thought is gone with the rest, whoever ends it.
    other.run("document.querySelector('[data-part=line]').value = 'half a thou'", vec![]).await;
    one.press("end").await;
    for browser in [&one, &other] {
        browser.until("ended").await;
        browser.forgets().await;
    }
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn two_chromiums_type_to_each_other() {
    let _turn = turn().await;
    type_to_each_other(Browser::chromium(None).await, Browser::chromium(None).await).await;
}

#[tokio::test]
async fn chromium_and_firefox_type_to_each_other() {
    let _turn = turn().await;
    type_to_each_other(Browser::chromium(None).await, Browser::firefox().await).await;
}

#[tokio::test]
async fn a_line_has_five_hundred_characters_however_they_are_counted_elsewhere() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--text-line"]).await;
    let (one, other) = (Browser::chromium(None).await, Browser::chromium(None).await);
    talking(&server, &one, &other).await;
    one.open_text_line().await;
    for (character, more) in [("x", "y"), ("😀", "x")] {
        let full = character.repeat(500);
        one.types(&format!("{full}{more}")).await;
        other.sees_typed(&full).await;
    }
    one.quit().await;
    other.quit().await;
    server.stop().await;
}

async fn native(server: &TestServer) -> Call {
    let mut caller = Caller::connect(&server.ws(), Options::default()).await.expect("a welcome");
    let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
    caller.join(languages, Role::Either, false).await.expect("a place in the queue");
    caller.call(DEADLINE).await.expect("a partner")
}

fn line(text: &str) -> Bytes {
    encode(text).expect("a line")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_is_off_nothing_is_shown_and_nothing_taken() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    // Lines that pass the channel, either way.
    let watch = r"
        window.lines = { came: 0, went: 0 };
        const line = data => typeof data !== 'string' && new Uint8Array(data)[0] === 4;
        const { prototype } = frames[0].RTCPeerConnection;
        const create = prototype.createDataChannel;
        prototype.createDataChannel = function (...all) {
            const channel = create.apply(this, all);
            channel.addEventListener('message', ({ data }) => { lines.came += line(data); });
            const send = channel.send;
            channel.send = function (data) { lines.went += line(data); send.call(channel, data); };
            return channel;
        };
    ";
    visitor.run(watch, vec![]).await;
    visitor.press("start").await;
    visitor.queued().await;
    let mut call = native(&server).await;
    call.connected().await.expect("connected");
    visitor.until("talking").await;
    let hidden = "return document.querySelector('[data-part=typing]').hidden";
    assert_eq!(visitor.run(hidden, vec![]).await, json!(true));
    assert!(!visitor.frames().await.iter().any(|frame| frame.contains("text_line")), "it is not said on the wire");
    // Before they are there, anything but them ends the call.
    visitor.emoji().await;
    for _ in 0..5 {
        call.send(line("do you see this?")).await;
    }
    let came =
        "const done = arguments[0]; const look = () => lines.came === 5 ? done(true) : setTimeout(look, 20); look();";
    assert!(visitor.wait(came, vec![]).await.is_some(), "they have not come");
    assert_eq!(visitor.state().await, "talking");
    assert_eq!(visitor.run(LOG, vec![]).await, json!([]));
    visitor.types("nor does this go anywhere").await;
    assert_eq!(visitor.run(LOG, vec![]).await, json!([]));
    assert_eq!(visitor.run(hidden, vec![]).await, json!(true));
    visitor.press("end").await;
    // The farewell comes after whatever was sent before it on the same channel.
    call.ended().await;
    assert_eq!(visitor.run("return lines.went", vec![]).await, json!(0));
    assert!(call.line(Duration::ZERO).await.is_err(), "a line came");
    visitor.until("ended").await;
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_partner_is_shown_as_far_as_it_is_a_partner() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--allow-native", "--text-line"]).await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    // The channel is at hand for what no line is fast enough to bring.
    let keep = r"
        const { prototype } = frames[0].RTCPeerConnection;
        const create = prototype.createDataChannel;
        prototype.createDataChannel = function (...all) { return window.channel = create.apply(this, all); };
    ";
    visitor.run(keep, vec![]).await;
    visitor.press("start").await;
    visitor.queued().await;
    let mut call = native(&server).await;
    call.connected().await.expect("connected");
    visitor.until("talking").await;
    visitor.emoji().await;
    visitor.open_text_line().await;

    // Frames of every wrong kind; then one that is right.
    let right = line("hello");
    let with = |at: usize, byte: u8| {
        let mut wrong = right.to_vec();
        wrong[at] = byte;
        Bytes::from(wrong)
    };
    let mut turned = right.to_vec();
    turned[2] = 6;
    turned[3..9].copy_from_slice("\u{202e}abc".as_bytes());
    let mut long = vec![b'x'; FRAME_BYTES];
    long[..3].copy_from_slice(&[4, 0x07, 0xD0]);
    for wrong in [
        Bytes::from_static(&[4]),
        right.slice(..FRAME_BYTES - 1),
        Bytes::from([&right[..], &[0]].concat()),
        with(1, 0xFF),
        with(2, 0),
        with(2, 4),
        with(3, 0xFF),
        with(3, 0x1B),
        with(FRAME_BYTES - 1, 1),
        turned.into(),
        long.into(),
    ] {
        call.send(wrong).await;
    }
    call.send(right.clone()).await;
    visitor.sees_typed("hello").await;
    assert_eq!(visitor.run(LOG, vec![]).await, json!([["type.them", "hello"]]));

    // More than any line could carry, at the page's own end of the channel.
    let flood = r"
        const [frame, done] = arguments;
        const frames = [new Uint8Array(frame), new Uint8Array([4, 0, 1]), new Uint8Array(2003).fill(4), new Uint8Array(3000).fill(4)];
        const began = performance.now();
        for (let number = 0; number < 10_000; number++) {
            channel.dispatchEvent(new MessageEvent('message', { data: frames[number % frames.length].buffer.slice(0) }));
        }
        requestAnimationFrame(() => requestAnimationFrame(() => done([performance.now() - began, document.querySelectorAll('[data-part=log] > *').length])));
    ";
    let seen = visitor.wait(flood, vec![json!(right.to_vec())]).await.expect("the page goes on");
    let [taken, entries]: [f64; 2] = serde_json::from_value(seen).expect("two numbers");
    println!("ten thousand frames: {taken:.0} ms, {entries} lines");
    // Of forty that may come at once wrong ones of the right size take a part, ten before the flood and every other in it:
    // fifteen are shown, after the one before, and by all means more than seven.
    assert!((8.0..=41.0).contains(&entries), "{entries} lines");
    assert!(taken < 5_000.0, "the page stood still for {taken} ms");
    // It mutes, types and ends as ever.
    visitor.press("mute").await;
    visitor.types("please stop").await;
    assert_eq!(call.line(DEADLINE).await.expect("a line"), "please stop");
    visitor.press("end").await;
    visitor.until("ended").await;
    visitor.forgets().await;
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_typed_while_the_line_is_thin_arrives() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--text-line"]).await;
    let (one, other) = (Browser::chromium(None).await, Browser::chromium(None).await);
    talking(&server, &one, &other).await;
    one.open_text_line().await;
    // Nothing of the other's gets through for as long as its process stands still; both say so.
    let stand = |signal: &str| {
        let pids = std::process::Command::new("pgrep").args(["-g", &other.group()]).output().expect("pgrep").stdout;
        let pids = String::from_utf8(pids).expect("numbers");
        std::process::Command::new("kill").arg(signal).args(pids.split_whitespace()).status().expect("kill");
    };
    stand("-STOP");
    one.run("document.querySelector('[data-part=line]').focus()", vec![]).await;
    one.until("rejoining").await;
    one.says("The line is thin. Holding on.").await;
    one.types("are you there?").await;
    one.sees_typed("are you there?").await;
    stand("-CONT");
    other.sees_typed("are you there?").await;
    one.until("talking").await;
    one.says("Hello is enough. So is silence.").await;
    let focus = "return document.activeElement.dataset.part";
    assert_eq!(one.run(focus, vec![]).await, json!("line"), "whoever types is not sent elsewhere");
    let shown: Value = other.run(LOG, vec![]).await;
    assert_eq!(shown, json!([["type.them", "are you there?"]]));
    one.quit().await;
    other.quit().await;
    server.stop().await;
}
