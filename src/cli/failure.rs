//! Why a command ends badly: one line for the user and an exit code for the shell.

use crate::error::{CodecError, ConfigError, Error, ErrorKind, IoError};

/// What every command returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// A command that did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened to what, in one line.
    pub message: String,
    /// What the shell gets: [`RAN`](Self::RAN) or [`REFUSED`](Self::REFUSED).
    pub code: u8,
}

impl Failure {
    /// The run started and failed.
    pub const RAN: u8 = 1;
    /// Nothing ran: the command line, or a file or a column that it names, cannot be used.
    pub const REFUSED: u8 = 2;

    /// Nothing ran, whatever kind of error it was.
    pub fn refused(error: impl Into<Error>) -> Self {
        Self { message: in_flags(&error.into()), code: Self::REFUSED }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = if error.kind() == ErrorKind::Caller { Self::REFUSED } else { Self::RAN };
        Self { message: in_flags(&error), code }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Error::from(error).into()
    }
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Error::from(error).into()
    }
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Self {
        Error::from(error).into()
    }
}

/// An error in the words of the command line: settings go by the names of their flags.
fn in_flags(error: &Error) -> String {
    match error {
        Error::Config(ConfigError::Setting { setting, value, reason }) => {
            format!("{} {value}: {reason}", flag_of(setting))
        }
        other => other.to_string(),
    }
    // A reason that quotes its input may hold anything; the message stays one line.
    .replace(['\n', '\r'], " ")
}

/// The flag that sets a setting, or else the setting.
fn flag_of(setting: &str) -> &str {
    match setting {
        "shards" => "--shards",
        "ring_capacity" => "--ring-capacity",
        "batch_max" => "--batch-max",
        "rate" | "event_rate" => "--rate",
        "speed" => "--speed",
        "arrival" => "--arrival",
        "closed loop" => "--closed-loop",
        "window" => "--window",
        "slide" => "--slide",
        "columns" => "--columns",
        "time unit" => "--time-unit",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_flag_and_stay_on_one_line() {
        let refused = Failure::from(ConfigError::setting("ring_capacity", 0, "at least\n1"));
        assert_eq!(refused.message, "--ring-capacity 0: at least 1");
        assert_eq!(refused.code, Failure::REFUSED);
        let broken = || IoError::new("write", "bars.csv", std::io::ErrorKind::BrokenPipe.into());
        assert_eq!(Failure::from(broken()).code, Failure::RAN);
        assert_eq!(Failure::refused(broken()).code, Failure::REFUSED);
        assert!(Failure::from(broken()).message.starts_with("write bars.csv: "));
    }
}
