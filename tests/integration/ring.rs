//! Breathing with the ring while one waits.

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::browser::{Browser, turn};
use crate::server::TestServer;
use crate::states::{inspect_as, with_axe};

/// Resolves with the words of a whole breath and a half, and how long each was to be seen, in milliseconds.
const WORDS: &str = r"
    const done = arguments[0];
    const word = document.querySelector('[data-part=guide-word]');
    const seen = [[word.textContent, performance.now()]];
    const observer = new MutationObserver(() => {
        seen.push([word.textContent, performance.now()]);
        if (seen.length < 4) return;
        observer.disconnect();
        done(seen.slice(0, 3).map(([text, at], index) => [text, seen[index + 1][1] - at]));
    });
    observer.observe(word, { childList: true });
";

/// How far the ring is open, and by what it moves.
const RING: &str = r"
    const ring = document.querySelector('.me .shape');
    return [getComputedStyle(ring).animationName, new DOMMatrix(getComputedStyle(ring).transform).a];
";

async fn waiting(server: &TestServer, visitor: &Browser) {
    visitor.open(&server.url()).await;
    visitor.press("start").await;
    visitor.queued().await;
}

async fn press_guide(visitor: &Browser) {
    visitor.driver.find(By::Css("[data-part=guide]")).await.expect("a control").click().await.expect("a click");
}

#[tokio::test]
async fn whoever_likes_breathes_with_the_ring_and_nobody_else_hears_of_it() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(None).await, Browser::chromium(None).await);
    waiting(&server, &visitor).await;
    let word =
        "const word = document.querySelector('[data-part=guide-word]'); return [word.textContent, word.ariaLive]";
    assert_eq!(visitor.run(word, vec![]).await, json!(["", "off"]), "nothing is said that nobody has asked for");
    assert_eq!(visitor.run(RING, vec![]).await[0], "breathe");
    with_axe(&visitor).await;
    press_guide(&visitor).await;
    assert_eq!(visitor.run(word, vec![]).await, json!(["Breathe in", "polite"]));
    assert_eq!(visitor.run(RING, vec![]).await[0], "guide");
    let words = visitor.wait(WORDS, vec![]).await.expect("a breath and a half");
    let words: Vec<(String, f64)> = serde_json::from_value(words).expect("words");
    let texts: Vec<&str> = words.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts, ["Breathe in", "Breathe out", "Breathe in"]);
    // Of the first one the beginning was not seen.
    assert!((5_500.0..6_500.0).contains(&words[1].1) && (3_500.0..4_500.0).contains(&words[2].1), "{words:?}");
    // The ring is as far as the words: full at the turn.
    let open = visitor.run(RING, vec![]).await[1].as_f64().expect("a scale");
    assert!(open > 1.12, "{open}");
    inspect_as(&visitor, "waiting", "waiting-guide").await;

    // Another press ends it, and so does a match.
    press_guide(&visitor).await;
    assert_eq!(visitor.run(word, vec![]).await, json!(["", "off"]));
    press_guide(&visitor).await;
    partner.open(&server.url()).await;
    partner.press("start").await;
    visitor.until("talking").await;
    assert_eq!(visitor.run(word, vec![]).await, json!(["", "off"]));
    assert_eq!(
        visitor.run("return document.documentElement.hasAttribute('data-guide')", vec![]).await,
        Value::Bool(false)
    );
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn where_motion_is_reduced_there_are_words_alone() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium(None).await;
    let reduced = json!({ "features": [{ "name": "prefers-reduced-motion", "value": "reduce" }] });
    visitor.cdp("Emulation.setEmulatedMedia", reduced).await;
    waiting(&server, &visitor).await;
    press_guide(&visitor).await;
    assert_eq!(visitor.text("[data-part=guide-word]").await, "Breathe in");
    assert_eq!(visitor.run("return document.getAnimations().length", vec![]).await, json!(0));
    visitor.quit().await;
    server.stop().await;
}
