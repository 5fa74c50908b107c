//! Which way TLS is done, and that it is said.

use millstream::net::{Gating, TlsRung};

use super::world::{gate, guarded, open, tls_rungs};

#[test]
fn the_rung_in_use_is_said_and_why_it_is_not_the_best() {
    let kept = gate(open());
    assert_eq!(kept.gate.rung(), Some(tls_rungs()[0]));
    match tls_rungs()[0] {
        // Some kernels do not know each cipher.
        TlsRung::Kernel => {}
        TlsRung::Thread => assert!(kept.gate.refused().is_some(), "the kernel said why"),
    }
    let kept = gate(Gating { from: TlsRung::Thread, ..open() });
    assert_eq!((kept.gate.rung(), kept.gate.refused()), (Some(TlsRung::Thread), None));
    let kept = gate(Gating { tls: None, ..guarded() });
    assert_eq!((kept.gate.rung(), kept.gate.refused()), (None, None));
}
