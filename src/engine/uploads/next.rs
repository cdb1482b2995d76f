//! Which segment is uploaded next.

use super::super::{Engine, Now, Timer, capture::Segment, spool::Place};
use std::time::Duration;

/// In which order segments go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The oldest first.
    Oldest,
    /// The first segment of each capture before all others.
    FirstsBeforeOthers,
    /// Nothing but the first segment of each capture.
    FirstsOnly,
}

/// The next segment to be uploaded.
enum Next {
    /// This one, now.
    Now(Place),
    /// None before this moment.
    At(Duration),
    /// None.
    Never,
}

impl Engine {
    /// Begins with the next segment, if one may be uploaded.
    pub(in crate::engine) fn upload_next(&mut self, now: Now) {
        if self.uploads.current.is_some() || self.stopping || !self.may_upload() {
            return;
        }
        let Some(choice) = self.affordable() else { return };
        match self.next_segment(now, choice) {
            Next::Now(place) if self.allow(place) => self.begin_upload(place),
            // The disk is to write first what the budget will be then.
            Next::Now(_) => {}
            Next::At(at) => self.timers.set(Timer::Upload, at),
            Next::Never => self.timers.clear(Timer::Upload),
        }
    }

    /// Whether the first segment of some capture may go now.
    pub(in crate::engine) fn is_first_due(&self, now: Now) -> bool {
        matches!(self.next_segment(now, Choice::FirstsOnly), Next::Now(_))
    }

    fn next_segment(&self, now: Now, choice: Choice) -> Next {
        let mut nearest: Option<Duration> = None;
        let mut other = None;
        for (name, capture) in self.captures.iter() {
            for segment in capture.owed() {
                let is_first = capture.is_first(segment.seg_no);
                if !is_first && choice == Choice::FirstsOnly {
                    break;
                }
                let at = segment.retry_at().max(self.uploads.not_before).max(self.uploads.asked_until);
                match at <= now.mono {
                    true if is_first || choice == Choice::Oldest => return Next::Now(segment.place(name)),
                    true => other = other.or(Some(segment.place(name))),
                    false => nearest = Some(nearest.map_or(at, |nearest| nearest.min(at))),
                }
            }
        }
        other.map(Next::Now).or(nearest.map(Next::At)).unwrap_or(Next::Never)
    }

    /// Uploads to the cloud's own endpoint wait for the session, which tells where that is and when it is back.
    fn may_upload(&self) -> bool {
        (self.settings.uploads_elsewhere || self.session.is_ready()) && !self.is_paused()
    }
}

impl Segment {
    fn retry_at(&self) -> Duration {
        self.retry.as_ref().map_or(Duration::ZERO, |retry| retry.at)
    }
}
