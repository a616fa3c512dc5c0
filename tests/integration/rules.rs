//! The few rules: what the operator decides of them, what the first page says, and the page that has them all.

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::browser::{Browser, turn};
use crate::http::get;
use crate::server::TestServer;
use crate::states::{AXE, TOO_WIDE, look, with_axe};

/// Resolves with what the first page says of the age, once the operator's is there.
const UNTIL_AGE: &str = r"
    const [age, done] = arguments;
    const look = () => {
        const said = [...document.querySelectorAll('[data-part=terms], [data-part=agree-text]')].find(one => one.checkVisibility());
        if (said?.textContent.includes(age)) done(said.textContent); else setTimeout(look, 20);
    };
    look();
";

#[tokio::test]
async fn the_page_is_told_what_the_operator_has_decided() {
    for (arguments, expected) in [
        (&[][..], json!({ "age": 18, "ask_rules": false })),
        (&["--age", "21", "--ask-rules"], json!({ "age": 21, "ask_rules": true })),
    ] {
        let server = TestServer::start_with(arguments).await;
        let answer = get(&server, "/settings.json", "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "a restart may have changed it");
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).expect("JSON"), expected);
        // The files stay what they are.
        let page = get(&server, "/", "").await.body;
        assert!(String::from_utf8(page).expect("a text").contains("you are 18 or over"));
        server.stop().await;
    }
}

#[tokio::test]
async fn the_first_page_says_the_operators_age_in_every_language() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--age", "21"]).await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    let said = visitor.wait(UNTIL_AGE, vec![json!("21")]).await.expect("the age");
    assert_eq!(said, json!("By starting you say that you are 21 or over and will be kind."));
    for language in ["de", "es", "fr", "pt", "ar"] {
        visitor.run("document.querySelector(`[data-language=${arguments[0]}]`).click()", vec![json!(language)]).await;
        visitor.reads(language).await;
        assert!(visitor.wait(UNTIL_AGE, vec![json!("21")]).await.is_some(), "{language}");
        let link = visitor.run("return document.querySelector('[data-part=rules]').getAttribute('href')", vec![]).await;
        assert_eq!(link, json!(format!("/rules#{language}")));
    }
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn where_the_operator_asks_for_a_box_it_comes_first_and_once() {
    let _turn = turn().await;
    let server = TestServer::start_with(&["--ask-rules", "--age", "16"]).await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    assert_eq!(visitor.wait(UNTIL_AGE, vec![json!("16")]).await, Some(json!("I am 16 or over, and will be kind.")));
    with_axe(&visitor).await;
    crate::states::inspect_as(&visitor, "landing", "landing-asked").await;
    visitor.tab_to("start").await.key(Key::Enter).await;
    let told = r"const [done] = arguments; const status = document.querySelector('[role=status]');
        const look = () => status.textContent ? done([status.textContent, document.activeElement.type]) : setTimeout(look, 20); look();";
    assert_eq!(visitor.wait(told, vec![]).await, Some(json!(["One thing first: please tick the box.", "checkbox"])));
    assert_eq!(visitor.state().await, "landing");
    visitor.key(Key::Space).await;
    visitor.tab_to("start").await.key(Key::Enter).await;
    visitor.until("waiting").await;
    visitor.press("stop").await;
    visitor.until("landing").await;
    visitor.press("start").await;
    visitor.until("waiting").await;
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn the_rules_read_well_in_every_light_and_language_and_without_scripts() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let reader = Browser::chromium(None).await;
    reader.open(&server.url()).await;
    reader.run("document.querySelector('[data-part=rules]').click()", vec![]).await;
    let here = "return [...document.querySelectorAll('main h1')].filter(one => one.checkVisibility()).map(one => one.textContent)";
    reader.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    for (language, heading) in [("en", "The rules"), ("de", "Die Regeln"), ("ar", "القواعد")] {
        reader.driver.goto(&format!("{}rules#{language}", server.url())).await.expect("the page");
        let seen = reader.driver.find(By::Css(format!("#{language} h1"))).await.expect("a heading");
        assert!(seen.is_displayed().await.expect("it is there"), "{language}");
        assert_eq!(seen.text().await.expect("words"), heading);
        let other =
            reader.driver.find(By::Css(if language == "en" { "#de h1" } else { "#en h1" })).await.expect("another");
        assert!(!other.is_displayed().await.expect("it is there"), "one language at a time");
    }
    reader.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": false })).await;
    reader.driver.goto(&format!("{}rules", server.url())).await.expect("the page");
    assert_eq!(reader.run(here, vec![]).await, json!(["The rules"]));
    for language in ["en", "de", "ar"] {
        reader.run("location.hash = arguments[0]", vec![json!(language)]).await;
        with_axe(&reader).await;
        for (width, height, scheme) in [(320, 568, "dark"), (390, 664, "light"), (1280, 800, "dark")] {
            look(&reader, width, height, scheme).await;
            assert_eq!(reader.wait(TOO_WIDE, vec![]).await.expect("the page is at rest"), json!([]), "at {width}");
            assert_eq!(reader.wait(AXE, vec![]).await.expect("axe-core answers"), json!([]), "{width} {scheme}");
            reader.screenshot(&format!("rules-{language}-{width}-{scheme}")).await;
        }
    }
    // The keyboard alone leads back.
    reader.driver.goto(&format!("{}rules", server.url())).await.expect("the page");
    reader.key(Key::Tab).await.key(Key::Enter).await;
    reader.until("landing").await;
    reader.quit().await;
    server.stop().await;
}
