//! The language that the page is read in: the browser's, the one that is chosen, and English where no words come.

use serde_json::json;
use thirtyfour::prelude::*;

use crate::browser::{Browser, turn};
use crate::server::TestServer;
use crate::states::{AXE, LISTEN, TOO_WIDE, inspect_as, look, with_axe};

/// How the page is read: its language, its direction, and whether it can be seen.
const READ: &str = r"
    const { lang, dir } = document.documentElement;
    return [lang, dir, getComputedStyle(document.body).visibility];
";

/// Resolves, once something of the page has been painted, with when that was and when its words had come, in
/// milliseconds from the start.
const PAINTED: &str = r"
    const done = arguments[0];
    const words = () => performance.getEntriesByType('resource').find(({ name }) => name.includes('/js/words/'));
    const look = () => {
        const [paint] = performance.getEntriesByName('first-contentful-paint');
        if (paint) done([paint.startTime, words()?.responseEnd ?? null]); else setTimeout(look, 20);
    };
    look();
";

/// How long the words of another language are waited for before the page shows English: `style.css` has it.
const HIDDEN_MS: f64 = 1_000.0;

/// The languages to talk in, as the form has them.
const TALKS_IN: &str =
    "return [...document.querySelectorAll('[data-part=languages] input:checked')].map(({ value }) => value)";

/// The heading of the state that is shown.
const HEADING: &str = "return [...document.querySelectorAll('main h1')].find(one => one.checkVisibility()).textContent";

/// Resolves once a screen reader has been told this many things.
const SAID: &str = r"
    const [count, done] = arguments;
    const look = () => said.length >= count ? done(said) : setTimeout(look, 20);
    look();
";

/// Chooses a country one of whose numbers is no link, and gives its numbers and their directions.
const ITALIAN_NUMBERS: &str = r"
    const country = document.querySelector('[data-part=country]');
    country.value = 'IT';
    country.dispatchEvent(new Event('change'));
    return [...document.querySelectorAll('.numbers :is(a, bdi)')].map(one => [one.textContent, getComputedStyle(one).direction]);
";

/// What can be seen and is the same word in English.
const LEFT_IN_ENGLISH: &str = r"
    const [language, done] = arguments;
    const part = name => Promise.all([import(`/js/words/${name}.js`), import(`/js/words/${name}-call.js`)])
        .then(parts => Object.assign({}, ...parts.map(({ words, emoji }) => ({ ...words, ...emoji }))));
    Promise.all([part('en'), part(language)]).then(([english, ours]) => {
        const seen = [...document.querySelectorAll('body *')].filter(one => one.checkVisibility() && !one.children.length);
        done(seen.map(({ textContent }) => textContent).filter(text =>
            Object.keys(english).some(key => english[key] === text && ours[key] !== text)));
    });
";

impl Browser {
    /// Presses a language's own name.
    async fn choose(&self, language: &str) {
        let button = self.driver.find(By::Css(format!("[data-language={language}]"))).await.expect("its name");
        button.scroll_into_view().await.expect("in sight");
        button.click().await.expect("a click");
        self.reads(language).await;
    }

    /// When the page was first painted, and when its words came.
    async fn painted(&self) -> (f64, Option<f64>) {
        let times = self.wait(PAINTED, vec![]).await.expect("the page is painted");
        serde_json::from_value(times).expect("times")
    }

    async fn heading(&self) -> String {
        self.run(HEADING, vec![]).await.as_str().unwrap_or_default().to_owned()
    }

    /// Looks at a state in every size, and for words that were left in English.
    async fn inspect_in(&self, language: &str, state: &str, name: &str) {
        inspect_as(self, state, &format!("{language}-{name}")).await;
        let left = self.wait(LEFT_IN_ENGLISH, vec![json!(language)]).await;
        assert_eq!(left, Some(json!([])), "{name} in {language}");
    }

    /// Whether requests that fit never reach the server.
    async fn block(&self, urls: &[&str]) {
        self.cdp("Network.enable", json!({})).await;
        self.cdp("Network.setBlockedURLs", json!({ "urls": urls })).await;
    }
}

/// The languages and wishes, opened, in a window as long as they are.
async fn inspect_wishes(browser: &Browser, language: &str) {
    let found = browser.wait(AXE, vec![]).await.expect("axe-core answers");
    assert_eq!(found, json!([]), "the wishes in {language}");
    look(browser, 320, 1900, "light").await;
    assert_eq!(browser.wait(TOO_WIDE, vec![]).await, Some(json!([])), "the wishes in {language}");
    browser.screenshot(&format!("{language}-wishes-320-light")).await;
    let left = browser.wait(LEFT_IN_ENGLISH, vec![json!(language)]).await;
    assert_eq!(left, Some(json!([])), "the wishes in {language}");
}

