"""Who takes part: how each is built, started and stopped."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "rivals"

# A build, and a turn beside what it measures, take no longer than that, in seconds.
BUILD_MOST, TURN_MOST = 1800, 240


class Unavailable(Exception):
    """Why a contestant cannot take part."""


def say(text):
    """Progress, to whoever watches."""
    print(f"rivals: {text}", file=sys.stderr, flush=True)


def cpus():
    """The CPUs that may be used."""
    return sorted(os.sched_getaffinity(0))


def call(command, most, **options):
    """Runs a command to its end, or kills it and what it started; returns what it printed."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **streams, **options) as process:
        try:
            out, err = process.communicate(timeout=most)
        except BaseException as error:
            # Its own process group, so nothing else is hit.
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Unavailable(f"not done after {most:.0f} s, killed") from None
            raise
    if process.returncode != 0:
        last = [line for line in (err or out).splitlines() if line.strip()][-8:]
        raise Unavailable(f"exit status {process.returncode}: {' / '.join(last)[-600:]}")
    return out


def cargo(folder, quick, *more):
    """Builds a package; a quick build is without link-time optimisation, in a folder of its own."""
    if shutil.which("cargo") is None:
        raise Unavailable("no cargo")
    target = TARGET / ("build-quick" if quick else "build")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never",
                   "CARGO_PROFILE_RELEASE_DEBUG": "none"}
    if quick:
        environment |= {"CARGO_PROFILE_RELEASE_LTO": "off",
                        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
    manifest = ["--manifest-path", str(folder / "Cargo.toml")]
    command = ["nice", "-n", "10", "cargo", "build", "--release", "--locked", *manifest, *more]
    call(command, BUILD_MOST, env=environment)
    return target / "release"


def locked(folder, package):
    """The version of a package that is built."""
    text = (folder / "Cargo.lock").read_text()
    found = re.search(rf'name = "{re.escape(package)}"\nversion = "([^"]+)"', text)
    return found.group(1) if found else "?"


class Contestant:
    """One that is told a workload and prints a line of JSON."""

    # Workloads that it does not do, by kind, and why.
    LEAVES = {}
    # Whether it is known to lose records: then other results are no error of ours.
    LOSES = False
    # Said in the table.
    ABOUT = ""

    def __init__(self, name):
        self.name, self.version = name, "?"

    def build(self, quick):
        raise NotImplementedError

    def command(self, case, seconds):
        raise NotImplementedError

    def does(self, case):
        return self.why_not(case) is None

    def why_not(self, case):
        return self.LEAVES.get((case.kind, case.cores)) or self.LEAVES.get(case.kind)

    def run(self, case, seconds=None):
        """One turn. What went wrong comes in the place of what was found."""
        seconds = seconds or case.seconds
        pinned = ["taskset", "-c", ",".join(map(str, case.cpus))]
        try:
            out = call(pinned + self.command(case, seconds), TURN_MOST + 4 * seconds)
            lines = [line for line in out.splitlines() if line.startswith("{")]
            return json.loads(lines[-1]) if lines else {"left_out": "it printed nothing"}
        except Unavailable as why:
            return {"left_out": str(why)}


class Rust(Contestant):
    """A package beside this file."""

    def __init__(self, name, folder, package, leaves=None, loses=False, about=""):
        super().__init__(name)
        self.folder, self.package = HERE / folder, package
        self.LEAVES, self.LOSES, self.ABOUT = leaves or {}, loses, about
        self.binary = None

    def build(self, quick):
        say(f"building {self.name}")
        self.binary = cargo(self.folder, quick) / f"rival-{self.folder.name}"
        self.version = locked(self.folder, self.package)

    def command(self, case, seconds):
        numbers = ",".join(map(str, case.cpus))
        command = [str(self.binary), case.workload, "--cpus", numbers, "--seconds", str(seconds),
                   "--records", str(case.records)]
        if case.rate:
            command += ["--rate", str(case.rate)]
        if case.way and self.name == OURS.name:
            command += ["--way", case.way]
        return command


def host(quick, all_cpus):
    """The host's fingerprint and its noise floor, as `millstream bench` has them."""
    say("the host and its noise floor")
    try:
        binary = cargo(ROOT, quick, "--bin", "millstream") / "millstream"
        numbers = ",".join(map(str, all_cpus[:2]))
        bench = [str(binary), "bench", "bars", "--seconds", "2" if quick else "15"]
        found = json.loads(call(bench + ["--cpus", numbers, "--json"], TURN_MOST))
        return {"host": found["host"], "noise_floor_ns": found["noise_floor"]}
    except (Unavailable, ValueError, KeyError) as why:
        return {"host": {}, "noise_floor_ns": None, "why": str(why)}


ONE_CORE = "written by hand for one core only"

OURS = Rust("millstream", "ours", "millstream")
RIVALS = {rival.name: rival for rival in (
    Rust("hand", "hand", "rival-hand", about="loops written by hand, no engine",
         leaves={("latency", 2): ONE_CORE}),
    Rust("timely", "timely", "timely", about="operators written by hand"),
)}
