//! Segments that are joined into one video, judged by another reader of MP4.

use crate::library::join::{JoinError, Part, join};
use shiguredo_mp4::{
    BoxHeader, BoxType, Decode,
    aux::SampleTableAccessor,
    boxes::{FtypBox, HdlrBox, MoovBox, TrakBox},
};

/// What stands between two segments.
pub const PART: &[u8] = b"\nPART\n";
/// As many segments as make a difference.
const MOST_PARTS: usize = 4;

/// A file that is joined.
struct Film {
    bytes: Vec<u8>,
    seconds: f64,
    /// A tick of its clock, in seconds.
    tick: f64,
    /// Sizes of its frames.
    video: Vec<u32>,
    audio: Vec<u32>,
}

/// Segments in MP4: the joined video holds every frame of theirs once, or there is a reason that is told.
pub fn join_mp4(bytes: &[u8]) {
    judge(bytes);
}

/// Segments in MPEG-TS, which may end anywhere: the same, and one that is cut off holds no frame more than the whole, but
/// for its last one, which the whole may not trust where there is rubbish at its own end.
pub fn join_ts(bytes: &[u8]) {
    judge(bytes);
    let cut = &bytes[..bytes.len() / 2];
    if let (Ok(whole), Ok(part)) = (film(&[bytes]), film(&[cut])) {
        assert!(
            part.video.len() <= whole.video.len() + 1,
            "{} of {} frames",
            part.video.len(),
            whole.video.len()
        );
    }
}

fn judge(bytes: &[u8]) {
    let parts: Vec<&[u8]> = split(bytes).take(MOST_PARTS).collect();
    let film = match film(&parts) {
        Ok(film) => film,
        // What lies in memory can be read, and does not change meanwhile.
        Err(error) => return assert!(error.is_final() && !error.to_string().is_empty(), "{error}"),
    };
    let (mut video, mut audio, mut seconds, mut rounding) = (0, 0, 0.0, film.tick);
    for part in &parts {
        let alone = self::film(&[part]).unwrap_or_else(|error| panic!("a part of a whole: {error}"));
        video += alone.video.len();
        audio += alone.audio.len();
        seconds += alone.seconds;
        rounding += alone.tick + film.tick;
    }
    assert_eq!(film.video.len(), video, "frames of {} parts", parts.len());
    assert!((film.seconds - seconds).abs() <= rounding, "{} s of {seconds} s", film.seconds);
    // An encoder's priming is left out where a part begins within the whole.
    assert!(film.audio.len() <= audio, "{} of {audio} sounds", film.audio.len());

    let again = self::film(&[&film.bytes]).unwrap_or_else(|error| panic!("what we joined: {error}"));
    assert_eq!((&again.video, &again.audio), (&film.video, &film.audio), "what is joined can be joined");
}

fn split(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = bytes.windows(PART.len()).position(|window| window == PART);
        rest = end.map(|end| &bytes[end + PART.len()..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
}

fn film(parts: &[&[u8]]) -> Result<Film, JoinError> {
    let parts: Vec<Part<&[u8]>> =
        (0..).zip(parts).map(|(seg_no, file)| Part { seg_no, file: *file }).collect();
    let mut bytes = Vec::new();
    let joined = join(&parts, &mut bytes)?;
    assert_eq!(joined.bytes, bytes.len() as u64);

    let (_, ftyp) = FtypBox::decode(&bytes).expect("it begins with its kind");
    let (moov, length) = MoovBox::decode(&bytes[ftyp..]).expect("its index follows");
    let media = ftyp + length;
    let (header, header_length) = BoxHeader::decode(&bytes[media..]).expect("then its media");
    assert_eq!(header.box_type, BoxType::Normal(*b"mdat"));
    assert_eq!(header.box_size.get(), (bytes.len() - media) as u64, "the media ends with the file");

    let mut places = Vec::new();
    let mut sizes = |handler: [u8; 4]| {
        let tracks = moov.trak_boxes.iter();
        let track = tracks.filter(|trak| trak.mdia_box.hdlr_box.handler_type == handler).collect::<Vec<_>>();
        assert!(track.len() <= 1, "one track of a kind");
        track.first().map_or(Vec::new(), |trak| track_sizes(trak, &mut places))
    };
    let (video, audio) = (sizes(HdlrBox::HANDLER_TYPE_VIDE), sizes(HdlrBox::HANDLER_TYPE_SOUN));
    assert!(!video.is_empty(), "a video has a frame");

    places.sort_unstable();
    let mut end = (media + header_length) as u64;
    for (position, size) in places {
        assert!(position == end || size == 0, "bytes that belong to no frame, or to two, at {end}");
        end += u64::from(size);
    }
    assert_eq!(end, bytes.len() as u64, "frames fill the media");
    let (seconds, tick) = (joined.duration.as_secs_f64(), 1.0 / f64::from(moov.mvhd_box.timescale.get()));
    Ok(Film { bytes, seconds, tick, video, audio })
}

fn track_sizes(trak: &TrakBox, places: &mut Vec<(u64, u32)>) -> Vec<u32> {
    let table = SampleTableAccessor::new(&trak.mdia_box.minf_box.stbl_box).expect("its table is sound");
    let mut before = None;
    for sample in table.samples() {
        assert!(before < Some(sample.timestamp()), "times rise");
        before = Some(sample.timestamp());
        places.push((sample.data_offset(), sample.data_size()));
    }
    table.samples().map(|sample| sample.data_size()).collect()
}
