//! The streams inside MPEG-TS: H.264 and H.265 with start codes, AAC with ADTS headers.

use std::collections::VecDeque;

use shiguredo_mp4::bitstream::aac;

use super::codec::{AudioFormat, Codec, VideoFormat};
use super::error::Fault;
use super::segment::{Kind, MAX_SAMPLE_BYTES, Sample};
use super::timeline::rescale;
use super::ts::{CLOCK, Pes};

type Ready = VecDeque<(Sample, Vec<u8>)>;

/// Turns each PES packet of video, which holds one frame, into a sample with NAL unit lengths.
pub(super) struct VideoStream {
    codec: Codec,
    /// The newest parameter sets; a key frame that lacks them gets them.
    sets: Vec<Vec<u8>>,
    /// Those of the first key frame.
    first_sets: Option<Vec<Vec<u8>>>,
    /// A frame whose duration shows only when the next one comes.
    waiting: Option<(Sample, Vec<u8>)>,
    /// Added to time stamps after the clock ran back.
    shift: i64,
    duration: u32,
}

impl VideoStream {
    /// Until a second frame shows the rate: 25 frames a second.
    const FIRST_DURATION: u32 = CLOCK / 25;
    /// A frame isn't shown later than this after it is decoded; more is a damaged time stamp.
    const MAX_OFFSET: i64 = 10 * CLOCK as i64;

    pub(super) fn new(codec: Codec) -> Self {
        let duration = Self::FIRST_DURATION;
        Self { codec, sets: Vec::new(), first_sets: None, waiting: None, shift: 0, duration }
    }

    /// Known from the first key frame on.
    pub(super) fn format(&self) -> Option<Result<VideoFormat, Fault>> {
        self.first_sets.as_ref().map(|sets| VideoFormat::of_stream(self.codec, sets))
    }

    pub(super) fn take(&mut self, pes: Pes, ready: &mut Ready) -> Result<(), Fault> {
        let codec = self.codec;
        let nals = || nal_units(&pes.data).filter(|nal| !codec.is_delimiter(nal[0]));
        let has_sps = nals().any(|nal| codec.is_sps(nal[0]));
        if has_sps {
            self.sets = nals().filter(|nal| codec.is_parameter_set(nal[0])).map(<[u8]>::to_vec).collect();
        }
        let sync = has_sps || nals().any(|nal| codec.is_random_access(nal[0]));
        if self.first_sets.is_none() {
            if !sync || self.sets.is_empty() {
                // Nothing can be decoded before the first key frame.
                return Ok(());
            }
            self.first_sets = Some(self.sets.clone());
        }
        let mut data = Vec::with_capacity(pes.data.len() + 64);
        if sync && !has_sps {
            self.sets.iter().for_each(|set| push_nal(&mut data, set));
        }
        nals().for_each(|nal| push_nal(&mut data, nal));
        if data.is_empty() {
            return Ok(());
        }
        if data.len() > MAX_SAMPLE_BYTES as usize {
            return Err(Fault::Malformed(format!("a frame of {} bytes", data.len())));
        }
        let offset = pes.pts - pes.dts;
        self.push(
            Sample {
                kind: Kind::Video,
                dts: pes.dts,
                duration: 0,
                offset: if (0..=Self::MAX_OFFSET).contains(&offset) { offset } else { 0 },
                sync,
                position: 0,
                size: data.len() as u32,
            },
            data,
            ready,
        );
        Ok(())
    }

    /// Sets the waiting frame's duration and lets this one wait.
    fn push(&mut self, mut sample: Sample, data: Vec<u8>, ready: &mut Ready) {
        sample.dts += self.shift;
        if let Some((mut before, before_data)) = self.waiting.take() {
            match u32::try_from(sample.dts - before.dts) {
                Ok(duration) if duration > 0 => self.duration = duration,
                _ => {
                    // The recorder's clock ran back: go on as if it hadn't.
                    let dts = before.dts + i64::from(self.duration);
                    self.shift += dts - sample.dts;
                    sample.dts = dts;
                }
            }
            before.duration = self.duration;
            ready.push_back((before, before_data));
        }
        self.waiting = Some((sample, data));
    }

    pub(super) fn end(&mut self, ready: &mut Ready) {
        if let Some((mut last, data)) = self.waiting.take() {
            last.duration = self.duration;
            ready.push_back((last, data));
        }
    }
}

fn push_nal(data: &mut Vec<u8>, nal: &[u8]) {
    data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    data.extend_from_slice(nal);
}

/// The NAL units between start codes, none of them empty. Zeros before a start code belong to no unit.
fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(data);
    std::iter::from_fn(move || {
        let bytes = rest?;
        rest = after_start_code(bytes);
        let end = rest.map_or(bytes.len(), |next| bytes.len() - next.len() - START_CODE.len());
        let nal = &bytes[..end];
        Some(&nal[..nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)])
    })
    .filter(|nal| !nal.is_empty())
}

const START_CODE: [u8; 3] = [0, 0, 1];

fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    let at = data.windows(START_CODE.len()).position(|window| window == START_CODE)?;
    Some(&data[at + START_CODE.len()..])
}

