//! Who may.

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};

use crate::web::server::Web;

/// Why a request is not heard, if it is not.
pub fn refused(parts: &Parts, settings: &Web) -> Option<(StatusCode, &'static str)> {
    match &settings.token {
        Some(token) if !shows(&parts.headers, token) => {
            Some((StatusCode::UNAUTHORIZED, "`Authorization: Bearer` and the token are missing"))
        }
        // A page of elsewhere may have had its own name lead here.
        None if !is_of_this_host(&parts.headers) => {
            Some((StatusCode::FORBIDDEN, "`Host` is no name of this host itself"))
        }
        _ if !is_own_page(&parts.headers, &settings.origins) => {
            Some((StatusCode::FORBIDDEN, "`Origin` is a page of elsewhere"))
        }
        _ => None,
    }
}

/// Whether the token is there. How long it takes to see that does not tell how much of it is right.
fn shows(headers: &HeaderMap, token: &str) -> bool {
    let Some(said) = headers.get(header::AUTHORIZATION) else { return false };
    let Some(said) = said.as_bytes().strip_prefix(b"Bearer ") else { return false };
    let differs = said.iter().zip(token.as_bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differs) == 0 && said.len() == token.len()
}

fn authority(headers: &HeaderMap) -> Option<Authority> {
    headers.get(header::HOST)?.to_str().ok()?.parse().ok()
}

fn is_of_this_host(headers: &HeaderMap) -> bool {
    let Some(authority) = authority(headers) else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether it is no page that asks, or one of this server or of those that are allowed.
fn is_own_page(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let own = authority(headers).is_some_and(|own| {
        let page = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        page.is_some_and(|page| page.eq_ignore_ascii_case(own.as_str()))
    });
    own || allowed.iter().any(|allowed| allowed == origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn status(settings: &Web, headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        refused(&parts, settings).map(|(status, _)| status.as_u16())
    }

    #[test]
    fn pages_and_names_of_elsewhere_are_refused() {
        let web = Web { origins: vec!["https://desk.example".to_owned()], ..Web::default() };
        for host in ["localhost:7", "LOCALHOST", "127.0.0.1:80", "127.1.2.3", "[::1]:9"] {
            assert_eq!(status(&web, &[("host", host)]), None, "{host}");
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1", "", "[::2]", "a b"] {
            assert_eq!(status(&web, &[("host", host)]), Some(403), "{host}");
        }
        assert_eq!(status(&web, &[]), Some(403));
        let from = |origin| status(&web, &[("host", "localhost:7"), ("origin", origin)]);
        assert_eq!(from("http://localhost:7"), None);
        assert_eq!(from("https://desk.example"), None);
        for origin in ["http://localhost:8", "http://evil.example", "null", "localhost:7"] {
            assert_eq!(from(origin), Some(403), "{origin}");
        }
    }

    #[test]
    fn the_token_is_to_be_shown_as_it_is() {
        let web = Web { token: Some("s3cret".to_owned()), ..Web::default() };
        let with = |said| status(&web, &[("host", "example.com"), ("authorization", said)]);
        assert_eq!(with("Bearer s3cret"), None);
        for said in ["Bearer s3cre", "Bearer s3cret5", "Bearer ", "s3cret", "Basic s3cret"] {
            assert_eq!(with(said), Some(401), "{said}");
        }
        assert_eq!(status(&web, &[("host", "localhost")]), Some(401));
    }
}
