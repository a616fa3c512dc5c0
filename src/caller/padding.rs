//! Opus packets of one size (RFC 6716 §3.2.5), so that nobody on the way can tell speech from silence. The padding is
//! Opus' own: any decoder leaves it out, and what it decodes is the same to the last bit. The twin of the page's
//! `static/js/padding.js`; `tests/fixtures/opus` holds both.

use bytes::Bytes;

/// Bytes of every Opus packet on the line. Above the largest that a browser makes of a voice under our description of
/// Opus (the README has the figures), and within what the relay lets pass.
pub const PACKET_BYTES: usize = 176;

/// 20 ms of silence at full band, for who has nothing to say.
pub(crate) const SILENCE: &[u8] = &[0xF8, 0xFF, 0xFE];

/// The last two bits of the first byte: how many frames follow, and how (RFC 6716 §3.1).
const CODE: u8 = 0b11;

/// The second byte of a packet of code 3 (RFC 6716 §3.2.5): unequal frames, padding, and how many frames.
const VBR: u8 = 0x80;
const PADDING: u8 = 0x40;
const COUNT: u8 = 0x3F;

/// In the length of the padding: 254 bytes, and the next byte says how many more.
const MORE: u8 = 255;

/// Of an empty frame of 20 ms at full band (RFC 6716 §3.1), for what is no packet at all.
const EMPTY: u8 = 0xF8;

/// The same packet in exactly `size` bytes, at least 2. One that does not fit, or is none, becomes as many empty frames,
/// which a decoder bridges as it does a lost packet (RFC 6716 §3.2.1): 20 ms of a voice are worth less than being seen.
pub(crate) fn pad(packet: &[u8], size: usize) -> Bytes {
    // Also the one case in which there is no room for a second byte and no need of it.
    if packet.len() == size {
        return Bytes::copy_from_slice(packet);
    }
    let (toc, count, frames) = take(packet);
    let frames = frames.filter(|frames| frames.len() + 2 <= size);
    let (count, body) = frames.map_or((count & COUNT, &[][..]), |frames| (count, frames));
    let padding = size.saturating_sub(2 + body.len());
    let mut out = Vec::with_capacity(size);
    out.extend([toc | CODE, count | if padding > 0 { PADDING } else { 0 }]);
    if padding > 0 {
        // The bytes that say how long it is are part of it.
        let mut rest = padding - 1;
        while rest >= usize::from(MORE) {
            out.push(MORE);
            rest -= usize::from(MORE);
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(body);
    out.resize(size, 0);
    out.into()
}

/// A packet as one of code 3 without padding: its first byte, its second, and what follows, or `None` where the padding
/// is longer than the packet.
fn take(packet: &[u8]) -> (u8, u8, Option<&[u8]>) {
    let Some((&toc, rest)) = packet.split_first() else {
        return (EMPTY, 1, Some(&[]));
    };
    match toc & CODE {
        0 => return (toc, 1, Some(rest)),
        1 => return (toc, 2, Some(rest)),
        2 => return (toc, VBR | 2, Some(rest)),
        _ => {}
    }
    let Some((&count, mut rest)) = rest.split_first() else {
        return (toc, 1, None);
    };
    let mut padding = 0;
    let mut whole = true;
    if count & PADDING != 0 {
        let mut length = MORE;
        while length == MORE && whole {
            (length, rest, whole) = match rest.split_first() {
                Some((&length, rest)) => (length, rest, true),
                None => (0, rest, false),
            };
            padding += usize::from(if length == MORE { MORE - 1 } else { length });
        }
    }
    let frames = rest.len().checked_sub(padding).filter(|_| whole).map(|end| &rest[..end]);
    (toc, count & !PADDING, frames)
}

#[cfg(test)]
mod tests {
    use opus_rs::{Application, OpusDecoder, OpusEncoder};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const RATE: i32 = 48_000;

    fn decoded(decoder: &mut OpusDecoder, packet: &[u8]) -> Result<Vec<f32>, &'static str> {
        let mut samples = vec![0.0; 5_760];
        let length = decoder.decode(packet, 5_760, &mut samples)?;
        samples.truncate(length);
        Ok(samples)
    }

    fn hex(text: &Value) -> Vec<u8> {
        let text = text.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn as_libopus_pads() {
        let vectors: Vec<Value> = serde_json::from_str(include_str!("../../tests/fixtures/opus/padding.json")).unwrap();
        assert!(vectors.len() > 20);
        for vector in vectors {
            let size = vector["size"].as_u64().unwrap() as usize;
            assert_eq!(pad(&hex(&vector["packet"]), size), hex(&vector["padded"]), "{}", vector["what"]);
        }
    }

    #[test]
    fn the_page_has_the_same_size() {
        let page = include_str!("../../static/js/padding.js");
        assert!(page.contains(&format!("export const PACKET_BYTES = {PACKET_BYTES};")));
    }

    #[test]
    fn silence_is_silence() {
        let mut decoder = OpusDecoder::new(RATE, 1).unwrap();
        for _ in 0..10 {
            let samples = decoded(&mut decoder, &pad(SILENCE, PACKET_BYTES)).unwrap();
            assert_eq!(samples.len(), 960);
            assert!(samples.iter().all(|sample| sample.abs() < 1e-4));
        }
    }

    #[test]
    fn what_does_not_fit_is_bridged() {
        let packet = [&[0x78][..], &[7; 400]].concat();
        let bridged = pad(&packet, PACKET_BYTES);
        assert_eq!((bridged.len(), bridged[0], bridged[1]), (PACKET_BYTES, 0x7B, 0x41));
        // All of the rest is padding: 173 bytes and the one that says so.
        assert_eq!(bridged[2], 173);
        assert!(bridged[3..].iter().all(|byte| *byte == 0));
    }

    /// What is heard of every packet of a voice, plain and padded, with one decoder each for the whole of it.
    #[test]
    fn a_voice_decodes_to_the_same_samples() {
        for (bits, application) in
            [(32_000, Application::Voip), (32_000, Application::Audio), (12_000, Application::Voip)]
        {
            let mut encoder = OpusEncoder::new(RATE, 1, application).unwrap();
            encoder.bitrate_bps = bits;
            let (mut plain, mut padded) = (OpusDecoder::new(RATE, 1).unwrap(), OpusDecoder::new(RATE, 1).unwrap());
            for frame in 0..100_u32 {
                let sample = |n: u32| {
                    let at = (frame * 960 + n) as f32 / RATE as f32;
                    (frame % 17) as f32 / 20.0 * (at * (200.0 + 40.0 * at.sin()) * std::f32::consts::TAU).sin()
                };
                let samples: Vec<f32> = (0..960).map(sample).collect();
                let mut packet = [0; 1_000];
                let length = encoder.encode(&samples, 960, &mut packet).unwrap();
                let packet = &packet[..length];
                assert!(length <= PACKET_BYTES);
                let same = decoded(&mut plain, packet).unwrap();
                assert_eq!(same, decoded(&mut padded, &pad(packet, PACKET_BYTES)).unwrap(), "frame {frame}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_has_the_size(packet in prop::collection::vec(any::<u8>(), 0..600), size in 2_usize..600) {
            let padded = pad(&packet, size);
            prop_assert_eq!(padded.len(), size);
            prop_assert_eq!(pad(&padded, size), padded);
        }
    }
}
