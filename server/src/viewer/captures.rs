//! Captures as people get them: a list, and the videos themselves.

use super::{Viewer, answer::Refusal, range::Wanted};
use crate::{
    library::{Capture, CaptureId, State as Progress},
    store::StoreError,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use cloudtalker::wire::segment_name::Container;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::{ops::Range, sync::Arc};
use time::OffsetDateTime;

/// Captures on a page, unless the request says otherwise.
const PAGE: u32 = 50;
/// And at most.
const PAGE_MAX: u32 = 200;

/// No agent was built before 2025: a clock that says less was never set.
const CLOCK_FLOOR: u64 = 1_735_689_600;
/// A camera's clock may be ahead of ours by this many seconds before it counts as wrong.
const CLOCK_AHEAD: u64 = 600;

/// Which captures a request wants.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    before: Option<CaptureId>,
    limit: Option<u32>,
    camera: Option<String>,
}

/// A capture as `captures list --json` has it, and what a page needs to show it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    capture: Capture,
    /// When it was recorded, in unix seconds; when it came, where the camera's clock was wrong.
    shown_at: u64,
    /// Whether the camera's clock was wrong.
    clock_is_off: bool,
    /// Where the joined video is; null unless complete.
    video: Option<String>,
    /// Where the parts are.
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Part {
    seg_no: u32,
    url: String,
    #[serde(rename = "type")]
    media_type: &'static str,
}

/// A video in the store of files.
struct Video<'a> {
    blob: &'a str,
    length: u64,
    tag: String,
    container: Container,
    name: String,
}

impl Shown {
    pub(super) fn of(capture: Capture) -> Shown {
        let is_complete = matches!(capture.state, Progress::Complete(_));
        let parts = capture.segments.iter().map(|segment| Part {
            seg_no: segment.seg_no,
            url: format!("/api/captures/{}/segments/{}", capture.id, segment.seg_no),
            media_type: media_type(segment.container),
        });
        Shown {
            shown_at: shown_at(&capture),
            clock_is_off: shown_at(&capture) != capture.trigger_timestamp,
            video: is_complete.then(|| format!("/api/captures/{}/video", capture.id)),
            parts: parts.collect(),
            capture,
        }
    }
}

/// `GET /api/captures?before=ID&limit=N&camera=NAME`: last arrived first. A header `Link` names the next page, if any.
pub(super) async fn list(
    State(viewer): State<Arc<Viewer>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut captures = read(&viewer, &page, limit + 1).await?;
    let has_more = captures.len() > limit as usize;
    captures.truncate(limit as usize);
    let next = captures.last().filter(|_| has_more).map(|last| next_page(last, &page, limit));
    let shown: Vec<Shown> = captures.into_iter().map(Shown::of).collect();
    let mut response = Json(shown).into_response();
    if let Some(next) = next.and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// `GET /api/captures/ID`
pub(super) async fn one(
    State(viewer): State<Arc<Viewer>>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    Ok(Json(Shown::of(capture(&viewer, &id).await?)))
}

/// `GET /api/captures/ID/video`: the joined file, or any bytes of it.
pub(super) async fn video(
    State(viewer): State<Arc<Viewer>>,
    Path(id): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let capture = capture(&viewer, &id).await?;
    let Progress::Complete(joined) = &capture.state else { return Err(Refusal::NotJoined(capture.id)) };
    let video = Video {
        blob: &joined.blob,
        length: joined.bytes,
        tag: joined_tag(&capture),
        container: Container::Mp4,
        name: file_name(&capture, "mp4"),
    };
    video.answer(&viewer, &method, &headers).await
}

/// `GET /api/captures/ID/segments/N`: one part as the camera sent it, or any bytes of it.
pub(super) async fn segment(
    State(viewer): State<Arc<Viewer>>,
    Path((id, number)): Path<(String, u32)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let capture = capture(&viewer, &id).await?;
    let segment = capture.segments.iter().find(|segment| segment.seg_no == number);
    let segment = segment.ok_or(Refusal::NoPart(capture.id, number))?;
    let video = Video {
        blob: &segment.blob,
        length: segment.bytes,
        tag: format!("\"{}\"", segment.sha256),
        container: segment.container,
        name: file_name(&capture, &format!("{number}.{}", segment.container.as_str())),
    };
    video.answer(&viewer, &method, &headers).await
}

impl Video<'_> {
    async fn answer(
        &self,
        viewer: &Viewer,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        // A range means nothing but to GET.
        let wanted =
            if method == Method::GET { Wanted::of(headers, self.length, &self.tag) } else { Wanted::Whole };
        let described = [
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, self.tag.clone()),
            (header::CACHE_CONTROL, "private, no-cache".to_owned()),
            (header::CONTENT_TYPE, media_type(self.container).to_owned()),
            (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}\"", self.name)),
        ];
        let length = self.length;
        let sent = |range: &Range<u64>| (header::CONTENT_LENGTH, (range.end - range.start).to_string());
        Ok(match wanted {
            Wanted::Whole => {
                (described, [sent(&(0..length))], self.bytes(viewer, 0..length).await?).into_response()
            }
            Wanted::Part(range) => {
                let part =
                    (header::CONTENT_RANGE, format!("bytes {}-{}/{length}", range.start, range.end - 1));
                let headers = [sent(&range), part];
                (StatusCode::PARTIAL_CONTENT, described, headers, self.bytes(viewer, range).await?)
                    .into_response()
            }
            Wanted::Beyond => {
                let range = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
                (StatusCode::RANGE_NOT_SATISFIABLE, range).into_response()
            }
            Wanted::Unchanged => (StatusCode::NOT_MODIFIED, described).into_response(),
        })
    }

    async fn bytes(&self, viewer: &Viewer, range: Range<u64>) -> Result<Body, Refusal> {
        if range.is_empty() {
            return Ok(Body::empty());
        }
        Ok(Body::from_stream(viewer.server.blobs.read(self.blob, range).await?))
    }
}

