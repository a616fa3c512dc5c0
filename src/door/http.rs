//! A connection on its way through HTTP, which is closed when nothing is answered on it for long: half a request,
//! or a connection kept alive for a next one; or when its place is needed.

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

/// How long the first answer may take, which is how long a request may: its bytes are there at once.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long nothing may be written after that. A WebSocket has a ping every fifteen seconds.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// What axum reads from and writes to.
pub struct HttpStream {
    stream: Stream,
    deadline: Pin<Box<Sleep>>,
    place: Place,
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
    pub(super) fn new(stream: Stream) -> (Self, oneshot::Sender<()>) {
        let (place, taken) = oneshot::channel();
        (Self { stream, deadline: Box::pin(sleep(FIRST_ANSWER_WITHIN)), place: Place::Open(taken) }, place)
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
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
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
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn connection() -> (HttpStream, oneshot::Sender<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let (server, place) = HttpStream::new(Stream::Plain(accepted.unwrap().0));
        (server, place, client.unwrap())
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
