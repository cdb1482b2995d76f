//! Reads movie fragments.
//!
//! The boxes are walked here and not decoded as one `moof`: a `trun` of 20 bytes may claim 2^32 samples, and
//! its count must be bounded before anything is stored.

use std::collections::VecDeque;

use shiguredo_mp4::boxes::{MoofBox, MvexBox, TfdtBox, TfhdBox, TrafBox, TrunBox};
use shiguredo_mp4::{BoxHeader, BoxType, Decode};

use super::error::Fault;
use super::mp4::MAX_INDEX_SAMPLES;
use super::segment::{Kind, MAX_TICKS, Sample};

/// The tracks' state from one fragment to the next.
pub(super) struct Fragments {
    video: Run,
    audio: Option<Run>,
}

/// One track's defaults and its clock.
pub(super) struct Run {
    track_id: u32,
    default_duration: u32,
    default_size: u32,
    default_flags: u32,
    /// When the next sample begins, unless the fragment says otherwise.
    dts: i64,
}

impl Run {
    pub(super) fn new(track_id: u32, mvex: &MvexBox) -> Self {
        let trex = mvex.trex_boxes.iter().find(|trex| trex.track_id == track_id);
        Self {
            track_id,
            default_duration: trex.map_or(0, |trex| trex.default_sample_duration),
            default_size: trex.map_or(0, |trex| trex.default_sample_size),
            default_flags: trex.map_or(0, |trex| trex.default_sample_flags.get()),
            dts: 0,
        }
    }
}

type Queues = (VecDeque<Sample>, VecDeque<Sample>);

impl Fragments {
    pub(super) fn new(video: Run, audio: Option<Run>) -> Self {
        Self { video, audio }
    }

    /// Goes on after the samples that the moov itself named.
    pub(super) fn follow(&mut self, video: &VecDeque<Sample>, audio: &VecDeque<Sample>) {
        let end = |queue: &VecDeque<Sample>| queue.back().map_or(0, |s| s.dts + i64::from(s.duration));
        self.video.dts = end(video);
        if let Some(run) = &mut self.audio {
            run.dts = end(audio);
        }
    }

    /// The samples of the `moof` that lies at `start`, video and audio.
    pub(super) fn read(&mut self, moof: &[u8], start: u64, file_len: u64) -> Result<Queues, Fault> {
        let mut queues = Queues::default();
        // Where a fragment names no base, its data follows that of the fragment before.
        let mut base = start;
        for child in children(moof, MoofBox::TYPE)? {
            let (ty, traf) = child?;
            if ty != TrafBox::TYPE {
                continue;
            }
            let tfhd = first_box::<TfhdBox>(traf, TfhdBox::TYPE)?
                .ok_or_else(|| Fault::Malformed("box 'traf': it has no tfhd".into()))?;
            let (run, kind, queue) = if tfhd.track_id == self.video.track_id {
                (&mut self.video, Kind::Video, &mut queues.0)
            } else if let Some(audio) = self.audio.as_mut().filter(|run| run.track_id == tfhd.track_id) {
                (audio, Kind::Audio, &mut queues.1)
            } else {
                continue;
            };
            if tfhd.default_base_is_moof {
                base = start;
            }
            base = tfhd.base_data_offset.unwrap_or(base);
            if let Some(tfdt) = first_box::<TfdtBox>(traf, TfdtBox::TYPE)? {
                // A clock that runs back would put frames before those already read.
                run.dts = run.dts.max(i64::try_from(tfdt.base_media_decode_time).unwrap_or(i64::MAX));
            }
            let mut position = base;
            for child in children(traf, TrafBox::TYPE)? {
                let (ty, trun) = child?;
                if ty == TrunBox::TYPE {
                    position = run.read(trun, &tfhd, base, position, file_len, kind, queue)?;
                }
            }
            base = position;
        }
        Ok(queues)
    }
}

