//! Bodies of lines become records.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::error::ConfigError;
use crate::io::{Codec, Malformed};
use crate::web::answer::{json, later};
use crate::web::counts::{Count, Counts};
use crate::web::house::{Door, Visit};
use crate::web::incoming::{Lane, Lanes};
use crate::web::progress::Progress;

/// How long a request waits until it looks again whether there is room.
const NAP: Duration = Duration::from_millis(1);

/// The limits of an [`HttpSource`](super::HttpSource), on each shard.
#[derive(Clone, Copy, Debug)]
pub struct Intake {
    /// Records between the server and the shard. A request with more lines is answered 413.
    pub ring_capacity: usize,
    /// How long a request waits for room for all its records; it is answered 503 then. And how long
    /// it waits for them to be durable, where it [does](super::HttpSource::acknowledging); it is
    /// answered 504 then.
    pub patience: Duration,
    /// The longest line, in bytes.
    pub line_bytes_max: usize,
}

impl Default for Intake {
    fn default() -> Self {
        Self { ring_capacity: 1 << 14, patience: Duration::from_secs(1), line_bytes_max: 64 << 10 }
    }
}

impl Intake {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.line_bytes_max {
            0 => Err(ConfigError::setting("line_bytes_max", 0, "must be at least 1")),
            _ => Ok(()),
        }
    }
}

/// What is needed at the lane of a shard.
pub struct Tools<C> {
    pub codec: C,
    pub intake: Intake,
    /// Records that went to the shard.
    pub sent: u64,
    /// How far they have come there.
    pub progress: Arc<Progress>,
}

/// Takes bodies of lines in, all of one or nothing.
pub struct Ingest<C: Codec> {
    pub lanes: Lanes<C::Value, Tools<C>>,
    pub counts: Counts,
}

impl<C: Codec<Value: Send> + Send> Door for Ingest<C> {
    fn take(&self, body: Bytes, visit: Visit) -> BoxFuture<'_, Response> {
        async move {
            match self.take_lines(&body, visit.connection).await {
                Ok(Acknowledged::Unsure(taken)) => {
                    self.counts.add(Count::Taken, taken.records);
                    self.counts.add(Count::Unsure, 1);
                    let why = "not known to be durable in time";
                    let said = json!({ "taken": taken.records, "error": why });
                    json(StatusCode::GATEWAY_TIMEOUT, &said)
                }
                Ok(Acknowledged::Yes(taken)) => {
                    self.counts.add(Count::Taken, taken.records);
                    self.counts.add(Count::Skipped, taken.skipped);
                    let said = match taken.skipped {
                        0 => json!({ "taken": taken.records }),
                        skipped => json!({ "taken": taken.records, "skipped": skipped }),
                    };
                    json(StatusCode::OK, &said)
                }
                Err(refused) => {
                    self.counts.add(refused.count(), 1);
                    refused.response()
                }
            }
        }
        .boxed()
    }

    fn stop(&self) {
        self.lanes.stop();
    }
}

struct Taken {
    records: u64,
    skipped: u64,
}

/// Why nothing of a body was taken.
enum Refused {
    Absent,
    TooMany { most: usize },
    Malformed { line: u64, why: Malformed },
    Panicked { line: u64 },
    Full { lines: usize },
}

/// What came of a body whose lines were all taken.
enum Acknowledged {
    Yes(Taken),
    /// It is not known whether they are durable.
    Unsure(Taken),
}

impl Refused {
    fn count(&self) -> Count {
        match self {
            Self::Absent => Count::Absent,
            Self::TooMany { .. } => Count::TooLong,
            Self::Malformed { .. } | Self::Panicked { .. } => Count::Malformed,
            Self::Full { .. } => Count::Full,
        }
    }

