//! What waits to be written to one TCP client. Others put packets in and never wait; the client's own task
//! takes all of them out at once.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::framing::{is_channel_data, padding};

/// The most bytes that wait: a second and a half of voice, on top of what the system holds. More would only be speech
/// from before a stall, which nobody wants to hear after it.
const CAPACITY: usize = 16 * 1024;

/// A bounded queue of bytes, whole messages only.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    closed: bool,
}

impl Outbox {
    /// Puts a message in, padded as a stream wants it. False when there is no room and the message is dropped, as a
    /// full queue of any network does.
    pub fn push(&self, message: &[u8]) -> bool {
        let padding = if message.first().is_some_and(|first| is_channel_data(*first)) { padding(message) } else { 0 };
        let mut waiting = self.waiting();
        if waiting.closed || waiting.bytes.len() + message.len() + padding > CAPACITY {
            return false;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(message);
        waiting.bytes.extend_from_slice(&[0; 3][..padding]);
        drop(waiting);
        if was_empty {
            self.news.notify_one();
        }
        true
    }

    /// Waits until there is something and exchanges it for `taken`, whose content is thrown away. False when the
    /// box was closed.
    pub async fn take(&self, taken: &mut Vec<u8>) -> bool {
        taken.clear();
        loop {
            {
                let mut waiting = self.waiting();
                if waiting.closed {
                    return false;
                }
                if !waiting.bytes.is_empty() {
                    mem::swap(&mut waiting.bytes, taken);
                    return true;
                }
            }
            self.news.notified().await;
        }
    }

    /// Takes no more, and tells who waits.
    pub fn close(&self) {
        self.waiting().closed = true;
        self.news.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::testing::{binding_request, channel_data};

    #[tokio::test]
    async fn everything_that_waits_is_taken_at_once_and_padded() {
        let outbox = Outbox::default();
        assert!(outbox.push(&channel_data(0x4000, b"x")));
        let request = binding_request();
        assert!(outbox.push(&request));
        let mut taken = b"old".to_vec();
        assert!(outbox.take(&mut taken).await);
        assert_eq!(taken, [&[0x40, 0, 0, 1, b'x', 0, 0, 0], &request[..]].concat());
    }

    #[tokio::test]
    async fn a_full_box_drops_what_is_new_and_none_of_what_is_old() {
        let outbox = Outbox::default();
        let message = channel_data(0x4000, &[7; 1_020]);
        let accepted = (0..100).filter(|_| outbox.push(&message)).count();
        assert_eq!(accepted, CAPACITY / message.len());
        let mut taken = Vec::new();
        assert!(outbox.take(&mut taken).await);
        assert_eq!(taken.len(), CAPACITY);
        assert!(outbox.push(&message));
    }

    #[tokio::test]
    async fn who_waits_is_told_of_a_message_and_of_the_end() {
        let outbox = std::sync::Arc::new(Outbox::default());
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move {
                let mut taken = Vec::new();
                (outbox.take(&mut taken).await, outbox.take(&mut Vec::new()).await)
            }
        });
        tokio::task::yield_now().await;
        assert!(outbox.push(&channel_data(0x4000, b"news")));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        outbox.close();
        assert_eq!(waiting.await.unwrap(), (true, false));
        assert!(!outbox.push(&channel_data(0x4000, b"late")));
    }
}
