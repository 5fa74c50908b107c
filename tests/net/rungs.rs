//! A host that does not allow io_uring.

use std::io::Write;

use millstream::io::LengthPrefixed;
use millstream::net::{Receiving, Rung};
use nix::libc;

use super::world::{connected, framed, hear, here};

/// Lets this thread, and those it starts, make no io_uring.
fn refuse_io_uring() {
    let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    let mut filter = [
        op(0x20, 0, 0, 0), // the number of the call
        op(0x15, 0, 1, libc::SYS_io_uring_setup as u32),
        op(0x06, 0, 0, refused),
        op(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program is a valid one, and is copied.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            + libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn where_io_uring_is_refused_epoll_serves_and_says_so() {
    std::thread::spawn(|| {
        refuse_io_uring();
        let listener = here();
        let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
        let mut heard = hear(&listener, LengthPrefixed::new(8), receiving);
        assert_eq!(heard.rung, Rung::Epoll);
        connected(listener.address()).write_all(&framed([(1, 2)])).unwrap();
        heard.until(|heard| heard.shard.is_done());
        assert_eq!(*heard.records.borrow(), [(1, 2)]);
    })
    .join()
    .unwrap();
}