#[tokio::test]
async fn a_whole_visit_in_german_and_in_arabic() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let german = Browser::chromium_reading(Some(440.0), "de-DE,ar").await;
    let arab = Browser::chromium_reading(Some(880.0), "ar-EG,de").await;
    for (visitor, language, dir) in [(&german, "de", "ltr"), (&arab, "ar", "rtl")] {
        visitor.open(&server.url()).await;
        visitor.reads(language).await;
        assert_eq!(visitor.run(READ, vec![]).await, json!([language, dir, "visible"]));
        let (painted, came) = visitor.painted().await;
        let came = came.expect("the words have come");
        assert!(painted >= came.min(HIDDEN_MS), "English was seen: painted at {painted:.0}, words at {came:.0} ms");
        with_axe(visitor).await;
        visitor.inspect_in(language, "landing", "landing").await;
        visitor.run("document.querySelector('details').open = true", vec![]).await;
        inspect_wishes(visitor, language).await;
        visitor.press("start").await;
        visitor.queued().await;
        visitor.inspect_in(language, "waiting", "waiting").await;
        visitor.press("help").await;
        // Numbers are written from left to right, whatever stands around them.
        assert_eq!(
            visitor.run(ITALIAN_NUMBERS, vec![]).await,
            json!([["02 2327 2327", "ltr"], ["324 011 7252", "ltr"]])
        );
        visitor.inspect_in(language, "waiting", "help").await;
        visitor.driver.active_element().await.expect("a focus").send_keys(Key::Escape).await.expect("a key");
        if language == "de" {
            visitor.press("stop").await;
        }
    }
    german.press("start").await;
    let titles = ["Ein Hallo genügt. Schweigen auch.", "التحية تكفي، والصمت أيضًا."];
    for ((visitor, language), title) in [(&german, "de"), (&arab, "ar")].into_iter().zip(titles) {
        visitor.until("talking").await;
        visitor.says(title).await;
        visitor.run(LISTEN, vec![]).await;
        visitor.press("mute").await;
        visitor.inspect_in(language, "talking", "talking").await;
        visitor.press("mute").await;
    }
    let said_in = [
        (&german, ["Du bist gerade nicht zu hören.", "Du bist wieder zu hören."]),
        (&arab, ["الطرف الآخر لا يسمعك الآن.", "الطرف الآخر يسمعك من جديد."]),
    ];
    for (visitor, texts) in said_in {
        assert_eq!(visitor.wait(SAID, vec![json!(2)]).await, Some(json!(texts)));
    }
    german.hears(880.0).await;
    german.press("end").await;
    for (visitor, language) in [(&german, "de"), (&arab, "ar")] {
        visitor.until("ended").await;
        visitor.inspect_in(language, "ended", "ended").await;
    }
    german.quit().await;
    arab.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn the_language_can_be_changed_at_any_time_and_nothing_else_changes() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let (visitor, partner) = (Browser::chromium(Some(440.0)).await, Browser::chromium(Some(880.0)).await);
    visitor.open(&server.url()).await;
    visitor.reads("en").await;
    assert_eq!(visitor.run("return localStorage.length", vec![]).await, json!(0), "nothing is kept unasked");
    // Whoever has not chosen what to talk in talks in what they read, as well.
    assert_eq!(visitor.run(TALKS_IN, vec![]).await, json!(["en"]));
    visitor.choose("fr").await;
    assert_eq!(visitor.heading().await, "Parler avec quelqu’un, en tête-à-tête.");
    assert_eq!(visitor.run(TALKS_IN, vec![]).await, json!(["fr", "en"]));
    visitor.choose("en").await;
    assert_eq!(visitor.heading().await, "Talk with someone, one to one.");
    assert_eq!(visitor.run(TALKS_IN, vec![]).await, json!(["en"]));

    // In the middle of the wait.
    visitor.press("start").await;
    visitor.queued().await;
    visitor.run(LISTEN, vec![]).await;
    let sent = visitor.frames().await;
    visitor.choose("de").await;
    assert_eq!(visitor.heading().await, "Du bist da. Wir sagen dir Bescheid, wenn jemand dazukommt.");
    assert_eq!(visitor.frames().await, sent, "the server is told nothing");

    // In the middle of a call.
    partner.open(&server.url()).await;
    partner.press("start").await;
    visitor.until("talking").await;
    partner.until("talking").await;
    visitor.press("mute").await;
    visitor.says("Du bist gerade nicht zu hören.").await;
    visitor.run("said.length = 0", vec![]).await;
    visitor.choose("ar").await;
    assert_eq!(visitor.heading().await, "التحية تكفي، والصمت أيضًا.");
    assert_eq!(visitor.text("[data-part=muted]").await, "الطرف الآخر لا يسمعك الآن.");
    assert_eq!(visitor.run(READ, vec![]).await, json!(["ar", "rtl", "visible"]));
    let focus = "return [document.activeElement.dataset.language, document.activeElement.ariaPressed]";
    assert_eq!(visitor.run(focus, vec![]).await, json!(["ar", "true"]), "the focus stays where it was");
    visitor.choose("pt").await;
    visitor.choose("es").await;
    assert_eq!(visitor.state().await, "talking");
    assert_eq!(visitor.run("return said", vec![]).await, json!([]), "nothing is said for it");
    visitor.press("mute").await;
    visitor.hears(880.0).await;
    partner.hears(440.0).await;
    visitor.press("end").await;
    visitor.until("ended").await;
    assert_eq!(visitor.heading().await, "Has salido de la conversación. Gracias por haber estado aquí.");

    // And at the next visit.
    visitor.open(&server.url()).await;
    visitor.reads("es").await;
    assert_eq!(visitor.heading().await, "Habla con alguien, de persona a persona.");
    assert_eq!(visitor.run(TALKS_IN, vec![]).await, json!(["es", "en"]));
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn where_no_words_come_there_are_the_english_ones() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium_reading(Some(440.0), "de-DE,de,en").await;
    let partner = Browser::chromium(Some(880.0)).await;
    visitor.block(&["*/js/words/de.js"]).await;
    visitor.open(&server.url()).await;
    visitor.reads("en").await;
    assert_eq!(visitor.run(READ, vec![]).await, json!(["en", "ltr", "visible"]));
    assert_eq!(visitor.heading().await, "Talk with someone, one to one.");
    visitor.press("help").await;
    assert!(visitor.text("dialog").await.contains("Day and night"));
    visitor.driver.active_element().await.expect("a focus").send_keys(Key::Escape).await.expect("a key");

    // The first page came in German, and what a conversation needs does not.
    visitor.block(&["*/js/words/de-call.js"]).await;
    visitor.open(&server.url()).await;
    visitor.reads("de").await;
    visitor.press("start").await;
    visitor.queued().await;
    visitor.reads("en").await;
    assert_eq!(visitor.heading().await, "You’re here. We’ll let you know when someone joins.");
    partner.open(&server.url()).await;
    partner.press("start").await;
    visitor.until("talking").await;
    assert_eq!(visitor.heading().await, "Hello is enough. So is silence.");
    // Chosen and not to be had: as before, and it may be chosen again.
    visitor.driver.find(By::Css("[data-language=de]")).await.expect("a name").click().await.expect("a click");
    visitor.block(&[]).await;
    visitor.choose("de").await;
    assert_eq!(visitor.heading().await, "Ein Hallo genügt. Schweigen auch.");
    visitor.press("end").await;
    visitor.until("ended").await;

    // None at all: the page is as it was written, and goes on when they come.
    visitor.block(&["*/js/words/*"]).await;
    visitor.open(&server.url()).await;
    visitor.reads("en").await;
    assert_eq!(visitor.heading().await, "Talk with someone, one to one.");
    visitor.press("start").await;
    visitor.until("offline").await;
    assert_eq!(visitor.heading().await, "We can’t reach Sotto just now.");
    visitor.block(&[]).await;
    visitor.press("retry").await;
    visitor.queued().await;
    visitor.quit().await;
    partner.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn words_that_take_their_time_leave_nobody_before_an_empty_page() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium_reading(None, "ar").await;
    // They are under way for as long as this browser is open.
    let patterns = json!({ "patterns": [{ "urlPattern": "*/js/words/ar.js" }] });
    visitor.cdp("Fetch.enable", patterns).await;
    visitor.driver.execute("location.href = arguments[0]", vec![json!(server.url())]).await.expect("a script");
    visitor.until("landing").await;
    let seen = r"const done = arguments[0];
        const look = () => getComputedStyle(document.body).visibility === 'visible' ? done(document.documentElement.lang) : setTimeout(look, 20);
        look();";
    assert_eq!(visitor.wait(seen, vec![]).await, Some(json!("en")));
    let (painted, came) = visitor.painted().await;
    assert!(painted >= HIDDEN_MS && came.is_none(), "painted at {painted:.0} ms");
    visitor.press("start").await;
    visitor.queued().await;
    assert_eq!(visitor.heading().await, "You’re here. We’ll let you know when someone joins.");
    visitor.quit().await;
    server.stop().await;
}

#[tokio::test]
async fn firefox_reads_arabic_too() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::firefox_reading("ar-MA, fr").await;
    visitor.open(&server.url()).await;
    visitor.reads("ar").await;
    assert_eq!(visitor.run(READ, vec![]).await, json!(["ar", "rtl", "visible"]));
    assert_eq!(visitor.heading().await, "حديث مع شخص آخر، على انفراد.");
    assert_eq!(visitor.run(TALKS_IN, vec![]).await, json!(["ar", "fr"]));
    visitor.screenshot("ar-landing-firefox").await;
    visitor.choose("de").await;
    assert_eq!(visitor.run(READ, vec![]).await, json!(["de", "ltr", "visible"]));
    visitor.quit().await;
    server.stop().await;
}
