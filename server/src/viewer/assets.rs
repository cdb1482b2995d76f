//! The pages themselves: some small files, in the binary.
//!
//! A table of `include_bytes!` is all it takes; a crate for it would bring a macro and a directory walk for the same
//! bytes. A test keeps the tables and the directory `web/` the same.

use super::{Viewer, guard, range::Wanted};
use axum::{
    Router,
    extract::RawQuery,
    http::{HeaderMap, StatusCode, header},
    middleware::map_response,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use ring::digest;
use std::sync::Arc;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! assets {
    ($($name:literal: $kind:ident,)*) => {
        [$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../web/", $name)) },)*]
    };
}

const INDEX: Asset = Asset { name: "", kind: HTML, bytes: include_bytes!("../../web/index.html") };

/// The app's own.
const APP: [Asset; 18] = assets! {
    "api.js": JS,
    "app.js": JS,
    "cameras.js": JS,
    "captures.js": JS,
    "controller/arrangement.js": JS,
    "controller/links.js": JS,
    "controller/room.js": JS,
    "controller/slot.js": JS,
    "controller/stage.js": JS,
    "events.js": JS,
    "format.js": JS,
    "player.js": JS,
    "rooms.css": CSS,
    "rooms.js": JS,
    "signin.js": JS,
    "stills.js": JS,
    "vendor/lean-qr.LICENSE": TEXT,
    "vendor/lean-qr.mjs": JS,
};

/// What the pages of rooms need, some of which the app shares.
const ROOM: [Asset; 27] = assets! {
    "dom.js": JS,
    "icon.svg": SVG,
    "novnc.js": JS,
    "receiver.html": HTML,
    "room.css": CSS,
    "room/address.js": JS,
    "room/annotation.js": JS,
    "room/attempt.js": JS,
    "room/camera.js": JS,
    "room/feed.js": JS,
    "room/following.js": JS,
    "room/geometry.js": JS,
    "room/janus.js": JS,
    "room/pauses.js": JS,
    "room/peer.js": JS,
    "room/publisher.js": JS,
    "room/reach.js": JS,
    "room/receiver.js": JS,
    "room/sender.js": JS,
    "room/sending.js": JS,
    "room/stay_awake.js": JS,
    "room/subscriber.js": JS,
    "room/watching.js": JS,
    "sender.html": HTML,
    "style.css": CSS,
    "vendor/socket.io.LICENSE": TEXT,
    "vendor/socket.io.esm.min.js": JS,
};

/// A file of the page.
#[derive(Clone, Copy)]
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// The routes of all files.
pub(super) fn routes() -> Router<Arc<Viewer>> {
    let app = Router::new().route("/index.html", get(Redirect::permanent("/")));
    ROOM.into_iter().chain(APP).chain([INDEX]).fold(app, with)
}

/// The pages of rooms alone, for a server that is nothing but this room.
pub fn room_pages<S: Clone + Send + Sync + 'static>(number: u64) -> Router<S> {
    let receiver = async move |RawQuery(query): RawQuery| {
        let more = query.map(|query| format!("&{query}")).unwrap_or_default();
        Redirect::temporary(&format!("receiver.html?room={number}{more}"))
    };
    let pages = Router::new().route("/", get(receiver));
    ROOM.into_iter()
        .fold(pages, with)
        .layer(map_response(async |response: Response| guard::with_policy(response)))
}

fn with<S: Clone + Send + Sync + 'static>(router: Router<S>, asset: Asset) -> Router<S> {
    let tag = tag(asset.bytes);
    router
        .route(&format!("/{}", asset.name), get(async move |headers: HeaderMap| asset.answer(&headers, &tag)))
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

    fn all() -> impl Iterator<Item = Asset> {
        APP.into_iter().chain(ROOM)
    }

    /// The files of a directory of `web/`, and of those in it, by their paths.
    fn files(dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(format!("{}/web/{dir}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let files = entries.flat_map(|entry| {
            let entry = entry.unwrap();
            let path = format!("{dir}{}", entry.file_name().into_string().unwrap());
            if entry.path().is_dir() { files(&format!("{path}/")) } else { vec![path] }
        });
        files.collect()
    }

    #[test]
    fn every_file_of_the_pages_is_in_the_binary() {
        let mut files = files("");
        files.retain(|file| file != "index.html");
        files.sort();
        let mut names: Vec<_> = all().map(|asset| asset.name).collect();
        names.sort_unstable();
        assert_eq!(files, names);
    }

    #[test]
    fn nothing_on_the_pages_needs_another_host_or_inline_code() {
        let ours = all().chain([INDEX]).filter(|asset| !asset.name.starts_with("vendor/"));
        for asset in ours {
            let text = std::str::from_utf8(asset.bytes).unwrap().replace("http://www.w3.org/2000/svg", "");
            for forbidden in
                ["http://", "https://", "style=\"", "onclick=", "innerHTML", "<script>", "<style"]
            {
                assert!(!text.contains(forbidden), "{}: {forbidden}", asset.name);
            }
        }
    }
}
