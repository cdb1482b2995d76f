//! Reads MP4, progressive and fragmented, box by box.
//!
//! Only the index (`moov`, then one `moof` after the other) is held in memory. A file with fragments may end
//! anywhere: its whole samples count. A file without them is only as good as its index.

use std::collections::VecDeque;
use std::io::{Read, Seek};

use shiguredo_mp4::aux::SampleTableAccessor;
use shiguredo_mp4::boxes::{HdlrBox, MoofBox, MoovBox, SampleEntry, StszBox, TrakBox};
use shiguredo_mp4::{BoxHeader, BoxSize, BoxType, Decode};

use super::codec::{AudioFormat, VideoFormat};
use super::error::Fault;
use super::fragment::{Fragments, Run};
use super::segment::{Edit, Kind, MAX_SAMPLE_BYTES, MAX_TICKS, Sample, SegmentReader, Track, Tracks};
use super::timeline::rescale;

/// A moov of eleven hours at 30 frames a second is this large; a moof is far smaller.
const MAX_INDEX_BYTES: u64 = 32 << 20;
/// Samples of one track in one index: a day and a half at 30 frames a second.
pub(super) const MAX_INDEX_SAMPLES: u32 = 1 << 22;

/// An open MP4 file.
pub(super) struct Mp4Reader<R> {
    file: SegmentReader<R>,
    tracks: Tracks,
    /// None where the file has no fragments.
    fragments: Option<Fragments>,
    video: VecDeque<Sample>,
    audio: VecDeque<Sample>,
    /// Where the walk over the fragments goes on.
    next_box: u64,
}

