//! Reads MPEG-TS: packets of 188 bytes, two tables that name the streams, and PES packets over them.
//!
//! The tables may come after the first packets of the streams that they name, so they are looked for first
//! and the file is read again from its beginning. A file may end anywhere: its whole frames count.

use std::collections::VecDeque;
use std::io::{Read, Seek};

use shiguredo_mp4::boxes::TkhdBox;

use super::codec::Codec;
use super::elementary::{AudioStream, VideoStream};
use super::error::Fault;
use super::segment::{Edit, Kind, MAX_SAMPLE_BYTES, Sample, SegmentReader, Track, Tracks};

const PACKET_BYTES: usize = 188;
const SYNC_BYTE: u8 = 0x47;
/// Ticks a second of all MPEG-TS time stamps.
pub(super) const CLOCK: u32 = 90_000;

/// An open MPEG-TS file.
pub(super) struct TsReader<R> {
    packets: Packets<R>,
    tables: Tables,
    tracks: Tracks,
    demuxer: Demuxer,
    current: Vec<u8>,
}

impl<R: Read + Seek> TsReader<R> {
    /// Whether a file that begins so is MPEG-TS, perhaps cut at its beginning.
    pub(super) fn recognises(head: &[u8]) -> bool {
        let is_sync = |at: usize| head.get(at).is_none_or(|byte| *byte == SYNC_BYTE);
        let starts = 0..PACKET_BYTES.min(head.len().saturating_sub(PACKET_BYTES));
        starts.into_iter().any(|at| (0..4).all(|n| is_sync(at + n * PACKET_BYTES)))
    }

    pub(super) fn open(file: SegmentReader<R>) -> Result<Self, Fault> {
        let mut packets = Packets { file, position: 0, bytes: Vec::new() };
        let tables = Tables::find(&mut packets)?;
        let demuxer = Demuxer::new(&tables);
        let tracks = find_formats(&mut packets, Demuxer::new(&tables))?;
        packets.position = 0;
        Ok(Self { packets, tables, tracks, demuxer, current: Vec::new() })
    }

    pub(super) fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    pub(super) fn next_sample(&mut self) -> Result<Option<Sample>, Fault> {
        // A stream that the tables name and that turned out to be empty has no track.
        let keep_audio = self.tables.audio.is_some() && self.tracks.audio.is_some();
        while let Some((sample, data)) = self.demuxer.next(&mut self.packets)? {
            if sample.kind == Kind::Video || keep_audio {
                self.current = data;
                return Ok(Some(sample));
            }
        }
        Ok(None)
    }

    /// Hands over the bytes of the sample that came last.
    pub(super) fn read(&mut self, data: &mut Vec<u8>) {
        std::mem::swap(data, &mut self.current);
    }
}

/// Reads until both streams have said what they are.
fn find_formats<R: Read + Seek>(packets: &mut Packets<R>, mut demuxer: Demuxer) -> Result<Tracks, Fault> {
    packets.position = 0;
    loop {
        let audio_known = demuxer.audio.as_ref().is_none_or(|audio| audio.format().is_some());
        let complete = demuxer.video.format().is_some() && audio_known;
        if complete || demuxer.next(packets)?.is_none() {
            break;
        }
    }
    let video = demuxer.video.format().ok_or(Fault::NoVideo)?;
    let audio = demuxer.audio.as_ref().and_then(|audio| audio.format());
    Ok(Tracks {
        video: Track { format: video?, timescale: CLOCK, edit: Edit::default() },
        audio: match audio {
            Some((format, rate)) => Some(Track { format: format?, timescale: rate, edit: Edit::default() }),
            None => None,
        },
        matrix: TkhdBox::DEFAULT_MATRIX,
    })
}

/// The packets of a file, found again after damage.
struct Packets<R> {
    file: SegmentReader<R>,
    position: u64,
    bytes: Vec<u8>,
}

impl<R: Read + Seek> Packets<R> {
    /// The next packet; None where no whole one is left.
    fn next(&mut self) -> Result<Option<Packet<'_>>, Fault> {
        while self.file.holds(self.position, PACKET_BYTES as u64) {
            self.file.read_at(self.position, PACKET_BYTES, &mut self.bytes)?;
            if self.bytes[0] == SYNC_BYTE {
                self.position += PACKET_BYTES as u64;
                return Ok(Some(Packet(&self.bytes)));
            }
            let next = self.bytes.iter().position(|byte| *byte == SYNC_BYTE).unwrap_or(PACKET_BYTES);
            self.position += next as u64;
        }
        Ok(None)
    }

    /// Whether the file ends within a packet, so that its last frames can't be whole.
    fn is_cut(&self) -> bool {
        self.position < self.file.len()
    }
}

