//! How one thread has packets handled: payloads by the routes that it remembers, everything else by the server.

use std::{ops::DerefMut, sync::Arc, time::Instant};

use super::{
    counts::Counts,
    data,
    five_tuple::FiveTuple,
    packet::Packet,
    route::Routes,
    server::{Action, Server},
};
use crate::clock::Now;

/// One thread's way through the relay: the one way in for whatever is received.
pub struct Lane {
    routes: Routes,
    counts: Arc<Counts>,
}

impl Lane {
    /// Which counts there what it drops.
    pub fn new(counts: Arc<Counts>) -> Self {
        Self { routes: Routes::default(), counts }
    }

    /// Handles one datagram or message. What is to be sent is in `packet` afterwards. `server` is called, and so the lock
    /// taken, only for what no remembered route serves.
    pub fn handle<S>(&mut self, now: Now, from: &FiveTuple, packet: &mut Packet, server: impl FnOnce() -> S) -> Action
    where
        S: DerefMut<Target = Server>,
    {
        if !data::is_data(packet.bytes()) {
            return server().answer(now, from, packet);
        }
        match self.forward(now.instant, from, packet, server) {
            Some(to) => Action::Forward(to),
            None => Action::Nothing,
        }
    }

    /// Takes ChannelData or a Send indication to the allocation it is for, which is the partner's or none.
    fn forward<S>(
        &mut self,
        now: Instant,
        from: &FiveTuple,
        packet: &mut Packet,
        server: impl FnOnce() -> S,
    ) -> Option<FiveTuple>
    where
        S: DerefMut<Target = Server>,
    {
        let outgoing = data::read(packet.bytes())?;
        let key = (*from, outgoing.destination);
        let kept = self.routes.get_or_find(now, key, || server().route(now, from, outgoing.destination))?;
        kept.route().forward(now, packet, outgoing.payload, &self.counts)
    }

    /// Forgets what nobody goes any more.
    pub fn sweep(&mut self, now: Instant) {
        self.routes.sweep(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        protocol::Side,
        relay::testing::{CALL, Client, Scene, channel_data, peer},
    };

    /// Both sides of a call with a channel each, and a payload gone from the first to the second.
    fn remembered() -> (Scene, Client, Client) {
        let mut scene = Scene::new();
        let (a, b) = scene.pair(CALL, 1);
        assert_eq!(a.bind(&mut scene, 0x4000, peer(b.port)).code(), 0);
        assert_eq!(b.bind(&mut scene, 0x4001, peer(a.port)).code(), 0);
        assert_eq!(say(&mut scene, &a), (true, true));
        (scene, a, b)
    }

    /// Whether the server is asked when the first sends to the second, and whether that arrives.
    fn say(scene: &mut Scene, a: &Client) -> (bool, bool) {
        let mut packet = Packet::new();
        packet.replace(&channel_data(0x4000, b"x"));
        let mut asked = false;
        let server = &mut scene.server;
        let action = scene.lane.handle(scene.now, &a.from, &mut packet, || {
            asked = true;
            server
        });
        (asked, action != Action::Nothing)
    }

    #[test]
    fn a_remembered_route_needs_no_server() {
        let (mut scene, a, _) = remembered();
        for _ in 0..100 {
            assert_eq!(say(&mut scene, &a), (false, true));
        }
    }

    #[test]
    fn a_change_is_noticed_at_once() {
        let (mut scene, a, b) = remembered();
        assert_eq!(b.bind(&mut scene, 0x4001, peer(a.port)).code(), 0);
        assert_eq!(say(&mut scene, &a), (true, true));
        assert_eq!(say(&mut scene, &a), (false, true));
        assert_eq!(b.refresh(&mut scene, 0).code(), 0);
        assert_eq!(say(&mut scene, &a), (true, false));

        let (mut scene, a, _) = remembered();
        scene.server.revoke(scene.now, CALL);
        assert_eq!(say(&mut scene, &a), (true, false));
    }

    #[test]
    fn what_a_route_rests_on_expires_in_its_own_time() {
        let (mut scene, a, b) = remembered();
        scene.pass(299);
        assert_eq!(say(&mut scene, &a), (false, true));
        scene.pass(1);
        assert_eq!(say(&mut scene, &a), (true, false), "the receiver's permission is over");
        assert_eq!(b.permit(&mut scene, &[peer(1)]).code(), 0);
        assert_eq!(say(&mut scene, &a), (true, true));
    }

    #[test]
    fn what_is_of_no_use_is_forgotten() {
        let (mut scene, a, b) = remembered();
        assert_eq!(b.say_on(&mut scene, 0x4001, b"x").delivered().0, a.from);
        assert_eq!(scene.lane.routes.len(), 2);
        scene.lane.sweep(scene.now.instant);
        assert_eq!(scene.lane.routes.len(), 2);
        let again = scene.allocated("198.51.100.9:1", CALL, Side::A);
        assert_eq!(a.refresh(&mut scene, 0).code(), 0);
        assert_eq!(again.permit(&mut scene, &[peer(b.port)]).code(), 0);
        assert_eq!(again.say(&mut scene, peer(b.port), b"x").delivered().0, b.from);
        scene.lane.sweep(scene.now.instant);
        assert_eq!(scene.lane.routes.len(), 1);
    }

    #[test]
    fn nothing_is_remembered_of_what_goes_nowhere() {
        let (mut scene, a, _) = remembered();
        for number in 0x4000..0x4FFF {
            a.say_on(&mut scene, number, b"x");
            a.say(&mut scene, peer(number), b"x");
        }
        assert_eq!(scene.lane.routes.len(), 1);
    }
}
