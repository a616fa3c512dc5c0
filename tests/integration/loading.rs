//! A page of which a part did not come, as after a network that changed in the wrong moment.

use serde_json::json;

use crate::browser::{Browser, turn};
use crate::server::TestServer;
use crate::states::{AXE, look, with_axe};

/// Resolves once the page says that it is not whole.
const UNTIL_SAID: &str = r"
    const [done] = arguments;
    const look = () => document.querySelector('[data-part=incomplete]')?.checkVisibility() ? done(true) : setTimeout(look, 20);
    look();
";

/// Resolves with how the page was come to, once it is whole and drawn.
const UNTIL_WHOLE: &str = r"
    const [done] = arguments;
    const look = () => document.querySelector('[data-part=languages] input') ? done(performance.getEntriesByType('navigation')[0].type) : setTimeout(look, 20);
    look();
";

async fn block(browser: &Browser, urls: &[&str]) {
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setCacheDisabled", json!({ "cacheDisabled": true })).await;
    browser.cdp("Network.setBlockedURLs", json!({ "urls": urls })).await;
}

#[tokio::test]
async fn a_part_that_did_not_come_is_asked_for_again_and_then_it_is_said() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    for part in ["*/js/machine.js", "*/js/help.js", "*/js/main.js", "*/style.css"] {
        let visitor = Browser::chromium(None).await;
        block(&visitor, &[part]).await;
        visitor.driver.goto(&server.url()).await.expect("the page");
        assert!(visitor.wait(UNTIL_SAID, vec![]).await.is_some(), "{part}: nothing is said");
        let loaded = "return performance.getEntriesByType('navigation')[0].type";
        assert_eq!(visitor.run(loaded, vec![]).await, json!("reload"), "{part}: it has been tried again");
        let words = visitor.text("[data-part=incomplete]").await;
        assert_eq!(words, "Part of this page did not come. Try again");
        if part.ends_with(".js") {
            look(&visitor, 390, 664, "light").await;
            with_axe(&visitor).await;
            assert_eq!(visitor.wait(AXE, vec![]).await.expect("axe-core answers"), json!([]), "{part}");
            visitor.screenshot("incomplete").await;
            // Help opens, and closes.
            visitor.press("help").await;
            assert!(
                visitor
                    .run("return document.querySelector('dialog').innerText", vec![])
                    .await
                    .as_str()
                    .is_some_and(|text| text.contains("emergency number"))
            );
            visitor.run("document.querySelector('[data-part=help-close]').click()", vec![]).await;
        }
        // The network is back.
        block(&visitor, &[]).await;
        visitor.run("document.querySelector('[data-part=incomplete] a').click()", vec![]).await;
        assert!(visitor.wait(UNTIL_WHOLE, vec![]).await.is_some(), "{part}: it is whole now");
        visitor.press("start").await;
        visitor.until("waiting").await;
        visitor.quit().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_part_that_comes_the_second_time_is_nobodys_business() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium(None).await;
    // Blocked until the page is loaded anew.
    let script = "if (performance.getEntriesByType('navigation')[0].type === 'navigate') Object.defineProperty(navigator, 'onLine', { get: () => false })";
    visitor.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    block(&visitor, &["*/js/keys.js"]).await;
    visitor.driver.goto(&server.url()).await.expect("the page");
    let loaded = "return [document.readyState, performance.getEntriesByType('navigation')[0].type, document.querySelector('[data-part=incomplete]').hidden]";
    assert_eq!(visitor.run(loaded, vec![]).await, json!(["complete", "navigate", true]), "without a network it waits");
    block(&visitor, &[]).await;
    visitor.run("dispatchEvent(new Event('online'))", vec![]).await;
    assert_eq!(visitor.wait(UNTIL_WHOLE, vec![]).await, Some(json!("reload")));
    assert_eq!(
        visitor.run("return document.querySelector('[data-part=incomplete]').hidden", vec![]).await,
        json!(true)
    );
    visitor.quit().await;
    server.stop().await;
}
