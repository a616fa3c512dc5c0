//! The clients by UDP that stay when the port goes to the next server: each gets a socket of its own, connected to it, and
//! a task that serves it. What comes from a client goes to the socket that is connected to it, whoever else has the port.

use std::{
    io,
    net::UdpSocket,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::AbortHandle,
    time::{self, MissedTickBehavior},
};

use super::{Action, FiveTuple, Handle, Packet, lane::Lane, socket};
use crate::{clock::Now, protocol::Transport};

/// How often what has expired is forgotten, and whether the client still has an allocation.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The tasks of those who stay.
#[derive(Default)]
pub(super) struct Stays(Mutex<Vec<AbortHandle>>);

impl Stays {
    fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all of them end.
    pub fn end(&self) {
        self.tasks().drain(..).for_each(|task| task.abort());
    }
}

impl Handle {
    /// Leaves the port to whoever shares it, but for those who have an allocation now. From then on nobody can come by
    /// UDP. To be called in a runtime, once.
    pub fn hand_over(&self) {
        let clients = self.server().clients_by_udp(Now::read());
        let mut sockets = Vec::with_capacity(clients.len());
        for client in clients {
            match self.connected(&client) {
                Ok(socket) => sockets.push(socket),
                Err(error) => tracing::warn!(kind = ?error.kind(), "somebody in a call cannot stay"),
            }
        }
        // The last of them that holds the port is the threads' own.
        *self.0.socket.write().unwrap_or_else(PoisonError::into_inner) = sockets.first().map(Arc::clone);
        self.end_threads();
        let mut tasks = self.0.stays.tasks();
        let relay = self.clone();
        tasks.push(tokio::spawn(async move { relay.keep_sweeping().await }).abort_handle());
        for socket in sockets {
            let relay = self.clone();
            tasks.push(
                tokio::spawn(async move {
                    // An error here is one of the system, and the client's end.
                    let _ = relay.serve_one(&socket).await;
                })
                .abort_handle(),
            );
        }
        drop(tasks);
        if self.is_stopped() {
            self.0.stays.end();
        }
    }

    /// What the first of the threads has done before.
    async fn keep_sweeping(&self) {
        loop {
            time::sleep(LOOK_EVERY).await;
            self.server().sweep(Now::read());
        }
    }

    /// A socket that gets what this client sends.
    fn connected(&self, client: &FiveTuple) -> io::Result<Arc<UdpSocket>> {
        socket::connected(self.0.address, client).map(Arc::new)
    }

    /// Serves one client, and whoever else had sent something before the socket was connected, until it is gone.
    async fn serve_one(&self, socket: &UdpSocket) -> io::Result<()> {
        let server = socket.local_addr()?;
        let client = FiveTuple::new(Transport::Udp, socket.peer_addr()?, server);
        let socket = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
        let mut lane = Lane::new(Arc::clone(self.counts()));
        let mut packet = Packet::new();
        let mut looks = time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = socket.recv_from(packet.room()) => {
                    // Refusals come as errors (ICMP), and mean nothing: the next packet may arrive.
                    let Ok((length, from)) = received else { continue };
                    packet.set_length(length);
                    let from = FiveTuple::new(Transport::Udp, from, server);
                    match lane.handle(Now::read(), &from, &mut packet, || self.server()) {
                        Action::Nothing => {}
                        Action::Reply => self.pass(&from, packet.bytes()),
                        Action::Forward(to) => self.pass(&to, packet.bytes()),
                    }
                }
                _ = looks.tick() => {
                    let now = Now::read();
                    lane.sweep(now.instant);
                    if !self.server().has_allocation(now, &client) {
                        return Ok(());
                    }
                }
            }
        }
    }
}
