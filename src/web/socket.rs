//! Subscribers by WebSocket.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::Notify;

use crate::web::connection::Seat;
use crate::web::hall::{Hall, Keys, Present, Subscription};
use crate::web::route::{not_subscribed, parse_keys};
use crate::web::subscriber::{End, Next};

/// The longest that a subscriber may say.
const SAID_MAX: usize = 16 << 10;

/// How often he is asked whether he is there; one who says nothing at all for twice as long is not.
const PING: Duration = Duration::from_secs(15);

/// How long a close frame may take to be sent and answered.
const GRACE: Duration = Duration::from_millis(500);

const NORMAL: u16 = 1000;
const POLICY: u16 = 1008;

/// Answers a request for a WebSocket, and subscribes who asks.
pub async fn upgrade(parts: &mut Parts, hall: Arc<Hall>, keys: Keys, seat: Arc<Seat>) -> Response {
    let upgrade = match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade.max_message_size(SAID_MAX).max_frame_size(SAID_MAX),
        Err(refused) => return refused.into_response(),
    };
    // Not that of the connection, which is over when it has become a socket.
    let cut = Arc::<Notify>::default();
    match hall.subscribe(keys, cut) {
        Ok((subscription, present)) => {
            upgrade.on_upgrade(move |socket| serve(socket, subscription, (present, seat)))
        }
        Err(why) => not_subscribed(why),
    }
}

/// Serves a subscriber to his end.
async fn serve(socket: WebSocket, subscription: Subscription, _there: (Present, Arc<Seat>)) {
    let (mut send, mut receive) = socket.split();
    let subscriber = subscription.subscriber();
    let hear = async {
        loop {
            let Ok(Some(Ok(said))) = tokio::time::timeout(2 * PING, receive.next()).await else {
                return None;
            };
            match said {
                Message::Text(said) if !is_understood(&said, &subscription) => {
                    return Some((POLICY, "say SUBSCRIBE and the keys, with commas between them"));
                }
                Message::Close(_) => return None,
                _ => {}
            }
        }
    };
    let tell = async {
        loop {
            let message = match tokio::time::timeout(PING, subscriber.next()).await {
                Ok(Next::Frame(frame)) => {
                    subscription.sent();
                    match Utf8Bytes::try_from(frame.text) {
                        Ok(text) => Message::Text(text),
                        Err(_) => continue,
                    }
                }
                Ok(Next::End(End::Stream)) => return Some((NORMAL, End::Stream.reason())),
                Ok(Next::End(End::TooSlow)) => return Some((POLICY, End::TooSlow.reason())),
                Err(_) => Message::Ping(Default::default()),
            };
            if send.send(message).await.is_err() {
                return None;
            }
        }
    };
    let over = tokio::select! {
        over = hear => over,
        over = tell => over,
        () = subscriber.is_cut() => Some((POLICY, End::TooSlow.reason())),
    };
    if let Some((code, reason)) = over {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let closing = async {
            if send.send(close).await.is_ok() {
                while receive.next().await.is_some_and(|said| said.is_ok()) {}
            }
        };
        let _ = tokio::time::timeout(GRACE, closing).await;
    } else {
        // If he has closed it, that is answered.
        let _ = tokio::time::timeout(GRACE, send.close()).await;
    }
}

/// `SUBSCRIBE A,B`, or `SUBSCRIBE` for all.
fn is_understood(said: &str, subscription: &Subscription) -> bool {
    let Some(list) = said.trim().strip_prefix("SUBSCRIBE") else { return false };
    if !list.is_empty() && !list.starts_with(' ') {
        return false;
    }
    let keys: HashSet<_> = parse_keys(list).collect();
    subscription.set_keys(if keys.is_empty() { None } else { Some(keys) })
}
