//! How records become texts.

use std::fmt::{Display, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

/// How a [`WebSink`](super::WebSink) writes records, and what their keys are. It works on the
/// server's thread, once a record, however many subscribers there are.
///
/// ```
/// use millstream::web::Writing;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Price {
///     symbol: &'static str,
///     cents: u64,
/// }
///
/// let as_json = Writing::<Price>::json().keyed(|price| price.symbol);
/// let as_text = Writing::by(|price: &Price, text: &mut Vec<u8>| {
///     text.extend(format!("{} {}", price.symbol, price.cents).bytes());
/// });
/// # drop((as_json, as_text));
/// ```
pub struct Writing<T> {
    text: Box<dyn FnMut(&T, &mut Vec<u8>) -> bool + Send>,
    key: Option<Box<dyn FnMut(&T, &mut String) -> bool + Send>>,
}

impl<T: 'static> Writing<T> {
    /// As JSON. What cannot be JSON, such as an object whose keys are no text, is left out.
    pub fn json() -> Self
    where
        T: Serialize,
    {
        Self { text: Box::new(|value, text| serde_json::to_writer(text, value).is_ok()), key: None }
    }

    /// By a function that appends a text.
    pub fn by(mut write: impl FnMut(&T, &mut Vec<u8>) + Send + 'static) -> Self {
        let text = move |value: &T, text: &mut Vec<u8>| {
            write(value, text);
            true
        };
        Self { text: Box::new(text), key: None }
    }

    /// Says what the key of a record is: subscribers ask for keys by their text, and get the latest
    /// record of each first. Without it all records have the same one.
    pub fn keyed<K: Display>(self, mut key: impl FnMut(&T) -> K + Send + 'static) -> Self {
        let write = move |value: &T, text: &mut String| write!(text, "{}", key(value)).is_ok();
        Self { key: Some(Box::new(write)), ..self }
    }

    /// Whether records have keys.
    pub(super) fn has_keys(&self) -> bool {
        self.key.is_some()
    }

    /// Appends key and text; false if there is none. A panic of the user's is none either.
    pub(super) fn write(&mut self, value: &T, key: &mut String, text: &mut Vec<u8>) -> bool {
        let Self { text: write, key: write_key } = self;
        catch_unwind(AssertUnwindSafe(|| {
            write_key.as_mut().is_none_or(|write_key| write_key(value, key)) && write(value, text)
        }))
        .unwrap_or(false)
    }
}
