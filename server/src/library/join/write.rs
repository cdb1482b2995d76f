//! The joined file: `ftyp`, `moov`, then one `mdat`, so that a browser can begin before it has everything.

use std::num::NonZeroU32;

use shiguredo_mp4::boxes::{
    Brand, Co64Box, CttsBox, CttsEntry, DinfBox, EdtsBox, ElstBox, ElstEntry, FtypBox, HdlrBox, MdhdBox,
    MdiaBox, MediaHeader, MinfBox, MoovBox, MvhdBox, SampleEntry, SmhdBox, StblBox, StcoBox, StscBox,
    StscEntry, StsdBox, StssBox, StszBox, SttsBox, SttsEntry, TkhdBox, TrakBox, VmhdBox,
};
use shiguredo_mp4::{
    BoxHeader, BoxSize, BoxType, Either, Encode, FixedPointNumber, LanguageCode, Mp4FileTime,
};

use super::error::JoinError;
use super::segment::Kind;
use super::timeline::{Timeline, TrackTimes, rescale};

/// What the moov says of one track, beside its times.
#[derive(Default)]
pub(super) struct TrackIndex {
    pub(super) sizes: Vec<u32>,
    /// Numbers, from 1, of the samples at which decoding can begin.
    pub(super) sync: Vec<u32>,
    chunks: Vec<Chunk>,
}

/// Samples of one track that lie together; `offset` is from the beginning of the media data.
struct Chunk {
    offset: u64,
    samples: u32,
}

impl TrackIndex {
    /// Appends a sample whose bytes begin at `offset` of the media data.
    pub(super) fn push(&mut self, size: u32, sync: bool, starts_chunk: bool, offset: u64) {
        self.sizes.push(size);
        if sync {
            self.sync.push(self.sizes.len() as u32);
        }
        match self.chunks.last_mut().filter(|_| !starts_chunk) {
            Some(chunk) => chunk.samples += 1,
            None => self.chunks.push(Chunk { offset, samples: 1 }),
        }
    }
}

/// Everything before the media data.
pub(super) struct Head<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) video: (SampleEntry, TrackIndex),
    pub(super) audio: Option<(SampleEntry, TrackIndex)>,
    pub(super) matrix: [i32; 9],
    pub(super) media_bytes: u64,
}

const VIDEO_TRACK: u32 = 1;
const AUDIO_TRACK: u32 = 2;

impl Head<'_> {
    /// The bytes that precede the media data.
    pub(super) fn encode(&self) -> Result<Vec<u8>, JoinError> {
        // A moov's size depends on the width of the offsets in it, not on their values.
        let narrow = self.boxes(0, false)?.len() as u64;
        if narrow + self.media_bytes <= u64::from(u32::MAX) {
            return self.boxes(narrow, false);
        }
        let wide = self.boxes(0, true)?.len() as u64;
        self.boxes(wide, true)
    }

    fn boxes(&self, media_start: u64, wide: bool) -> Result<Vec<u8>, JoinError> {
        let ftyp = FtypBox {
            major_brand: Brand::ISOM,
            minor_version: 0x200,
            compatible_brands: vec![Brand::ISOM, Brand::ISO2, Brand::MP41],
        };
        let mdat = BoxType::Normal(*b"mdat");
        let mdat = BoxHeader { box_type: mdat, box_size: BoxSize::with_payload_size(mdat, self.media_bytes) };
        let moov = self.moov(media_start, wide);
        // All was made here or decoded before: only what exceeds the format's fields can fail.
        let boxes = [ftyp.encode_to_vec(), moov.encode_to_vec(), mdat.encode_to_vec()];
        let boxes: Result<Vec<_>, _> = boxes.into_iter().collect();
        boxes.map(|boxes| boxes.concat()).map_err(|_| JoinError::TooLong)
    }

    fn moov(&self, media_start: u64, wide: bool) -> MoovBox {
        let mut trak_boxes =
            vec![self.trak(Kind::Video, &self.timeline.video, &self.video, media_start, wide)];
        if let (Some(times), Some(audio)) = (&self.timeline.audio, &self.audio) {
            trak_boxes.push(self.trak(Kind::Audio, times, audio, media_start, wide));
        }
        MoovBox {
            mvhd_box: MvhdBox {
                creation_time: Mp4FileTime::default(),
                modification_time: Mp4FileTime::default(),
                timescale: timescale(&self.timeline.video),
                duration: self.timeline.duration as u64,
                rate: MvhdBox::DEFAULT_RATE,
                volume: MvhdBox::DEFAULT_VOLUME,
                matrix: MvhdBox::DEFAULT_MATRIX,
                next_track_id: AUDIO_TRACK + 1,
            },
            trak_boxes,
            mvex_box: None,
            unknown_boxes: Vec::new(),
        }
    }

    fn trak(
        &self,
        kind: Kind,
        times: &TrackTimes,
        (entry, index): &(SampleEntry, TrackIndex),
        media_start: u64,
        wide: bool,
    ) -> TrakBox {
        let edits = self.edits(times);
        let (width, height) = entry.video_resolution().unwrap_or_default();
        // The field is signed; no picture is 32,768 pixels wide.
        let pixels = |count: u16| FixedPointNumber::new(i16::try_from(count).unwrap_or(i16::MAX), 0);
        TrakBox {
            tkhd_box: TkhdBox {
                flag_track_enabled: true,
                flag_track_in_movie: true,
                flag_track_in_preview: false,
                flag_track_size_is_aspect_ratio: false,
                creation_time: Mp4FileTime::default(),
                modification_time: Mp4FileTime::default(),
                track_id: if kind == Kind::Video { VIDEO_TRACK } else { AUDIO_TRACK },
                duration: edits.iter().map(|edit| edit.edit_duration).sum(),
                layer: TkhdBox::DEFAULT_LAYER,
                alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
                volume: match kind {
                    Kind::Video => TkhdBox::DEFAULT_VIDEO_VOLUME,
                    Kind::Audio => TkhdBox::DEFAULT_AUDIO_VOLUME,
                },
                matrix: if kind == Kind::Video { self.matrix } else { TkhdBox::DEFAULT_MATRIX },
                width: pixels(width),
                height: pixels(height),
            },
            edts_box: Some(EdtsBox { elst_box: Some(ElstBox { entries: edits }), unknown_boxes: Vec::new() }),
            mdia_box: MdiaBox {
                mdhd_box: MdhdBox {
                    creation_time: Mp4FileTime::default(),
                    modification_time: Mp4FileTime::default(),
                    timescale: timescale(times),
                    duration: times.duration,
                    language: LanguageCode::UNDEFINED,
                },
                hdlr_box: HdlrBox {
                    handler_type: match kind {
                        Kind::Video => HdlrBox::HANDLER_TYPE_VIDE,
                        Kind::Audio => HdlrBox::HANDLER_TYPE_SOUN,
                    },
                    name: vec![0],
                },
                minf_box: MinfBox {
                    media_header: Some(match kind {
                        Kind::Video => MediaHeader::Vmhd(VmhdBox {
                            graphicsmode: VmhdBox::DEFAULT_GRAPHICSMODE,
                            opcolor: VmhdBox::DEFAULT_OPCOLOR,
                        }),
                        Kind::Audio => MediaHeader::Smhd(SmhdBox { balance: SmhdBox::DEFAULT_BALANCE }),
                    }),
                    dinf_box: DinfBox::LOCAL_FILE,
                    stbl_box: stbl(entry, times, index, media_start, wide),
                    unknown_boxes: Vec::new(),
                },
                unknown_boxes: Vec::new(),
            },
            unknown_boxes: Vec::new(),
        }
    }

    /// Waits until the track begins, then shows it from its first composition time on.
    fn edits(&self, times: &TrackTimes) -> Vec<ElstEntry> {
        let movie = self.timeline.video.timescale;
        let in_movie = |ticks: i64| rescale(ticks, times.timescale, movie).unwrap_or(0).max(0) as u64;
        let media_rate = FixedPointNumber::new(1, 0);
        let start = in_movie(times.start);
        let shown = in_movie(times.shown).min((self.timeline.duration as u64).saturating_sub(start));
        let wait = ElstEntry { edit_duration: start, media_time: -1, media_rate };
        let show = ElstEntry { edit_duration: shown, media_time: times.media_time, media_rate };
        if start > 0 { vec![wait, show] } else { vec![show] }
    }
}

