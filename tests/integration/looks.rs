//! How the page looks: a picture of everything a visitor can see, as many kinds of visitors see it, with what can be
//! found wrong by machine. The pictures are for eyes: `target/screenshots/looks/index.html` has them all.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use crate::browser::{Browser, turn};
use crate::server::TestServer;
use crate::states::with_axe;

/// What a page may be seen with.
struct Look {
    name: &'static str,
    width: u32,
    height: u32,
    /// As `Emulation.setEmulatedMedia` has them.
    media: &'static [(&'static str, &'static str)],
    language: &'static str,
    /// Whether axe-core is asked as well, which takes most of the time.
    axe: bool,
}

const LIGHT: (&str, &str) = ("prefers-color-scheme", "light");
const DARK: (&str, &str) = ("prefers-color-scheme", "dark");
const FORCED: (&str, &str) = ("forced-colors", "active");
const STILL: (&str, &str) = ("prefers-reduced-motion", "reduce");

const fn look(
    name: &'static str,
    [width, height]: [u32; 2],
    media: &'static [(&'static str, &'static str)],
    language: &'static str,
    axe: bool,
) -> Look {
    Look { name, width, height, media, language, axe }
}

const PHONE: [u32; 2] = [390, 844];
const DESKTOP: [u32; 2] = [1280, 800];
const SMALL: [u32; 2] = [320, 568];

/// Two browsers share them.
const LOOKS: [&[Look]; 2] = [
    &[
        look("phone-light", PHONE, &[LIGHT], "en", false),
        look("phone-dark", PHONE, &[DARK], "en", false),
        look("small-light", SMALL, &[LIGHT], "en", true),
        look("small-dark", SMALL, &[DARK], "en", true),
        look("arabic-small-light", SMALL, &[LIGHT], "ar", true),
        look("arabic-phone-dark", PHONE, &[DARK], "ar", false),
    ],
    &[
        look("desktop-light", DESKTOP, &[LIGHT], "en", true),
        look("desktop-dark", DESKTOP, &[DARK], "en", true),
        look("forced-colours", PHONE, &[DARK, FORCED], "en", true),
        look("reduced-motion", PHONE, &[DARK, STILL], "en", false),
        look("on-its-side", [740, 360], &[LIGHT], "en", false),
        look("arabic-desktop-dark", DESKTOP, &[DARK], "ar", false),
    ],
];

/// Where the pictures are.
fn gallery() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots/looks")
}

/// The page without what wires it, so that scenes can be played in it.
pub async fn staged(server: &TestServer) -> Browser {
    let browser = Browser::chromium(None).await;
    // Nor is it to be loaded anew because of that.
    let quiet = "addEventListener('error', (event) => event.stopImmediatePropagation(), true)";
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", json!({ "source": quiet })).await;
    browser.cdp("Network.enable", json!({})).await;
    browser.cdp("Network.setBlockedURLs", json!({ "urls": ["*/js/main.js"] })).await;
    browser.driver.goto(&server.url()).await.expect("the page");
    let stage = include_str!("looks/stage.js");
    let script =
        format!("const done = arguments[0]; (async () => {{ {stage} }})().then(() => done(stage.scenes.length), done)");
    let scenes = browser.wait(&script, vec![]).await.expect("the stage");
    assert!(scenes.as_u64() > Some(30), "{scenes}");
    browser
}

/// The names of all scenes.
pub async fn scenes(browser: &Browser) -> Vec<String> {
    serde_json::from_value(browser.run("return stage.scenes", vec![]).await).expect("names")
}

/// Plays a scene, and says what is wrong with it and how high the page is.
pub async fn play(browser: &Browser, scene: &str, axe: bool) -> (Vec<String>, u64) {
    let script =
        "const [scene, axe, done] = arguments; stage.play(scene, axe).then(done, (error) => done(String(error)))";
    let played = browser.wait(script, vec![json!(scene), json!(axe)]).await.expect("it comes to rest");
    let ends = played["ends"].as_str().unwrap_or_else(|| panic!("{scene}: {played}"));
    assert_eq!(scene.split(',').next(), Some(ends), "{scene}");
    let wrong = serde_json::from_value(played["wrong"].clone()).expect("a list");
    (wrong, played["height"].as_u64().expect("a height"))
}

/// Shows the page in this way from now on.
async fn dress(browser: &Browser, look: &Look) {
    let size =
        json!({ "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.width < 800 });
    browser.cdp("Emulation.setDeviceMetricsOverride", size).await;
    let features: Vec<_> = look.media.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    browser.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    let speak = "const [language, done] = arguments; stage.speak(language).then(done, done)";
    browser.wait(speak, vec![json!(look.language)]).await.expect("the words");
}

/// Saves what is to be seen, all of it where the page is higher than the window.
async fn picture(browser: &Browser, look: &Look, scene: &str, height: u64) {
    let mut how = json!({ "format": "png", "optimizeForSpeed": true });
    if height > u64::from(look.height) {
        how["captureBeyondViewport"] = json!(true);
        how["clip"] = json!({ "x": 0, "y": 0, "width": look.width, "height": height, "scale": 1 });
    }
    let taken = browser.driver.cdp().send_raw("Page.captureScreenshot", how).await.expect("a picture");
    let png = BASE64_STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
    let folder = gallery().join(look.name);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("{scene}.png")), png).expect("a file");
}

/// One page with all the pictures, a row for each look.
fn hang(scenes: &[String]) {
    let mut page = String::from("<!doctype html><meta charset=utf-8><title>Every state</title>\n");
    for look in LOOKS.iter().copied().flatten() {
        let _ = write!(page, "<h2>{}</h2><div style='display:flex;overflow-x:auto;gap:1rem'>", look.name);
        for scene in scenes {
            let _ = write!(
                page,
                "<figure style='margin:0'><figcaption>{scene}</figcaption><img loading=lazy src='{}/{scene}.png'></figure>",
                look.name
            );
        }
        page.push_str("</div>\n");
    }
    std::fs::write(gallery().join("index.html"), page).expect("a file");
}

#[tokio::test]
async fn every_state_in_every_light() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let _ = std::fs::remove_dir_all(gallery());
    let shoot = async |looks: &[Look]| {
        let browser = staged(&server).await;
        with_axe(&browser).await;
        let scenes = scenes(&browser).await;
        let mut found = Vec::new();
        for look in looks {
            dress(&browser, look).await;
            for scene in &scenes {
                let (wrong, height) = play(&browser, scene, look.axe).await;
                found.extend(wrong.into_iter().map(|fault| format!("{} {scene}: {fault}", look.name)));
                picture(&browser, look, scene, height).await;
            }
        }
        let missing = browser.run("return stage.missing()", vec![]).await;
        assert_eq!(missing, Value::Array(vec![]), "no scene of looks/stage.js shows these");
        browser.quit().await;
        (scenes, found)
    };
    let ((scenes, mut found), (_, more)) = tokio::join!(shoot(LOOKS[0]), shoot(LOOKS[1]));
    found.extend(more);
    hang(&scenes);
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n"));
    server.stop().await;
}
