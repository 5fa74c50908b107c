//! Who may.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};

use crate::trust::{Access, Refusal, Way};
use crate::web::server::Web;

/// Who asks, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody is asked who he is.
    Anybody,
    /// He is known by this name.
    Known(Arc<str>),
}

impl Who {
    /// # Errors
    /// He may not.
    pub fn permit(&self, access: &Access, way: Way, stream: &str) -> Result<(), Refusal> {
        match self {
            Self::Anybody => Ok(()),
            Self::Known(who) => access.permit(who, way, stream),
        }
    }
}

/// Who asks, by the names in his certificate or the token in his request.
///
/// # Errors
/// Why the request is not heard.
pub fn visitor(
    parts: &Parts,
    names: &[String],
    settings: &Web,
) -> Result<Who, (StatusCode, String)> {
    let refused = |status, why: &str| Err((status, why.to_owned()));
    let who = match settings.access.is_open() {
        false => known(&parts.headers, names, &settings.access)?,
        // A page of elsewhere may have had its own name lead here.
        true if !is_of_this_host(&parts.headers) => {
            return refused(StatusCode::FORBIDDEN, "`Host` is no name of this host itself");
        }
        true => Who::Anybody,
    };
    if !is_own_page(&parts.headers, settings) {
        return refused(StatusCode::FORBIDDEN, "`Origin` is a page of elsewhere");
    }
    Ok(who)
}

fn known(
    headers: &HeaderMap,
    names: &[String],
    access: &Access,
) -> Result<Who, (StatusCode, String)> {
    let said = headers.get(header::AUTHORIZATION).map(|said| said.as_bytes());
    let token = match said.map(|said| said.strip_prefix(b"Bearer ").map(std::str::from_utf8)) {
        None => None,
        Some(Some(Ok(token))) => Some(token),
        Some(_) => Some(""),
    };
    match access.known(token, names) {
        Ok(who) => Ok(Who::Known(who)),
        Err(refusal @ Refusal::Unknown { .. }) => Err((StatusCode::FORBIDDEN, refusal.to_string())),
        Err(refusal) => {
            let why = format!("{refusal}: show one, a token as `Authorization: Bearer`");
            Err((StatusCode::UNAUTHORIZED, why))
        }
    }
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
fn is_own_page(headers: &HeaderMap, settings: &Web) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let own = authority(headers).is_some_and(|own| {
        // What came in the clear may be of whoever is in between.
        let scheme = if settings.has_tls() { "https://" } else { "http://" };
        // A proxy may have spoken TLS in front of a server that does not.
        let page = origin.strip_prefix(scheme).or_else(|| origin.strip_prefix("https://"));
        page.is_some_and(|page| page.eq_ignore_ascii_case(own.as_str()))
    });
    own || settings.origins.iter().any(|allowed| allowed == origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn status(settings: &Web, names: &[&str], headers: &[(&str, &str)]) -> Option<u16> {
        let mut request = Request::builder();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
        visitor(&parts, &names, settings).err().map(|(status, _)| status.as_u16())
    }

    #[test]
    fn pages_and_names_of_elsewhere_are_refused() {
        let web = Web { origins: vec!["https://desk.example".to_owned()], ..Web::default() };
        for host in ["localhost:7", "LOCALHOST", "127.0.0.1:80", "127.1.2.3", "[::1]:9"] {
            assert_eq!(status(&web, &[], &[("host", host)]), None, "{host}");
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1", "", "[::2]", "a b"] {
            assert_eq!(status(&web, &[], &[("host", host)]), Some(403), "{host}");
        }
        assert_eq!(status(&web, &[], &[]), Some(403));
        let from = |origin| status(&web, &[], &[("host", "localhost:7"), ("origin", origin)]);
        assert_eq!(from("http://localhost:7"), None);
        assert_eq!(from("https://localhost:7"), None);
        assert_eq!(from("https://desk.example"), None);
        for origin in ["http://localhost:8", "http://evil.example", "null", "localhost:7"] {
            assert_eq!(from(origin), Some(403), "{origin}");
        }
    }

    const SECRET: &str = "0f7e5c1b9a3d4826";

    fn guarded() -> Web {
        let access = Access::nobody()
            .token("feed", SECRET)
            .may_publish("feed", "in")
            .certificate("desk", "desk 7")
            .may_subscribe("desk", "out");
        Web { access, ..Web::default() }
    }

    #[test]
    fn the_token_is_to_be_shown_as_it_is() {
        let web = guarded();
        let with =
            |said: &str| status(&web, &[], &[("host", "example.com"), ("authorization", said)]);
        assert_eq!(with(&format!("Bearer {SECRET}")), None);
        let short = &SECRET[1..];
        for said in ["Bearer ", SECRET, &format!("Bearer {short}"), &format!("Basic {SECRET}")] {
            assert_eq!(with(said), Some(401), "{said}");
        }
        assert_eq!(with(&format!("Bearer {SECRET} ")), Some(401));
        assert_eq!(status(&web, &[], &[("host", "localhost")]), Some(401));
    }

    #[test]
    fn a_certificate_counts_where_no_token_is_shown() {
        let web = guarded();
        let host = ("host", "example.com");
        assert_eq!(status(&web, &["desk 7"], &[host]), None);
        assert_eq!(status(&web, &["desk 8"], &[host]), Some(403));
        let wrong = ("authorization", "Bearer wrong");
        assert_eq!(status(&web, &["desk 7"], &[host, wrong]), Some(401));
        let known = |name: &str| Who::Known(name.into());
        let may = |who: &str, way, what| known(who).permit(&web.access, way, what).is_ok();
        assert!(may("feed", Way::Publish, "in") && may("desk", Way::Subscribe, "out"));
        assert!(!may("feed", Way::Subscribe, "out") && !may("desk", Way::Publish, "in"));
        assert!(Who::Anybody.permit(&web.access, Way::Publish, "what is not there").is_ok());
    }
}
