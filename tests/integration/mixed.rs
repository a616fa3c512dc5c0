//! Visitors of different makes in one call: what one describes, the other understands.

use serde_json::json;
use sotto::caller::signalling::Tap;
use sotto::caller::{Caller, Ending, Options};
use sotto::protocol::{EndReason, Languages, Role};
use tokio::time::timeout;

use crate::browser::{Browser, UNTIL_PLAYING, turn};
use crate::server::{DEADLINE, TestServer};
use crate::voice::{strength, tone};
use crate::wire::check_frame;

async fn native(server: &TestServer, tap: &Tap) -> Caller {
    let options = Options { voice: tone(880), tap: Some(tap.clone()), ..Options::default() };
    let mut caller = Caller::connect(&server.ws(), options).await.expect("a welcome");
    let languages = Languages::new(vec!["en".to_owned()]).expect("a language");
    caller.join(languages, Role::Either, true).await.expect("a place in the queue");
    caller
}

/// A browser and a native caller; the browser is the offerer when it comes second.
async fn with_native(browser: Browser, browser_first: bool, hertz: Option<u16>) {
    let server = TestServer::start().await;
    let tap = Tap::default();
    browser.open(&server.url()).await;
    let caller = if browser_first {
        browser.press("start").await;
        browser.queued().await;
        native(&server, &tap).await
    } else {
        let caller = native(&server, &tap).await;
        browser.press("start").await;
        caller
    };
    let mut call = caller.call(DEADLINE).await.expect("a partner");
    assert_eq!(call.offerer, browser_first);
    call.connected().await.expect("connected");
    browser.until("talking").await;
    assert_eq!(browser.emoji().await, call.emoji().await.expect("six emoji"), "nobody is in between");
    let heard = call.hear(100, DEADLINE).await.expect("two seconds of the browser's voice");
    match hertz {
        // The microphone's tone, and what the native caller says is heard in the page.
        Some(hertz) => {
            let (own, other) = (strength(&heard.last, 880), strength(&heard.last, hertz));
            assert!(other > 10.0 * own, "the microphone's tone {other}, some other {own}");
            browser.hears(880.0).await;
        }
        None => assert!(browser.wait(UNTIL_PLAYING, vec![]).await.is_some(), "nothing is played"),
    }
    if browser_first {
        browser.press("end").await;
        assert_eq!(timeout(DEADLINE, call.ended()).await.expect("an end"), Ending::Server(EndReason::Left));
        browser.until("ended").await;
    } else {
        call.leave().await.expect("idle").close().await;
        browser.until("ended").await;
    }
    tap.frames().iter().for_each(|frame| check_frame(frame.text()));
    browser.quit().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_and_a_native_caller() {
    let _turn = turn().await;
    for browser_first in [true, false] {
        with_native(Browser::chromium(Some(440.0)).await, browser_first, Some(440)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_and_a_native_caller() {
    let _turn = turn().await;
    for browser_first in [true, false] {
        with_native(Browser::firefox().await, browser_first, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_and_chromium() {
    let _turn = turn().await;
    for firefox_first in [true, false] {
        let server = TestServer::start_with(&[]).await;
        let (firefox, chromium) = (Browser::firefox().await, Browser::chromium(Some(440.0)).await);
        let (first, second) = if firefox_first { (&firefox, &chromium) } else { (&chromium, &firefox) };
        first.open(&server.url()).await;
        second.open(&server.url()).await;
        first.press("start").await;
        first.queued().await;
        second.press("start").await;
        first.until("talking").await;
        second.until("talking").await;
        assert_eq!(first.emoji().await, second.emoji().await, "nobody is in between");
        // Firefox's own fake microphone hums; Chromium sees its lamp brighten.
        chromium.lamp("them", true, 0.05).await;
        assert!(firefox.wait(UNTIL_PLAYING, vec![]).await.is_some(), "nothing is played");
        second.press("end").await;
        first.until("ended").await;
        second.until("ended").await;
        firefox.quit().await;
        chromium.quit().await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_firefoxes() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (first, second) = (Browser::firefox().await, Browser::firefox().await);
    first.open(&server.url()).await;
    second.open(&server.url()).await;
    first.press("start").await;
    first.queued().await;
    second.press("start").await;
    for browser in [&first, &second] {
        browser.until("talking").await;
        assert!(browser.wait(UNTIL_PLAYING, vec![]).await.is_some(), "nothing is played");
        assert_eq!(browser.run("return document.querySelector('audio').muted", vec![]).await, json!(false));
    }
    for browser in [&first, &second] {
        let frames = browser.frames().await;
        let described = frames.iter().filter(|frame| frame.contains("\"describe\"")).count();
        assert_eq!(described, 2, "each sees its own description and the other's: {frames:?}");
        assert!(browser.relayed().await > 0, "each gathers, and nothing but relayed candidates");
    }
    assert_eq!(first.emoji().await, second.emoji().await, "nobody is in between");
    first.press("end").await;
    second.until("ended").await;
    first.quit().await;
    second.quit().await;
    server.stop().await;
}
