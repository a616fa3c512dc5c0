//! What somebody with good credentials gets too much of: refused or dropped, counted, and nobody else notices.

use std::time::Duration;

use stun_types::attribute::ErrorCode;
use turn_types::attribute::Lifetime;

use crate::{
    protocol::Side,
    relay::{
        allocation::MAX_CHANNELS,
        bucket::{BURST, OVERHEAD, RATE},
        table::{LONGEST_CALL, MAX_PER_SIDE},
        testing::{CALL, OTHER_CALL, Outcome, Scene, peer},
    },
};

#[test]
fn voice_passes_and_a_file_does_not() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    let (c, d) = scene.pair(OTHER_CALL, 2);
    let (mut file, mut voice) = (0, 0);
    const TICKS: u32 = 50 * 60;
    for _ in 0..TICKS {
        scene.now.instant += Duration::from_millis(20);
        for _ in 0..10 {
            file += u64::from(a.say(&mut scene, peer(b.port), &[0; 1_200]) != Outcome::Nothing);
        }
        for (sender, receiver) in [(&b, &a), (&c, &d), (&d, &c)] {
            let heard = sender.say(&mut scene, peer(receiver.port), &[0; 150]);
            voice += u32::from(heard != Outcome::Nothing);
        }
    }
    assert_eq!(voice, 3 * TICKS, "neither the partner nor others notice");
    assert!(file * (1_200 + OVERHEAD) <= 60 * RATE + BURST, "{file}");
    assert_eq!(scene.server.counts().over_rate.get(), u64::from(10 * TICKS) - file);
}

#[test]
fn each_allocation_has_its_own_rate_whichever_way_it_sends() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    let mut passed = 0;
    for _ in 0..1_000 {
        passed += usize::from(a.say_on(&mut scene, 0x4000, &[0; 72]) != Outcome::Nothing);
        passed += usize::from(a.say(&mut scene, peer(b.port), &[0; 72]) != Outcome::Nothing);
    }
    assert_eq!(passed as u64, BURST / (72 + OVERHEAD));
    // Found anew, the route begins where the bucket is as empty as before.
    assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
    assert_eq!(a.say_on(&mut scene, 0x4000, &[0; 72]), Outcome::Nothing);
    assert_eq!(b.say(&mut scene, peer(a.port), &[0; 72]).delivered().0, a.from);
}

#[test]
fn allocations_and_channels_beyond_the_quota_are_refused_and_counted() {
    let mut scene = Scene::new();
    let client = scene.allocated("198.51.100.1:1", CALL, Side::A);
    for port in 2..=MAX_PER_SIDE {
        scene.allocated(&format!("198.51.100.1:{port}"), CALL, Side::A);
    }
    let mut one_more = scene.client("198.51.100.1:99", CALL, Side::A);
    one_more.challenge(&mut scene);
    assert_eq!(one_more.allocate(&mut scene).code(), ErrorCode::ALLOCATION_QUOTA_REACHED);
    assert_eq!(scene.server.counts().over_quota.get(), 1);
    for number in 0..MAX_CHANNELS as u16 {
        let partner = scene.allocated(&format!("198.51.100.2:{}", 1 + number), CALL, Side::B);
        assert_eq!(client.bind(&mut scene, 0x4000 + number, peer(partner.port)).code(), 0);
    }
    let code = client.bind(&mut scene, 0x4FFF, peer(1)).code();
    assert_eq!(code, ErrorCode::INSUFFICIENT_CAPACITY);
    assert_eq!(scene.server.counts().over_quota.get(), 2);
}

#[test]
fn a_call_ends_when_it_has_lasted_long_enough() {
    let mut scene = Scene::new();
    let (a, b) = scene.pair(CALL, 1);
    let (mut c, mut d) = (a.clone(), b.clone());
    let steps = LONGEST_CALL.as_secs() / 250;
    for _ in 0..steps - 1 {
        scene.pass(250);
        for client in [&mut c, &mut d] {
            client.challenge(&mut scene);
            assert_eq!(client.refresh(&mut scene, 600).code(), 0);
            assert_eq!(client.permit(&mut scene, &[peer(1)]).code(), 0);
        }
        scene.server.sweep(scene.now);
        assert_eq!(c.say(&mut scene, peer(b.port), b"x").delivered().0, b.from);
    }
    let left = LONGEST_CALL.as_secs() - (steps - 1) * 250;
    let outcome = c.refresh(&mut scene, 600);
    assert_eq!(u64::from(outcome.attribute::<Lifetime>().seconds()), left, "and callers are told");
    scene.pass(left);
    assert_eq!(c.say(&mut scene, peer(b.port), b"x"), Outcome::Nothing);

    // Nor does it begin again, even with new credentials.
    scene.server.sweep(scene.now);
    let mut again = scene.client("198.51.100.1:1000", CALL, Side::A);
    again.challenge(&mut scene);
    assert_eq!(again.allocate(&mut scene).code(), ErrorCode::FORBIDDEN);
    scene.allocated("198.51.100.1:1000", OTHER_CALL, Side::A);
}
