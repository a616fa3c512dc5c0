//! The page as an app of its own on somebody's device, by what Chromium asks of one.

use serde_json::{Value, json};

use crate::browser::{Browser, turn};
use crate::http::get;
use crate::server::TestServer;

#[tokio::test]
async fn it_can_be_installed_under_a_name_that_says_nothing() {
    let _turn = turn().await;
    let server = TestServer::start_with(&[]).await;
    let visitor = Browser::chromium(None).await;
    visitor.open(&server.url()).await;
    let ask = async |command| visitor.driver.cdp().send_raw(command, json!({})).await.expect("an answer");
    assert_eq!(ask("Page.getInstallabilityErrors").await["installabilityErrors"], json!([]));
    let found = ask("Page.getAppManifest").await;
    assert_eq!(
        (&found["url"], &found["errors"]),
        (&json!(format!("{}manifest.webmanifest", server.url())), &json!([]))
    );
    let manifest: Value = found["data"].as_str().expect("a text").parse().expect("JSON");
    assert_eq!((&manifest["name"], &manifest["short_name"]), (&json!("Sotto"), &json!("Sotto")));
    visitor.quit().await;

    let answer = get(&server, "/manifest.webmanifest", "").await;
    assert_eq!(answer.header("content-type"), Some("application/manifest+json"));
    let home = get(&server, "/", "").await;
    assert!(home.header("content-security-policy").expect("a policy").contains("manifest-src 'self'"));
    // Each picture is as large as it is said to be (PNG, RFC 2083 §4.1.1).
    let icons = manifest["icons"].as_array().expect("icons");
    assert_eq!(icons.iter().filter(|icon| icon["purpose"] == json!("maskable")).count(), 1);
    let apple = json!({ "src": "/icons/apple-touch-icon.png", "sizes": "180x180", "type": "image/png" });
    assert!(
        String::from_utf8_lossy(&home.body)
            .contains(r#"<link rel="apple-touch-icon" href="/icons/apple-touch-icon.png">"#)
    );
    for icon in icons.iter().chain([&apple]) {
        let answer = get(&server, icon["src"].as_str().expect("a path"), "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, icon["type"].as_str()), "{icon}");
        assert!(answer.body.len() < 8_192, "{icon} has {} bytes", answer.body.len());
        if icon["type"] == json!("image/png") {
            let number = |at: usize| u32::from_be_bytes(answer.body[at..at + 4].try_into().expect("four bytes"));
            assert_eq!(json!(format!("{}x{}", number(16), number(20))), icon["sizes"], "{icon}");
        }
    }
    server.stop().await;
}
