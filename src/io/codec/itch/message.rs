//! The types of messages.
//!
//! Lengths and offsets were checked against two independent readings of the specification; the test
//! below holds a table of its own.

use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::io::codec::Malformed;
use crate::io::codec::itch::fields::{Alpha, Header, Price4, Price8};

/// Declares each type once: its byte, its length with that byte, and what follows the header.
macro_rules! messages {
    ($(
        $(#[$about:meta])*
        $name:ident = $kind:literal, $length:literal {
            $($(#[$what:meta])* $field:ident: $type:ty,)*
        }
    )*) => {
        $(
            $(#[$about])*
            #[derive(
                Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
                Unaligned,
            )]
            #[repr(C)]
            pub struct $name {
                /// Stock, tracking number and time.
                pub header: Header,
                $($(#[$what])* pub $field: $type,)*
            }

            impl $name {
                /// The byte of its type.
                pub const KIND: u8 = byte($kind);

                /// The length of such a message, with that byte.
                pub const BYTES: usize = $length;
            }

            const _: () = assert!(1 + size_of::<$name>() == $name::BYTES);
        )*

        /// A message, where it was received.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Message<'a> {
            $($(#[$about])* $name(&'a $name),)*
            /// A message of a type that is not known, whole.
            Unknown(&'a [u8]),
        }

        impl<'a> Message<'a> {
            /// The message that bytes are.
            ///
            /// # Errors
            /// Bytes of another length than a message of their type has; no bytes at all.
            #[inline]
            pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
                let Some((kind, body)) = bytes.split_first() else {
                    return Err(Malformed::at(0, "no message"));
                };
                match *kind {
                    $($name::KIND => match $name::ref_from_bytes(body) {
                        Ok(message) => Ok(Self::$name(message)),
                        Err(_) => Err(other_length(bytes.len(), $name::BYTES, [
                            concat!("`", $kind, "` has ", $length, " bytes, and there are less"),
                            concat!("`", $kind, "` has ", $length, " bytes, and there are more"),
                        ])),
                    },)*
                    _ => Ok(Self::Unknown(bytes)),
                }
            }

            /// Appends its bytes.
            #[inline]
            pub fn encode(self, into: &mut Vec<u8>) {
                match self {
                    $(Self::$name(message) => {
                        into.push($name::KIND);
                        into.extend_from_slice(message.as_bytes());
                    })*
                    Self::Unknown(bytes) => into.extend_from_slice(bytes),
                }
            }

            /// Stock, tracking number and time; none of a type that is not known.
            #[inline]
            pub fn header(self) -> Option<&'a Header> {
                match self {
                    $(Self::$name(message) => Some(&message.header),)*
                    Self::Unknown(_) => None,
                }
            }
        }

        /// The length of a message of this type, its type byte included; none if it is not known.
        pub fn length_of(kind: u8) -> Option<usize> {
            match kind {
                $($name::KIND => Some($name::BYTES),)*
                _ => None,
            }
        }
    };
}

/// A letter as the byte that it is on the wire.
const fn byte(letter: char) -> u8 {
    letter as u8
}

/// Kept out of line, so that decoding what is in order stays small.
#[cold]
fn other_length(found: usize, wanted: usize, [less, more]: [&'static str; 2]) -> Malformed {
    Malformed::at(found.min(wanted), if found < wanted { less } else { more })
}

messages! {
    /// `S`: the day's hours begin and end. Codes `O S Q M E C`, in this order.
    SystemEvent = 'S', 12 {
        /// Which.
        event: u8,
    }
    /// `R`: a stock that is traded, and the number that it has on this day.
    StockDirectory = 'R', 39 {
        /// Its symbol.
        stock: Alpha<8>,
        /// Where it is listed.
        market_category: u8,
        /// Whether its issuer is in order.
        financial_status: u8,
        /// Shares of a round lot.
        round_lot: U32,
        /// `Y` if only round lots are taken.
        round_lots_only: u8,
        /// What kind of security it is.
        classification: u8,
        /// In more detail.
        sub_type: Alpha<2>,
        /// `P` live, `T` a test.
        authenticity: u8,
        /// Whether it is on the short sale threshold list.
        short_sale_threshold: u8,
        /// `Y` on the day of its offering.
        ipo: u8,
        /// The tier of its price bands.
        luld_tier: u8,
        /// `Y` for an exchange traded product.
        etp: u8,
        /// By how much that is leveraged.
        etp_leverage: U32,
        /// `Y` if it goes the other way.
        inverse: u8,
    }
    /// `H`: whether a stock is traded. States `H P Q T`.
    TradingAction = 'H', 25 {
        /// Its symbol.
        stock: Alpha<8>,
        /// Its state.
        state: u8,
        /// Not used.
        reserved: u8,
        /// Why.
        reason: Alpha<4>,
    }
    /// `Y`: whether a stock may be sold short at its bid.
    RegSho = 'Y', 20 {
        /// Its symbol.
        stock: Alpha<8>,
        /// `0` no restriction, `1` one since today, `2` one that remains.
        action: u8,
    }
    /// `L`: a market participant's position in a stock.
    ParticipantPosition = 'L', 26 {
        /// The participant.
        participant: Alpha<4>,
        /// The stock's symbol.
        stock: Alpha<8>,
        /// `Y` for the primary market maker.
        primary: u8,
        /// How it makes the market.
        mode: u8,
        /// Whether it is active.
        state: u8,
    }
    /// `V`: at which levels of the index the whole market stops.
    MwcbLevels = 'V', 35 {
        /// The first.
        level_1: Price8,
        /// The second.
        level_2: Price8,
        /// The third.
        level_3: Price8,
    }
    /// `W`: such a level was reached.
    MwcbStatus = 'W', 12 {
        /// `1`, `2` or `3`.
        level: u8,
    }
    /// `K`: when an offering begins to be quoted.
    IpoQuoting = 'K', 28 {
        /// Its symbol.
        stock: Alpha<8>,
        /// Seconds since midnight; 0 if it was called off.
        release: U32,
        /// `A` expected, `C` called off.
        qualifier: u8,
        /// The price of the offering.
        price: Price4,
    }
    /// `J`: between which prices an auction may end.
    AuctionCollar = 'J', 35 {
        /// The stock's symbol.
        stock: Alpha<8>,
        /// What the collars are computed from.
        reference: Price4,
        /// The upper one.
        upper: Price4,
        /// The lower one.
        lower: Price4,
        /// How often the auction was prolonged.
        extension: U32,
    }
    /// `h`: one of the exchange's markets stops trading a stock, or goes on.
    OperationalHalt = 'h', 21 {
        /// Its symbol.
        stock: Alpha<8>,
        /// Which market.
        market: u8,
        /// `H` stops, `T` goes on.
        action: u8,
    }
    /// `A`: an order is on the book.
    AddOrder = 'A', 36 {
        /// Its number on this day.
        order: U64,
        /// `B` or `S`.
        side: u8,
        /// Shares that are shown.
        shares: U32,
        /// The stock's symbol.
        stock: Alpha<8>,
        /// At which price.
        price: Price4,
    }
    /// `F`: an order is on the book, and whose.
    AddOrderAttributed = 'F', 40 {
        /// Its number on this day.
        order: U64,
        /// `B` or `S`.
        side: u8,
        /// Shares that are shown.
        shares: U32,
        /// The stock's symbol.
        stock: Alpha<8>,
        /// At which price.
        price: Price4,
        /// Whose.
        participant: Alpha<4>,
    }
    /// `E`: an order was executed at its price, in whole or in part.
    OrderExecuted = 'E', 31 {
        /// Which.
        order: U64,
        /// How many shares.
        shares: U32,
        /// The execution's number on this day.
        execution: U64,
    }
    /// `C`: the same at another price.
    OrderExecutedAt = 'C', 36 {
        /// Which.
        order: U64,
        /// How many shares.
        shares: U32,
        /// The execution's number on this day.
        execution: U64,
        /// `N` if a later print counts it.
        printable: u8,
        /// At which price.
        price: Price4,
    }
    /// `X`: some shares of an order are taken back.
    OrderCancel = 'X', 23 {
        /// Which.
        order: U64,
        /// How many shares.
        shares: U32,
    }
    /// `D`: an order is taken off the book.
    OrderDelete = 'D', 19 {
        /// Which.
        order: U64,
    }
    /// `U`: an order is taken off the book and another one, of the same side, stock and owner, is
    /// on it instead.
    OrderReplace = 'U', 35 {
        /// The one taken off.
        order: U64,
        /// The new one's number.
        by: U64,
        /// Shares that are shown.
        shares: U32,
        /// At which price.
        price: Price4,
    }
    /// `P`: an order that was not shown was executed.
    Trade = 'P', 44 {
        /// 0, since 2010.
        order: U64,
        /// `B`, since 2014.
        side: u8,
        /// How many shares.
        shares: U32,
        /// The stock's symbol.
        stock: Alpha<8>,
        /// At which price.
        price: Price4,
        /// The execution's number on this day.
        execution: U64,
    }
    /// `Q`: an auction is over. Kinds `O C H`.
    CrossTrade = 'Q', 40 {
        /// How many shares.
        shares: U64,
        /// The stock's symbol.
        stock: Alpha<8>,
        /// At which price.
        price: Price4,
        /// The execution's number on this day.
        execution: U64,
        /// Of which kind it was.
        cross: u8,
    }
    /// `B`: an execution is void.
    BrokenTrade = 'B', 19 {
        /// Its number.
        execution: U64,
    }
    /// `I`: what an auction would come to if it ended now.
    Imbalance = 'I', 50 {
        /// Shares that would be traded.
        paired: U64,
        /// Shares that would be left.
        imbalance: U64,
        /// On which side: `B S N O P`.
        direction: u8,
        /// The stock's symbol.
        stock: Alpha<8>,
        /// At which price the auction's own orders would be matched.
        far: Price4,
        /// At which price all orders would be.
        near: Price4,
        /// At which price the shares were counted.
        reference: Price4,
        /// Of which kind it is: `O C H A`.
        cross: u8,
        /// How far the near price is from the reference.
        variation: u8,
    }
    /// `N`: whether retail orders are bettered.
    RetailInterest = 'N', 20 {
        /// The stock's symbol.
        stock: Alpha<8>,
        /// On which side: `B S A N`.
        side: u8,
    }
    /// `O`: how far a direct listing with a capital raise has come, since 2023.
    DirectListing = 'O', 48 {
        /// Its symbol.
        stock: Alpha<8>,
        /// `Y` if it may be opened.
        eligible: u8,
        /// The least price that it may open at.
        minimum: Price4,
        /// The most.
        maximum: Price4,
        /// The price at which the volatility test was passed.
        near_price: Price4,
        /// When that was, in a unit that the specification does not name.
        near_time: U64,
        /// The lower collar.
        lower: Price4,
        /// The upper collar.
        upper: Price4,
    }
}

#[cfg(test)]
mod tests;
