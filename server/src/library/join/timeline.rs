//! Lays the parts' tracks one after the other on one clock.
//!
//! A part begins when its first frame is shown or its first sound is heard, and lasts until both its tracks
//! have ended; the next part begins there. Each joined track has one timescale: times since the part's
//! beginning are rescaled, not durations, so that rounding never adds up. Video is decoded ahead of being
//! shown by the greatest delay of any part. The encoder's priming at the beginning of AAC stays in the first
//! part alone, where the edit list skips it.

use super::error::JoinError;
use super::scan::{Runs, Samples, Scan, TrackScan};
use super::segment::MAX_TICKS;

/// Beyond this the least common timescale makes times needlessly long.
const MAX_TIMESCALE: u64 = 10_000_000;
/// MPEG's own clock, near enough to all others.
const FALLBACK_TIMESCALE: u32 = 90_000;

/// The joined movie's times.
pub(super) struct Timeline {
    /// The movie's timescale is its video's.
    pub(super) video: TrackTimes,
    pub(super) audio: Option<TrackTimes>,
    /// In ticks of the movie.
    pub(super) duration: i64,
    /// How many samples at the beginning of each part's audio are left out.
    pub(super) skipped: Vec<u32>,
}

/// One joined track's times.
pub(super) struct TrackTimes {
    pub(super) timescale: u32,
    /// From each sample to the next, and the last one's duration.
    pub(super) deltas: Runs<u32>,
    /// Composition time minus decoding time.
    pub(super) offsets: Runs<u32>,
    /// Ticks of all samples together.
    pub(super) duration: u64,
    /// When the track begins to be shown, in its own ticks.
    pub(super) start: i64,
    /// The composition time that is shown first.
    pub(super) media_time: i64,
    /// How long the track is shown, in its own ticks.
    pub(super) shown: i64,
    /// When the last sample so far is decoded, and when it ends.
    last: Option<i64>,
    end: i64,
}

impl Timeline {
    pub(super) fn of(scans: &[Scan]) -> Result<Self, JoinError> {
        let movie = common_timescale(scans.iter().map(|scan| scan.video.track.timescale));
        let audio_of = |scan: &'_ Scan| scan.audio.as_ref().map(|audio| audio.track.timescale);
        let rate = common_timescale(scans.iter().filter_map(audio_of));
        let has_audio = scans.iter().any(|scan| scan.audio.is_some());
        let mut delay = 0;
        for scan in scans {
            let own = rescale(scan.video.samples.reorder_delay(), scan.video.track.timescale, movie);
            delay = delay.max(own.ok_or(JoinError::TooLong)?);
        }

        let mut video = TrackTimes::new(movie);
        let mut audio = TrackTimes::new(rate);
        let mut skipped = Vec::new();
        let mut begin = 0;
        for (index, scan) in scans.iter().enumerate() {
            let skip = scan.audio.as_ref().filter(|_| index > 0).map_or(0, priming);
            skipped.push(skip as u32);
            begin = lay_part(scan, begin, skip, delay, &mut video, &mut audio).ok_or(JoinError::TooLong)?;
        }
        let mut video = video.finish().ok_or(JoinError::TooLong)?;
        video.media_time += delay;
        let audio = audio.finish().ok_or(JoinError::TooLong)?;
        Ok(Self { video, audio: has_audio.then_some(audio), duration: begin, skipped })
    }
}

/// Lays one part at `begin` and returns where the next one begins; None where a time overflows.
fn lay_part(
    scan: &Scan,
    begin: i64,
    skip: usize,
    delay: i64,
    video: &mut TrackTimes,
    audio: &mut TrackTimes,
) -> Option<i64> {
    let movie = video.timescale;
    let shown = shown_video(&scan.video);
    let (mut first, mut end) = shown.in_timescale(scan.video.track.timescale, movie)?;
    let video_first = first;
    if let Some(track) = &scan.audio {
        let heard = heard_audio(track, skip).in_timescale(track.track.timescale, movie)?;
        (first, end) = (first.min(heard.0), end.max(heard.1));
    }
    video.lay(begin.checked_add(video_first - first)?, &scan.video, 0, Some(delay))?;
    if let Some(track) = &scan.audio {
        let zero = rescale(begin.checked_sub(first)?, movie, audio.timescale)?;
        let dts = track.samples.first_dts + skipped_ticks(&track.samples, skip);
        let position = rescale(dts - offset_of(track), track.track.timescale, audio.timescale)?;
        audio.lay(zero.checked_add(position)?, track, skip, None)?;
    }
    begin.checked_add(end - first).filter(|end| *end <= MAX_TICKS)
}

/// A span on a part's own clock, in ticks of one track.
struct Span {
    first: i64,
    end: i64,
}

impl Span {
    fn in_timescale(&self, from: u32, to: u32) -> Option<(i64, i64)> {
        Some((rescale(self.first, from, to)?, rescale(self.end, from, to)?))
    }
}

/// What is taken from a composition time to find when it is shown.
fn offset_of<F>(scan: &TrackScan<F>) -> i64 {
    scan.track.edit.media_time - scan.track.edit.delay
}