fn stbl(
    entry: &SampleEntry,
    times: &TrackTimes,
    index: &TrackIndex,
    media_start: u64,
    wide: bool,
) -> StblBox {
    let stts =
        times.deltas.runs().map(|&(sample_count, sample_delta)| SttsEntry { sample_count, sample_delta });
    let ctts = times
        .offsets
        .runs()
        .map(|&(sample_count, offset)| CttsEntry { sample_count, sample_offset: offset.into() });
    let is_reordered = times.offsets.runs().any(|(_, offset)| *offset != 0);
    let is_sync_only = index.sync.len() == index.sizes.len();
    let offsets = index.chunks.iter().map(|chunk| media_start + chunk.offset);
    StblBox {
        stsd_box: StsdBox { entries: vec![entry.clone()] },
        stts_box: SttsBox { entries: stts.collect() },
        ctts_box: is_reordered.then(|| CttsBox { version: 0, entries: ctts.collect() }),
        cslg_box: None,
        stsc_box: stsc(&index.chunks),
        stsz_box: StszBox::Variable { entry_sizes: index.sizes.clone() },
        stco_or_co64_box: if wide {
            Either::B(Co64Box { chunk_offsets: offsets.collect() })
        } else {
            Either::A(StcoBox { chunk_offsets: offsets.map(|offset| offset as u32).collect() })
        },
        stss_box: (!is_sync_only).then(|| StssBox {
            sample_numbers: index.sync.iter().filter_map(|number| NonZeroU32::new(*number)).collect(),
        }),
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    }
}

/// Chunks of equal length in a row share an entry.
fn stsc(chunks: &[Chunk]) -> StscBox {
    let mut entries: Vec<StscEntry> = Vec::new();
    for (chunk, first_chunk) in chunks.iter().zip(1..) {
        let is_longer_run = entries.last().is_some_and(|last| last.sample_per_chunk == chunk.samples);
        if let Some(first_chunk) = NonZeroU32::new(first_chunk).filter(|_| !is_longer_run) {
            entries.push(StscEntry {
                first_chunk,
                sample_per_chunk: chunk.samples,
                sample_description_index: NonZeroU32::MIN,
            });
        }
    }
    StscBox { entries }
}

fn timescale(times: &TrackTimes) -> NonZeroU32 {
    NonZeroU32::new(times.timescale)
        .expect("a timeline's timescales are multiples of the parts', which are not 0")
}
