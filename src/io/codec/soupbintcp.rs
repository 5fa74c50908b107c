//! SoupBinTCP: the packets of a session over TCP, as NASDAQ sends ITCH in.
//!
//! A packet is its length, two bytes with the most significant one first
//! ([`LengthPrefixed::big_endian_u16`]), its type, and what it is about. Here is what the packets
//! say; logging in and the heartbeats that a client owes are the business of whoever holds the
//! connection.
//!
//! ```
//! use millstream::io::soupbintcp::Packet;
//! use millstream::io::{Framing, LengthPrefixed};
//!
//! let (mut wire, mut framing) = (Vec::new(), LengthPrefixed::big_endian_u16(100));
//! framing.begin(&mut wire);
//! Packet::Sequenced(b"a message").encode(&mut wire);
//! framing.end(&mut wire, 0);
//! assert_eq!(wire, b"\x00\x0aSa message");
//! assert_eq!(Packet::decode(&wire[2..])?, Packet::Sequenced(b"a message"));
//! # Ok::<(), millstream::io::Malformed>(())
//! ```
//!
//! [`LengthPrefixed::big_endian_u16`]: crate::io::LengthPrefixed::big_endian_u16

use crate::io::codec::Malformed;

/// A packet without its length, where it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// `S`: a message that has a number: the one after the last such message's.
    Sequenced(&'a [u8]),
    /// `U`: a message without a number.
    Unsequenced(&'a [u8]),
    /// `+`: text for people.
    Debug(&'a [u8]),
    /// `A`: the session, and the number that the next message has, as 10 and 20 characters.
    Accepted(&'a [u8; 30]),
    /// `J`: why the login was refused: `A` by whom, `S` the session.
    Rejected(u8),
    /// `L`: user, password, session and number that a client asks for: 6, 10, 10 and 20 characters;
    /// since version 4 also after how many milliseconds of silence it is gone, in 5.
    Login(&'a [u8]),
    /// `H`: the server is there.
    ServerHeartbeat,
    /// `R`: the client is there.
    ClientHeartbeat,
    /// `Z`: the session is over.
    End,
    /// `O`: the client logs out.
    Logout,
    /// Of a type that is not known, whole.
    Unknown(&'a [u8]),
}

impl<'a> Packet<'a> {
    /// The packet that the bytes behind a length are.
    ///
    /// # Errors
    /// No bytes, or another length than its type has.
    #[inline]
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let Some((kind, body)) = bytes.split_first() else {
            return Err(Malformed::at(0, "no packet"));
        };
        let other = || Malformed::at(bytes.len(), "a packet of another length than its type has");
        let bare = |packet| if body.is_empty() { Ok(packet) } else { Err(other()) };
        match kind {
            b'S' => Ok(Self::Sequenced(body)),
            b'U' => Ok(Self::Unsequenced(body)),
            b'+' => Ok(Self::Debug(body)),
            b'A' => body.try_into().map(Self::Accepted).map_err(|_| other()),
            b'L' if matches!(body.len(), 46 | 51) => Ok(Self::Login(body)),
            b'L' => Err(other()),
            b'J' => match body {
                [reason] => Ok(Self::Rejected(*reason)),
                _ => Err(other()),
            },
            b'H' => bare(Self::ServerHeartbeat),
            b'R' => bare(Self::ClientHeartbeat),
            b'Z' => bare(Self::End),
            b'O' => bare(Self::Logout),
            _ => Ok(Self::Unknown(bytes)),
        }
    }

    /// Appends its bytes, without a length.
    pub fn encode(self, into: &mut Vec<u8>) {
        let (kind, body) = match &self {
            Self::Sequenced(body) => (b'S', *body),
            Self::Unsequenced(body) => (b'U', *body),
            Self::Debug(body) => (b'+', *body),
            Self::Accepted(body) => (b'A', &body[..]),
            Self::Login(body) => (b'L', *body),
            Self::Rejected(reason) => (b'J', std::slice::from_ref(reason)),
            Self::ServerHeartbeat => (b'H', &[][..]),
            Self::ClientHeartbeat => (b'R', &[][..]),
            Self::End => (b'Z', &[][..]),
            Self::Logout => (b'O', &[][..]),
            Self::Unknown([]) => return,
            Self::Unknown([kind, body @ ..]) => (*kind, body),
        };
        into.push(kind);
        into.extend_from_slice(body);
    }

    /// The number that the next message has, of the answer to a login.
    pub fn next_sequence(self) -> Option<u64> {
        let Self::Accepted(body) = self else { return None };
        let digits = std::str::from_utf8(body.get(10..)?).ok()?;
        digits.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_type_is_told_by_its_byte_and_its_length() {
        let accepted = *b"A0123456789                  42";
        let packet = Packet::decode(&accepted).unwrap();
        assert_eq!(packet.next_sequence(), Some(42));
        assert_eq!(Packet::End.next_sequence(), None);
        assert!(matches!(Packet::decode(&[b'L'; 47]), Ok(Packet::Login(_))));
        assert!(matches!(Packet::decode(&[b'L'; 52]), Ok(Packet::Login(_))));
        assert_eq!(Packet::decode(b"JA"), Ok(Packet::Rejected(b'A')));
        assert_eq!(Packet::decode(b"?x"), Ok(Packet::Unknown(b"?x")));
        for bad in [&accepted[..30], &[b'L'; 46], b"J", b"H ", b"Zx", b""] {
            let error = Packet::decode(bad).unwrap_err();
            assert_eq!(error.offset, Some(bad.len()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_an_error_within_them(
            kind in prop::sample::select(b"SU+AJLHRZO?".to_vec()),
            mut bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            bytes.insert(0, kind);
            match Packet::decode(&bytes) {
                Ok(packet) => {
                    let mut again = Vec::new();
                    packet.encode(&mut again);
                    prop_assert_eq!(&again, &bytes);
                    packet.next_sequence();
                }
                Err(error) => prop_assert!(error.offset.unwrap() <= bytes.len()),
            }
        }
    }
}
