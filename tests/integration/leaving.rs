//! Leaving at once: what stops first, where one is then, and that the way back does not lead here.

use serde_json::json;
use thirtyfour::prelude::*;
use tokio::time::timeout;

use crate::browser::{Browser, turn};
use crate::server::{DEADLINE, TestServer};

/// Writes down what is let go of, in order, where the next page of this origin finds it.
const SPY: &str = r"
    const write = what => { sessionStorage.order = `${sessionStorage.order ?? ''} ${what}`.trim(); };
    const wrap = (prototype, method, what) => {
        const original = prototype[method];
        prototype[method] = function (...all) { write(what); return original.apply(this, all); };
    };
    wrap(MediaStreamTrack.prototype, 'stop', 'microphone');
    wrap(frames[0].RTCPeerConnection.prototype, 'close', 'call');
    wrap(Object.getPrototypeOf(WebSocket.prototype), 'close', 'socket');
    addEventListener('beforeunload', () => write('away'));
    addEventListener('pagehide', () => write('gone'));
";

/// Where the one control for leaving is, and how large, with what is read of it.
const CONTROL: &str = r"
    const control = document.querySelector('header [data-action=vanish]');
    const { right, top, width, height } = control.getBoundingClientRect();
    return { place: [Math.round(innerWidth - right), Math.round(top)], small: width < 24 || height < 24, read: control.innerText.includes('Leave at once') };
";

/// Waits until nothing of this page is left. A script cannot wait for that: it would go with the page.
async fn is_away(browser: &Browser) {
    let away = async { while browser.driver.current_url().await.map_or(true, |url| url.as_str() != "about:blank") {} };
    assert!(timeout(DEADLINE, away).await.is_ok(), "still at {:?}", browser.driver.current_url().await);
}

/// Leaves in the middle of a call, and looks at what was let go of before.
async fn leaves(server: &TestServer, visitor: &Browser, partner: &Browser, by_key: bool) {
    visitor.open(&server.url()).await;
    visitor.run("delete sessionStorage.order", vec![]).await;
    partner.open(&server.url()).await;
    visitor.run(SPY, vec![]).await;
    visitor.press("start").await;
    visitor.queued().await;
    partner.press("start").await;
    visitor.until("talking").await;
    partner.until("talking").await;
    if by_key {
        for _ in 0..3 {
            visitor.key(Key::Shift).await;
        }
    } else {
        visitor.press("vanish").await;
    }
    is_away(visitor).await;
    assert_eq!(visitor.run("return [document.title, document.body?.innerText ?? '']", vec![]).await, json!(["", ""]));
    // The partner is told as of any other end.
    partner.until("ended").await;
    assert!(partner.text("[data-part=ending]").await.contains("People leave for all kinds of reasons."));

    // Back leads to where one was before.
    visitor.driver.back().await.expect("back");
    let url = visitor.driver.current_url().await.expect("a place");
    assert!(!url.as_str().starts_with(&server.url()), "{url}");

    visitor.open(&server.url()).await;
    let order = visitor.run("return sessionStorage.order", vec![]).await;
    let order: Vec<&str> = order.as_str().expect("an order").split(' ').collect();
    let at = |what: &str| order.iter().position(|one| *one == what).unwrap_or_else(|| panic!("no {what} in {order:?}"));
    assert_eq!(at("microphone"), 0, "{order:?}");
    let last = order.iter().rposition(|one| ["microphone", "call", "socket"].contains(one)).expect("something");
    assert!(at("call").max(at("socket")) <= last && last < at("away"), "{order:?}");
}

#[tokio::test]
async fn leaving_at_once_stops_everything_first_and_leads_nowhere() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (chromium, firefox) = (Browser::chromium(None).await, Browser::firefox().await);
    leaves(&server, &chromium, &firefox, false).await;
    leaves(&server, &chromium, &firefox, true).await;
    leaves(&server, &firefox, &chromium, false).await;
    leaves(&server, &firefox, &chromium, true).await;
    chromium.quit().await;
    firefox.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn the_way_out_is_in_the_same_place_in_every_state() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(None).await, Browser::chromium(None).await);
    for (width, height) in [(1280, 800), (390, 664), (320, 568)] {
        visitor.open(&server.url()).await;
        partner.open(&server.url()).await;
        crate::states::look(&visitor, width, height, "dark").await;
        let first = visitor.run(CONTROL, vec![]).await;
        assert_eq!((&first["small"], &first["read"]), (&json!(false), &json!(true)), "{first}");
        visitor.press("start").await;
        visitor.queued().await;
        assert_eq!(visitor.run(CONTROL, vec![]).await, first, "waiting at {width}");
        partner.press("start").await;
        visitor.until("talking").await;
        assert_eq!(visitor.run(CONTROL, vec![]).await, first, "talking at {width}");
        visitor.press("breath").await;
        assert_eq!(visitor.run(CONTROL, vec![]).await, first, "taking a breath at {width}");
        visitor.press("end").await;
        visitor.until("ended").await;
        assert_eq!(visitor.run(CONTROL, vec![]).await, first, "at the end at {width}");
        visitor.press("rest").await;
        visitor.until("resting").await;
        assert_eq!(visitor.run(CONTROL, vec![]).await, first, "resting at {width}");
        partner.until("ended").await;
        // Help is over everything else, and has a way out of its own.
        visitor.press("help").await;
        visitor
            .driver
            .find(By::Css("dialog[open] [data-action=vanish]"))
            .await
            .expect("a way out")
            .click()
            .await
            .expect("a click");
        is_away(&visitor).await;
    }
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}
