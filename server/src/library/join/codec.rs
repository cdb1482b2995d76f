//! What a decoder must be told, and whether two segments tell it the same.

use shiguredo_mp4::bitstream::{aac, h264, h265};
use shiguredo_mp4::boxes::{
    AvccBox, Hev1Box, HvccBox, HvccNalUintArray, Mp4aBox, SampleEntry, VisualSampleEntryFields,
};
use shiguredo_mp4::descriptors::DecoderConfigDescriptor;
use shiguredo_mp4::{BaseBox, Uint};

use super::error::{Difference, Fault};

/// The video codecs that are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    H264,
    H265,
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
        }
    }

    /// Whether a NAL unit is the delimiter, which must stay the first of its frame.
    pub(super) fn is_delimiter(self, header: u8) -> bool {
        match self {
            Self::H264 => header & 0x1f == 9,
            Self::H265 => header >> 1 & 0x3f == 35,
        }
    }

    /// Whether a NAL unit is a parameter set: VPS, SPS or PPS.
    pub(super) fn is_parameter_set(self, header: u8) -> bool {
        match self {
            Self::H264 => matches!(header & 0x1f, 7 | 8),
            Self::H265 => matches!(header >> 1 & 0x3f, 32..=34),
        }
    }

    pub(super) fn is_sps(self, header: u8) -> bool {
        match self {
            Self::H264 => header & 0x1f == 7,
            Self::H265 => header >> 1 & 0x3f == 33,
        }
    }

    /// Whether a NAL unit belongs to a picture at which decoding can begin.
    pub(super) fn is_random_access(self, header: u8) -> bool {
        match self {
            Self::H264 => header & 0x1f == 5,
            Self::H265 => matches!(header >> 1 & 0x3f, 16..=23),
        }
    }
}

/// A video track's format.
#[derive(Debug, Clone)]
pub(super) struct VideoFormat {
    pub(super) codec: Codec,
    pub(super) entry: SampleEntry,
    pub(super) resolution: (u16, u16),
    /// VPS, SPS and PPS of the sample entry, without lengths.
    sets: Vec<Vec<u8>>,
    /// Bytes of each NAL unit's length field.
    length_size: usize,
    carrier: Carrier,
}

/// Where a track's parameter sets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// In the sample entry alone.
    Entry,
    /// In the sample entry, and perhaps others in the samples.
    EntryAndSamples,
    /// In every key frame.
    KeyFrames,
}

impl VideoFormat {
    /// Of an MP4 track's sample entry.
    pub(super) fn of_entry(mut entry: SampleEntry) -> Result<Self, Fault> {
        let (codec, sets, length, carrier): (_, Vec<Vec<u8>>, _, _) = match &mut entry {
            SampleEntry::Avc1(b) => {
                b.visual.data_reference_index = VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX;
                complete_avcc(&mut b.avcc_box);
                let sets = b.avcc_box.sps_list.iter().chain(&b.avcc_box.pps_list).cloned().collect();
                (Codec::H264, sets, b.avcc_box.length_size_minus_one.get(), Carrier::Entry)
            }
            SampleEntry::Hvc1(b) => {
                b.visual.data_reference_index = VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX;
                (Codec::H265, hevc_sets(&b.hvcc_box), b.hvcc_box.length_size_minus_one.get(), Carrier::Entry)
            }
            SampleEntry::Hev1(b) => {
                b.visual.data_reference_index = VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX;
                (
                    Codec::H265,
                    hevc_sets(&b.hvcc_box),
                    b.hvcc_box.length_size_minus_one.get(),
                    Carrier::EntryAndSamples,
                )
            }
            other => {
                let name = other.box_type();
                return Err(Fault::Unsupported(format!("its video is '{name}', not H.264 or H.265")));
            }
        };
        let stated = entry.video_resolution().unwrap_or_default();
        let resolution = coded_resolution(codec, &sets).unwrap_or(stated);
        let length_size = usize::from(length) + 1;
        if length_size == 3 || sets.iter().any(|set| set.is_empty() || set.len() >> (8 * length_size) != 0) {
            return Err(Fault::Malformed("its parameter sets don't fit their length fields".into()));
        }
        Ok(Self { codec, entry, resolution, sets, length_size, carrier })
    }

