//! A talk that is meant for ten minutes: both know, both are reminded, both can go on, and no clock ends it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::breath::{NOTE, with_native};
use crate::browser::{Browser, turn};
use crate::server::{DEADLINE, TestServer};
use crate::states::{inspect_as, with_axe};

/// What the page says at each time: in its heading, and under the controls.
const FEW: (&str, &str) = ("Hello is enough. So is silence.", "Meant for ten minutes or so. Nothing ends by itself.");
const OVER: (&str, &str) = ("Ten minutes have gone by.", "You can go on, or say goodbye; both are fine.");
const ASKED: (&str, &str) = ("Ten minutes have gone by.", "They’ll see that only if they would like to as well.");
const ON: (&str, &str) = ("You’d both like to go on.", "");

/// Gives the page a clock that the test can set forward.
const CLOCK: &str =
    "const now = performance.now.bind(performance); window.ahead = 0; performance.now = () => now() + window.ahead;";

/// Resolves once this is what the page says of the ten minutes.
const UNTIL_SAID: &str = r"
    const [title, text, done] = arguments;
    const part = name => document.querySelector(`[data-part=${name}]`).textContent;
    const look = () => part('call-title') === title && part('minutes-text') === text ? done(true) : setTimeout(look, 20);
    look();
";

/// Resolves with messages and bytes that have gone out on the data channel and messages that have come, once at least so
/// many have come.
const UNTIL_HEARD: &str = r"
    const [least, done] = arguments;
    const look = async () => {
        for (const [, one] of await window.connections.at(-1).getStats()) {
            if (one.type === 'data-channel' && one.messagesReceived >= least) {
                return done([one.messagesSent, one.bytesSent, one.messagesReceived]);
            }
        }
        setTimeout(look, 50);
    };
    look();
";

impl Browser {
    async fn says_of_minutes(&self, (title, text): (&str, &str)) {
        let said = self.wait(UNTIL_SAID, vec![json!(title), json!(text)]).await;
        assert!(said.is_some(), "not {title:?} but {:?}", self.text("main").await);
        let asks = self.run("return document.querySelector('[data-action=go-on]').checkVisibility()", vec![]).await;
        assert_eq!(asks, json!(text == OVER.1), "{title}");
    }

    /// Messages and bytes sent on the data channel so far, and messages that have come, at least so many more than before.
    async fn heard_more(&self, before: u64, more: u64) -> [u64; 3] {
        let heard = self.wait(UNTIL_HEARD, vec![json!(before + more)]).await.expect("beats go on");
        serde_json::from_value(heard).expect("three numbers")
    }

    /// So much time has gone by since the page was opened, and a little.
    async fn set_forward(&self, ahead: Duration) {
        self.run("window.ahead = arguments[0]", vec![json!(ahead.as_millis() as u64)]).await;
    }

    async fn told_of(&self, text: &str) -> usize {
        self.has_told().await.iter().filter(|told| told.starts_with(text)).count()
    }
}