/// When a part's video is shown. Frames before the edit list's beginning are shown too: in the middle of the
/// joined video nothing could hide them.
fn shown_video<F>(scan: &TrackScan<F>) -> Span {
    let samples = &scan.samples;
    let first = samples.first_composition - offset_of(scan);
    let decoded = samples.end_dts - samples.first_dts;
    let composed = samples.end_composition - samples.first_composition;
    Span { first, end: first + decoded.max(composed) }
}

/// When a part's audio is heard: without priming at its beginning and padding at its end.
fn heard_audio<F>(scan: &TrackScan<F>, skip: usize) -> Span {
    let (samples, edit) = (&scan.samples, &scan.track.edit);
    let first_dts = samples.first_dts + skipped_ticks(samples, skip);
    let first = first_dts.max(edit.media_time) - offset_of(scan);
    let end = edit.length.map_or(samples.end_dts, |length| samples.end_dts.min(edit.media_time + length));
    Span { first, end: (end - offset_of(scan)).max(first) }
}

/// How many samples end before the edit list lets the audio begin; at least one sample is kept.
fn priming<F>(scan: &TrackScan<F>) -> usize {
    let mut end = scan.samples.first_dts;
    let ends = scan.samples.deltas.iter().map(|delta| {
        end += i64::from(delta);
        end
    });
    let primed = ends.take_while(|end| *end <= scan.track.edit.media_time).count();
    primed.min(scan.samples.sizes.len() - 1)
}

fn skipped_ticks(samples: &Samples, skip: usize) -> i64 {
    samples.deltas.iter().take(skip).map(i64::from).sum()
}

impl TrackTimes {
    fn new(timescale: u32) -> Self {
        Self {
            timescale,
            deltas: Runs::default(),
            offsets: Runs::default(),
            duration: 0,
            start: 0,
            media_time: 0,
            shown: 0,
            last: None,
            end: 0,
        }
    }

    /// Appends a part's samples from the `skip`th on, the first decoded at `start`. With a `delay`, the part's
    /// first shown frame is composed that much later than `start`.
    fn lay<F>(&mut self, start: i64, scan: &TrackScan<F>, skip: usize, delay: Option<i64>) -> Option<()> {
        let samples = &scan.samples;
        let at = |ticks| start.checked_add(rescale(ticks, scan.track.timescale, self.timescale)?);
        let lead = samples.first_composition - samples.first_dts;
        let mut since = 0;
        for (delta, offset) in samples.deltas.iter().zip(samples.offsets.iter()).skip(skip) {
            // Rounding may let two samples meet, and audio may run on into the next part.
            let wanted = at(since)?;
            let dts = self.last.map_or(wanted, |last| wanted.max(last + 1));
            let composed = match delay {
                Some(delay) => at(since + offset - lead)?.checked_add(delay)?,
                None => dts,
            };
            match self.last {
                None if dts < 0 => self.media_time = -dts,
                None => self.start = dts,
                Some(before) => self.deltas.push(u32::try_from(dts - before).ok()?),
            }
            self.offsets.push(u32::try_from((composed - dts).max(0)).ok()?);
            self.last = Some(dts);
            since += i64::from(delta);
        }
        self.end = at(since)?;
        Some(())
    }

    /// Gives the last sample its duration.
    fn finish(mut self) -> Option<Self> {
        if let Some(last) = self.last {
            self.deltas.push(u32::try_from((self.end - last).max(0)).ok()?);
            self.shown = self.end.max(last) - self.start;
            self.duration = (self.shown + self.media_time) as u64;
        }
        Some(self)
    }
}

/// A time on another clock, rounded to the nearest tick; None where sums of a few of them could overflow.
pub(super) fn rescale(ticks: i64, from: u32, to: u32) -> Option<i64> {
    let (from, to) = (i128::from(from), i128::from(to));
    let rescaled = i64::try_from((i128::from(ticks) * to * 2 + from).div_euclid(from * 2)).ok()?;
    (rescaled.unsigned_abs() < 1 << 60).then_some(rescaled)
}

/// The coarsest clock on which every tick of all of them is a whole number of ticks.
fn common_timescale(timescales: impl Iterator<Item = u32>) -> u32 {
    let mut timescales = timescales.map(u64::from);
    let common = timescales.try_fold(1, |common, timescale| {
        let multiple = common / greatest_common_divisor(common, timescale) * timescale;
        (multiple <= MAX_TIMESCALE).then_some(multiple)
    });
    common.map_or(FALLBACK_TIMESCALE, |common| common as u32)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_the_nearest_tick() {
        assert_eq!(rescale(1, 3, 1000), Some(333));
        assert_eq!(rescale(2, 3, 1000), Some(667));
        assert_eq!(rescale(-1, 2, 1000), Some(-500));
        assert_eq!(rescale(i64::MAX, 1, 90_000), None);
        assert_eq!(rescale(i64::MIN, u32::MAX, u32::MAX), None);
    }

    #[test]
    fn the_common_timescale_holds_every_tick_or_is_mpegs() {
        assert_eq!(common_timescale([12_800, 12_800].into_iter()), 12_800);
        assert_eq!(common_timescale([15_360, 90_000].into_iter()), 5_760_000);
        assert_eq!(common_timescale([30_000, 15_360, 12_345].into_iter()), FALLBACK_TIMESCALE);
        assert_eq!(common_timescale([u32::MAX].into_iter()), FALLBACK_TIMESCALE);
    }
}
