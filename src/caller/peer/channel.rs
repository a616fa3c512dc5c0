//! The one data channel of a call, negotiated by both sides alike (id 0, RFC 8831).

use std::sync::Arc;

use tokio::sync::mpsc;
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::Event;
use super::connection::Happened;

/// What ends a connection from the data channel, as the page says it.
pub(super) const BYE: &str = "bye";

/// Waits for the partner's `bye`; whatever else comes over the data channel is not for us yet.
pub(super) async fn listen_for_bye(channel: Arc<dyn DataChannel>, events: mpsc::Sender<Happened>) {
    while let Some(event) = channel.poll().await {
        if let DataChannelEvent::OnMessage(message) = event
            && message.is_string
            && message.data == BYE.as_bytes()
        {
            let _ = events.send(Happened::Event(Event::Bye)).await;
            return;
        }
    }
}
