//! Where questions come in and answers go out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::io::Malformed;
use crate::web::answer::{content, json, later, refusal};
use crate::web::counts::{Count, Counts};
use crate::web::house::{Door, Visit};
use crate::web::incoming::Lanes;
use crate::web::service::calls::Calls;
use crate::web::service::{Answering, Asked, Request};

type Read<Q> = Box<dyn Fn(&[u8]) -> Result<Asked<Q>, Malformed> + Send + Sync>;
type Write<A> = Box<dyn Fn(&A, &mut Vec<u8>) + Send + Sync>;

/// The server's side of a service.
pub struct Desk<Q, A> {
    read: Read<Q>,
    write: Write<A>,
    pub answering: Answering,
    pub lanes: Lanes<Request<Q>, ()>,
    pub calls: Arc<Calls<A>>,
    counts: Counts,
}

impl<Q, A> Desk<Q, A> {
    pub fn new(read: Read<Q>, write: Write<A>, answering: Answering, counts: Counts) -> Self {
        let calls = Arc::new(Calls::new(counts.clone()));
        Self { read, write, answering, lanes: Lanes::default(), calls, counts }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Door for Desk<Q, A> {
    fn take(&self, body: Bytes, visit: Visit) -> BoxFuture<'_, Response> {
        async move {
            let (count, response) = self.answer(&body, visit).await;
            self.counts.add(count, 1);
            response
        }
        .boxed()
    }

    fn stop(&self) {
        self.lanes.stop();
    }
}

impl<Q: Send + 'static, A: Send + 'static> Desk<Q, A> {
    async fn answer(&self, body: &[u8], visit: Visit) -> (Count, Response) {
        let asked = match catch_unwind(AssertUnwindSafe(|| (self.read)(body))) {
            Ok(Ok(asked)) => asked,
            Ok(Err(why)) => {
                let said = json!({ "error": why.to_string(), "offset": why.offset });
                return (Count::Malformed, json(StatusCode::BAD_REQUEST, &said));
            }
            Err(_) => return (Count::Malformed, panicked("reading the question")),
        };
        let Answering { within, within_max, margin, waiting_max, .. } = self.answering;
        let within = asked.within.unwrap_or(within).min(within_max).saturating_sub(margin);
        if visit.came.elapsed() >= within {
            return self.timed_out();
        }
        let Some(mut call) = self.calls.begin(waiting_max) else {
            return (Count::Full, later(&json!({ "error": "too many are waiting" })));
        };
        match self.ask(Request { id: call.id, value: asked.value }) {
            Ok(()) => self.counts.add(Count::Asked, 1),
            Err(refused) => return refused.answer(),
        }
        match tokio::time::timeout_at(visit.came + within, &mut call.answer).await {
            Ok(Ok(Some(answer))) => self.written(&answer),
            Ok(Ok(None)) => (Count::Declined, StatusCode::NO_CONTENT.into_response()),
            Ok(Err(_)) | Err(_) => self.timed_out(),
        }
    }

    fn timed_out(&self) -> (Count, Response) {
        let status = StatusCode::from_u16(self.answering.late_status);
        (Count::TimedOut, status.unwrap_or(StatusCode::GATEWAY_TIMEOUT).into_response())
    }

    /// Sends a question to the shard whose turn it is, or to one that has room.
    fn ask(&self, request: Request<Q>) -> Result<(), NotAsked> {
        let (mut turn, shards) = self.lanes.turn();
        for _ in 0..shards {
            let Some((lane, _)) = self.lanes.pick(turn) else { break };
            turn = turn.wrapping_add(1);
            // Nobody holds it for longer than it takes to push.
            let Ok(mut lane) = lane.try_lock() else { continue };
            if lane.room() > 0 {
                lane.send([request]);
                return Ok(());
            }
        }
        Err(if shards == 0 { NotAsked::Absent } else { NotAsked::Full })
    }

    fn written(&self, answer: &A) -> (Count, Response) {
        let mut text = Vec::new();
        match catch_unwind(AssertUnwindSafe(|| (self.write)(answer, &mut text))) {
            Ok(()) => (Count::Answered, content(self.answering.content_type, text)),
            Err(_) => (Count::Unwritable, panicked("writing the answer")),
        }
    }
}

/// Why a question was not put.
enum NotAsked {
    Absent,
    Full,
}

impl NotAsked {
    fn answer(self) -> (Count, Response) {
        let (count, why) = match self {
            Self::Absent => (Count::Absent, "no pipeline is there to answer"),
            Self::Full => (Count::Full, "no room for the question"),
        };
        (count, later(&json!({ "error": why })))
    }
}

fn panicked(what: &str) -> Response {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, &format!("{what} panicked"))
}