struct Packet<'a>(&'a [u8]);

impl<'a> Packet<'a> {
    fn pid(&self) -> u16 {
        u16::from(self.0[1] & 0x1f) << 8 | u16::from(self.0[2])
    }

    /// Whether a PES packet or a table begins in it.
    fn starts_unit(&self) -> bool {
        self.0[1] & 0x40 != 0
    }

    /// What follows the adaptation field; empty where the packet is damaged or scrambled.
    fn payload(&self) -> &'a [u8] {
        let (damaged, scrambled) = (self.0[1] & 0x80 != 0, self.0[3] & 0xc0 != 0);
        let start = match self.0[3] >> 4 & 3 {
            1 => 4,
            3 => 5 + usize::from(self.0[4]),
            _ => PACKET_BYTES,
        };
        if damaged || scrambled { &[] } else { self.0.get(start..).unwrap_or_default() }
    }

    /// The table that begins in it, without its checksum; tables over several packets are not read.
    fn table(&self, id: u8) -> Option<&'a [u8]> {
        let payload = self.payload();
        let section = payload.get(1 + usize::from(*payload.first()?)..)?;
        let length = usize::from(section.get(1)? & 0x0f) << 8 | usize::from(*section.get(2)?);
        let is_wanted = self.starts_unit() && section[0] == id;
        if is_wanted { section.get(8..(3 + length).checked_sub(4)?) } else { None }
    }
}

/// What the file's tables say: the streams that are kept.
struct Tables {
    video: (u16, Codec),
    audio: Option<u16>,
}

impl Tables {
    fn find<R: Read + Seek>(packets: &mut Packets<R>) -> Result<Self, Fault> {
        const PROGRAM_ASSOCIATION: (u16, u8) = (0, 0);
        const PROGRAM_MAP: u8 = 2;
        let mut map_pids = Vec::new();
        while let Some(packet) = packets.next()? {
            if packet.pid() == PROGRAM_ASSOCIATION.0
                && let Some(table) = packet.table(PROGRAM_ASSOCIATION.1)
            {
                // Programme 0 names the network's table.
                let programs = table.chunks_exact(4).filter(|entry| entry[..2] != [0, 0]);
                map_pids = programs.map(|entry| pid_at(&entry[2..])).collect();
            } else if map_pids.contains(&packet.pid())
                && let Some(table) = packet.table(PROGRAM_MAP)
                && let Some(tables) = Self::of_program_map(table)?
            {
                return Ok(tables);
            }
        }
        Err(Fault::NoVideo)
    }

    /// None for a programme without video.
    fn of_program_map(table: &[u8]) -> Result<Option<Self>, Fault> {
        let (mut video, mut audio, mut other_audio) = (None, None, None);
        let info =
            table.get(2..4).map_or(0, |length| usize::from(length[0] & 0x0f) << 8 | usize::from(length[1]));
        let mut streams = table.get(4 + info..).unwrap_or_default();
        while let [stream_type, pid @ .., high, low] = streams.get(..5).unwrap_or_default() {
            match stream_type {
                0x1b => video = video.or(Some((pid_at(pid), Codec::H264))),
                0x24 => video = video.or(Some((pid_at(pid), Codec::H265))),
                0x0f => audio = audio.or(Some(pid_at(pid))),
                // MPEG-1 and 2 audio, AAC in LATM, AC-3.
                0x03 | 0x04 | 0x11 | 0x81 => other_audio = Some(*stream_type),
                _ => {}
            }
            let info = usize::from(high & 0x0f) << 8 | usize::from(*low);
            streams = streams.get(5 + info..).unwrap_or_default();
        }
        match (video, audio, other_audio) {
            (Some(_), None, Some(kind)) => {
                Err(Fault::Unsupported(format!("its audio is MPEG-TS stream type {kind:#x}, not AAC")))
            }
            (video, audio, _) => Ok(video.map(|video| Self { video, audio })),
        }
    }
}

fn pid_at(bytes: &[u8]) -> u16 {
    u16::from(bytes[0] & 0x1f) << 8 | u16::from(bytes[1])
}

/// Turns packets into samples.
struct Demuxer {
    video_pid: u16,
    audio_pid: Option<u16>,
    video: VideoStream,
    audio: Option<AudioStream>,
    video_pes: Option<Pes>,
    audio_pes: Option<Pes>,
    /// The newest time stamp, by which later ones are carried past the wrap of their 33 bits.
    clock: Option<i64>,
    ready: VecDeque<(Sample, Vec<u8>)>,
    ended: bool,
}

/// A PES packet as it is put together.
pub(super) struct Pes {
    pub(super) pts: i64,
    pub(super) dts: i64,
    pub(super) data: Vec<u8>,
    /// Bytes that its header promises; None for video of unstated length.
    promised: Option<usize>,
}