    /// Of the parameter sets found in an MPEG-TS stream; its samples keep theirs, with lengths of 4 bytes.
    pub(super) fn of_stream(codec: Codec, sets: &[Vec<u8>]) -> Result<Self, Fault> {
        let of_type = |wanted: u8| -> Vec<Vec<u8>> {
            let kind = |header: u8| if codec == Codec::H264 { header & 0x1f } else { header >> 1 & 0x3f };
            sets.iter().filter(|set| set.first().is_some_and(|h| kind(*h) == wanted)).cloned().collect()
        };
        let length_size = h264::LengthSize::FourBytes;
        let entry = match codec {
            Codec::H264 => {
                let config = h264::H264SampleEntryConfig { length_size };
                SampleEntry::Avc1(h264::build_avc1_box(&of_type(7), &of_type(8), &config)?)
            }
            Codec::H265 => {
                let config = h265::H265SampleEntryConfig {
                    length_size,
                    avg_frame_rate: 0,
                    constant_frame_rate: h265::H265ConstantFrameRate::Unknown,
                };
                let (vps, sps, pps) = (of_type(32), of_type(33), of_type(34));
                SampleEntry::Hev1(h265::build_hev1_box(&vps, &sps, &pps, &config)?)
            }
        };
        Ok(Self { carrier: Carrier::KeyFrames, ..Self::of_entry(entry)? })
    }

    /// What keeps this part from following `first` in one track.
    pub(super) fn difference(&self, first: &Self) -> Option<Difference> {
        if self.codec != first.codec {
            return Some(Difference::Codec(self.codec.name(), first.codec.name()));
        }
        if self.resolution != first.resolution {
            return Some(Difference::Resolution(self.resolution, first.resolution));
        }
        if self.length_size != first.length_size {
            return Some(Difference::LengthSize(self.length_size, first.length_size));
        }
        None
    }

    /// Whether one sample entry doesn't describe both, so that key frames must bring their own sets.
    pub(super) fn needs_own_sets(&self, first: &Self) -> bool {
        self.carrier != Carrier::Entry || self.sets != first.sets
    }

    /// What each key frame lacks: the parameter sets with their lengths.
    pub(super) fn prefix(&self) -> Vec<u8> {
        let mut prefix = Vec::new();
        if self.carrier == Carrier::KeyFrames {
            return prefix;
        }
        for set in &self.sets {
            let length = (set.len() as u32).to_be_bytes();
            prefix.extend_from_slice(&length[4 - self.length_size..]);
            prefix.extend_from_slice(set);
        }
        prefix
    }

    /// Where the prefix goes in a sample: at its beginning, or after its delimiter.
    pub(super) fn prefix_position(&self, sample: &[u8]) -> usize {
        let Some((length, rest)) = sample.split_at_checked(self.length_size) else { return 0 };
        let length = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let is_delimiter = rest.first().is_some_and(|header| self.codec.is_delimiter(*header));
        if is_delimiter && length <= rest.len() { self.length_size + length } else { 0 }
    }

    /// The sample entry of a track whose samples hold parameter sets: `hvc1` forbids them, `hev1` doesn't.
    pub(super) fn entry_with_own_sets(&self) -> SampleEntry {
        let SampleEntry::Hvc1(b) = &self.entry else { return self.entry.clone() };
        let mut hvcc_box = b.hvcc_box.clone();
        for array in &mut hvcc_box.nalu_arrays {
            array.array_completeness = Uint::new(0);
        }
        let unknown_boxes = b.unknown_boxes.clone();
        SampleEntry::Hev1(Hev1Box { visual: b.visual.clone(), hvcc_box, unknown_boxes })
    }
}