    fn response(self) -> Response {
        match self {
            Self::Absent => later(&json!({
                "taken": 0, "error": "no pipeline is there to take it",
            })),
            Self::Full { lines } => later(&json!({
                "taken": 0, "error": format!("no room for {lines} records"),
            })),
            Self::TooMany { most } => json(
                StatusCode::PAYLOAD_TOO_LARGE,
                &json!({ "taken": 0, "error": format!("more than {most} records") }),
            ),
            Self::Malformed { line, why } => json(
                StatusCode::BAD_REQUEST,
                &json!({
                    "taken": 0, "error": format!("line {line}: {why}"),
                    "line": line, "offset": why.offset,
                }),
            ),
            Self::Panicked { line } => json(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({ "taken": 0, "error": format!("line {line}: decoding it panicked") }),
            ),
        }
    }
}

impl<C: Codec<Value: Send> + Send> Ingest<C> {
    async fn take_lines(&self, body: &[u8], connection: u64) -> Result<Acknowledged, Refused> {
        let (lane, patience) = self.lanes.pick(connection).ok_or(Refused::Absent)?;
        // Requests wait in line, so that none of many lines waits for ever behind small ones.
        let shared = lane.clone();
        let mut lane = match tokio::time::timeout(patience, lane.lock_owned()).await {
            Ok(lane) => lane,
            Err(_) => return Err(Refused::Full { lines: body.split(|b| *b == b'\n').count() }),
        };
        let (records, skipped) = decode(&mut lane, body)?;
        wait_for_room(&mut lane, records.len()).await?;
        // Nothing is awaited until it is sent: all of it is taken, whether the peer waits or not.
        let taken = Taken { records: records.len() as u64, skipped };
        lane.send(records);
        let first = lane.tools.sent;
        lane.tools.sent += taken.records;
        let (all, progress) = ((first, lane.tools.sent), lane.tools.progress.clone());
        // Others may send meanwhile: one write makes the records of many durable.
        drop(lane);
        if !progress.waits() {
            return Ok(Acknowledged::Yes(taken));
        }
        let is_gone = || shared.try_lock().is_ok_and(|lane| lane.is_closed());
        Ok(match progress.until_durable(all, patience, is_gone).await {
            true => Acknowledged::Yes(taken),
            false => Acknowledged::Unsure(taken),
        })
    }
}

/// All records of a body.
fn decode<C: Codec>(
    lane: &mut Lane<C::Value, Tools<C>>,
    body: &[u8],
) -> Result<(Vec<C::Value>, u64), Refused> {
    let most = lane.capacity();
    let Tools { codec, intake, .. } = &mut lane.tools;
    let (mut records, mut skipped) = (Vec::new(), 0);
    for (line, bytes) in (1..).zip(body.split(|byte| *byte == b'\n')) {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        if bytes.len() > intake.line_bytes_max {
            let why = format!("longer than {} bytes", intake.line_bytes_max);
            let why = Malformed::at(intake.line_bytes_max, why);
            return Err(Refused::Malformed { line, why });
        }
        match catch_unwind(AssertUnwindSafe(|| codec.decode(bytes))) {
            Ok(Ok(Some(_))) if records.len() == most => return Err(Refused::TooMany { most }),
            Ok(Ok(Some(record))) => records.push(record),
            Ok(Ok(None)) => skipped += 1,
            Ok(Err(why)) => return Err(Refused::Malformed { line, why }),
            Err(_) => return Err(Refused::Panicked { line }),
        }
    }
    Ok((records, skipped))
}

/// Waits until there is room for all records at once.
async fn wait_for_room<C: Codec>(
    lane: &mut Lane<C::Value, Tools<C>>,
    lines: usize,
) -> Result<(), Refused> {
    let patience = lane.tools.intake.patience;
    let waiting = &mut *lane;
    let enough = async move {
        while waiting.room() < lines && !waiting.is_closed() {
            tokio::time::sleep(NAP).await;
        }
    };
    let in_time = tokio::time::timeout(patience, enough).await.is_ok();
    match (lane.is_closed(), in_time) {
        (true, _) => Err(Refused::Absent),
        (false, true) => Ok(()),
        (false, false) => Err(Refused::Full { lines }),
    }
}