impl Demuxer {
    fn new(tables: &Tables) -> Self {
        Self {
            video_pid: tables.video.0,
            audio_pid: tables.audio,
            video: VideoStream::new(tables.video.1),
            audio: tables.audio.map(|_| AudioStream::default()),
            video_pes: None,
            audio_pes: None,
            clock: None,
            ready: VecDeque::new(),
            ended: false,
        }
    }

    fn next<R: Read + Seek>(&mut self, packets: &mut Packets<R>) -> Result<Option<(Sample, Vec<u8>)>, Fault> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            if self.ended {
                return Ok(None);
            }
            match packets.next()? {
                Some(packet) => self.take(&packet)?,
                None => self.end(packets.is_cut())?,
            }
        }
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<(), Fault> {
        let kind = match packet.pid() {
            pid if pid == self.video_pid => Kind::Video,
            pid if Some(pid) == self.audio_pid => Kind::Audio,
            _ => return Ok(()),
        };
        let mut payload = packet.payload();
        if packet.starts_unit() {
            let Some((header, data)) = PesHeader::parse(payload) else { return Ok(()) };
            payload = data;
            // Without a time stamp it continues the frame before.
            if let Some((pts, dts)) = header.stamps {
                self.finish(kind)?;
                let dts = self.unwrap(dts);
                let pts = self.unwrap(pts);
                *self.pes(kind) = Some(Pes { pts, dts, data: Vec::new(), promised: header.promised });
            }
        }
        let Some(pes) = self.pes(kind) else { return Ok(()) };
        if pes.data.len() + payload.len() > MAX_SAMPLE_BYTES as usize {
            return Err(Fault::Malformed(format!("a PES packet of more than {MAX_SAMPLE_BYTES} bytes")));
        }
        pes.data.extend_from_slice(payload);
        Ok(())
    }

    /// Hands a whole PES packet to its stream.
    fn finish(&mut self, kind: Kind) -> Result<(), Fault> {
        let Some(pes) = self.pes(kind).take() else { return Ok(()) };
        match (kind, &mut self.audio) {
            (Kind::Video, _) => self.video.take(pes, &mut self.ready),
            (Kind::Audio, Some(audio)) => audio.take(pes, &mut self.ready),
            (Kind::Audio, None) => Ok(()),
        }
    }

    fn end(&mut self, is_cut: bool) -> Result<(), Fault> {
        self.ended = true;
        for kind in [Kind::Video, Kind::Audio] {
            let whole = |pes: &Pes| pes.promised.map_or(!is_cut, |promised| pes.data.len() >= promised);
            if self.pes(kind).as_ref().is_some_and(whole) {
                self.finish(kind)?;
            }
        }
        self.video.end(&mut self.ready);
        Ok(())
    }

    fn pes(&mut self, kind: Kind) -> &mut Option<Pes> {
        match kind {
            Kind::Video => &mut self.video_pes,
            Kind::Audio => &mut self.audio_pes,
        }
    }

    /// The time stamp nearest to the newest one.
    fn unwrap(&mut self, stamp: i64) -> i64 {
        const WRAP: i64 = 1 << 33;
        let newest = self.clock.unwrap_or(stamp);
        let unwrapped = stamp + (newest - stamp + WRAP / 2).div_euclid(WRAP) * WRAP;
        self.clock = Some(unwrapped);
        unwrapped
    }
}

struct PesHeader {
    /// Presentation and decoding time.
    stamps: Option<(i64, i64)>,
    promised: Option<usize>,
}

impl PesHeader {
    /// The header and what follows it in its first packet.
    fn parse(payload: &[u8]) -> Option<(Self, &[u8])> {
        let [0, 0, 1, _, high, low, _, flags, header_length] = *payload.first_chunk::<9>()? else {
            return None;
        };
        let header_length = usize::from(header_length);
        let (header, data) = payload[9..].split_at_checked(header_length)?;
        let pts = if flags & 0x80 != 0 { header.first_chunk().map(stamp) } else { None };
        let dts =
            if flags & 0x40 != 0 { header.get(5..).and_then(|h| h.first_chunk()).map(stamp) } else { pts };
        let length = usize::from(high) << 8 | usize::from(low);
        // The stated length counts three bytes of flags and the header.
        let promised = (length > 0).then(|| length.saturating_sub(3 + header_length));
        Some((Self { stamps: pts.zip(dts), promised }, data))
    }
}

/// 33 bits, spread over five bytes with a marker bit after each part.
fn stamp(bytes: &[u8; 5]) -> i64 {
    let [a, b, c, d, e] = bytes.map(i64::from);
    (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}
