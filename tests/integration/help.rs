//! Help, in every state and without a network: whose lines come first, what is said of each, and what is never left out.

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::browser::{Browser, turn};
use crate::server::TestServer;
use crate::states::{AXE, TOO_WIDE, look, with_axe};

/// What is said in each of them, whichever country is shown.
const STRANGER: &str = "Whoever you meet here is a stranger, and not a crisis service.";

/// Chooses one country after the other, and returns what is shown for each, with where its links lead.
const EVERY_COUNTRY: &str = r"
    const select = document.querySelector('[data-part=country]');
    return [...select.options].map(({ value }) => {
        select.value = value;
        select.dispatchEvent(new Event('change'));
        const list = document.querySelector('[data-part=lines]');
        return [value, list.innerText, [...list.querySelectorAll('a')].map(one => one.protocol)];
    });
";

async fn no_network(browser: &Browser) {
    browser.cdp("Network.enable", json!({})).await;
    let offline = json!({ "offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0 });
    browser.cdp("Network.emulateNetworkConditions", offline).await;
}

/// Opens it with the keyboard, looks, and closes it; the focus is back where it was.
async fn helps(visitor: &Browser, state: &str) {
    assert_eq!(visitor.state().await, state);
    visitor.tab_to("help").await.key(Key::Enter).await;
    let shown = "const dialog = document.querySelector('dialog'); return dialog.open ? dialog.innerText : ''";
    let shown = visitor.run(shown, vec![]).await;
    let text = shown.as_str().expect("a text");
    assert!(text.contains(STRANGER) && text.contains("988") && text.contains("Numbers can change."), "{state}: {text}");
    assert_eq!(visitor.wait(AXE, vec![]).await.expect("axe-core answers"), json!([]), "{state}");
    visitor.key(Key::Escape).await;
    let back = "return [document.querySelector('dialog').open, document.activeElement.dataset.action]";
    assert_eq!(visitor.run(back, vec![]).await, json!([false, "help"]), "{state}");
}

#[tokio::test]
async fn every_country_has_its_line_without_a_network() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium_reading(None, "de-AT,de,en-US,en").await;
    visitor.open(&server.url()).await;
    visitor.run("document.querySelector('[data-language=en]').click()", vec![]).await;
    visitor.reads("en").await;
    no_network(&visitor).await;
    server.stop().await;
    visitor.press("help").await;
    let first = visitor.run("return document.querySelector('[data-part=country]').value", vec![]).await;
    assert_eq!(first, json!("AT"), "by the language settings");
    assert!(visitor.text("[data-part=lines]").await.contains("142"));
    let all = visitor.run(EVERY_COUNTRY, vec![]).await;
    let all: Vec<(String, String, Vec<String>)> = serde_json::from_value(all).expect("a list");
    assert_eq!(all.len(), 26, "twenty-five and any other");
    for (country, text, links) in &all {
        if country.is_empty() {
            assert!(text.contains("Your emergency number"), "{text}");
        } else {
            assert!(links.iter().any(|link| link == "tel:"), "{country}: nothing to call");
            assert!(text.contains("Numbers can change."), "{country}: {text}");
        }
    }
    let of = |country: &str| &all.iter().find(|(code, ..)| code == country).expect("a country").1;
    for (country, facts) in [
        ("DE", &["0800 1110111", "0800 1110222", "116123", "Day and night", "Chat on their website"][..]),
        ("IT", &["02 2327 2327", "WhatsApp 324 011 7252", "10:00"]),
        ("AU", &["13 11 14", "Text 0477 13 11 14"]),
        ("BE", &["1813", "In Dutch"]),
        ("NO", &["116 123", "Hours not known to us"]),
        ("ZA", &["0800 21 22 23", "0800 12 13 14 (20-8)"]),
    ] {
        for fact in facts {
            assert!(of(country).contains(fact), "{country}: no {fact} in {}", of(country));
        }
    }
    visitor.quit().await;
}

#[tokio::test]
async fn help_is_a_key_away_in_every_state() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(None).await, Browser::chromium(None).await);
    visitor.open(&server.url()).await;
    look(&visitor, 320, 568, "dark").await;
    with_axe(&visitor).await;
    helps(&visitor, "landing").await;
    let refuse = r"window.ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = () => new Promise((_, refuse) => { window.refuse = refuse; });";
    visitor.run(refuse, vec![]).await;
    visitor.press("start").await;
    helps(&visitor, "asking").await;
    visitor.run("window.refuse(new DOMException('', 'NotFoundError'))", vec![]).await;
    visitor.until("mic-problem").await;
    helps(&visitor, "mic-problem").await;
    visitor.run("navigator.mediaDevices.getUserMedia = window.ask", vec![]).await;
    visitor.press("retry").await;
    visitor.queued().await;
    helps(&visitor, "waiting").await;
    partner.open(&server.url()).await;
    partner.press("start").await;
    visitor.until("talking").await;
    helps(&visitor, "talking").await;
    visitor.press("breath").await;
    helps(&visitor, "talking").await;
    assert_eq!(
        visitor.run("return document.documentElement.hasAttribute('data-held')", vec![]).await,
        Value::Bool(true)
    );
    partner.kill();
    visitor.until("rejoining").await;
    helps(&visitor, "rejoining").await;
    visitor.press("end").await;
    visitor.until("ended").await;
    helps(&visitor, "ended").await;
    visitor.press("rest").await;
    visitor.until("resting").await;
    helps(&visitor, "resting").await;
    visitor.press("again").await;
    visitor.until("waiting").await;
    server.stop().await;
    visitor.until("offline").await;
    no_network(&visitor).await;
    helps(&visitor, "offline").await;
    visitor.quit().await;
}

#[tokio::test]
async fn help_needs_no_script() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let reader = Browser::chromium(None).await;
    for page in ["accessibility", "privacy", "rules"] {
        reader.driver.goto(&format!("{}{page}", server.url())).await.expect("the page");
        reader.press_link("/help").await;
    }
    with_axe(&reader).await;
    for (width, height, scheme) in [(320, 568, "dark"), (390, 664, "light"), (1280, 800, "dark")] {
        look(&reader, width, height, scheme).await;
        assert_eq!(reader.wait(TOO_WIDE, vec![]).await.expect("the page is at rest"), json!([]), "at {width}");
        assert_eq!(reader.wait(AXE, vec![]).await.expect("axe-core answers"), json!([]), "{width} {scheme}");
        reader.screenshot(&format!("help-page-{width}-{scheme}")).await;
    }
    reader.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    reader.driver.goto(&server.url()).await.expect("the page");
    reader.driver.find(By::Css("noscript a")).await.expect("a way").click().await.expect("a click");
    let heading = reader.driver.find(By::Css("main h1")).await.expect("a heading");
    assert_eq!(heading.text().await.expect("words"), "Help, now");
    reader.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
    reader.open(&server.url()).await;
    reader.quit().await;
    server.stop().await;
}
