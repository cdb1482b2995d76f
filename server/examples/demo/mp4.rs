//! A progressive MP4 of one H.264 track (ISO/IEC 14496-12 and -15), its index before its pictures.

use crate::h264;
use crate::picture::{HEIGHT, WIDTH};

/// Ticks a second: what RTP uses for video, a multiple of every usual frame rate.
const TIMESCALE: u32 = 90_000;
/// The unit matrix of a picture that is shown as it is: 16.16 fixed point, the last column 2.30.
const UPRIGHT: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
const FIXED_ONE: u32 = 0x1_0000;
const TRACK: u32 = 1;

/// Makes the file of NAL units, one a picture, the first of them an IDR picture.
pub(crate) fn file(pictures: &[Vec<u8>], pictures_a_second: u32) -> Vec<u8> {
    let samples: Vec<Vec<u8>> = pictures.iter().map(|nal| length_prefixed(nal)).collect();
    let ftyp = container(b"ftyp", &[b"isom".to_vec(), be32(&[0x200]), b"isomiso2avc1mp41".to_vec()]);
    let mdat = container(b"mdat", &samples);

    // The index's length does not depend on the offset in it.
    let index_length = moov(&samples, pictures_a_second, 0).len();
    let first_sample = ftyp.len() + index_length + HEADER;
    [ftyp, moov(&samples, pictures_a_second, first_sample as u32), mdat].concat()
}

fn moov(samples: &[Vec<u8>], pictures_a_second: u32, first_sample: u32) -> Vec<u8> {
    let picture = TIMESCALE / pictures_a_second;
    let duration = picture * samples.len() as u32;
    let stbl = container(
        b"stbl",
        &[
            full(b"stsd", 0, &[be32(&[1]), avc1()]),
            full(b"stts", 0, &[be32(&[1, samples.len() as u32, picture])]),
            full(b"stss", 0, &[be32(&[1, 1])]),
            full(b"stsc", 0, &[be32(&[1, 1, samples.len() as u32, 1])]),
            full(b"stsz", 0, &[be32(&[0, samples.len() as u32]), be32_of(samples.iter().map(Vec::len))]),
            full(b"stco", 0, &[be32(&[1, first_sample])]),
        ],
    );
    let minf = container(b"minf", &[full(b"vmhd", 1, &[vec![0; 8]]), dinf(), stbl]);
    let mdia = container(b"mdia", &[mdhd(duration), hdlr(), minf]);
    let trak = container(b"trak", &[tkhd(duration), mdia]);
    container(b"moov", &[mvhd(duration), trak])
}

fn mvhd(duration: u32) -> Vec<u8> {
    const FULL_VOLUME: [u8; 2] = [1, 0];

    let times = be32(&[0, 0, TIMESCALE, duration, FIXED_ONE]);
    let next_track = be32(&[TRACK + 1]);
    full(b"mvhd", 0, &[times, FULL_VOLUME.to_vec(), vec![0; 10], be32(&UPRIGHT), vec![0; 24], next_track])
}

fn tkhd(duration: u32) -> Vec<u8> {
    const ENABLED_IN_MOVIE: u32 = 3;

    let times = be32(&[0, 0, TRACK, 0, duration]);
    let size = be32(&[(WIDTH as u32) << 16, (HEIGHT as u32) << 16]);
    full(b"tkhd", ENABLED_IN_MOVIE, &[times, vec![0; 16], be32(&UPRIGHT), size])
}

fn mdhd(duration: u32) -> Vec<u8> {
    /// `und`, three letters of five bits.
    const NO_LANGUAGE: [u8; 4] = [0x55, 0xc4, 0, 0];

    full(b"mdhd", 0, &[be32(&[0, 0, TIMESCALE, duration]), NO_LANGUAGE.to_vec()])
}

fn hdlr() -> Vec<u8> {
    full(b"hdlr", 0, &[vec![0; 4], b"vide".to_vec(), vec![0; 12], b"camera\0".to_vec()])
}

/// Says that the pictures are in this very file.
fn dinf() -> Vec<u8> {
    const SELF_CONTAINED: u32 = 1;

    container(b"dinf", &[full(b"dref", 0, &[be32(&[1]), full(b"url ", SELF_CONTAINED, &[])])])
}

