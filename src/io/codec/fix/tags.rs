//! Numbers of fields.

/// BeginString.
pub const BEGIN_STRING: u32 = 8;
/// BodyLength.
pub const BODY_LENGTH: u32 = 9;
/// CheckSum.
pub const CHECK_SUM: u32 = 10;
/// MsgSeqNum.
pub const SEQUENCE: u32 = 34;
/// MsgType.
pub const KIND: u32 = 35;
/// SenderCompID.
pub const SENDER: u32 = 49;
/// SendingTime.
pub const SENDING_TIME: u32 = 52;
/// TargetCompID.
pub const TARGET: u32 = 56;
/// Text.
pub const TEXT: u32 = 58;

/// Lengths, and the data that stands behind them.
pub const DATA: [(u32, u32); 23] = [
    (90, 91),
    (93, 89),
    (95, 96),
    (212, 213),
    (348, 349),
    (350, 351),
    (352, 353),
    (354, 355),
    (356, 357),
    (358, 359),
    (360, 361),
    (362, 363),
    (364, 365),
    (445, 446),
    (618, 619),
    (621, 622),
    (1184, 1185),
    (1277, 1278),
    (1280, 1281),
    (1282, 1283),
    (1397, 1398),
    (1401, 1402),
    (1403, 1404),
];

/// The tag of the data whose length this tag says.
#[inline]
pub(super) fn data_of(length: u32) -> Option<u32> {
    // Most tags are none of them, and few are so high.
    match length {
        0..90 | 1404.. => None,
        _ => DATA.iter().find(|(tag, _)| *tag == length).map(|(_, data)| *data),
    }
}

/// Whether it is of the header, where the session's fields are.
#[inline]
pub(super) fn is_of_header(tag: u32) -> bool {
    matches!(
        tag,
        8 | 9
            | 34
            | 35
            | 43
            | 49
            | 50
            | 52
            | 56
            | 57
            | 90
            | 91
            | 97
            | 115
            | 116
            | 122
            | 128
            | 129
            | 142..=145
            | 212
            | 213
            | 347
            | 369
            | 627..=630
            | 1128
            | 1129
            | 1156
    )
}