#[tokio::test]
async fn a_talk_of_ten_minutes_reminds_both_and_ends_by_itself_never() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (one, other) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    for browser in [&one, &other] {
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": CLOCK })).await;
        browser.open(&server.url()).await;
        browser.run(NOTE, vec![]).await;
    }
    // One of them wishes for it; the server is not told.
    one.run("document.querySelector('[data-part=short]').click()", vec![]).await;
    one.press("start").await;
    one.queued().await;
    other.press("start").await;
    for browser in [&one, &other] {
        browser.until("talking").await;
        browser.emoji().await;
        browser.says_of_minutes(FEW).await;
    }
    other.says(FEW.1).await;
    assert_eq!(one.told_of(FEW.1).await, 0, "whoever wished for it knows");
    for frame in one.frames().await {
        assert!(!frame.contains("short") && !frame.contains("minutes"), "{frame}");
    }

    // Ten minutes later.
    let minutes = |count: u64| Duration::from_secs(60 * count + 1);
    for browser in [&one, &other] {
        browser.set_forward(minutes(10)).await;
        browser.says_of_minutes(OVER).await;
        browser.says(&format!("{} {}", OVER.0, OVER.1)).await;
        with_axe(browser).await;
    }
    inspect_as(&one, "talking", "ten-minutes-over").await;

    // One would like to go on. The other's page has heard of it, and says nothing.
    let [sent, bytes, _] = one.heard_more(0, 0).await;
    let [.., heard] = other.heard_more(0, 0).await;
    one.press("go-on").await;
    one.says_of_minutes(ASKED).await;
    one.says(ASKED.1).await;
    other.heard_more(heard, 3).await;
    other.says_of_minutes(OVER).await;
    assert_eq!(other.told_of(ASKED.1).await + other.told_of(ON.0).await, 0);
    inspect_as(&one, "talking", "ten-minutes-asked").await;

    // Both would: both are told, and another ten minutes begin.
    other.press("go-on").await;
    for browser in [&one, &other] {
        browser.says_of_minutes(ON).await;
        browser.says(ON.0).await;
    }
    inspect_as(&other, "talking", "ten-minutes-on").await;
    let [sent_by_now, bytes_by_now, _] = one.heard_more(0, 0).await;
    assert!(sent_by_now > sent);
    assert_eq!(bytes_by_now - bytes, 3 * (sent_by_now - sent), "no press shows on the line");

    // They go by as well. However long nobody presses anything, the two are together.
    for ahead in [20, 600] {
        for browser in [&one, &other] {
            browser.set_forward(minutes(ahead) + DEADLINE).await;
            browser.says_of_minutes(OVER).await;
        }
    }
    one.hears(880.0).await;
    other.hears(440.0).await;
    assert_eq!([one.state().await, other.state().await], ["talking", "talking"]);
    for (browser, asked) in [(&one, 1), (&other, 0)] {
        let times = [browser.told_of(OVER.0).await, browser.told_of(ASKED.1).await, browser.told_of(ON.0).await];
        assert_eq!(times, [2, asked, 1], "each is said once");
    }

    // The next one is another talk, and the wish is still the same.
    one.press("end").await;
    one.until("ended").await;
    other.until("ended").await;
    other.quit().await;
    let third = Browser::chromium(Some(660.0)).await;
    third.open(&server.url()).await;
    third.press("start").await;
    third.queued().await;
    one.press("again").await;
    one.until("talking").await;
    third.says_of_minutes(FEW).await;
    one.says_of_minutes(FEW).await;
    one.quit().await;
    third.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_caller_speaks_of_the_ten_minutes_as_well() {
    let _turn = turn().await;
    let server = TestServer::start().await;
    let visitor = Browser::chromium(None).await;
    visitor.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": CLOCK })).await;
    let mut call = with_native(&server, &visitor).await;
    let shown = "return document.querySelector('[data-part=minutes]').checkVisibility()";
    assert_eq!(visitor.run(shown, vec![]).await, Value::Bool(false), "nobody has wished for them");
    call.stretches(1).await;
    visitor.says_of_minutes(FEW).await;
    // Whatever it says of more than the first ten minutes says nothing before this side has pressed, and then of one stretch.
    call.stretches(255).await;
    visitor.set_forward(Duration::from_secs(601)).await;
    visitor.says_of_minutes(OVER).await;
    visitor.press("go-on").await;
    visitor.says_of_minutes(ON).await;
    call.their_stretches(2, DEADLINE).await.expect("it is told with the next beat");
    call.stretches(0).await;
    visitor.set_forward(Duration::from_secs(1_300)).await;
    visitor.says_of_minutes(OVER).await;
    call.leave().await.expect("idle").close().await;
    visitor.until("ended").await;
    visitor.quit().await;
    server.stop().await;
}
