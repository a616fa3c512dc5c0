//! The page's files, as they were when the binary was built, and the list of their hashes.

use std::sync::LazyLock;

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

/// Where the list of hashes is. Not under `/.well-known/`, where every name is registered (RFC 8615 §3.1).
const HASHES: &str = "hashes.txt";

#[derive(RustEmbed)]
#[folder = "static/"]
struct Files;

/// The SHA-256 of every file, in the order of their names and in the format of sha256sum(1), so that
/// `sha256sum --check` reads it in a checkout's `static/`.
pub fn hashes() -> &'static str {
    static LIST: LazyLock<String> = LazyLock::new(|| {
        let mut paths: Vec<_> = Files::iter().collect();
        paths.sort();
        let line = |path: &str| Some(format!("{}  {path}\n", hex(&Files::get(path)?.metadata.sha256_hash())));
        paths.iter().filter_map(|path| line(path)).collect()
    });
    &LIST
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Answers for one file. Browsers may keep it but ask each time, so that a new version shows at once.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        "privacy" => "privacy.html",
        path => path,
    };
    if path == HASHES {
        let caching = [(header::CACHE_CONTROL, "no-cache")];
        return ([(header::CONTENT_TYPE, content_type(path))], caching, hashes()).into_response();
    }
    let Some(file) = Files::get(path) else {
        return (StatusCode::NOT_FOUND, "nothing here\n").into_response();
    };
    let hash = file.metadata.sha256_hash();
    let tag = format!("\"{}\"", hex(&hash[..16]));
    // The compression layer turns a strong tag into a weak one.
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let fresh = known.is_some_and(|known| known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let caching = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if fresh {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    ([(header::CONTENT_TYPE, content_type(path))], caching, file.data).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_type() {
        for path in Files::iter() {
            assert_ne!(content_type(&path), "application/octet-stream", "{path}");
            assert_ne!(path, HASHES, "the list has this place");
        }
    }
}