impl Run {
    /// Queues the samples of one `trun` and returns where its data ends.
    #[allow(clippy::too_many_arguments, reason = "the defaults of four boxes meet here")]
    fn read(
        &mut self,
        trun: &[u8],
        tfhd: &TfhdBox,
        base: u64,
        position: u64,
        file_len: u64,
        kind: Kind,
        queue: &mut VecDeque<Sample>,
    ) -> Result<u64, Fault> {
        let too_large = || Fault::Malformed("box 'trun': a time or an offset is too large".into());
        let default_duration = tfhd.default_sample_duration.unwrap_or(self.default_duration);
        let default_size = tfhd.default_sample_size.unwrap_or(self.default_size);
        let default_flags = tfhd.default_sample_flags.map_or(self.default_flags, |flags| flags.get());
        check_count(trun, queue.len(), default_size, file_len)?;
        let (trun, _) = TrunBox::decode(trun)?;
        let mut position = match trun.data_offset {
            Some(offset) => base.checked_add_signed(offset.into()).ok_or_else(too_large)?,
            None => position,
        };
        for (index, sample) in trun.samples.iter().enumerate() {
            let size = sample.size.unwrap_or(default_size);
            let duration = sample.duration.unwrap_or(default_duration);
            let first_flags = trun.first_sample_flags.filter(|_| index == 0);
            let flags = first_flags.or(sample.flags).map_or(default_flags, |flags| flags.get());
            queue.push_back(Sample {
                kind,
                dts: self.dts,
                duration,
                offset: sample.composition_time_offset.unwrap_or(0),
                sync: flags & NON_SYNC == 0,
                position,
                size,
            });
            position = position.checked_add(size.into()).ok_or_else(too_large)?;
            self.dts = self.dts.checked_add(duration.into()).ok_or_else(too_large)?;
            if self.dts > MAX_TICKS {
                return Err(too_large());
            }
        }
        Ok(position)
    }
}

/// The bit of a sample's flags that says that decoding can't begin at it.
const NON_SYNC: u32 = 0x0001_0000;

/// Bounds what a `trun` claims by what the file could hold.
fn check_count(trun: &[u8], queued: usize, default_size: u32, file_len: u64) -> Result<(), Fault> {
    let (_, payload) = BoxHeader::decode_header_and_payload(trun)?;
    let (Some(head), Some(count)) = (payload.first_chunk::<4>(), payload.get(4..8)) else {
        return Err(Fault::Malformed("box 'trun': it ends too early".into()));
    };
    let count = count.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let states_sizes = u32::from_be_bytes(*head) & TrunBox::FLAG_SAMPLE_SIZE_PRESENT != 0;
    let fits = if states_sizes {
        count * 4 <= payload.len() as u64
    } else {
        default_size > 0 && count <= file_len / u64::from(default_size)
    };
    if (count > 0 && !fits) || queued as u64 + count > u64::from(MAX_INDEX_SAMPLES) {
        return Err(Fault::Malformed(format!("box 'trun': {count} samples are too many")));
    }
    Ok(())
}

/// The boxes inside a box, each with its header.
fn children(
    parent: &[u8],
    ty: BoxType,
) -> Result<impl Iterator<Item = Result<(BoxType, &[u8]), Fault>>, Fault> {
    let (header, mut rest) = BoxHeader::decode_header_and_payload(parent)?;
    header.box_type.expect(ty)?;
    Ok(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        Some(match BoxHeader::decode_header_and_payload(rest) {
            Ok((header, payload)) => {
                let (child, after) = rest.split_at(header.external_size() + payload.len());
                rest = after;
                Ok((header.box_type, child))
            }
            Err(error) => {
                rest = &[];
                Err(error.into())
            }
        })
    }))
}

fn first_box<B: Decode>(traf: &[u8], ty: BoxType) -> Result<Option<B>, Fault> {
    for child in children(traf, TrafBox::TYPE)? {
        let (found, bytes) = child?;
        if found == ty {
            return Ok(Some(B::decode(bytes)?.0));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trun(flags: u32, count: u32) -> Vec<u8> {
        [16u32, u32::from_be_bytes(*b"trun"), flags, count].iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    #[test]
    fn a_run_claims_no_more_samples_than_the_file_holds() {
        assert!(check_count(&trun(0, 10), 0, 100, 1000).is_ok());
        assert!(check_count(&trun(0, 11), 0, 100, 1000).is_err());
        assert!(check_count(&trun(0, u32::MAX), 0, 1, u64::MAX).is_err());
        assert!(check_count(&trun(0, 1), 0, 0, 1000).is_err(), "samples of no size");
        assert!(check_count(&trun(TrunBox::FLAG_SAMPLE_SIZE_PRESENT, 3), 0, 0, 1000).is_err());
    }

    #[test]
    fn runs_share_one_bound() {
        assert!(check_count(&trun(0, 1), MAX_INDEX_SAMPLES as usize, 1, u64::MAX).is_err());
    }
}
