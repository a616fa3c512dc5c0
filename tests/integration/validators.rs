//! What others say of the page: the HTML checker, Mozilla's observatory and Lighthouse. `./tests/run` installs them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::browser::{Browser, Scratch, turn};
use crate::http::{get, piped};
use crate::looks::{play, scenes, staged};
use crate::server::TestServer;
use crate::tls::Identity;

/// Where a tool is that comes from npm.
fn tool(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/node_modules").join(path)
}

/// What the Nu Html Checker finds in these files, errors and warnings.
async fn check(files: &[PathBuf]) -> String {
    let mut java = Command::new("java");
    java.arg("-jar").arg(tool("vnu-jar/build/dist/vnu.jar"));
    java.args(["--also-check-css", "--also-check-svg", "--stdout", "--format", "gnu"]).args(files);
    let done = piped(&mut java, b"").await;
    let found = String::from_utf8(done.stdout).expect("a text");
    assert_eq!(done.status.success(), !found.contains("error"), "{found}{}", String::from_utf8_lossy(&done.stderr));
    found
}

#[tokio::test]
async fn the_html_checker_finds_nothing() {
    let _turn = turn().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("static");
    let documents = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let of_kind = |path: &PathBuf| {
        ["html", "css", "svg"].iter().any(|kind| path.extension().is_some_and(|ending| ending == *kind))
    };
    let mut files: Vec<_> = documents.filter(of_kind).collect();
    assert!(files.len() >= 5, "{files:?}");

    // And what becomes of the page in every state.
    let server = TestServer::start_with(&[]).await;
    let browser = staged(&server).await;
    let scratch = Scratch::new();
    for scene in scenes(&browser).await {
        play(&browser, &scene, false).await;
        let html = browser.run("return stage.html()", vec![]).await;
        let file = scratch.0.join(format!("{scene}.html"));
        std::fs::write(&file, html.as_str().expect("a document")).expect("a file");
        files.push(file);
    }
    browser.quit().await;
    server.stop().await;
    assert_eq!(check(&files).await, "");

    // It would say so.
    let wrong = [
        ("wrong.html", "<!doctype html><html lang=en><title>a</title><p id=a><p id=a>"),
        ("wrong.css", "p { colr: red }"),
    ];
    for (name, text) in wrong {
        let file = scratch.0.join(name);
        std::fs::write(&file, text).expect("a file");
        assert!(check(&[file]).await.contains("error"), "{name}");
    }
}

#[tokio::test]
async fn mozillas_observatory_gives_its_best_grade() {
    let identity = Identity::signed("localhost");
    let server = TestServer::start_with(&identity.flags()).await;
    // The port in the place of the name's end: it asks the one port by HTTP and by HTTPS, as it asks two of a name.
    let script = format!(
        "import {{ scan }} from '{}'; console.log(JSON.stringify(await scan('localhost:{}')));",
        tool("@mdn/mdn-http-observatory/src/scanner/index.js").display(),
        server.port
    );
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-e", &script]).env("NODE_EXTRA_CA_CERTS", &identity.authority);
    let done = piped(&mut node, b"").await;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let result: Value = said.parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&done.stderr)));
    println!("observatory: {} with {} points", result["scan"]["grade"], result["scan"]["score"]);
    for (name, test) in result["tests"].as_object().expect("tests") {
        assert_eq!(test["pass"], json!(true), "{name}: {test}");
    }
    assert_eq!(result["scan"]["grade"], json!("A+"));
    server.stop().await;
}

