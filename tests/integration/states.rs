//! Every state of the page as a visitor meets it: what it looks like, what axe-core says of it, what the keyboard does
//! in it, and what a hidden tab changes.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::browser::{Browser, turn};
use crate::server::TestServer;

/// Runs axe-core and resolves with what it finds, in short.
pub const AXE: &str = r"
    const done = arguments[0];
    axe.run(document, { resultTypes: ['violations', 'incomplete'] }).then(({ violations }) =>
        done(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(' ')}`)));
";

/// Resolves, once everything has come to rest, with what stands out of the page at a side.
pub const TOO_WIDE: &str = r"
    const done = arguments[0];
    const moving = () => document.getAnimations().filter(({ effect }) => effect.getComputedTiming().iterations !== Infinity);
    const rest = async () => {
        await new Promise(requestAnimationFrame);
        while (moving().length) await Promise.allSettled(moving().map(({ finished }) => finished));
        const { clientWidth } = document.documentElement;
        done([...document.querySelectorAll('body *')].map(one => [one, one.getBoundingClientRect()])
            .filter(([, { left, right }]) => right > clientWidth + 1 || left < -1)
            .map(([{ tagName, className }, { left, right }]) => `${tagName}.${className} ${left} ${right}`));
    };
    rest();
";

/// All but `paused`, which takes a flood and is inspected with it.
const STATES: [&str; 11] = [
    "landing",
    "asking",
    "mic-problem",
    "waiting",
    "offered",
    "connecting",
    "talking",
    "rejoining",
    "ended",
    "resting",
    "offline",
];

/// Sets the window's size in CSS pixels and the colour scheme.
pub async fn look(browser: &Browser, width: u32, height: u32, scheme: &str) {
    let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
    browser.cdp("Emulation.setDeviceMetricsOverride", size).await;
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    browser.cdp("Emulation.setEmulatedMedia", media).await;
}

/// Whether the focus is on the heading of the state that is shown.
async fn heading_has_focus(browser: &Browser) -> bool {
    let script = "const at = document.activeElement; return at.tagName === 'H1' && at.checkVisibility()";
    browser.run(script, vec![]).await == json!(true)
}

/// Looks at one state, in each size and scheme once: some states last for seconds only.
pub async fn inspect(browser: &Browser, state: &str) {
    inspect_as(browser, state, state).await;
}

/// Looks at one state; the pictures have this name.
pub async fn inspect_as(browser: &Browser, state: &str, name: &str) {
    for (width, height, scheme) in [(390, 664, "light"), (320, 568, "dark"), (1280, 800, "dark")] {
        assert_eq!(browser.state().await, state);
        look(browser, width, height, scheme).await;
        let wide = browser.wait(TOO_WIDE, vec![]).await.expect("the page comes to rest");
        assert_eq!(wide, Value::Array(vec![]), "{state} stands out at {width}");
        // Whoever wants to go should not have to look for the way.
        assert_eq!(browser.run(OUT_OF_REACH, vec![]).await, json!(0), "{state} at {width}: controls out of sight");
        let found = browser.wait(AXE, vec![]).await.expect("axe-core answers");
        assert_eq!(found, Value::Array(vec![]), "{state} {width} {scheme}");
        browser.screenshot(&format!("{name}-{width}-{scheme}")).await;
    }
}

/// Puts axe-core into the page; the driver may, although the page's policy lets no script of others in.
pub async fn with_axe(browser: &Browser) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node_modules/axe-core/axe.min.js");
    let source = std::fs::read_to_string(file).expect("axe-core, which ./tests/run installs");
    browser.run(&source, vec![]).await;
}

/// How far the lowest control that one goes on or away by lies under the window's lower edge, in pixels. What is offered
/// besides may be further down.
const OUT_OF_REACH: &str = r"
    const controls = [...document.querySelectorAll('section .controls [data-action]')].filter(one => one.checkVisibility());
    return Math.max(0, ...controls.map(one => Math.ceil(one.getBoundingClientRect().bottom - innerHeight)));
";

/// In another tab's shadow, as `document.hidden` has it.
async fn hide(browser: &Browser, hidden: bool) {
    let script = r"
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => arguments[0] });
        Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => arguments[0] ? 'hidden' : 'visible' });
        document.dispatchEvent(new Event('visibilitychange'));
    ";
    browser.run(&script.replace("arguments[0]", &hidden.to_string()), vec![]).await;
}

#[tokio::test]
async fn axe_finds_nothing_in_any_state() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    let mut seen = Vec::new();
    visitor.open(&server.url()).await;
    with_axe(&visitor).await;
    inspect(&visitor, "landing").await;
    seen.push("landing");

    // The question for the microphone, unanswered, and then refused.
    visitor
        .run(
            r"window.ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
              navigator.mediaDevices.getUserMedia = () => new Promise((_, refuse) => { window.refuse = refuse; });",
            vec![],
        )
        .await;
    visitor.press("start").await;
    visitor.until("asking").await;
    inspect(&visitor, "asking").await;
    seen.push("asking");
    visitor.run("window.refuse(new DOMException('', 'NotFoundError'))", vec![]).await;
    visitor.until("mic-problem").await;
    inspect(&visitor, "mic-problem").await;
    seen.push("mic-problem");
    visitor.run("navigator.mediaDevices.getUserMedia = window.ask", vec![]).await;
    visitor.press("retry").await;
    visitor.until("waiting").await;
    inspect(&visitor, "waiting").await;
    seen.push("waiting");

    // A match while the tab is hidden is offered, and the other is not in the call before it is accepted.
    hide(&visitor, true).await;
    partner.open(&server.url()).await;
    partner.press("start").await;
    visitor.until("offered").await;
    partner.until("connecting").await;
    hide(&visitor, false).await;
    inspect(&visitor, "offered").await;
    seen.push("offered");
    with_axe(&partner).await;
    inspect(&partner, "connecting").await;
    seen.push("connecting");
    visitor.press("accept").await;
    visitor.until("talking").await;
    partner.until("talking").await;
    inspect(&visitor, "talking").await;
    seen.push("talking");

    // The partner is gone without a word.
    partner.kill();
    visitor.until("rejoining").await;
    inspect(&visitor, "rejoining").await;
    seen.push("rejoining");
    visitor.press("end").await;
    visitor.until("ended").await;
    inspect(&visitor, "ended").await;
    seen.push("ended");
    visitor.press("rest").await;
    visitor.until("resting").await;
    inspect(&visitor, "resting").await;
    seen.push("resting");
    visitor.press("help").await;
    inspect(&visitor, "resting").await;
    visitor.driver.active_element().await.expect("a focus").send_keys(Key::Escape).await.expect("a key");

    visitor.press("again").await;
    visitor.until("waiting").await;
    server.stop().await;
    visitor.until("offline").await;
    inspect(&visitor, "offline").await;
    seen.push("offline");
    // Help does not need the server.
    visitor.press("help").await;
    assert!(visitor.run("return document.querySelector('dialog').open", vec![]).await == json!(true));
    assert!(visitor.text("dialog").await.contains("988"), "an English browser is shown a line it can call");
    visitor.quit().await;
    assert_eq!(seen, STATES);
}

#[tokio::test]
async fn a_whole_visit_with_the_keyboard_alone() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    visitor.open(&server.url()).await;
    partner.open(&server.url()).await;
    assert_eq!(visitor.text("[role=status]").await, "", "nothing is said before anything happens");
    visitor.tab_to("start").await.key(Key::Enter).await;
    visitor.until("waiting").await;
    assert!(heading_has_focus(&visitor).await);
    visitor.run(LISTEN, vec![]).await;
    partner.press("start").await;
    visitor.until("talking").await;
    // The heading of the call has the focus already, and says something else.
    assert!(heading_has_focus(&visitor).await);
    visitor.says("Hello is enough. So is silence.").await;
    assert_eq!(visitor.run("return said", vec![]).await, json!(["Hello is enough. So is silence."]));
    partner.lamp("them", true, 0.1).await;

    // M mutes and unmutes, the toggle says so by its state, and the partner hears nothing.
    visitor.key('m').await;
    let pressed = "return document.querySelector('[data-action=mute]').ariaPressed";
    assert_eq!(visitor.run(pressed, vec![]).await, json!("true"));
    assert!(visitor.text("main").await.contains("They can’t hear you right now."));
    partner.lamp("them", false, 0.02).await;
    visitor.tab_to("mute").await.key(Key::Space).await;
    assert_eq!(visitor.run(pressed, vec![]).await, json!("false"));
    partner.lamp("them", true, 0.1).await;

    visitor.tab_to("end").await.key(Key::Enter).await;
    visitor.until("ended").await;
    assert!(heading_has_focus(&visitor).await);
    partner.until("ended").await;
    visitor.tab_to("rest").await.key(Key::Enter).await;
    visitor.until("resting").await;
    assert!(heading_has_focus(&visitor).await);
    visitor.tab_to("again").await.key(Key::Enter).await;
    visitor.until("waiting").await;

    // Shift three times: away at once, and nothing of Sotto is left to be seen.
    for _ in 0..3 {
        visitor.key(Key::Shift).await;
    }
    let away = "const done = arguments[0]; const look = () => location.href === 'about:blank' ? done(true) : setTimeout(look, 20); look();";
    let mut url = visitor.driver.current_url().await.expect("a place").to_string();
    if url != "about:blank" {
        visitor.wait(away, vec![]).await;
        url = visitor.driver.current_url().await.expect("a place").to_string();
    }
    assert_eq!(url, "about:blank");
    partner.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn whoever_declines_is_let_go_and_the_other_keeps_waiting() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (hidden, partner) = (Browser::chromium(None).await, Browser::chromium(None).await);
    hidden.open(&server.url()).await;
    hidden.press("start").await;
    hidden.until("waiting").await;
    hide(&hidden, true).await;
    partner.open(&server.url()).await;
    partner.press("start").await;
    hidden.until("offered").await;
    hidden.press("decline").await;
    hidden.until("resting").await;
    partner.until("waiting").await;
    hidden.quit().await;
    partner.quit().await;
    server.stop().await;
}

/// Counts the tones that begin to sound.
const COUNT_TONES: &str = r"
    window.tones = 0;
    const { start } = OscillatorNode.prototype;
    OscillatorNode.prototype.start = function (...when) {
        if (this.context.state === 'running') tones += 1;
        return start.apply(this, when);
    };
";

#[tokio::test]
async fn whoever_is_in_another_tab_is_called_and_asked_before_they_are_heard() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (hidden, partner) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    hidden.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": COUNT_TONES })).await;
    hidden.open(&server.url()).await;
    hidden.press("start").await;
    hidden.queued().await;
    hide(&hidden, true).await;
    partner.open(&server.url()).await;
    partner.press("start").await;
    hidden.until("offered").await;
    // A fifth, and the name of the tab; nobody is heard by anybody yet.
    let called = "return [tones, document.title, (window.connections ?? []).length]";
    assert_eq!(hidden.run(called, vec![]).await, json!([2, "Someone’s here · Sotto", 0]));
    assert_eq!(partner.state().await, "connecting");
    hide(&hidden, false).await;
    assert_eq!(hidden.state().await, "offered", "to look is not yet to say hello");
    hidden.press("accept").await;
    hidden.until("talking").await;
    hidden.hears(880.0).await;
    partner.hears(440.0).await;
    assert_eq!(hidden.run(called, vec![]).await, json!([2, "Sotto", 1]));
    hidden.quit().await;
    partner.quit().await;
    server.stop().await;
}

/// The pages to be read: where they are, and what they begin with.
const TO_BE_READ: [(&str, &str); 2] = [
    ("privacy", "What others can see, and what they cannot"),
    ("accessibility", "How this page can be used, and how we know"),
];

#[tokio::test]
async fn pages_to_be_read_read_well_in_every_light_and_without_scripts() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let reader = Browser::chromium(None).await;
    for (name, title) in TO_BE_READ {
        reader.open(&server.url()).await;
        reader.press_link(&format!("/{name}")).await;
        with_axe(&reader).await;
        for (width, height, scheme) in
            [(320, 568, "dark"), (390, 664, "light"), (1280, 800, "dark"), (1280, 800, "light")]
        {
            look(&reader, width, height, scheme).await;
            assert_eq!(
                reader.wait(TOO_WIDE, vec![]).await.expect("the page is at rest"),
                json!([]),
                "{name} at {width}"
            );
            let found = reader.wait(AXE, vec![]).await.expect("axe-core answers");
            assert_eq!(found, json!([]), "{name} {width} {scheme}");
            reader.screenshot(&format!("{name}-{width}-{scheme}")).await;
        }
        // High contrast, and on paper: what is read stands out from what it is on.
        let colours = "const { color, backgroundColor } = getComputedStyle(document.documentElement); return [color, backgroundColor]";
        let forced = json!({ "features": [{ "name": "forced-colors", "value": "active" }] });
        reader.cdp("Emulation.setEmulatedMedia", forced).await;
        let found = reader.wait(AXE, vec![]).await.expect("axe-core answers");
        assert_eq!(found, json!([]), "{name} with forced colours");
        reader.cdp("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
        assert_eq!(reader.run(colours, vec![]).await, json!(["rgb(0, 0, 0)", "rgb(255, 255, 255)"]));
        reader.cdp("Emulation.setEmulatedMedia", json!({ "media": "" })).await;

        // The keyboard alone, and no script at all.
        reader.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
        reader.driver.goto(&format!("{}{name}", server.url())).await.expect("the page");
        let heading = reader.driver.find(By::Css("main h1")).await.expect("a heading");
        assert!(heading.is_displayed().await.expect("it is there"));
        assert_eq!(heading.text().await.expect("words"), title);
        reader.key(Key::Tab).await.key(Key::Enter).await;
        reader.driver.find(By::Css("[data-action=start]")).await.expect("the first page");
        reader.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
    }
    reader.open(&server.url()).await;
    reader.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn the_text_line_is_in_nobodys_way() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--text-line"]).await;
    let (visitor, partner) = (Browser::chromium(None).await, Browser::chromium(None).await);
    visitor.open(&server.url()).await;
    partner.open(&server.url()).await;
    visitor.press("start").await;
    visitor.until("waiting").await;
    partner.press("start").await;
    visitor.until("talking").await;
    with_axe(&visitor).await;
    let sizes = [(390, 664, "light"), (320, 568, "dark"), (1280, 800, "dark")];
    let places = r"return ['mute', 'end'].map(name => {
        const { x, y } = document.querySelector(`[data-action=${name}]`).getBoundingClientRect();
        return [x, y + scrollY];
    })";
    for (width, height, scheme) in sizes {
        look(&visitor, width, height, scheme).await;
        visitor.wait(TOO_WIDE, vec![]).await.expect("the page comes to rest");
        let before = visitor.run(places, vec![]).await;
        // What comes while it is closed moves nothing under a finger.
        let news = format!("closed at {width}");
        partner.types(&news).await;
        visitor.sees_typed(&news).await;
        assert_eq!(visitor.run(places, vec![]).await, before, "at {width}");
        inspect_text_line(&visitor, "closed", width, scheme).await;
        visitor.open_text_line().await;
        visitor.types("I can’t speak just now.").await;
        partner.sees_typed("I can’t speak just now.").await;
        inspect_text_line(&visitor, "open", width, scheme).await;
        let button = "return document.querySelector('[data-part=type] button').getBoundingClientRect().height";
        assert!(visitor.run(button, vec![]).await.as_f64().expect("a height") >= 48.0);
        visitor.run("document.querySelector('[data-part=typing]').open = false", vec![]).await;
    }
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}

/// Looks at the panel of the text line as it is.
async fn inspect_text_line(visitor: &Browser, how: &str, width: u32, scheme: &str) {
    let wide = visitor.wait(TOO_WIDE, vec![]).await.expect("the page comes to rest");
    assert_eq!(wide, json!([]), "{how}, something stands out at {width}");
    assert_eq!(visitor.run(OUT_OF_REACH, vec![]).await, json!(0), "{how} at {width}: controls out of sight");
    assert_eq!(visitor.wait(AXE, vec![]).await.expect("axe-core answers"), json!([]), "{how} {width} {scheme}");
    visitor.screenshot(&format!("typing-{how}-{width}-{scheme}")).await;
}

/// Whether the help is open.
const HELP_IS_OPEN: &str = "return document.querySelector('dialog').open";

#[tokio::test]
async fn help_stays_open_until_it_is_closed() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    visitor.double_press("help", Duration::ZERO).await;
    assert_eq!(visitor.run(HELP_IS_OPEN, vec![]).await, json!(true), "after a double press");
    // Inside it, beside the words; and outside.
    let edge =
        "const { left, top } = document.querySelector('dialog').getBoundingClientRect(); return [left + 5, top + 5]";
    let edge: [f64; 2] = serde_json::from_value(visitor.run(edge, vec![]).await).expect("a place");
    #[allow(clippy::cast_possible_truncation)]
    for (x, y) in [(edge[0] as i64, edge[1] as i64), (5, 300)] {
        visitor.driver.action_chain().move_to(x, y).click().perform().await.expect("a click");
        assert_eq!(visitor.run(HELP_IS_OPEN, vec![]).await, json!(true), "after a click at {x}, {y}");
    }
    visitor.driver.find(By::Css("[data-part=help-close]")).await.expect("a way out").click().await.expect("a click");
    assert_eq!(visitor.run(HELP_IS_OPEN, vec![]).await, json!(false));
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn a_double_press_is_one_press() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium(None).await;
    // Here the lower edge of the one lies on the other.
    look(&visitor, 375, 667, "dark").await;
    // What each click has met, and how many it is in a row.
    let watch = r"
        window.clicks = [];
        const see = ({ target, detail }) => clicks.push([target.closest('[data-action]')?.dataset.action ?? '', detail]);
        addEventListener('click', see, true);
    ";
    let mut seen = Vec::new();
    for pause in [0, 80, 160].map(Duration::from_millis) {
        visitor.open(&server.url()).await;
        visitor.run(watch, vec![]).await;
        visitor.double_press("start", pause).await;
        visitor.until("waiting").await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(visitor.state().await, "waiting", "after {pause:?}");
        seen.push(visitor.run("return clicks", vec![]).await);
    }
    assert!(seen.contains(&json!([["start", 1], ["stop", 2]])), "no second press met anything: {seen:?}");
    visitor.press("stop").await;
    visitor.until("landing").await;

    // Two presses that are meant are two: on what has not changed, or with the keyboard.
    let partner = Browser::chromium(None).await;
    partner.open(&server.url()).await;
    visitor.press("start").await;
    partner.press("start").await;
    visitor.until("talking").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    visitor.double_press("mute", Duration::ZERO).await;
    let pressed = "return document.querySelector('[data-action=mute]').ariaPressed";
    assert_eq!(visitor.run(pressed, vec![]).await, json!("false"));
    visitor.tab_to("end").await.key(Key::Enter).await;
    visitor.tab_to("rest").await.key(Key::Enter).await;
    visitor.until("resting").await;
    partner.quit().await;
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn eight_languages_are_as_many_as_one_may_bring() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    let kept =
        r#"localStorage.sotto = JSON.stringify({ languages: ["en", "de", "fr", "es", "it", "pt", "nl", "sv"] })"#;
    visitor.run(kept, vec![]).await;
    visitor.open(&server.url()).await;
    let full = "return document.querySelector('[data-part=add-language]').disabled";
    assert_eq!(visitor.run(full, vec![]).await, json!(true), "there is no room for a ninth");
    // A ninth that comes all the same is left out, and the visitor is in the queue.
    let ninth = r"
        const select = document.querySelector('[data-part=add-language]');
        select.value = 'ru';
        select.dispatchEvent(new Event('change'));
    ";
    visitor.run(ninth, vec![]).await;
    visitor.press("start").await;
    visitor.until("waiting").await;
    let queued = r#"const done = arguments[0];
        const look = () => frames_seen.includes('{"type":"waiting"}') ? done(true) : setTimeout(look, 20);
        look();"#;
    assert!(visitor.wait(queued, vec![]).await.is_some(), "{:?}", visitor.frames().await);
    visitor.quit().await;
    server.stop().await;
}

/// Keeps everything that a screen reader is told from now on.
pub const LISTEN: &str = r"
    window.said = [];
    const status = document.querySelector('[role=status]');
    new MutationObserver(() => status.textContent && said.push(status.textContent)).observe(status, { childList: true });
";

#[tokio::test]
async fn what_is_said_is_said_once_and_true_and_in_the_help_too() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(None).await, Browser::chromium(None).await);
    visitor.open(&server.url()).await;
    partner.open(&server.url()).await;
    visitor.press("start").await;
    visitor.until("waiting").await;
    visitor.press("help").await;
    visitor.run(LISTEN, vec![]).await;
    partner.press("start").await;
    visitor.until("talking").await;
    visitor.says("Hello is enough. So is silence.").await;
    assert_eq!(visitor.run("return !!document.querySelector('dialog [role=status]')", vec![]).await, json!(true));
    visitor.driver.active_element().await.expect("a focus").send_keys(Key::Escape).await.expect("a key");

    visitor.press("mute").await;
    visitor.says("They can’t hear you right now.").await;
    visitor.press("mute").await;
    visitor.says("They can hear you again.").await;

    // A microphone that went while muted and cannot be had again: nobody is told that they are heard.
    visitor.press("mute").await;
    visitor.says("They can’t hear you right now.").await;
    let gone = r"
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError'));
        for (const track of window.tracks) track.stop();
        window.said.length = 0;
    ";
    visitor.run(gone, vec![]).await;
    visitor.press("mute").await;
    visitor.says("They can’t hear you right now.").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(visitor.run("return said", vec![]).await, json!(["They can’t hear you right now."]));
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn what_comes_behind_the_question_what_it_was_is_told_inside_it() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(None).await, Browser::chromium(None).await);
    visitor.open(&server.url()).await;
    partner.open(&server.url()).await;
    visitor.press("start").await;
    visitor.queued().await;
    partner.press("start").await;
    visitor.until("talking").await;
    visitor.press("report").await;
    visitor.run(LISTEN, vec![]).await;
    partner.press("end").await;
    visitor.until("ended").await;
    let end = "The conversation has ended. People leave for all kinds of reasons.";
    visitor.says(end).await;
    let inside = "return document.querySelector('dialog[open] [role=status]')?.textContent";
    assert_eq!(visitor.run(inside, vec![]).await, json!(end));
    let question = visitor.text("[data-part=report]").await;
    assert!(question.contains("It keeps the two of you apart") && !question.contains("ends the conversation"));

    // Not meant after all: the focus is where the news is, which is not said a second time.
    visitor.run("document.querySelector('[data-part=report-close]').click()", vec![]).await;
    let arrived = "const done = arguments[0]; const look = () => document.activeElement.tagName === 'H1' ? done(true) : setTimeout(look, 20); look();";
    assert!(visitor.wait(arrived, vec![]).await.is_some());
    assert!(heading_has_focus(&visitor).await);
    assert_eq!(visitor.run("return said", vec![]).await, json!([end]));

    // Meant: thanked for where the focus is, although the button that it came from has gone.
    visitor.press("report").await;
    visitor.run("document.querySelector('[data-category=other]').click()", vec![]).await;
    assert!(visitor.wait(arrived, vec![]).await.is_some());
    assert_eq!(
        visitor.run("return document.activeElement.textContent", vec![]).await,
        json!("Thank you for telling us.")
    );
    assert!(visitor.frames().await.iter().any(|frame| frame.contains(r#""type":"report""#)));
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}

impl Browser {
    /// Waits until a screen reader has this to say.
    pub async fn says(&self, text: &str) {
        let until = r"
            const [text, done] = arguments;
            const look = () => document.querySelector('[role=status]').textContent === text ? done(true) : setTimeout(look, 20);
            look();
        ";
        assert!(self.wait(until, vec![json!(text)]).await.is_some(), "{text} is not said");
    }

    /// Presses twice in the same place, near a control's lower edge, whatever has come there meanwhile.
    async fn double_press(&self, action: &str, pause: Duration) {
        let place = r"
            const control = [...document.querySelectorAll(`[data-action=${arguments[0]}]`)].find(one => one.checkVisibility());
            const { left, width, bottom } = control.getBoundingClientRect();
            return [Math.round(left + width / 2), Math.round(bottom - 10)];
        ";
        let place = self.run(place, vec![json!(action)]).await;
        let [x, y]: [i64; 2] = serde_json::from_value(place).expect("a place");
        for count in [1, 2] {
            for kind in ["mousePressed", "mouseReleased"] {
                let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": count });
                self.cdp("Input.dispatchMouseEvent", event).await;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Presses Tab until the control with this `data-action` has the focus.
    pub async fn tab_to(&self, action: &str) -> &Self {
        let at = "return document.activeElement.dataset.action ?? ''";
        for _ in 0..30 {
            if self.run(at, vec![]).await == json!(action) {
                return self;
            }
            self.key(Key::Tab).await;
        }
        panic!("{action} cannot be reached with Tab in {}", self.state().await);
    }

    /// Presses and lets go of one key.
    pub async fn key(&self, key: impl Into<char>) -> &Self {
        let key = key.into();
        self.driver.action_chain().key_down(key).key_up(key).perform().await.expect("a key");
        self
    }
}