/// Turns PES packets of ADTS frames into AAC access units. Times are ticks of the sampling rate, counted from
/// frame to frame, because 90 kHz can't express most frames' length.
#[derive(Default)]
pub(super) struct AudioStream {
    config: Option<(aac::AudioSpecificConfig, u32)>,
    /// The beginning of a frame that the next PES packet ends.
    rest: Vec<u8>,
    next: Option<i64>,
}

impl AudioStream {
    const FRAME_SAMPLES: u32 = 1024;
    const HEADER_BYTES: usize = 7;

    /// The format and its sampling rate, known from the first frame on.
    pub(super) fn format(&self) -> Option<(Result<AudioFormat, Fault>, u32)> {
        self.config.as_ref().map(|(config, rate)| (AudioFormat::of_stream(config), *rate))
    }

    pub(super) fn take(&mut self, pes: Pes, ready: &mut Ready) -> Result<(), Fault> {
        let continues = !self.rest.is_empty();
        self.rest.extend_from_slice(&pes.data);
        let bytes = std::mem::take(&mut self.rest);
        let mut bytes = bytes.as_slice();
        // The time stamp is that of the first frame that begins in the packet.
        let mut stamp = Some(pes.pts).filter(|_| !continues);
        while let Some(header) = bytes.first_chunk::<{ Self::HEADER_BYTES }>() {
            let length =
                usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5] >> 5);
            if header[0] != 0xff || header[1] & 0xf6 != 0xf0 || length < Self::HEADER_BYTES {
                bytes = &bytes[1..];
                continue;
            }
            let Some((frame, after)) = bytes.split_at_checked(length) else { break };
            let Ok((header, data)) = aac::parse_adts_frame(frame) else {
                bytes = &bytes[1..];
                continue;
            };
            bytes = after;
            self.push(&header, data, stamp.take(), ready)?;
        }
        self.rest = bytes.to_vec();
        Ok(())
    }

    fn push(
        &mut self,
        header: &aac::AdtsHeader,
        data: &[u8],
        stamp: Option<i64>,
        ready: &mut Ready,
    ) -> Result<(), Fault> {
        let (config, rate) = config_of(header)?;
        if self.config.as_ref().is_some_and(|(first, _)| *first != config) {
            return Err(Fault::Unsupported("its audio changes its format within the file".into()));
        }
        self.config = Some((config, rate));
        let stamp = stamp.and_then(|stamp| rescale(stamp, CLOCK, rate));
        let dts = match (self.next, stamp) {
            // A stamp that is near only rounds differently; one that lies back would reorder frames.
            (Some(next), Some(stamp)) if stamp <= next + i64::from(Self::FRAME_SAMPLES) / 2 => next,
            (Some(next), None) => next,
            (_, Some(stamp)) => stamp,
            (None, None) => return Ok(()),
        };
        self.next = Some(dts + i64::from(Self::FRAME_SAMPLES));
        let sample = Sample {
            kind: Kind::Audio,
            dts,
            duration: Self::FRAME_SAMPLES,
            offset: 0,
            sync: true,
            position: 0,
            size: data.len() as u32,
        };
        ready.push_back((sample, data.to_vec()));
        Ok(())
    }
}

fn config_of(header: &aac::AdtsHeader) -> Result<(aac::AudioSpecificConfig, u32), Fault> {
    const RATES: [u32; 13] =
        [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];
    let rate = RATES.get(usize::from(header.sampling_frequency_index)).copied();
    let rate = rate.ok_or_else(|| Fault::Malformed("an ADTS header of a reserved rate".into()))?;
    let config = aac::AudioSpecificConfig {
        audio_object_type: header.audio_object_type,
        sampling_frequency: aac::SamplingFrequency::from_hz(rate)?,
        channel_configuration: header.channel_configuration,
    };
    Ok((config, rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_lie_between_start_codes_of_either_length() {
        let nals = |bytes: &'static [u8]| nal_units(bytes).collect::<Vec<_>>();
        assert_eq!(nals(&[0, 0, 0, 1, 7, 1, 0, 0, 1, 8, 0, 0, 0, 1, 5, 0]), [&[7, 1][..], &[8], &[5]]);
        assert_eq!(nals(&[9, 9, 0, 0, 1, 0, 0, 1, 5]), [&[5]]);
        assert!(nals(&[0, 0, 1]).is_empty() && nals(&[1, 2, 3]).is_empty() && nals(&[]).is_empty());
    }

    #[test]
    fn a_clock_that_runs_back_does_not_turn_the_video_back() {
        let mut stream = VideoStream::new(Codec::H264);
        let mut ready = Ready::new();
        for dts in [1000, 4000, 0, 3000] {
            let kind = Kind::Video;
            let sample = Sample { kind, dts, duration: 0, offset: 0, sync: true, position: 0, size: 0 };
            stream.push(sample, Vec::new(), &mut ready);
        }
        stream.end(&mut ready);
        let times: Vec<_> = ready.iter().map(|(sample, _)| (sample.dts, sample.duration)).collect();
        assert_eq!(times, [(1000, 3000), (4000, 3000), (7000, 3000), (10_000, 3000)]);
    }
}
