//! The threads that relay datagrams, each with a socket of its own on the one address: one at first, and another
//! whenever one is full.

use std::{
    io,
    net::UdpSocket,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::watch;

use super::{Handle, socket, udp};
use crate::clock;

/// One core in so many is left to signalling, to those who come by TCP, and to the system's own part in each packet.
/// A machine that has fewer shares them out.
const ONE_LEFT_IN: usize = 4;

/// What threads there may be, and how they know that they are full.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Threads at the most.
    pub most: usize,
    /// The CPU time that the calling thread has had.
    pub cpu: fn() -> Duration,
}

impl Terms {
    /// Of this machine.
    pub fn of_machine() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self { most: cores - cores / ONE_LEFT_IN, cpu: clock::thread_cpu }
    }
}

/// The relay's threads, as they know each other.
pub(super) struct Crew {
    members: Mutex<Members>,
    /// How many they are, for those who only look.
    size: AtomicUsize,
    cpu: fn() -> Duration,
    /// Whether all are told to end.
    over: AtomicBool,
    /// Turns true when one has ended and was not told to.
    failed: watch::Sender<bool>,
}

struct Members {
    /// Those that nobody has waited for yet.
    threads: Vec<JoinHandle<()>>,
    /// One of each thread's, to wake it by.
    sockets: Vec<UdpSocket>,
    most: usize,
}

impl Crew {
    pub fn new(Terms { most, cpu }: Terms) -> Self {
        let members = Members { threads: Vec::new(), sockets: Vec::new(), most };
        Self {
            members: Mutex::new(members),
            size: AtomicUsize::new(0),
            cpu,
            over: AtomicBool::new(false),
            failed: watch::Sender::new(false),
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// Starts a thread on a bound socket that has been prepared.
    pub(super) fn start_thread(&self, socket: UdpSocket) -> io::Result<()> {
        self.start_in(&mut self.0.crew.members(), socket)
    }

    fn start_in(&self, members: &mut Members, socket: UdpSocket) -> io::Result<()> {
        let waker = socket.try_clone()?;
        let is_first = members.sockets.is_empty();
        let thread = self.spawn(move |relay| {
            if let Err(error) = udp::run(socket, relay.0.address, relay, is_first) {
                tracing::error!(kind = ?error.kind(), "a thread of the relay has ended");
            }
        })?;
        members.sockets.push(waker);
        members.threads.push(thread);
        self.0.crew.size.store(members.sockets.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Has a thread do something until the relay is stopped. If it ends before, however that comes, it has failed.
    fn spawn(&self, body: impl FnOnce(&Self) + Send + 'static) -> io::Result<JoinHandle<()>> {
        /// Is dropped by a panic as well.
        struct Post(Handle);

        impl Drop for Post {
            fn drop(&mut self) {
                if !self.0.crew_is_over().load(Ordering::Acquire) {
                    self.0.0.crew.failed.send_replace(true);
                }
            }
        }

        let post = Post(self.clone());
        thread::Builder::new().name("relay".to_owned()).spawn(move || body(&post.0))
    }

    /// Starts another thread, if there may be one more. Half of the clients change theirs by that: what they have sent
    /// before is forwarded by the one they had, and may be overtaken by what they send next.
    pub(super) fn add_thread(&self) {
        let shared = &*self.0;
        let mut members = shared.crew.members();
        if shared.crew.over.load(Ordering::Acquire) || members.sockets.len() >= members.most {
            return;
        }
        let Some(first) = members.sockets.first() else { return };
        let socket = socket::another(first, shared.address, |it| udp::prepare(it, shared.address));
        match socket.and_then(|socket| self.start_in(&mut members, socket)) {
            Ok(()) => tracing::info!(threads = members.sockets.len(), "the relay was full and has another thread"),
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "the relay is full and gets no other thread");
                members.most = members.sockets.len();
            }
        }
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        self.0.crew.size.load(Ordering::Relaxed)
    }

    /// The CPU time that the calling thread has had.
    pub(super) fn cpu(&self) -> Duration {
        (self.0.crew.cpu)()
    }

    /// Has every thread end, and close its socket.
    pub(super) fn end_threads(&self) {
        self.0.crew.over.store(true, Ordering::Release);
        for socket in self.0.crew.members().sockets.drain(..) {
            socket::wake(&socket, self.0.address);
        }
    }

    /// Whether the threads are to end.
    pub(super) fn crew_is_over(&self) -> &AtomicBool {
        &self.0.crew.over
    }
}

/// The threads of a relay, for whoever has started it.
pub struct Threads(pub(super) Handle);

impl Threads {
    /// Completes when one has ended before [`Handle::stop`]: by a panic, which is a bug, or because it cannot receive.
    /// The system still gives it its share of the clients, who are not heard any more; so the process had better end
    /// and be started anew.
    pub fn failed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut failed = self.0.0.crew.failed.subscribe();
        async move {
            // An error would mean that all are gone.
            let _ = failed.wait_for(|failed| *failed).await;
        }
    }

    /// Whether one has.
    pub fn have_failed(&self) -> bool {
        *self.0.0.crew.failed.borrow()
    }

    /// Blocks until all have ended, which they do after [`Handle::stop`].
    pub fn join(self) {
        loop {
            let Some(thread) = self.0.0.crew.members().threads.pop() else { return };
            // A panic in it has been printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        net::SocketAddr,
        sync::{LazyLock, mpsc},
        time::Instant,
    };

    use super::*;
    use crate::{
        protocol::{CallId, Side},
        relay::{
            Secret,
            bucket::{BURST, OVERHEAD, RATE},
            start_with,
            testing::{Client, Outcome, channel_data, from, peer, port_of, udp, unsigned},
        },
    };
    use stun_types::attribute::Nonce;
    use turn_types::message::{ALLOCATE, REFRESH};

    /// How long anything that must come may take.
    const DEADLINE: Duration = Duration::from_secs(10);

    /// Of threads that never have time to spare: nine seconds' work in each second, so that a test need not take so long.
    fn overworked(most: usize) -> Terms {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Terms { most, cpu: || START.elapsed() * 9 }
    }

    /// Of threads that have nothing to do, and no others unless a test wants them.
    fn idle(most: usize) -> Terms {
        Terms { most, cpu: || Duration::ZERO }
    }

    fn relay(terms: Terms) -> (Handle, Threads, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (relay, threads) = start_with(vec![socket], Secret::new(b"a secret of tests"), terms).unwrap();
        (relay, threads, address)
    }

    /// Joins on a thread of its own, so that what never ends fails.
    fn joined(threads: Threads) {
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            threads.join();
            done.send(())
        });
        assert_eq!(is_done.recv_timeout(DEADLINE), Ok(()));
    }

