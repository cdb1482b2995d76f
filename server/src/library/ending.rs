//! Ends the captures of plain tus clients, which know no word for it: one of which nothing came for a while is what
//! has come. A segment that comes later is joined with the others all the same.

use crate::{
    bus::Event,
    server::Server,
    store::{Quiet, StoreError, unix_now},
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How long nothing of a capture is uploaded before it ends: longer than the pause between two segments, and no longer
/// than people wait for the video.
pub const QUIET: Duration = Duration::from_secs(10 * 60);

/// After a failure of the database.
const AGAIN: Duration = Duration::from_secs(30);

/// Ends what is quiet for so long, until the process ends. At most one timer: the next capture's.
pub async fn run(server: Arc<Server>, quiet: Duration) {
    loop {
        // Listen first, then read: a capture that begins between is not missed.
        let mut events = server.bus.listen();
        match end_due(&server, quiet).await {
            Ok(Some(wait)) => sleep(wait).await,
            Ok(None) => while !matches!(events.next().await, Event::Capture(..) | Event::Missed) {},
            Err(error) => {
                log::error!("captures that are quiet could not be ended: {error}");
                sleep(AGAIN).await;
            }
        }
    }
}

/// Ends what is due; how long until the next is, if there is one. Later uploads only put that off.
async fn end_due(server: &Server, quiet: Duration) -> Result<Option<Duration>, StoreError> {
    let quiet_s = quiet.as_secs();
    while let Some(since) = server.store.quiet_since().await? {
        let now = unix_now();
        let left = since.saturating_add(quiet_s).saturating_sub(now);
        if left > 0 {
            // No longer than that, where the clock was set back.
            return Ok(Some(Duration::from_secs(left).min(quiet)));
        }
        for Quiet { capture, camera, camera_name } in server.store.end_quiet(since).await? {
            log::info!("{camera_name}: nothing came of capture {capture} for {quiet_s} s, so it has ended");
            server.bus.tell(Event::Capture(capture, camera));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        library::{Identity, Segment},
        server::DEFAULT_QUOTA,
        store::{NewSegment, OnConflict, Placed},
    };
    use cloudtalker::wire::{Sha256, Trigger, segment_name::Container};
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_capture_that_begins_while_nothing_is_due_ends_too() {
        let dir = tempfile::tempdir().unwrap();
        let server = Arc::new(Server::open(dir.path(), DEFAULT_QUOTA).await.unwrap());
        let camera = server.store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
        let ending = tokio::spawn(run(server.clone(), Duration::from_secs(2)));
        let mut events = server.bus.listen();
        let new = NewSegment {
            upload: "u",
            camera,
            identity: Identity { agent_id: None, trigger: Trigger::Pir, trigger_timestamp: 35 },
            capture: None,
            on_conflict: OnConflict::Refuse,
            segment: Segment {
                seg_no: 0,
                bytes: 1,
                sha256: Sha256([2; 32]),
                container: Container::Mp4,
                blob: "segments/u".into(),
            },
        };
        let (Placed::Stored(capture), _) = server.store.place_segment(&new, unix_now()).await.unwrap() else {
            panic!("nothing else is in its place")
        };
        assert!(server.store.join_due(crate::library::CaptureId(0)).await.unwrap().is_none(), "it is open");
        server.bus.tell(Event::Capture(capture, camera));
        for _ in 0..2 {
            let event = timeout(Duration::from_secs(60), events.next()).await.expect("an event in time");
            assert_eq!(event, Event::Capture(capture, camera));
        }
        let due = server.store.join_due(crate::library::CaptureId(0)).await.unwrap();
        assert_eq!(due.expect("it has ended").capture, capture);
        ending.abort();
    }
}
