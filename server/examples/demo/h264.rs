//! A lossless H.264 encoder in the few syntax elements that a test card needs (ITU-T H.264, 7.3).
//!
//! The first picture is an IDR picture whose macroblocks are all `I_PCM`, which is raw samples. Every later one is a
//! P picture that skips the macroblocks that have not changed and sends the others raw again. Nothing is predicted,
//! transformed or filtered, so a decoder gives back exactly what was drawn.

use crate::picture::{HEIGHT, MACROBLOCK, Macroblock, Picture, WIDTH};

const BASELINE: u32 = 66;
/// Level 4: the lowest whose bounds a picture of nothing but raw samples keeps (A.3.1, `MinCR`).
const LEVEL: u32 = 40;
/// `constraint_set0_flag` and `constraint_set1_flag`: what is here plays as Baseline and as Main.
const CONSTRAINTS: u32 = 0b1100_0000;
const FRAME_NUM_BITS: u32 = 8;

const SLICE_OF_IDR: u32 = 0x65;
const SLICE_OF_P: u32 = 0x61;
const SEQUENCE_PARAMETERS: u32 = 0x67;
const PICTURE_PARAMETERS: u32 = 0x68;

/// What a signed number's zero is written as, which is the same bit as an unsigned one's.
const SIGNED_ZERO: u32 = 0;

/// Makes one NAL unit of each picture, in decoding order.
#[derive(Default)]
pub(crate) struct Encoder {
    frame_num: u32,
    previous: Vec<Macroblock>,
}

impl Encoder {
    pub(crate) fn encode(&mut self, picture: &Picture) -> Vec<u8> {
        let current: Vec<Macroblock> = picture.macroblocks().collect();
        let nal = if self.previous.is_empty() { idr(&current) } else { self.p(&current) };
        self.previous = current;
        self.frame_num = (self.frame_num + 1) % (1 << FRAME_NUM_BITS);
        nal
    }

    fn p(&self, current: &[Macroblock]) -> Vec<u8> {
        const ALL_SLICES_P: u32 = 5;
        const I_PCM: u32 = 5 + 25;

        let mut bits = BitWriter::starting_with(SLICE_OF_P);
        bits.ue(0); // first_mb_in_slice
        bits.ue(ALL_SLICES_P);
        bits.ue(0); // pic_parameter_set_id
        bits.u(FRAME_NUM_BITS, self.frame_num);
        bits.u(1, 0); // num_ref_idx_active_override_flag
        bits.u(1, 0); // ref_pic_list_modification_flag_l0
        bits.u(1, 0); // adaptive_ref_pic_marking_mode_flag
        end_slice_header(&mut bits);

        let mut skipped = 0;
        for (macroblock, before) in current.iter().zip(&self.previous) {
            if macroblock == before {
                skipped += 1;
                continue;
            }
            bits.ue(skipped);
            skipped = 0;
            bits.ue(I_PCM);
            bits.raw(macroblock);
        }
        if skipped > 0 {
            bits.ue(skipped);
        }
        bits.into_nal()
    }
}

fn idr(macroblocks: &[Macroblock]) -> Vec<u8> {
    const ALL_SLICES_I: u32 = 7;
    const I_PCM: u32 = 25;

    let mut bits = BitWriter::starting_with(SLICE_OF_IDR);
    bits.ue(0); // first_mb_in_slice
    bits.ue(ALL_SLICES_I);
    bits.ue(0); // pic_parameter_set_id
    bits.u(FRAME_NUM_BITS, 0);
    bits.ue(0); // idr_pic_id
    bits.u(1, 0); // no_output_of_prior_pics_flag
    bits.u(1, 0); // long_term_reference_flag
    end_slice_header(&mut bits);
    for macroblock in macroblocks {
        bits.ue(I_PCM);
        bits.raw(macroblock);
    }
    bits.into_nal()
}

fn end_slice_header(bits: &mut BitWriter) {
    const DEBLOCKING_OFF: u32 = 1;

    bits.ue(SIGNED_ZERO); // slice_qp_delta
    bits.ue(DEBLOCKING_OFF);
}

