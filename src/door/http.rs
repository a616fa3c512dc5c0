//! A connection on its way through HTTP, which is closed when nothing is answered on it for long: half a request,
//! or a connection kept alive for a next one; or when its place is needed. And which is read no faster than anybody means
//! what they write.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Instant, Sleep, sleep},
};

use super::stream::Stream;
use crate::{guard::Pass, throttle::Throttle};

/// How long the first answer may take, which is how long a request may: its bytes are there at once.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long nothing may be written after that. A WebSocket has a ping every fifteen seconds.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// How fast a connection is read, in bytes a second: thirty requests, or the set-up of two calls. Nobody above this
/// counts frames that carry nothing (a WebSocket's empty continuations) or headers that never end; the slower they come,
/// the less they cost, and TCP tells the sender so.
const BYTES_PER_SECOND: u32 = 16 * 1024;

/// What may come at once after a silence: all that a page loads over one connection, several times.
const BURST: Duration = Duration::from_secs(4);

/// How many times as much a trusted proxy may send, on whose connection many people's requests come.
const PROXY: u32 = 64;

/// What axum reads from and writes to.
pub struct HttpStream {
    stream: Stream,
    deadline: Pin<Box<Sleep>>,
    place: Place,
    throttle: Throttle,
    /// Until when nothing is read.
    pause: Option<Pin<Box<Sleep>>>,
    /// Its places among all the connections.
    _passes: [Pass; 2],
}

enum Place {
    /// It will be said whether the connection stays.
    Open(oneshot::Receiver<()>),
    /// It stays for good.
    Kept,
    /// It has been needed for another.
    Lost,
}

impl HttpStream {
    /// With the other end of its place: the connection stays for good when something is sent there, and is closed when
    /// that is dropped.
    /// `many` where it is of a proxy that speaks for many.
    pub(super) fn new(stream: Stream, many: bool, passes: [Pass; 2]) -> (Self, oneshot::Sender<()>) {
        let (place, taken) = oneshot::channel();
        let throttle = Throttle::new(BYTES_PER_SECOND * if many { PROXY } else { 1 }, BURST, Instant::now().into_std());
        let deadline = Box::pin(sleep(FIRST_ANSWER_WITHIN));
        (Self { stream, deadline, place: Place::Open(taken), throttle, pause: None, _passes: passes }, place)
    }

    /// Where there is nothing to read, or no room to write, for too long, there is an error; and where its place is
    /// needed.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Place::Open(place) = &mut self.place
            && let Poll::Ready(kept) = Pin::new(place).poll(cx)
        {
            self.place = if kept.is_ok() { Place::Kept } else { Place::Lost };
        }
        if matches!(self.place, Place::Lost) {
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
        match done {
            Poll::Pending if self.deadline.as_mut().poll(cx).is_ready() => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            done => done,
        }
    }

    /// The same, and something that was written gives more time.
    fn written<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(done, Poll::Ready(Ok(_))) {
            self.deadline.as_mut().reset(Instant::now() + SILENT_FOR);
        }
        self.in_time(cx, done)
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return self.in_time(cx, Poll::Pending);
            }
            self.pause = None;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let length = buffer.filled().len() - before;
        if length > 0 {
            self.pause = self.throttle.take(Instant::now().into_std(), length).map(|wait| Box::pin(sleep(wait)));
        }
        self.in_time(cx, read)
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.in_time(cx, shut)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::guard::{self, Guard};

    async fn connection() -> (HttpStream, oneshot::Sender<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let guard = Arc::new(Guard::new([0; 32], 100, Vec::new(), std::time::Instant::now()));
        let passes = [guard::Place::Connection, guard::Place::Http].map(|place| guard.enter(place, None).unwrap());
        let (server, place) = HttpStream::new(Stream::Plain(accepted.unwrap().0), false, passes);
        (server, place, client.unwrap())
    }

    #[test]
    fn a_page_is_never_held_up_and_a_flood_is() {
        let start = Instant::now().into_std();
        let mut throttle = Throttle::new(BYTES_PER_SECOND, BURST, start);
        // A page with all its files over one connection, every four seconds.
        for load in 0..100 {
            assert!((0..25).all(|_| throttle.take(start + Duration::from_secs(4) * load, 800).is_none()));
        }
        let mut now = start + Duration::from_secs(1_000);
        let end = now + Duration::from_secs(100);
        let mut read = 0_u64;
        while now < end {
            read += 4_096;
            now += throttle.take(now, 4_096).unwrap_or_default();
        }
        let most = 105 * u64::from(BYTES_PER_SECOND);
        assert!(read <= most, "{read} bytes, {most} at most");
    }

    #[tokio::test]
    async fn what_comes_too_fast_is_read_later_and_not_lost() {
        let (mut server, _place, client) = connection().await;
        server.throttle = Throttle::new(64 * 1024, BURST, Instant::now().into_std());
        let began = Instant::now();
        let length = 64 * 1024 * 4 + 16 * 1024;
        let (_reading, mut writing) = client.into_split();
        let sent = tokio::spawn(async move { writing.write_all(&vec![7; length]).await });
        let mut bytes = vec![0; length];
        for piece in bytes.chunks_mut(4 * 1024) {
            server.read_exact(piece).await.unwrap();
        }
        sent.await.unwrap().unwrap();
        assert!(bytes.iter().all(|byte| *byte == 7));
        let pause = began.elapsed();
        assert!(pause >= Duration::from_millis(150) && pause < Duration::from_secs(10), "{pause:?}");
    }

    #[tokio::test]
    async fn half_a_request_is_not_waited_for_for_ever() {
        let (mut server, _place, mut client) = connection().await;
        server.deadline.as_mut().reset(Instant::now() + Duration::from_millis(50));
        client.write_all(b"GET / HT").await.unwrap();
        let mut request = Vec::new();
        let error = server.read_to_end(&mut request).await.unwrap_err();
        assert_eq!((error.kind(), &request[..]), (ErrorKind::TimedOut, &b"GET / HT"[..]));
    }

    #[tokio::test]
    async fn an_answer_gives_more_time() {
        let (mut server, _place, _client) = connection().await;
        server.deadline.as_mut().reset(Instant::now());
        server.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        assert!(server.deadline.deadline() > Instant::now() + SILENT_FOR / 2);
    }

    #[tokio::test]
    async fn who_is_asked_to_go_goes_and_who_may_stay_stays() {
        let (mut server, place, _client) = connection().await;
        let waiting = tokio::spawn(async move {
            let mut read = async || server.read_u8().await.map_err(|error| error.kind());
            [read().await, read().await]
        });
        tokio::task::yield_now().await;
        drop(place);
        assert_eq!(waiting.await.unwrap(), [Err(ErrorKind::ConnectionAborted); 2]);

        let (mut server, place, mut client) = connection().await;
        let waiting = tokio::spawn(async move { server.read_u8().await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        place.send(()).unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(b'x'));
    }
}
