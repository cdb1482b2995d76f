//! What the first reading of a part keeps of it: run lengths of its times, and four bytes a sample.

use std::io::{Read, Seek};

use super::codec::{AudioFormat, VideoFormat};
use super::error::Fault;
use super::segment::{Kind, MAX_TICKS, PartReader, Sample, Track};

/// One part's two tracks and how they alternate.
pub(super) struct Scan {
    pub(super) video: TrackScan<VideoFormat>,
    pub(super) audio: Option<TrackScan<AudioFormat>>,
    /// Samples of one kind in a row.
    pub(super) order: Runs<Kind>,
    pub(super) matrix: [i32; 9],
}

/// One part's samples of one track, in ticks of the part's own timescale.
pub(super) struct TrackScan<F> {
    pub(super) track: Track<F>,
    pub(super) samples: Samples,
}

/// The samples' times and sizes.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) first_dts: i64,
    /// Where the last sample ends.
    pub(super) end_dts: i64,
    /// Between samples; the last one is the last sample's duration.
    pub(super) deltas: Runs<u32>,
    /// Composition time minus decoding time.
    pub(super) offsets: Runs<i64>,
    pub(super) first_composition: i64,
    pub(super) end_composition: i64,
    pub(super) sizes: Vec<u32>,
    /// Indices of the samples at which decoding can begin.
    pub(super) sync: Vec<u32>,
    last: Option<(i64, u32)>,
}

impl Scan {
    pub(super) fn of<R: Read + Seek>(part: &mut PartReader<R>) -> Result<Self, Fault> {
        let (mut video, mut audio, mut order) = (Samples::default(), Samples::default(), Runs::default());
        while let Some(sample) = part.next_sample()? {
            order.push(sample.kind);
            match sample.kind {
                Kind::Video => video.push(&sample)?,
                Kind::Audio => audio.push(&sample)?,
            }
        }
        if video.sizes.is_empty() {
            return Err(Fault::NoVideo);
        }
        let (video, audio) = (video.ended(), audio.ended());
        let tracks = part.tracks().clone();
        Ok(Self {
            video: TrackScan { track: tracks.video, samples: video },
            audio: tracks
                .audio
                .filter(|_| !audio.sizes.is_empty())
                .map(|track| TrackScan { track, samples: audio }),
            order,
            matrix: tracks.matrix,
        })
    }
}

impl Samples {
    fn push(&mut self, sample: &Sample) -> Result<(), Fault> {
        let composition = sample.dts.saturating_add(sample.offset);
        let end = composition.saturating_add(sample.duration.into());
        let out_of_bounds = |time: i64| !(-MAX_TICKS..=MAX_TICKS).contains(&time);
        if [sample.dts, composition, end].into_iter().any(out_of_bounds) {
            return Err(Fault::Malformed("a frame's time is too large".into()));
        }
        match self.last {
            None => {
                self.first_dts = sample.dts;
                (self.first_composition, self.end_composition) = (composition, end);
            }
            Some((before, _)) => {
                let delta = u32::try_from(sample.dts - before);
                self.deltas.push(delta.map_err(|_| Fault::Malformed("frames are hours apart".into()))?);
            }
        }
        self.first_composition = self.first_composition.min(composition);
        self.end_composition = self.end_composition.max(end);
        self.last = Some((sample.dts, sample.duration));
        self.offsets.push(sample.offset);
        if sample.sync {
            self.sync.push(self.sizes.len() as u32);
        }
        self.sizes.push(sample.size);
        Ok(())
    }

    fn ended(mut self) -> Self {
        if let Some((dts, duration)) = self.last {
            self.deltas.push(duration);
            self.end_dts = dts + i64::from(duration);
        }
        self
    }

    /// How far decoding runs ahead of what is shown, when the first shown frame is at 0.
    pub(super) fn reorder_delay(&self) -> i64 {
        let least = self.offsets.runs().map(|(_, offset)| *offset).min().unwrap_or(0);
        self.first_composition - self.first_dts - least
    }
}

/// A sequence, stored as how often each value repeats.
pub(super) struct Runs<T>(Vec<(u32, T)>);

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + PartialEq> Runs<T> {
    pub(super) fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some((count, last)) if *last == value && *count < u32::MAX => *count += 1,
            _ => self.0.push((1, value)),
        }
    }

    /// Each value with its count.
    pub(super) fn runs(&self) -> impl Iterator<Item = &(u32, T)> {
        self.0.iter()
    }

    /// Each value as often as it was pushed.
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        self.0.iter().flat_map(|(count, value)| std::iter::repeat_n(*value, *count as usize))
    }
}
