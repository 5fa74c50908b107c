//! Which way TLS is done, and that it is said.

use millstream::net::{Gating, Receiving, TlsRung};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::world::{gate, guarded, hear, open, tls_rungs, wait_until};

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

/// The threads of this process that have a name.
fn threads(name: &str) -> Vec<Pid> {
    let all = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = all.filter(|task| {
        let its = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        its.trim_end() == name
    });
    named.map(|task| Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap())).collect()
}

#[test]
fn the_thread_of_a_gate_keeps_off_the_core_of_a_shard() {
    let kept = gate(open());
    let door = kept.gate.inlet("numbers", 1).unwrap();
    let name = format!("gate {}", kept.gate.address().port());
    let shard = std::thread::spawn(move || {
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let cpus: Vec<_> = (0..CpuSet::count()).filter(|cpu| all.is_set(*cpu).unwrap()).collect();
        let mut own = CpuSet::new();
        own.set(cpus[0]).unwrap();
        sched_setaffinity(Pid::from_raw(0), &own).unwrap();
        // It gives itself its name when it begins.
        wait_until(|| threads(&name).len() == 1);
        let its = threads(&name);
        let is_here = || sched_getaffinity(its[0]).unwrap().is_set(cpus[0]).unwrap();
        assert!(is_here(), "nobody has told it yet");
        let _heard = hear(&door, Receiving::default());
        // Where there is one core there is nowhere to go.
        wait_until(|| !is_here() || cpus.len() == 1);
    });
    shard.join().unwrap();
}
