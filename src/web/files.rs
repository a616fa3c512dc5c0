//! The page's files, as they were when the binary was built, and the list of their hashes.

use std::io::Write;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
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

/// A file by Brotli (RFC 7932) at its best, a seventh smaller than by the gzip that each answer could be compressed with on
/// the way. Browsers take it on encrypted pages. It takes some milliseconds, so each file is compressed once.
fn by_brotli(path: &str, data: &[u8]) -> Bytes {
    static DONE: LazyLock<DashMap<String, Bytes>> = LazyLock::new(DashMap::new);
    if let Some(done) = DONE.get(path) {
        return done.clone();
    }
    let mut compressed = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut compressed, 4096, 11, 22);
    // Writing into memory does not fail.
    let _ = writer.write_all(data);
    drop(writer);
    let compressed = Bytes::from(compressed);
    DONE.insert(path.to_owned(), compressed.clone());
    compressed
}

/// Whether Brotli is among what may come back (RFC 9110 §12.5.3).
fn takes_brotli(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_brotli = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("br"));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_brotli && weight.is_none_or(|weight| weight.parse().is_ok_and(|weight: f32| weight > 0.0))
    })
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
        "accessibility" => "accessibility.html",
        "privacy" => "privacy.html",
        "rules" => "rules.html",
        "help" => "help.html",
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
    let tag = format!("W/\"{}\"", hex(&hash[..16]));
    // Weak, since it is that of what comes compressed as well.
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let fresh = known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag));
    let caching = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if fresh {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let kind = [(header::CONTENT_TYPE, content_type(path))];
    if takes_brotli(&headers) {
        let coding = [(header::CONTENT_ENCODING, "br"), (header::VARY, "accept-encoding")];
        return (kind, coding, caching, by_brotli(path, &file.data)).into_response();
    }
    (kind, caching, file.data).into_response()
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
    fn brotli_goes_to_those_who_take_it() {
        for (accepted, takes) in [
            ("gzip, deflate, br, zstd", true),
            ("BR;q=0.5", true),
            ("br;q=0, gzip", false),
            ("gzip", false),
            ("brotli", false),
            ("br;q=much", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().expect("a value"))]);
            assert_eq!(takes_brotli(&headers), takes, "{accepted}");
        }
        assert!(!takes_brotli(&HeaderMap::new()));
    }

    #[test]
    fn every_file_has_a_type() {
        for path in Files::iter() {
            assert_ne!(content_type(&path), "application/octet-stream", "{path}");
            assert_ne!(path, HASHES, "the list has this place");
        }
    }
}
