//! The port, TCP and UDP: taken for oneself, or so that the next server can have it before this one has ended.
//!
//! Two servers that share a port (SO_REUSEPORT, socket(7)) would each get a part of what comes, and what is said to the
//! one is nonsense to the other. So whoever came first gets everything, by a filter that always says "the first"
//! (SO_ATTACH_REUSEPORT_CBPF), and when it closes its sockets the next one is the first.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use crate::config::is_default;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How many free ports are tried until one is free for TCP and for UDP.
const TRIES: usize = 32;

/// Takes the port; `is_shared` with the server before this one and the one after it.
///
/// # Errors
///
/// When it is taken or not permitted, or cannot be shared on this system.
pub fn take(listen: SocketAddr, is_shared: bool) -> anyhow::Result<(std::net::TcpListener, UdpSocket)> {
    or_ipv4(listen, |listen| bind(listen, is_shared))
}

/// Takes a port for TCP alone.
///
/// # Errors
///
/// As [`take`].
pub fn take_tcp(listen: SocketAddr, is_shared: bool) -> anyhow::Result<std::net::TcpListener> {
    or_ipv4(listen, |listen| bind_tcp(listen, is_shared))
}

fn or_ipv4<T>(listen: SocketAddr, bind: impl Fn(SocketAddr) -> std::io::Result<T>) -> anyhow::Result<T> {
    let bound = match bind(listen) {
        // A container or machine without IPv6; whoever named an address gets that address or an error.
        Err(error) if is_default(listen) && !is_taken(&error) => {
            warn!("no IPv6 here, listening on IPv4 alone");
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.port())))
        }
        done => done,
    };
    bound.map_err(|error| {
        let hint = hint(error.kind(), listen.port());
        anyhow::Error::new(error).context(format!("cannot listen on {listen}{hint}"))
    })
}

/// What may be done about it.
fn hint(kind: ErrorKind, port: u16) -> &'static str {
    if kind == ErrorKind::PermissionDenied && (1..1_024).contains(&port) {
        ", which is for root, or for whoever has CAP_NET_BIND_SERVICE"
    } else {
        ""
    }
}

/// Whether binding failed for a reason that IPv4 would share.
fn is_taken(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied | ErrorKind::Unsupported)
}

/// Binds the same port for TCP and UDP.
fn bind(listen: SocketAddr, is_shared: bool) -> std::io::Result<(std::net::TcpListener, UdpSocket)> {
    let tries = if listen.port() == 0 { TRIES } else { 1 };
    let mut last = None;
    for _ in 0..tries {
        let tcp = bind_tcp(listen, is_shared)?;
        match open(tcp.local_addr()?, Type::DGRAM, Protocol::UDP, is_shared) {
            Ok(udp) => {
                if is_shared {
                    give_all_to(&udp, Turn::First)?;
                }
                return Ok((tcp, udp.into()));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::AddrInUse.into()))
}

fn bind_tcp(listen: SocketAddr, is_shared: bool) -> std::io::Result<std::net::TcpListener> {
    let tcp = open(listen, Type::STREAM, Protocol::TCP, is_shared)?;
    tcp.listen(BACKLOG)?;
    if is_shared {
        // A TCP socket that has a filter before it listens is refused company.
        give_all_to(&tcp, Turn::First)?;
    }
    tcp.set_nonblocking(true)?;
    Ok(tcp.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol, is_shared: bool) -> std::io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, kind, Some(protocol))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    // For TCP, a restart must not wait for the old connections' TIME_WAIT. For UDP, the clients that stay when the port
    // goes to the next server get sockets of their own on it (`relay`).
    socket.set_reuse_address(kind == Type::STREAM || is_shared)?;
    if is_shared {
        share(&socket)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Lets another socket be bound to the same address, which the same user has to do in the same way.
#[cfg(target_os = "linux")]
fn share(socket: &Socket) -> std::io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};

    Ok(setsockopt(socket, sockopt::ReusePort, &true)?)
}

/// Which of those that share an address, by when they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The one that has been there for longest.
    First = 0,
    /// The next one. Where there is none it is the first all the same.
    Second = 1,
}

/// Gives everything that comes to an address to one of the sockets that share it, this one among them.
///
/// # Errors
///
/// When the system does not do so.
#[cfg(target_os = "linux")]
pub fn give_all_to(socket: &Socket, turn: Turn) -> std::io::Result<()> {
    use nix::libc::{sock_filter, sock_fprog};
    use nix::sys::socket::{setsockopt, sockopt};

    /// BPF_RET | BPF_K: says a constant.
    const RETURN: u16 = 0x06;
    let mut filter = [sock_filter { code: RETURN, jt: 0, jf: 0, k: turn as u32 }];
    let program = sock_fprog { len: 1, filter: filter.as_mut_ptr() };
    Ok(setsockopt(socket, sockopt::AttachReusePortCbpf, &program)?)
}

/// What SO_REUSEPORT means differs between systems.
#[cfg(not(target_os = "linux"))]
fn share(_: &Socket) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// What SO_REUSEPORT means differs between systems.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn give_all_to(_: &Socket, _: Turn) -> std::io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_not_take_a_port_is_told_who_may() {
        assert!(hint(ErrorKind::PermissionDenied, 443).contains("CAP_NET_BIND_SERVICE"));
        for (kind, port) in
            [(ErrorKind::AddrInUse, 443), (ErrorKind::PermissionDenied, 8080), (ErrorKind::PermissionDenied, 0)]
        {
            assert_eq!(hint(kind, port), "", "{kind:?} {port}");
        }
    }
}