#[tokio::test]
async fn whoever_came_encrypted_comes_back_so() {
    const NAME: &str = "strict-transport-security";
    let plain = TestServer::start_with(&["--trusted-proxies", "127.0.0.1"]).await;
    // RFC 6797 §7.2: never where anybody could have written it.
    assert_eq!(get(&plain, "/", "").await.header(NAME), None);
    // Where a proxy has the TLS.
    let proxied = get(&plain, "/", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n").await;
    assert_eq!(proxied.header(NAME), Some("max-age=31536000"));
    plain.stop().await;
    let identity = Identity::new();
    let server = TestServer::start_with(&identity.flags()).await;
    let redirect = get(&server, "/", "").await;
    assert_eq!((redirect.status, redirect.header(NAME)), (308, None));
    server.stop().await;
}

#[tokio::test]
async fn lighthouse_finds_nothing() {
    let _turn = turn().await;
    let identity = Identity::signed("localhost");
    let server = TestServer::start_with(&identity.flags()).await;
    let url = format!("https://localhost:{}/", server.port);
    let mut lighthouse = Command::new("node");
    lighthouse.arg(tool("lighthouse/cli/index.js")).arg(&url);
    lighthouse.args([
        "--quiet",
        "--output=json",
        "--only-categories=accessibility,best-practices",
        "--only-audits=network-requests",
    ]);
    lighthouse.arg(
        "--chrome-flags=--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --ignore-certificate-errors",
    );
    let chromium = piped(Command::new("sh").args(["-c", "command -v chromium"]), b"").await.stdout;
    lighthouse.env("CHROME_PATH", String::from_utf8(chromium).expect("a path").trim());
    let done = piped(&mut lighthouse, b"").await;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let report: Value = said.parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&done.stderr)));
    assert_eq!(report["runtimeError"], Value::Null);
    for category in ["accessibility", "best-practices"] {
        let audits = report["audits"].as_object().expect("audits").values();
        let failed: Vec<_> = audits.filter(|audit| audit["score"] == json!(0)).map(|audit| &audit["id"]).collect();
        assert_eq!(report["categories"][category]["score"], json!(1), "{category}: {failed:?}");
    }

    // What it saw go over the line.
    let requests = report["audits"]["network-requests"]["details"]["items"].as_array().expect("requests");
    let urls: Vec<_> = requests.iter().filter_map(|request| request["url"].as_str()).collect();
    assert!(urls.len() > 10 && urls.iter().all(|asked| asked.starts_with(&url)), "{urls:?}");
    let bytes: f64 = requests.iter().filter_map(|request| request["transferSize"].as_f64()).sum();
    println!("it counts {bytes} bytes in {} answers, with all heads", requests.len());
    server.stop().await;
}

/// Resolves with what the page has loaded by now, in bytes without heads: all of it, and the scripts alone.
const LOADED: &str = r"
    const done = arguments[0];
    const sizes = async () => {
        const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
        // What a browser fetches for itself is in no list.
        for (const { href } of document.querySelectorAll('link[rel=icon], link[rel=manifest], link[rel=apple-touch-icon]')) {
            if (loaded.some(({ name }) => name === href)) continue;
            await fetch(href).then((answer) => answer.arrayBuffer());
            // It is listed a moment later.
            while (!performance.getEntriesByName(href).length) await new Promise((go) => setTimeout(go, 20));
            loaded.push(...performance.getEntriesByName(href).slice(-1));
        }
        const sum = (list) => list.reduce((bytes, { encodedBodySize }) => bytes + encodedBodySize, 0);
        return [sum(loaded), sum(loaded.filter(({ name }) => name.endsWith('.js'))), loaded.map(({ name }) => name)];
    };
    sizes().then(done, (error) => done(String(error)));
";

#[tokio::test]
async fn the_first_page_is_small_by_a_browsers_own_count() {
    let _turn = turn().await;
    let identity = Identity::new();
    let server = TestServer::start_with(&identity.flags()).await;
    let visitor = Browser::chromium_with(None, &["--ignore-certificate-errors"]).await;
    visitor.open(&server.url()).await;
    visitor.reads("en").await;
    let loaded = visitor.wait(LOADED, vec![]).await.expect("a count");
    let (all, scripts, names): (u32, u32, Vec<String>) =
        serde_json::from_value(loaded.clone()).unwrap_or_else(|_| panic!("{loaded}"));
    println!("the first page loads {all} bytes in {} answers, {scripts} of them scripts", names.len());
    assert!(names.iter().all(|name| name.starts_with(&server.url())), "{names:?}");
    assert!(names.len() > 12 && scripts > 10_000, "{names:?}");
    assert!(all <= 40_000 && scripts <= 25_000, "{all} bytes, {scripts} of scripts");
    visitor.quit().await;
    server.stop().await;
}
