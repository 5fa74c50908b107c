//! What requests are answered.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A JSON object.
pub fn json(status: StatusCode, content: &serde_json::Value) -> Response {
    let text = format!("{content}\n");
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Why not, as a JSON object.
pub fn refusal(status: StatusCode, error: &str) -> Response {
    json(status, &serde_json::json!({ "error": error }))
}

/// The same, and to come again in a second.
pub fn later(content: &serde_json::Value) -> Response {
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, content);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Bytes of a content type.
pub fn content(content_type: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body.into()).into_response()
}
