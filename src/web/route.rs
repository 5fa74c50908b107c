//! What a request is for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::Response;
use futures_util::stream;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use crate::trust::Way;
use crate::web::answer::{content, json, later, refusal};
use crate::web::connection::Seat;
use crate::web::counts::Count;
use crate::web::guard::{Who, visitor};
use crate::web::hall::{Hall, Keys, NotSubscribed, Subscription};
use crate::web::house::{House, Visit};
use crate::web::socket::upgrade;
use crate::web::subscriber::{End, Next};

/// How long nothing is said to a subscriber: a comment then keeps the connection, or finds that
/// nobody is there any more.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// Answers a request.
pub async fn answer(request: Request<Body>, house: Arc<House>, seat: Arc<Seat>) -> Response {
    let came = Instant::now(); // tidy: the server's thread, on which deadlines run
    let (parts, body) = request.into_parts();
    let origin = parts.headers.get(header::ORIGIN).cloned();
    let mut response = match visitor(&parts, &seat.names, &house.settings) {
        Err((status, why)) => {
            house.counts.add(Count::Forbidden, 1);
            refusal(status, &why)
        }
        Ok(who) => route(parts, body, &house, (&seat, &who, came)).await,
    };
    // It has been looked at: a page of elsewhere that is allowed may read the answer.
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

async fn route(
    mut parts: Parts,
    body: Body,
    house: &House,
    (seat, who, came): (&Arc<Seat>, &Who, Instant),
) -> Response {
    let may = |way, name: &str| match who.permit(&house.settings.access, way, name) {
        Ok(()) => None,
        Err(refused) => {
            house.counts.add(Count::NotPermitted, 1);
            Some(refusal(StatusCode::FORBIDDEN, &refused.to_string()))
        }
    };
    let uri = parts.uri.clone();
    let path = uri.path();
    let is_get = parts.method == Method::GET || parts.method == Method::HEAD;
    if is_get && let Some((content_type, page)) = house.find_page(path) {
        return content(content_type, page);
    }
    let mut words = path.trim_start_matches('/').split('/');
    match (words.next(), words.next(), words.next()) {
        (Some("counts"), None, None) if is_get => counts(house),
        (Some(name), None, None) if parts.method == Method::POST => {
            if let Some(refused) = may(Way::Publish, name) {
                return refused;
            }
            let visit = Visit { connection: seat.number, came };
            post(name, &parts, body, house, visit).await
        }
        (Some(name), Some(how @ ("events" | "ws")), None) if parts.method == Method::GET => {
            if let Some(refused) = may(Way::Subscribe, name) {
                return refused;
            }
            let Some(hall) = house.find_hall(name) else { return unknown(house, path) };
            let keys = match keys(&uri) {
                Ok(keys) => keys,
                Err(why) => return refusal(StatusCode::BAD_REQUEST, &why),
            };
            match how {
                "ws" => upgrade(&mut parts, hall, keys, seat.clone()).await,
                _ => events(&hall, keys, seat),
            }
        }
        _ => unknown(house, path),
    }
}

fn counts(house: &House) -> Response {
    let all = house.counts.all();
    #[cfg(feature = "tls")]
    let all = all.chain(house.settings.tls.iter().flat_map(|tls| {
        let failed = ("failed_certificate_reloads", tls.failed_reloads());
        [("certificate_reloads", tls.reloads()), failed]
    }));
    let counts: serde_json::Map<_, _> =
        all.map(|(name, count)| (name.to_owned(), count.into())).collect();
    json(StatusCode::OK, &counts.into())
}

fn unknown(house: &House, path: &str) -> Response {
    house.counts.add(Count::Unknown, 1);
    let why = format!(
        "nothing is at `{path}` by this method: POST /NAME takes records and questions, GET \
         /NAME/events and /NAME/ws subscribe, GET /counts says what happened"
    );
    refusal(StatusCode::NOT_FOUND, &why)
}

/// Hands a body to the door of a name, once all of it is there.
async fn post(name: &str, parts: &Parts, body: Body, house: &House, visit: Visit) -> Response {
    let Some(door) = house.find_door(name) else { return unknown(house, parts.uri.path()) };
    match receive(parts, body, house).await {
        Ok((bytes, _room)) => door.take(bytes, visit).await,
        Err((count, response)) => {
            house.counts.add(count, 1);
            response
        }
    }
}

/// All of a body, within the limits, and the room that it takes.
async fn receive<'a>(
    parts: &Parts,
    body: Body,
    house: &'a House,
) -> Result<(Bytes, SemaphorePermit<'a>), (Count, Response)> {
    let most = house.settings.body_bytes_max;
    let too_long = || {
        let why = format!("the body is longer than {most} bytes");
        (Count::TooLong, refusal(StatusCode::PAYLOAD_TOO_LARGE, &why))
    };
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|it| it.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    // What may come, whether it does or not: so no body is broken off for want of room.
    let may_come = length.map_or(most, |length| length as usize);
    let Ok(room) = house.bodies.try_acquire_many(may_come as u32) else {
        let why = serde_json::json!({ "error": "too many bodies are coming in" });
        return Err((Count::Full, later(&why)));
    };
    match tokio::time::timeout(house.settings.body_max, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok((bytes, room)),
        Ok(Err(error)) if error.to_string().contains("length limit") => Err(too_long()),
        Ok(Err(_)) => {
            let why = "the body ended before its end";
            Err((Count::CutShort, refusal(StatusCode::BAD_REQUEST, why)))
        }
        Err(_) => {
            let why = format!("the body took longer than {:?}", house.settings.body_max);
            Err((Count::SlowBody, refusal(StatusCode::REQUEST_TIMEOUT, &why)))
        }
    }
}