/// High profiles must state their picture format; some writers leave it out, and then it can't be written.
fn complete_avcc(avcc: &mut AvccBox) {
    if matches!(avcc.avc_profile_indication, 66 | 77 | 88) || avcc.chroma_format.is_some() {
        return;
    }
    let sps = avcc.sps_list.first().and_then(|sps| h264::parse_sps(sps).ok());
    let (chroma, luma_depth, chroma_depth) = sps.map_or((1, 0, 0), |sps| {
        (sps.chroma_format_idc, sps.bit_depth_luma_minus8, sps.bit_depth_chroma_minus8)
    });
    avcc.chroma_format = Some(Uint::new(chroma));
    avcc.bit_depth_luma_minus8 = Some(Uint::new(luma_depth));
    avcc.bit_depth_chroma_minus8 = Some(Uint::new(chroma_depth));
}

fn hevc_sets(hvcc: &HvccBox) -> Vec<Vec<u8>> {
    let is_set = |array: &&HvccNalUintArray| (32..=34).contains(&array.nal_unit_type.get());
    hvcc.nalu_arrays.iter().filter(is_set).flat_map(|array| array.nalus.iter().cloned()).collect()
}

/// What the decoder will show, which a careless writer's sample entry may misstate.
fn coded_resolution(codec: Codec, sets: &[Vec<u8>]) -> Option<(u16, u16)> {
    let sps = sets.iter().find(|set| set.first().is_some_and(|header| codec.is_sps(*header)))?;
    match codec {
        Codec::H264 => h264::parse_sps(sps).ok().map(|sps| (sps.width, sps.height)),
        Codec::H265 => h265::parse_sps(sps).ok().map(|sps| (sps.width, sps.height)),
    }
}

/// An AAC track's format.
#[derive(Debug, Clone)]
pub(super) struct AudioFormat {
    pub(super) entry: Mp4aBox,
    /// The decoder's configuration without what says nothing new (an absent SBR extension).
    config: Vec<u8>,
}

impl AudioFormat {
    /// Of an MP4 track's sample entry.
    pub(super) fn of_entry(entry: &SampleEntry) -> Result<Self, Fault> {
        let SampleEntry::Mp4a(entry) = entry else {
            return Err(Fault::Unsupported(format!("its audio is '{}', not AAC", entry.box_type())));
        };
        let decoder = &entry.esds_box.es.dec_config_descr;
        if decoder.object_type_indication
            != DecoderConfigDescriptor::OBJECT_TYPE_INDICATION_AUDIO_ISO_IEC_14496_3
        {
            let kind = decoder.object_type_indication;
            return Err(Fault::Unsupported(format!("its audio is MPEG-4 object type {kind:#x}, not AAC")));
        }
        let stated = decoder.dec_specific_info.as_ref().map_or(&[][..], |info| &info.payload);
        // Object type, rate and channels; what may follow is an extension that ADTS can't express.
        let config = match stated {
            [first, second, ..] if !is_explicit_rate(*first, *second) => vec![*first, second & 0xf8],
            _ => stated.to_vec(),
        };
        let mut entry = entry.clone();
        entry.audio.data_reference_index = VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX;
        Ok(Self { entry, config })
    }

    /// Of an ADTS header's values.
    pub(super) fn of_stream(config: &aac::AudioSpecificConfig) -> Result<Self, Fault> {
        let sample_entry =
            aac::Mp4aSampleEntryConfig { es_id: 1, buffer_size_db: 0, max_bitrate: 0, avg_bitrate: 0 };
        Self::of_entry(&SampleEntry::Mp4a(aac::build_mp4a_box(config, &sample_entry)?))
    }

    /// What keeps this part from following `first` in one track.
    pub(super) fn difference(&self, first: &Self) -> Option<Difference> {
        (self.config != first.config).then(|| Difference::Audio(self.description(), first.description()))
    }

    fn description(&self) -> String {
        let audio = &self.entry.audio;
        format!("AAC {} Hz {} channel", audio.samplerate.integer, audio.channelcount)
    }
}

/// Whether an AudioSpecificConfig states its rate as a number instead of a table's index.
fn is_explicit_rate(first: u8, second: u8) -> bool {
    (first & 0x07) << 1 | second >> 7 == 15
}