fn avc1() -> Vec<u8> {
    const REFERENCE: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
    const DOTS_PER_INCH: u32 = 72 << 16;
    const PICTURES_A_SAMPLE: [u8; 2] = [0, 1];
    const COLOUR_WITHOUT_PALETTE: [u8; 4] = [0, 24, 0xff, 0xff];

    let size = be32(&[(WIDTH << 16 | HEIGHT) as u32, DOTS_PER_INCH, DOTS_PER_INCH, 0]);
    container(
        b"avc1",
        &[
            REFERENCE.to_vec(),
            vec![0; 16],
            size,
            PICTURES_A_SAMPLE.to_vec(),
            vec![0; 32],
            COLOUR_WITHOUT_PALETTE.to_vec(),
            avcc(),
        ],
    )
}

/// The decoder's configuration: profile and level, lengths of four bytes, one parameter set of each kind.
fn avcc() -> Vec<u8> {
    const VERSION: u8 = 1;
    const LENGTHS_OF_FOUR: u8 = 0b1111_1111;
    const ONE_SEQUENCE: u8 = 0b1110_0001;
    const ONE_PICTURE: u8 = 1;

    let (sequence, picture) = (h264::sequence_parameters(), h264::picture_parameters());
    let [_, profile, constraints, level, ..] = sequence[..] else { unreachable!("they begin with these") };
    let length = |set: &[u8]| (set.len() as u16).to_be_bytes().to_vec();
    container(
        b"avcC",
        &[
            vec![VERSION, profile, constraints, level, LENGTHS_OF_FOUR, ONE_SEQUENCE],
            length(&sequence),
            sequence,
            vec![ONE_PICTURE],
            length(&picture),
            picture,
        ],
    )
}

const HEADER: usize = 8;

fn container(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    [&be32(&[(HEADER + content.len()) as u32])[..], kind, &content].concat()
}

/// A box that begins with a version, here always 0, and flags.
fn full(kind: &[u8; 4], flags: u32, parts: &[Vec<u8>]) -> Vec<u8> {
    container(kind, &[be32(&[flags]), parts.concat()])
}

fn length_prefixed(nal: &[u8]) -> Vec<u8> {
    [&be32(&[nal.len() as u32])[..], nal].concat()
}

fn be32(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn be32_of(lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    lengths.flat_map(|length| (length as u32).to_be_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;
    use crate::h264::Encoder;
    use crate::picture::Picture;

    const RATE: u32 = 5;
    const PICTURES: u64 = 300;

    fn pictures() -> impl Iterator<Item = Picture> {
        (0..PICTURES).map(|index| Picture::test_card(1_529_842_538_000 + index * 200, "UTC PIR SEGMENT 0"))
    }

    fn written(name: &str) -> PathBuf {
        let mut encoder = Encoder::default();
        let units: Vec<_> = pictures().map(|picture| encoder.encode(&picture)).collect();
        let path = std::env::temp_dir().join(format!("{name}-{}.mp4", std::process::id()));
        fs::write(&path, file(&units, RATE)).unwrap();
        path
    }

    fn run(program: &str, before: &[&str], path: &Path, after: &[&str]) -> Vec<u8> {
        let output = Command::new(program).args(before).arg(path).args(after).output().unwrap();
        assert!(output.status.success(), "{program}: {}", output.status);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{program} has nothing to complain about");
        output.stdout
    }

    #[test]
    fn a_decoder_gives_back_what_was_drawn() {
        let path = written("cloudtalker-decoded");
        let decoded =
            run("ffmpeg", &["-v", "warning", "-i"], &path, &["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]);
        fs::remove_file(path).unwrap();
        let drawn: Vec<u8> = pictures().flat_map(|picture| picture.planes()).collect();
        assert_eq!(decoded.len(), drawn.len());
        assert!(decoded == drawn, "a sample differs");
    }

    #[test]
    fn a_prober_reads_profile_size_and_duration() {
        let path = written("cloudtalker-probed");
        let entries = "stream=profile,level,width,height,nb_frames,r_frame_rate,duration";
        let probed =
            run("ffprobe", &["-v", "warning", "-show_entries", entries, "-of", "csv=p=0"], &path, &[]);
        fs::remove_file(path).unwrap();
        let expected = "Constrained Baseline,320,240,40,5/1,60.000000,300\n";
        assert_eq!(String::from_utf8(probed).unwrap(), expected);
    }
}
