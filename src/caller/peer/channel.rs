//! The one data channel of a call, negotiated by both sides alike (id 0, RFC 8831).

use std::sync::Arc;

use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::Event;
use super::connection::Happened;

/// What ends a connection from the data channel, as the page says it.
pub(super) const BYE: &str = "bye";

/// Tells that the channel is open, of bytes, and of the partner's `bye`, which is the last. Any other text is nothing.
pub(super) async fn listen(channel: Arc<dyn DataChannel>, events: mpsc::Sender<Happened>) {
    while let Some(event) = channel.poll().await {
        let event = match event {
            DataChannelEvent::OnOpen => Event::Open,
            DataChannelEvent::OnMessage(message) if !message.is_string => Event::Bytes(message.data.freeze()),
            DataChannelEvent::OnMessage(message) if message.data == BYE.as_bytes() => Event::Bye,
            _ => continue,
        };
        let last = event == Event::Bye;
        if events.send(Happened::Event(event)).await.is_err() || last {
            return;
        }
    }
}
