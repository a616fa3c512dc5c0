//! Tones as Opus packets, and which tone is in packets that came back.

use std::f32::consts::TAU;
use std::sync::Arc;

use bytes::Bytes;
use opus_rs::{Application, OpusDecoder, OpusEncoder};

/// Samples a second.
const RATE: usize = 48_000;

/// Samples in a packet of 20 ms.
const FRAME: usize = 960;

/// What every packet at 32 kbit/s and a constant rate weighs.
const PACKET_BYTES: usize = 80;

/// One second of a tone, which loops without a click when `hertz` is a whole number: 50 packets of 20 ms.
pub fn tone(hertz: u16) -> Arc<[Bytes]> {
    let mut encoder = OpusEncoder::new(RATE as i32, 1, Application::Voip).expect("an encoder");
    encoder.bitrate_bps = 32_000;
    encoder.use_cbr = true;
    (0..RATE / FRAME)
        .map(|frame| {
            let sample = |index| 0.5 * (TAU * f32::from(hertz) * (frame * FRAME + index) as f32 / RATE as f32).sin();
            let samples: Vec<f32> = (0..FRAME).map(sample).collect();
            let mut packet = [0; 1_000];
            let length = encoder.encode(&samples, FRAME, &mut packet).expect("a packet");
            Bytes::copy_from_slice(&packet[..length])
        })
        .collect()
}

/// How strong a tone is in these packets; 0.25 is what [`tone`] makes of itself.
pub fn strength(packets: &[Bytes], hertz: u16) -> f32 {
    let samples = decode(packets);
    // Goertzel.
    let turn = 2.0 * (TAU * f32::from(hertz) / RATE as f32).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in &samples {
        (last, before) = (sample + turn * last - before, last);
    }
    (last * last + before * before - turn * last * before).max(0.0).sqrt() / samples.len() as f32
}

/// So many packets of a rising tone that comes and goes, each as large as it needs to be.
pub fn tone_at_any_rate(packets: usize) -> Vec<Bytes> {
    let mut encoder = OpusEncoder::new(RATE as i32, 1, Application::Voip).expect("an encoder");
    encoder.bitrate_bps = 32_000;
    let sample = |index: usize| {
        let at = index as f32 / RATE as f32;
        (TAU * at).sin() * 0.5 * (TAU * (200.0 + 100.0 * at) * at).sin()
    };
    (0..packets)
        .map(|frame| {
            let samples: Vec<f32> = (0..FRAME).map(|index| sample(frame * FRAME + index)).collect();
            let mut packet = [0; 1_000];
            let length = encoder.encode(&samples, FRAME, &mut packet).expect("a packet");
            Bytes::copy_from_slice(&packet[..length])
        })
        .collect()
}

/// The root of the mean square of what is in these packets.
pub fn loudness(packets: &[Bytes]) -> f32 {
    let samples = decode(packets);
    (samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len().max(1) as f32).sqrt()
}

fn decode(packets: &[Bytes]) -> Vec<f32> {
    let mut decoder = OpusDecoder::new(RATE as i32, 1).expect("a decoder");
    let mut samples = Vec::new();
    for packet in packets {
        let mut frame = [0.0; FRAME];
        let length = decoder.decode(packet, FRAME, &mut frame).expect("Opus");
        samples.extend_from_slice(&frame[..length]);
    }
    samples
}

#[test]
fn a_tone_is_told_from_another() {
    let packets = tone(440);
    assert!(packets.iter().all(|packet| packet.len() == PACKET_BYTES));
    assert!(strength(&packets, 440) > 0.15, "{}", strength(&packets, 440));
    assert!(strength(&packets, 880) < 0.01, "{}", strength(&packets, 880));
}
