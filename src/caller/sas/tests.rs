//! The vectors, which were made elsewhere, and every wrong move.

use serde::Deserialize;

use super::*;

/// One whole run; everything in hexadecimal.
#[derive(Deserialize)]
struct Vector {
    offerer_fingerprint: String,
    answerer_fingerprint: String,
    offerer_nonce: String,
    answerer_nonce: String,
    commitment: String,
    okm: String,
    emoji: Emoji,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../../tests/fixtures/sas.json")).unwrap()
}

fn value(hex: &str) -> Value {
    let digits = hex.as_bytes().chunks(2);
    let bytes = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap());
    bytes.collect::<Vec<_>>().try_into().unwrap()
}

fn transcript() -> Transcript {
    Transcript::new(&[0xF0; 32], &[0xFA; 32]).unwrap()
}

const OFFERERS: Value = [0x0F; 32];
const ANSWERERS: Value = [0xA5; 32];

fn frame(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], value].concat()
}

/// An offerer that has said its commitment; and that frame.
fn offerer() -> (Run<Transcript>, Vec<u8>) {
    let (run, first) = Run::offer(transcript(), OFFERERS);
    (run, first.bytes())
}

fn answerer() -> Run<Transcript> {
    Run::answer(transcript(), ANSWERERS)
}

/// Each side of a run that went well, with its emoji.
fn both() -> [(Run<Transcript>, Emoji); 2] {
    let (mut offerer, first) = offerer();
    let mut answerer = answerer();
    let second = answerer.receive(&first).unwrap().send.unwrap().bytes();
    let step = offerer.receive(&second).unwrap();
    let emoji = answerer.receive(&step.send.unwrap().bytes()).unwrap().emoji.unwrap();
    [(offerer, step.emoji.unwrap()), (answerer, emoji)]
}

#[test]
fn the_vectors_hold() {
    let vectors = vectors();
    assert!(vectors.len() >= 8);
    for vector in vectors {
        let fingerprints = [&vector.offerer_fingerprint, &vector.answerer_fingerprint].map(|hex| value(hex));
        let (offerers, answerers) = (value(&vector.offerer_nonce), value(&vector.answerer_nonce));
        let transcript = || Transcript::new(&fingerprints[0], &fingerprints[1]).unwrap();
        let (mut offerer, first) = Run::offer(transcript(), offerers);
        let mut answerer = Run::answer(transcript(), answerers);
        assert_eq!(first.bytes(), frame(1, &value(&vector.commitment)));
        let second = answerer.receive(&first.bytes()).unwrap();
        assert!(second.emoji.is_none(), "the answerer knows nothing before the opening");
        let second = second.send.unwrap().bytes();
        assert_eq!(second, frame(2, &answerers));
        let third = offerer.receive(&second).unwrap();
        assert_eq!(third.emoji, Some(vector.emoji));
        let third = third.send.unwrap().bytes();
        assert_eq!(third, frame(3, &offerers));
        let last = answerer.receive(&third).unwrap();
        assert_eq!(last.emoji, Some(vector.emoji));
        assert!(last.send.is_none());
        let bits = vector.emoji.iter().fold(0, |bits, index| bits << 6 | u64::from(*index));
        assert_eq!(Ok(bits), u64::from_str_radix(&vector.okm, 16).map(|okm| okm >> 12), "six bits each");
    }
}

#[test]
fn both_sides_see_the_same_and_then_it_is_over() {
    let [(offerer, one), (answerer, other)] = both();
    assert_eq!(one, other);
    assert!(!offerer.is_under_way() && !answerer.is_under_way());
}

#[test]
fn every_wrong_move_of_an_answerer_is_noticed() {
    let (_, commitment) = offerer();
    for (what, bytes, error) in [
        ("an opening before the answer", frame(3, &ANSWERERS), SasError::Order),
        ("its own commitment back", commitment.clone(), SasError::Order),
        ("its own nonce back", frame(2, &OFFERERS), SasError::Echo),
        ("its own commitment for a nonce", frame(2, &commitment[1..]), SasError::Echo),
        ("a byte too few", frame(2, &ANSWERERS[1..]), SasError::Length),
        ("a byte too many", frame(2, &[1; 33]), SasError::Length),
        ("nothing but a kind", vec![2], SasError::Length),
        ("nothing", vec![], SasError::Kind),
        ("an unknown kind", frame(0, &ANSWERERS), SasError::Kind),
        ("another unknown kind", frame(0xFF, &ANSWERERS), SasError::Kind),
    ] {
        let (mut run, _) = offerer();
        assert_eq!(run.receive(&bytes).err(), Some(error), "{what}");
        assert_eq!(run.receive(&frame(2, &ANSWERERS)).err(), Some(SasError::Order), "{what}: it does not go on");
    }
}

#[test]
fn every_wrong_move_of_an_offerer_is_noticed() {
    let (_, first) = offerer();
    for (what, frames, error) in [
        ("an answer", vec![frame(2, &OFFERERS)], SasError::Order),
        ("an opening before the commitment", vec![frame(3, &OFFERERS)], SasError::Order),
        ("a commitment that is a byte short", vec![first[..32].to_vec()], SasError::Length),
        ("an unknown kind", vec![frame(9, &OFFERERS)], SasError::Kind),
        ("nothing", vec![vec![]], SasError::Kind),
        ("the answerer's nonce for a commitment", vec![frame(1, &ANSWERERS)], SasError::Echo),
        ("a second commitment", vec![first.clone(), first.clone()], SasError::Order),
        ("the answer back", vec![first.clone(), frame(2, &ANSWERERS)], SasError::Order),
        ("the answer back as an opening", vec![first.clone(), frame(3, &ANSWERERS)], SasError::Echo),
        ("another nonce than was committed to", vec![first.clone(), frame(3, &[7; 32])], SasError::Commitment),
        ("an opening that is too long", vec![first.clone(), frame(3, &[7; 33])], SasError::Length),
        ("an unknown kind before the opening", vec![first.clone(), frame(9, &OFFERERS)], SasError::Kind),
    ] {
        let mut run = answerer();
        let (last, before) = frames.split_last().unwrap();
        for bytes in before {
            assert!(run.receive(bytes).is_ok(), "{what}");
        }
        assert_eq!(run.receive(last).err(), Some(error), "{what}");
        assert!(run.receive(&frame(3, &OFFERERS)).is_err(), "{what}: it does not go on");
    }
}

#[test]
fn what_comes_after_the_end_is_once_too_often_or_nothing() {
    for (mut run, _) in both() {
        for kind in [1, 2, 3] {
            assert_eq!(run.receive(&frame(kind, &[9; 32])).err(), Some(SasError::Order), "{kind}");
        }
        let later = run.receive(&frame(200, b"of a later version")).unwrap();
        assert!(later.send.is_none() && later.emoji.is_none());
    }
}

#[test]
fn each_fingerprint_counts_and_whose_it_is() {
    let emoji = |offerer: u8, answerer: u8| {
        let transcript = Transcript::new(&[offerer; 32], &[answerer; 32]).unwrap();
        transcript.emoji(&[1; 32], &OFFERERS, &ANSWERERS)
    };
    let all = [emoji(1, 2), emoji(2, 1), emoji(1, 3), emoji(3, 2)];
    assert!(all.iter().enumerate().all(|(index, one)| !all[..index].contains(one)), "{all:?}");
    assert_eq!(Transcript::new(&[1; 32], &[1; 32]).err(), Some(SasError::Fingerprint), "one's own, reflected");
}
