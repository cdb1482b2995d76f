//! The page itself: a dozen small files, in the binary.
//!
//! A table of `include_bytes!` is all it takes; a crate for it would bring a macro and a directory walk for the same
//! bytes. A test keeps the table and the directory `web/` the same.

use super::{Viewer, range::Wanted};
use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use ring::digest;
use std::sync::Arc;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

macro_rules! assets {
    ($($name:literal: $kind:ident,)*) => {
        [$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../web/", $name)) },)*]
    };
}

const INDEX: Asset = Asset { name: "", kind: HTML, bytes: include_bytes!("../../web/index.html") };

const ASSETS: [Asset; 12] = assets! {
    "api.js": JS,
    "app.js": JS,
    "cameras.js": JS,
    "captures.js": JS,
    "dom.js": JS,
    "events.js": JS,
    "format.js": JS,
    "icon.svg": SVG,
    "player.js": JS,
    "signin.js": JS,
    "stills.js": JS,
    "style.css": CSS,
};

/// A file of the page.
#[derive(Clone, Copy)]
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// The routes of the page's files.
pub(super) fn routes() -> Router<Arc<Viewer>> {
    let page = Router::new().route("/index.html", get(Redirect::permanent("/")));
    ASSETS.into_iter().chain([INDEX]).fold(page, |page, asset| {
        let tag = tag(asset.bytes);
        page.route(
            &format!("/{}", asset.name),
            get(async move |headers: HeaderMap| asset.answer(&headers, &tag)),
        )
    })
}

impl Asset {
    /// Browsers keep it, but ask each time whether it is still the same: a new server has a new page.
    fn answer(self, headers: &HeaderMap, tag: &str) -> Response {
        let kept = [(header::ETAG, tag), (header::CACHE_CONTROL, "no-cache")];
        match Wanted::of(headers, self.bytes.len() as u64, tag) {
            Wanted::Unchanged => (StatusCode::NOT_MODIFIED, kept).into_response(),
            Wanted::Whole | Wanted::Part(_) | Wanted::Beyond => {
                (kept, [(header::CONTENT_TYPE, self.kind)], self.bytes).into_response()
            }
        }
    }
}

/// A strong tag of these bytes, quoted.
fn tag(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let hex: String = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_in_the_binary() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/web")).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        files.retain(|file| file != "index.html");
        assert_eq!(files, ASSETS.map(|asset| asset.name));
    }

    #[test]
    fn nothing_on_the_page_needs_another_host_or_inline_code() {
        for asset in ASSETS.into_iter().chain([INDEX]) {
            let text = std::str::from_utf8(asset.bytes).unwrap().replace("http://www.w3.org/2000/svg", "");
            for forbidden in
                ["http://", "https://", "style=\"", "onclick=", "innerHTML", "<script>", "<style"]
            {
                assert!(!text.contains(forbidden), "{}: {forbidden}", asset.name);
            }
        }
    }
}