/// The keys that a subscriber asks for.
fn keys(uri: &Uri) -> Result<Keys, String> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(query) = query.map_err(|error| error.to_string())?;
    let mut keys: Keys = None;
    for (name, value) in query {
        let wanted = keys.get_or_insert_with(HashSet::new);
        match name.as_str() {
            "keys" => wanted.extend(parse_keys(&value)),
            "key" => _ = wanted.insert(value.into()),
            _ => return Err(format!("`{name}`: there are `keys=A,B` and `key=A` to ask by")),
        }
    }
    Ok(keys)
}

/// The keys of a list.
pub fn parse_keys(list: &str) -> impl Iterator<Item = Box<str>> {
    list.split(',').map(str::trim).filter(|key| !key.is_empty()).map(Box::from)
}

/// Why there is no subscription.
pub fn not_subscribed(why: NotSubscribed) -> Response {
    match why {
        NotSubscribed::NoKeys => {
            refusal(StatusCode::BAD_REQUEST, "the records of this stream have no keys")
        }
        NotSubscribed::Full => later(&serde_json::json!({ "error": "too many subscribers" })),
    }
}

/// Server-sent events for as long as they come.
fn events(hall: &Arc<Hall>, keys: Keys, seat: &Seat) -> Response {
    let subscription = match hall.subscribe(keys, seat.cut.clone()) {
        Ok((subscription, present)) => {
            seat.hold(present);
            subscription
        }
        Err(why) => return not_subscribed(why),
    };
    let events = stream::unfold(Some(subscription), |subscription| async {
        let subscription = subscription?;
        let (bytes, end) = next_event(&subscription).await;
        let rest = if end.is_some() { None } else { Some(subscription) };
        Some((Ok::<_, std::convert::Infallible>(bytes), rest))
    });
    let mut response = content("text/event-stream", Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Nothing else comes by this connection: its end is that of the subscriber.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn next_event(subscription: &Subscription) -> (Bytes, Option<End>) {
    let next = subscription.subscriber().next();
    match tokio::time::timeout(SILENCE_MAX, next).await {
        Ok(Next::Frame(frame)) => {
            subscription.sent();
            (frame.event, None)
        }
        Ok(Next::End(end)) => (format!("event: end\ndata: {}\n\n", end.reason()).into(), Some(end)),
        Err(_) => (Bytes::from_static(b":\n\n"), None),
    }
}