    /// A caller on a socket of its own, with a channel to its partner.
    struct Caller {
        socket: UdpSocket,
        client: Client,
    }

    impl Caller {
        fn new(relay: &Handle, address: SocketAddr, call: CallId, side: Side) -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(address).unwrap();
            socket.set_read_timeout(Some(DEADLINE)).unwrap();
            let unix = crate::clock::Now::read().unix;
            let credentials = relay.mint(call, side, unix);
            let client = Client { from: from("127.0.0.1:1"), credentials, nonce: String::new(), port: 0 };
            let mut caller = Self { socket, client };
            let challenge = caller.ask(&unsigned(ALLOCATE, &[&udp()]));
            caller.client.nonce = challenge.attribute::<Nonce>().nonce().to_owned();
            let allocated = caller.ask(&caller.client.signed(ALLOCATE, &[&udp()]));
            assert_eq!(allocated.code(), 0);
            caller.client.port = port_of(&allocated);
            caller
        }

        fn bind(&self, partner: &Self) {
            let request = self.client.bind_request(0x4000, peer(partner.client.port));
            assert_eq!(self.ask(&request).code(), 0);
        }

        fn ask(&self, request: &[u8]) -> Outcome {
            self.socket.send(request).unwrap();
            let mut bytes = [0; 2_048];
            let length = self.socket.recv(&mut bytes).unwrap();
            Outcome::Reply(bytes[..length].to_vec())
        }

        fn say(&self, number: u32) {
            self.socket.send(&channel_data(0x4000, &number.to_be_bytes())).unwrap();
        }