impl<R: Read + Seek> Mp4Reader<R> {
    /// Whether a file that begins so is MP4.
    pub(super) fn recognises(head: &[u8]) -> bool {
        let first =
            [b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pdin", b"uuid"];
        head.get(4..8).is_some_and(|ty| first.iter().any(|known| ty == *known))
    }

    pub(super) fn open(mut file: SegmentReader<R>) -> Result<Self, Fault> {
        let (moov, next_box) = find_moov(&mut file)?;
        let video = trak_of(&moov, HdlrBox::HANDLER_TYPE_VIDE).ok_or(Fault::NoVideo)?;
        let audio = trak_of(&moov, HdlrBox::HANDLER_TYPE_SOUN);
        let entry = only_entry(video, "video")?.clone();
        let tracks = Tracks {
            video: track(&moov, video, VideoFormat::of_entry(entry)?)?,
            audio: match audio {
                Some(trak) => Some(track(&moov, trak, AudioFormat::of_entry(only_entry(trak, "audio")?)?)?),
                None => None,
            },
            matrix: video.tkhd_box.matrix,
        };
        let fragments = moov.mvex_box.as_ref().map(|mvex| {
            let run = |trak: &TrakBox| Run::new(trak.tkhd_box.track_id, mvex);
            Fragments::new(run(video), audio.map(run))
        });
        let mut reader = Self {
            video: indexed_samples(video, Kind::Video, file.len())?,
            audio: audio
                .map_or(Ok(VecDeque::new()), |trak| indexed_samples(trak, Kind::Audio, file.len()))?,
            file,
            tracks,
            fragments,
            next_box,
        };
        reader.check_places()?;
        if let Some(fragments) = &mut reader.fragments {
            fragments.follow(&reader.video, &reader.audio);
        }
        Ok(reader)
    }

    pub(super) fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    pub(super) fn next_sample(&mut self) -> Result<Option<Sample>, Fault> {
        while self.video.is_empty() && self.audio.is_empty() {
            if !self.read_fragment()? {
                return Ok(None);
            }
        }
        // In the order of the file, so that it is read once from front to back.
        Ok(match (self.video.front(), self.audio.front()) {
            (Some(video), Some(audio)) if video.position <= audio.position => self.video.pop_front(),
            (_, Some(_)) => self.audio.pop_front(),
            (_, None) => self.video.pop_front(),
        })
    }

    pub(super) fn read(&mut self, sample: &Sample, data: &mut Vec<u8>) -> Result<(), Fault> {
        self.file.read_at(sample.position, sample.size as usize, data)
    }

    /// Queues the next fragment's samples; false at the end of the file.
    fn read_fragment(&mut self) -> Result<bool, Fault> {
        let Some(fragments) = &mut self.fragments else { return Ok(false) };
        while let Some(found) = read_header(&mut self.file, self.next_box)? {
            if !self.file.holds(found.start, found.size) {
                return Ok(false);
            }
            self.next_box = found.start + found.size;
            if found.ty == MoofBox::TYPE {
                let moof = read_index(&mut self.file, &found)?;
                (self.video, self.audio) = fragments.read(&moof, found.start, self.file.len())?;
                self.check_places()?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses samples that lie outside the file, or drops them where the file may end early.
    fn check_places(&mut self) -> Result<(), Fault> {
        let may_end_early = self.fragments.is_some();
        for queue in [&mut self.video, &mut self.audio] {
            if let Some(large) = queue.iter().find(|sample| sample.size > MAX_SAMPLE_BYTES) {
                return Err(Fault::Malformed(format!("a frame of {} bytes", large.size)));
            }
            let file = &self.file;
            let whole = queue.iter().take_while(|s| file.holds(s.position, u64::from(s.size))).count();
            if whole < queue.len() && !may_end_early {
                return Err(Fault::Truncated);
            }
            queue.truncate(whole);
        }
        Ok(())
    }
}

/// A top-level box; `size` counts the header and may reach beyond the file.
struct Found {
    ty: BoxType,
    start: u64,
    size: u64,
}

/// The box that begins at `start`; None where the file ends before its header does.
fn read_header<R: Read + Seek>(file: &mut SegmentReader<R>, start: u64) -> Result<Option<Found>, Fault> {
    let rest = file.len().saturating_sub(start);
    let mut bytes = Vec::new();
    file.read_at(start, rest.min(BoxHeader::MAX_SIZE as u64) as usize, &mut bytes)?;
    let Ok((header, header_size)) = BoxHeader::decode(&bytes) else {
        let cut_off = rest < BoxHeader::MAX_SIZE as u64;
        return if cut_off {
            Ok(None)
        } else {
            Err(Fault::Malformed("a box smaller than its header".into()))
        };
    };
    let size = if header.box_size == BoxSize::VARIABLE_SIZE { rest } else { header.box_size.get() };
    if size < header_size as u64 {
        return Err(Fault::Malformed("a box smaller than its header".into()));
    }
    Ok(Some(Found { ty: header.box_type, start, size }))
}

/// The whole box, where it is one that may be held in memory.
fn read_index<R: Read + Seek>(file: &mut SegmentReader<R>, found: &Found) -> Result<Vec<u8>, Fault> {
    if found.size > MAX_INDEX_BYTES {
        return Err(Fault::Malformed(format!("box '{}': {} bytes are too many", found.ty, found.size)));
    }
    let mut bytes = Vec::new();
    file.read_at(found.start, found.size as usize, &mut bytes)?;
    Ok(bytes)
}

/// The movie's index and the place of the box after it.
fn find_moov<R: Read + Seek>(file: &mut SegmentReader<R>) -> Result<(MoovBox, u64), Fault> {
    let mut start = 0;
    while let Some(found) = read_header(file, start)? {
        if !file.holds(found.start, found.size) {
            break;
        }
        start = found.start + found.size;
        if found.ty == MoovBox::TYPE {
            let (moov, _) = MoovBox::decode(&read_index(file, &found)?)?;
            return Ok((moov, start));
        }
    }
    Err(Fault::NoMoov)
}

fn trak_of(moov: &MoovBox, handler: [u8; 4]) -> Option<&TrakBox> {
    moov.trak_boxes.iter().find(|trak| trak.mdia_box.hdlr_box.handler_type == handler)
}

fn only_entry<'a>(trak: &'a TrakBox, name: &str) -> Result<&'a SampleEntry, Fault> {
    match trak.mdia_box.minf_box.stbl_box.stsd_box.entries.as_slice() {
        [entry] => Ok(entry),
        entries => {
            Err(Fault::Unsupported(format!("its {name} has {} descriptions, expected one", entries.len())))
        }
    }
}

fn track<F>(moov: &MoovBox, trak: &TrakBox, format: F) -> Result<Track<F>, Fault> {
    let timescale = trak.mdia_box.mdhd_box.timescale.get();
    let edit = edit_of(trak, moov.mvhd_box.timescale.get(), timescale)?;
    Ok(Track { format, timescale, edit })
}

fn edit_of(trak: &TrakBox, movie_timescale: u32, timescale: u32) -> Result<Edit, Fault> {
    let entries = trak.edts_box.as_ref().and_then(|edts| edts.elst_box.as_ref()).map(|elst| &elst.entries);
    let too_large = || Fault::Malformed("box 'elst': a time is too large".into());
    let ticks = |duration: u64| {
        let duration = i64::try_from(duration).ok().and_then(|d| rescale(d, movie_timescale, timescale));
        duration.filter(|ticks| *ticks <= MAX_TICKS).ok_or_else(too_large)
    };
    let mut edit = Edit::default();
    let mut pieces = 0;
    for entry in entries.into_iter().flatten() {
        if entry.media_time < 0 && pieces == 0 {
            edit.delay = (edit.delay + ticks(entry.edit_duration)?).min(MAX_TICKS);
        } else if entry.media_time >= 0 {
            pieces += 1;
            edit.media_time = entry.media_time;
            // Fragmented files state 0: their length isn't known when the list is written.
            edit.length = (entry.edit_duration > 0).then(|| ticks(entry.edit_duration)).transpose()?;
        }
    }
    if edit.media_time > MAX_TICKS {
        return Err(too_large());
    }
    if pieces > 1 {
        return Err(Fault::Unsupported("its edit list has several pieces".into()));
    }
    Ok(edit)
}

/// The samples that the moov itself names.
fn indexed_samples(trak: &TrakBox, kind: Kind, file_len: u64) -> Result<VecDeque<Sample>, Fault> {
    let mut stbl = trak.mdia_box.minf_box.stbl_box.clone();
    // Entries of no sample are legal and confuse the accessor's search.
    stbl.stts_box.entries.retain(|entry| entry.sample_count > 0);
    if let Some(ctts) = &mut stbl.ctts_box {
        ctts.entries.retain(|entry| entry.sample_count > 0);
    }
    check_count(&stbl.stsz_box, file_len)?;
    let table =
        SampleTableAccessor::new(&stbl).map_err(|error| Fault::Malformed(format!("box 'stbl': {error}")))?;
    let mut samples = VecDeque::with_capacity(table.sample_count() as usize);
    for sample in table.samples() {
        let dts = sample.timestamp();
        if dts > MAX_TICKS as u64 {
            return Err(Fault::Malformed("box 'stts': a time is too large".into()));
        }
        samples.push_back(Sample {
            kind,
            dts: dts as i64,
            duration: sample.duration(),
            offset: sample.composition_time_offset().unwrap_or(0),
            sync: sample.is_sync_sample(),
            position: sample.data_offset(),
            size: sample.data_size(),
        });
    }
    Ok(samples)
}

/// Equal sizes take no room in the table, so that any number of samples could be claimed.
fn check_count(stsz: &StszBox, file_len: u64) -> Result<(), Fault> {
    let (count, bytes) = match stsz {
        StszBox::Fixed { sample_size, sample_count } => {
            (u64::from(*sample_count), u64::from(*sample_count) * u64::from(sample_size.get()))
        }
        StszBox::Variable { entry_sizes } => (entry_sizes.len() as u64, 0),
    };
    if bytes > file_len || count > u64::from(MAX_INDEX_SAMPLES) {
        return Err(Fault::Malformed(format!("box 'stsz': {count} samples are too many")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn equal_sizes_claim_no_more_samples_than_the_file_holds() {
        let of = |sample_count| StszBox::Fixed { sample_size: NonZeroU32::new(100).unwrap(), sample_count };
        assert!(check_count(&of(10), 1000).is_ok());
        assert!(check_count(&of(11), 1000).is_err());
        assert!(check_count(&of(u32::MAX), u64::MAX).is_err());
    }
}
