//! Who may publish and subscribe to what.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use crate::error::ConfigError;
use crate::trust::way::Way;

/// The shortest secret that is taken for one: shorter ones can be guessed.
const TOKEN_MIN: usize = 16;

/// The longest stream name and secret.
const WORD_MAX: usize = 256;

/// Whether these bytes can be a word of what one says who connects.
pub fn is_word(bytes: &[u8]) -> bool {
    (1..=WORD_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// Why somebody may not what he wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has the token that he shows.
    WrongToken,
    /// He shows nothing.
    NothingShown,
    /// Nobody is known by the names in his certificate.
    Unknown { names: String },
    /// He is known, and may not.
    NotPermitted { who: Arc<str>, way: Way, stream: String },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongToken => f.write_str("wrong token"),
            Self::NothingShown => f.write_str("neither a token nor a certificate"),
            Self::Unknown { names } => write!(f, "nobody here is known as {names}"),
            Self::NotPermitted { who, way, stream } => write!(f, "{who} may not {way} {stream}"),
        }
    }
}

/// Who is known at a port (a `Gate`, a `WebServer`), by what, and what each may do there.
///
/// Whoever is not named in it may nothing. A name is the user's own word for somebody: it stands in
/// what is told of him, and what he may is said of it.
///
/// ```
/// use millstream::trust::Access;
///
/// let access = Access::nobody()
///     .token("feed", "0f7e5c1b9a3d4826")
///     .may_publish("feed", "trades")
///     .certificate("desk", "desk.example")
///     .may_subscribe("desk", "bars");
/// assert!(!format!("{access:?}").contains("0f7e"), "secrets are not shown");
/// ```
#[derive(Clone, Default)]
pub struct Access {
    is_open: bool,
    tokens: Vec<(Arc<str>, Vec<u8>)>,
    names: Vec<(Arc<str>, String)>,
    may: Vec<(Arc<str>, Way, String)>,
}

impl Access {
    /// Nobody may anything, as long as nobody is added.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Everybody may everything, and nobody is asked who he is. Only for loopback.
    pub fn anybody() -> Self {
        Self { is_open: true, ..Self::default() }
    }

    /// Who says this secret is known by this name: 16 bytes at least, without spaces.
    pub fn token(mut self, who: &str, secret: &str) -> Self {
        self.tokens.push((who.into(), secret.as_bytes().to_vec()));
        self
    }

    /// Who shows a certificate for `name` is known by `who`. The names of a certificate are its
    /// alternative DNS names and URIs and its subject's common name, as they stand there.
    pub fn certificate(mut self, who: &str, name: &str) -> Self {
        self.names.push((who.into(), name.to_owned()));
        self
    }

    /// He may send records of this stream.
    pub fn may_publish(self, who: &str, stream: &str) -> Self {
        self.with(who, Way::Publish, stream)
    }

    /// He may have the records of this stream.
    pub fn may_subscribe(self, who: &str, stream: &str) -> Self {
        self.with(who, Way::Subscribe, stream)
    }

    fn with(mut self, who: &str, way: Way, stream: &str) -> Self {
        self.may.push((who.into(), way, stream.to_owned()));
        self
    }

    /// Whether nobody is asked who he is.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether somebody is known by a secret.
    pub(crate) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether somebody is known by a certificate.
    pub(crate) fn has_names(&self) -> bool {
        !self.names.is_empty()
    }

    /// # Errors
    /// A secret that is none, or a permission for somebody who is not known.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        for (who, token) in &self.tokens {
            if token.len() < TOKEN_MIN || !is_word(token) {
                let reason = "a secret has 16 to 256 printable characters, and no space";
                return Err(ConfigError::setting("token of", who, reason));
            }
        }
        let known = || self.tokens.iter().map(|it| &it.0).chain(self.names.iter().map(|it| &it.0));
        match self.may.iter().find(|(who, ..)| !known().any(|other| other == who)) {
            Some((who, ..)) => {
                let reason = "may do something, and nobody is known by that name: add a `token` \
                              or a `certificate`";
                Err(ConfigError::setting("access of", who, reason))
            }
            None => Ok(()),
        }
    }

    /// Who it is that shows a token, or a certificate with these names.
    pub(crate) fn known(&self, token: Option<&str>, names: &[String]) -> Result<Arc<str>, Refusal> {
        if let Some(token) = token {
            return self.of_token(token).ok_or(Refusal::WrongToken);
        }
        if names.is_empty() {
            return Err(Refusal::NothingShown);
        }
        self.of_names(names).ok_or_else(|| Refusal::Unknown { names: names.join(", ") })
    }

    /// # Errors
    /// He may not.
    pub(crate) fn permit(&self, who: &Arc<str>, way: Way, stream: &str) -> Result<(), Refusal> {
        if self.may(who, way, stream) {
            return Ok(());
        }
        Err(Refusal::NotPermitted { who: who.clone(), way, stream: stream.to_owned() })
    }

    /// Who says this. It takes as long whoever it is.
    fn of_token(&self, said: &str) -> Option<Arc<str>> {
        let mut found = None;
        for (who, token) in &self.tokens {
            if bool::from(token.as_slice().ct_eq(said.as_bytes())) {
                found = Some(who);
            }
        }
        found.cloned()
    }

    /// Who has a certificate with one of these names.
    fn of_names(&self, shown: &[String]) -> Option<Arc<str>> {
        let known = self.names.iter().find(|(_, name)| shown.contains(name));
        known.map(|(who, _)| who.clone())
    }

    /// Whether he may.
    fn may(&self, who: &str, way: Way, stream: &str) -> bool {
        let mut all = self.may.iter();
        all.any(|(whose, which, of)| &**whose == who && *which == way && of == stream)
    }
}

impl fmt::Debug for Access {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens: Vec<_> = self.tokens.iter().map(|(who, _)| who).collect();
        f.debug_struct("Access")
            .field("is_open", &self.is_open)
            .field("tokens_of", &tokens)
            .field("names", &self.names)
            .field("may", &self.may)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_may_what_was_said_of_him_and_no_more() {
        let access = Access::nobody()
            .token("feed", "a secret of feeds".replace(' ', "-").as_str())
            .certificate("desk", "desk.example")
            .may_publish("feed", "trades")
            .may_subscribe("desk", "trades");
        assert!(access.check().is_ok());
        assert_eq!(access.of_token("a-secret-of-feeds").as_deref(), Some("feed"));
        for wrong in ["", "a-secret-of-feed", "a-secret-of-feeds-", "a-secret-of-feedz"] {
            assert_eq!(access.of_token(wrong), None, "{wrong}");
        }
        let shown = ["other".to_owned(), "desk.example".to_owned()];
        assert_eq!(access.of_names(&shown).as_deref(), Some("desk"));
        assert_eq!(access.of_names(&shown[..1]), None);
        assert!(access.may("feed", Way::Publish, "trades"));
        assert!(!access.may("feed", Way::Subscribe, "trades"));
        assert!(!access.may("feed", Way::Publish, "bars"));
        assert!(!access.may("desk", Way::Publish, "trades"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let told = |access: Access| access.check().map_err(|error| error.to_string());
        let short = told(Access::nobody().token("feed", "short"));
        assert!(short.is_err_and(|it| it.contains("feed") && it.contains("16")));
        let spaced = told(Access::nobody().token("feed", "a secret with spaces in it"));
        assert!(spaced.is_err_and(|it| it.contains("no space")));
        let unknown = told(Access::nobody().may_publish("feed", "trades"));
        assert!(unknown.is_err_and(|it| it.contains("feed") && it.contains("nobody is known")));
    }
}