        fn hear(&self) -> u32 {
            let mut bytes = [0; 2_048];
            let length = self.socket.recv(&mut bytes).unwrap();
            assert_eq!(bytes[..4], [0x40, 0, 0, 4]);
            u32::from_be_bytes(bytes[4..length].try_into().unwrap())
        }
    }

    /// So many calls, the two sides of each side by side.
    fn callers(relay: &Handle, address: SocketAddr, calls: u128) -> Vec<Caller> {
        let pair = |call| {
            let [a, b] = [Side::A, Side::B].map(|side| Caller::new(relay, address, CallId::from_u128(call), side));
            a.bind(&b);
            b.bind(&a);
            [a, b]
        };
        (1..=calls).flat_map(pair).collect()
    }

    #[test]
    fn a_quarter_of_a_large_machine_is_left() {
        let Terms { most, .. } = Terms::of_machine();
        let cores = thread::available_parallelism().unwrap().get();
        assert!(most >= 1 && most <= cores && most * 4 >= cores * 3, "{most} of {cores}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_knows_how_much_it_has_worked() {
        let cpu = Terms::of_machine().cpu;
        let (start, before) = (Instant::now(), cpu());
        while cpu() < before + Duration::from_millis(20) {
            assert!(start.elapsed() < DEADLINE);
        }
        let other = thread::spawn(cpu).join().unwrap();
        assert!(other < Duration::from_millis(20), "each has its own");
    }

    /// Sixteen calls talk on while the second thread comes. Half of the callers move to it; what they have on its
    /// way then may be overtaken, but nothing is lost and nothing comes twice.
    #[cfg(target_os = "linux")]
    #[test]
    fn another_thread_comes_while_calls_go_on() {
        /// Packets at a time, and how often: five times as many as a voice sends.
        const BURST: u32 = 5;
        const EVERY: Duration = Duration::from_millis(20);
        const AFTERWARDS: u32 = 20;

        let (relay, threads, address) = relay(overworked(2));
        let callers = callers(&relay, address, 16);
        let start = Instant::now();
        let (mut round, mut last) = (0, None);
        while last != Some(round) {
            assert!(start.elapsed() < DEADLINE, "nobody has come");
            thread::sleep((start + EVERY * round).saturating_duration_since(Instant::now()));
            let said = round * BURST..(round + 1) * BURST;
            for number in said.clone() {
                callers.iter().for_each(|caller| caller.say(number));
            }
            for caller in &callers {
                let heard: BTreeSet<u32> = said.clone().map(|_| caller.hear()).collect();
                assert!(heard.into_iter().eq(said.clone()));
            }
            round += 1;
            if last.is_none() && relay.threads() == 2 {
                last = Some(round + AFTERWARDS);
            }
        }
        assert_eq!(relay.counts().over_rate.get(), 0);
        assert_eq!(relay.threads(), 2, "and no more than there may be");

        for call in 1..=16 {
            relay.revoke(CallId::from_u128(call));
        }
        for caller in &callers {
            caller.say(0);
        }
        // Each thread handles what it gets in order: when the answer is there, the payload has been handled.
        for caller in &callers {
            let refused = caller.ask(&unsigned(ALLOCATE, &[&udp()]));
            assert_eq!(refused.code(), 401);
        }
        for caller in &callers {
            caller.socket.set_nonblocking(true).unwrap();
            let heard = caller.socket.recv(&mut [0; 64]).map_err(|error| error.kind());
            assert_eq!(heard, Err(io::ErrorKind::WouldBlock));
        }
        relay.stop();
        assert!(!threads.have_failed());
        joined(threads);
    }

    /// What a caller may send is one number, whichever thread he comes by.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_flood_gets_no_further_on_two_threads() {
        const CALLS: usize = 8;
        const PACKETS: u64 = 3_000;
        const AT_ONCE: u64 = 100;

        let (relay, threads, address) = relay(idle(2));
        let callers = callers(&relay, address, CALLS as u128);
        let start = Instant::now();
        for packet in 0..PACKETS {
            if packet == PACKETS / 2 {
                relay.add_thread();
            }
            for caller in callers.iter().step_by(2) {
                caller.say(0);
                if packet % AT_ONCE == 0 {
                    // So that no socket's buffer overflows.
                    let refreshed = caller.ask(&caller.client.signed(REFRESH, &[]));
                    assert_eq!(refreshed.code(), 0);
                }
            }
        }
        for caller in callers.iter().step_by(2) {
            caller.ask(&caller.client.signed(REFRESH, &[]));
        }
        let passed = CALLS as u64 * PACKETS - relay.counts().over_rate.get();
        let least = CALLS as u64 * BURST / (OVERHEAD + 4);
        let most = least + CALLS as u64 * RATE * (start.elapsed().as_secs() + 1) / (OVERHEAD + 4);
        assert!((least..=most).contains(&passed), "{passed} of {least} to {most}");
        relay.stop();
        joined(threads);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_come_one_by_one_and_stop_together() {
        let (relay, threads, address) = relay(idle(4));
        assert_eq!(relay.threads(), 1);
        for number in 2..6 {
            relay.add_thread();
            assert_eq!(relay.threads(), number.min(4));
        }
        callers(&relay, address, 4);
        relay.stop();
        relay.add_thread();
        assert_eq!(relay.threads(), 4);
        joined(threads);
    }

    #[test]
    fn without_another_socket_it_goes_on_as_it_is() {
        let (relay, threads, address) = relay(idle(1));
        relay.add_thread();
        assert_eq!(relay.threads(), 1);
        callers(&relay, address, 1);
        relay.stop();
        joined(threads);
    }

    #[tokio::test]
    async fn a_panic_is_noticed_and_a_stop_is_none() {
        let (relay, threads, _) = relay(Terms::of_machine());
        let thread = relay.spawn(|_| panic!("as a test wants it")).unwrap();
        assert!(thread.join().is_err());
        assert!(threads.have_failed());
        tokio::time::timeout(DEADLINE, threads.failed()).await.expect("who comes late is told as well");
        relay.stop();
        joined(threads);

        let (relay, threads, _) = self::relay(Terms::of_machine());
        relay.stop();
        assert!(!threads.have_failed());
        joined(threads);
    }
}
