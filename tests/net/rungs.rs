//! A host that does not allow io_uring, or some of it.

use std::io::Write;
use std::mem::offset_of;
use std::thread;

use millstream::io::LengthPrefixed;
use millstream::net::{Count, Receiving, Rung, Sending, Slow, ZeroCopy};
use nix::libc;

use super::slow::reader;
use super::world::{connected, framed, hear, here, send, unfilled};

/// What `io_uring_register` is asked for.
const REGISTER_PROBE: u32 = 8;
const REGISTER_FILES2: u32 = 13;
const REGISTER_PBUF_RING: u32 = 22;

/// Refuses this thread, and those it starts, a call to the system, and one that asks for this only.
fn refuse(call: libc::c_long, asking: Option<u32>) {
    let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let load = |at: usize| op(0x20, 0, 0, at as u32);
    let is_second = |what| [load(offset_of!(libc::seccomp_data, args) + 8), op(0x15, 0, 1, what)];
    let asked = asking.map(is_second);
    let over = asked.map_or(0, |asked| asked.len() as u8);
    let mut filter =
        vec![load(offset_of!(libc::seccomp_data, nr)), op(0x15, 0, 1 + over, call as u32)];
    filter.extend(asked.into_iter().flatten());
    filter.push(op(0x06, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
    filter.push(op(0x06, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is a valid one, and is copied.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            + libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// On a thread of its own: what is refused stays refused.
fn where_is_refused(call: libc::c_long, asking: Option<u32>, then: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let refused = scope.spawn(move || {
            refuse(call, asking);
            then();
        });
        refused.join().unwrap();
    });
}

/// A record comes in by this rung, and more go out by it; returns whether those were uncopied.
fn serves_by(rung: Rung, why: Option<&str>) -> bool {
    const FRAME: usize = 1024;
    let listener = here();
    let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
    let mut heard = hear(&listener, LengthPrefixed::new(8), receiving);
    assert_eq!(heard.rung, rung);
    connected(listener.address()).write_all(&framed([(1, 2)])).unwrap();
    heard.until(|heard| heard.shard.is_done());
    assert_eq!(*heard.records.borrow(), [(1, 2)]);
    let sending = Sending { slow: Slow::Block, zero_copy: ZeroCopy::Always, ..Sending::default() };
    let mut sends = send(FRAME, sending);
    let (uncopied, refused) = (sends.sends_uncopied, sends.refused.take());
    assert_eq!(sends.rung, rung);
    assert_eq!(refused.is_some(), why.is_some(), "{refused:?}");
    assert!(refused.as_deref().unwrap_or("").ends_with(why.unwrap_or("")), "{refused:?}");
    let (_, reader) = reader(connected(sends.address));
    sends.until(|it| it.counts.get(Count::Accepted) == 1);
    sends.push_all((0..1_000).map(|n| (1, n)));
    let counts = sends.end();
    let want: Vec<_> = (0..1_000).map(|n| (1, n)).collect();
    assert_eq!(unfilled(&reader.join().unwrap(), FRAME), want);
    let sent = counts.get(Count::Uncopied) + counts.get(Count::CopiedAnyway);
    assert_eq!(sent > 0, uncopied, "{sent}");
    uncopied
}

#[test]
fn where_nothing_is_refused_sockets_are_registered_and_nothing_is_copied_first() {
    assert!(serves_by(Rung::Ring, None));
}

#[test]
fn where_io_uring_is_refused_epoll_serves_and_says_so() {
    for call in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter] {
        where_is_refused(call, None, || {
            assert!(!serves_by(Rung::Epoll, Some("Operation not permitted (os error 1)")));
        });
    }
    // No buffers that receives choose from.
    where_is_refused(libc::SYS_io_uring_register, Some(REGISTER_PBUF_RING), || {
        assert!(!serves_by(Rung::Epoll, Some("Operation not permitted (os error 1)")));
    });
}

#[test]
fn where_registered_sockets_are_refused_plain_ones_serve_and_say_so() {
    where_is_refused(libc::SYS_io_uring_register, Some(REGISTER_FILES2), || {
        assert!(serves_by(Rung::PlainRing, Some("Operation not permitted (os error 1)")));
    });
}

#[test]
fn where_sends_without_a_copy_are_not_known_everything_is_copied() {
    where_is_refused(libc::SYS_io_uring_register, Some(REGISTER_PROBE), || {
        assert!(!serves_by(Rung::Ring, None));
    });
}