async fn read(viewer: &Viewer, page: &Page, limit: u32) -> Result<Vec<Capture>, StoreError> {
    let store = &viewer.server.store;
    match &page.camera {
        Some(camera) => store.captures_of(camera, page.before, limit).await,
        None => store.captures(page.before, limit).await,
    }
}

async fn capture(viewer: &Viewer, id: &str) -> Result<Capture, Refusal> {
    let id: CaptureId = id.parse().map_err(|_| Refusal::NoCapture)?;
    viewer.server.store.capture(id).await?.ok_or(Refusal::NoCapture)
}

/// A camera's name needs no escaping in a URL.
fn next_page(last: &Capture, page: &Page, limit: u32) -> String {
    let camera = page.camera.as_ref().map(|_| format!("&camera={}", last.camera)).unwrap_or_default();
    format!("</api/captures?before={}&limit={limit}{camera}>; rel=\"next\"", last.id)
}

fn shown_at(capture: &Capture) -> u64 {
    let believable = CLOCK_FLOOR..=capture.received_at.saturating_add(CLOCK_AHEAD);
    if believable.contains(&capture.trigger_timestamp) {
        capture.trigger_timestamp
    } else {
        capture.received_at
    }
}

/// The joined file follows from its segments; one that came late makes another file.
fn joined_tag(capture: &Capture) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    capture.segments.iter().for_each(|segment| context.update(&segment.sha256.0));
    let hex: String = context.finish().as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn media_type(container: Container) -> &'static str {
    match container {
        Container::Mp4 => "video/mp4",
        Container::Ts => "video/mp2t",
    }
}

/// porch-20261121T210203Z.mp4
fn file_name(capture: &Capture, end: &str) -> String {
    let at =
        i64::try_from(shown_at(capture)).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    format!(
        "{}-{:04}{:02}{:02}T{:02}{:02}{:02}Z.{end}",
        capture.camera,
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudtalker::wire::Trigger;

    fn recorded(trigger_timestamp: u64) -> Capture {
        Capture {
            id: CaptureId(7),
            camera: "porch".into(),
            trigger: Trigger::Pir,
            trigger_timestamp,
            received_at: 1_795_294_923,
            state: Progress::Open,
            segments: Vec::new(),
        }
    }

    #[test]
    fn a_clock_that_is_off_is_not_believed() {
        for (timestamp, shown) in [
            (1_795_294_900, 1_795_294_900),
            (1_795_295_000, 1_795_295_000),
            (35, 1_795_294_923),
            (4_102_444_800, 1_795_294_923),
        ] {
            let capture = Shown::of(recorded(timestamp));
            assert_eq!((capture.shown_at, capture.clock_is_off), (shown, shown != timestamp), "{timestamp}");
        }
    }

    #[test]
    fn a_file_is_named_by_camera_and_time() {
        assert_eq!(file_name(&recorded(1_795_294_923), "mp4"), "porch-20261121T210203Z.mp4");
    }
}