pub(crate) fn sequence_parameters() -> Vec<u8> {
    /// Pictures are shown in the order they are sent, so a player need not hold any back.
    const SHOWN_AS_DECODED: u32 = 2;

    let mut bits = BitWriter::starting_with(SEQUENCE_PARAMETERS);
    bits.u(8, BASELINE);
    bits.u(8, CONSTRAINTS);
    bits.u(8, LEVEL);
    bits.ue(0); // seq_parameter_set_id
    bits.ue(FRAME_NUM_BITS - 4);
    bits.ue(SHOWN_AS_DECODED); // pic_order_cnt_type
    bits.ue(1); // max_num_ref_frames
    bits.u(1, 0); // gaps_in_frame_num_value_allowed_flag
    bits.ue((WIDTH / MACROBLOCK) as u32 - 1);
    bits.ue((HEIGHT / MACROBLOCK) as u32 - 1);
    bits.u(1, 1); // frame_mbs_only_flag
    bits.u(1, 1); // direct_8x8_inference_flag
    bits.u(1, 0); // frame_cropping_flag
    bits.u(1, 0); // vui_parameters_present_flag
    bits.into_nal()
}

pub(crate) fn picture_parameters() -> Vec<u8> {
    let mut bits = BitWriter::starting_with(PICTURE_PARAMETERS);
    bits.ue(0); // pic_parameter_set_id
    bits.ue(0); // seq_parameter_set_id
    bits.u(1, 0); // entropy_coding_mode_flag: CAVLC
    bits.u(1, 0); // bottom_field_pic_order_in_frame_present_flag
    bits.ue(0); // num_slice_groups_minus1
    bits.ue(0); // num_ref_idx_l0_default_active_minus1
    bits.ue(0); // num_ref_idx_l1_default_active_minus1
    bits.u(1, 0); // weighted_pred_flag
    bits.u(2, 0); // weighted_bipred_idc
    bits.ue(SIGNED_ZERO); // pic_init_qp_minus26
    bits.ue(SIGNED_ZERO); // pic_init_qs_minus26
    bits.ue(SIGNED_ZERO); // chroma_qp_index_offset
    bits.u(1, 1); // deblocking_filter_control_present_flag
    bits.u(1, 0); // constrained_intra_pred_flag
    bits.u(1, 0); // redundant_pic_cnt_present_flag
    bits.into_nal()
}

/// Collects bits, the most significant first.
struct BitWriter {
    bytes: Vec<u8>,
    /// How many bits of the last byte are still free.
    free: u32,
}

impl BitWriter {
    fn starting_with(nal_header: u32) -> Self {
        let mut bits = Self { bytes: Vec::new(), free: 0 };
        bits.u(8, nal_header);
        bits
    }

    fn u(&mut self, count: u32, value: u32) {
        for position in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            let last = self.bytes.last_mut().expect("a byte was pushed when none was free");
            *last |= ((value >> position & 1) as u8) << self.free;
        }
    }

    /// Unsigned Exp-Golomb: as many zeros as bits follow the first one of `value + 1`, then `value + 1` (9.1).
    fn ue(&mut self, value: u32) {
        let following = (value + 1).ilog2();
        self.u(following, 0);
        self.u(following + 1, value + 1);
    }

    fn raw(&mut self, samples: &[u8]) {
        self.free = 0;
        self.bytes.extend_from_slice(samples);
    }

    /// Ends the payload with its stop bit, and breaks up what a decoder would take for a start code (7.4.1).
    fn into_nal(mut self) -> Vec<u8> {
        const EMULATION_PREVENTION: u8 = 3;

        self.u(1, 1);
        let mut nal = Vec::with_capacity(self.bytes.len());
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros == 2 && byte <= EMULATION_PREVENTION {
                nal.push(EMULATION_PREVENTION);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_lists_them() {
        let written = |value| {
            let mut bits = BitWriter { bytes: Vec::new(), free: 0 };
            bits.ue(value);
            (bits.bytes[0], 8 - bits.free)
        };
        assert_eq!(written(0), (0b1000_0000, 1));
        assert_eq!(written(1), (0b0100_0000, 3));
        assert_eq!(written(2), (0b0110_0000, 3));
        assert_eq!(written(6), (0b0011_1000, 5));
    }

    #[test]
    fn a_payload_never_holds_a_start_code() {
        let mut bits = BitWriter { bytes: Vec::new(), free: 0 };
        bits.raw(&[0, 0, 0, 0, 0, 1, 0, 0, 4]);
        assert_eq!(bits.into_nal(), [0, 0, 3, 0, 0, 3, 0, 1, 0, 0, 4, 0x80]);
    }

    #[test]
    fn a_picture_like_the_one_before_costs_only_its_header() {
        let mut encoder = Encoder::default();
        let picture = Picture::test_card(0, "");
        assert!(encoder.encode(&picture).len() > picture.macroblocks().count() * size_of::<Macroblock>());
        assert!(encoder.encode(&picture).len() < 16);
    }
}
