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
    # Whether it has two cores where the others have one: its source spins on one of them.
    BOTH_CORES = False
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
        return self.LEAVES.get((case.kind, case.cores)) or self.LEAVES.get(case.kind) \
            or self.LEAVES.get(case.workload)

    def run(self, case, seconds=None):
        """One turn. What went wrong comes in the place of what was found."""
        seconds = seconds or case.seconds
        on = cpus()[:2] if self.BOTH_CORES else case.cpus
        pinned = ["taskset", "-c", ",".join(map(str, on))]
        try:
            out = call(pinned + self.command(case, seconds), TURN_MOST + 4 * seconds)
            lines = [line for line in out.splitlines() if line.startswith("{")]
            return json.loads(lines[-1]) if lines else {"left_out": "it printed nothing"}
        except Unavailable as why:
            return {"left_out": str(why)}


class Absent(Contestant):
    """One that ought to take part and does not: the table says why."""

    def __init__(self, name, why):
        super().__init__(name)
        self.why = why

    def build(self, quick):
        raise Unavailable(self.why)


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


def packages(*names):
    """Installs Debian's packages, where nothing else is there."""
    root = [] if os.geteuid() == 0 else ["sudo"]
    if shutil.which("apt-get") is None:
        raise Unavailable(f"not there, and no apt-get to install it by: {', '.join(names)}")
    say(f"installing {', '.join(names)}")
    call([*root, "apt-get", "update", "-qq"], BUILD_MOST)
    call([*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
          "--no-install-recommends", *names], BUILD_MOST)


class Jvm(Contestant):
    """Java beside this file, against the jars that a Python package carries."""

    # Flink and Spark reach into the libraries of Java.
    OPENS = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in (
        "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio",
        "java.time", "java.util", "java.util.concurrent", "java.util.concurrent.atomic",
        "sun.nio.ch", "sun.nio.cs", "sun.security.action", "sun.util.calendar")]
    # One collector for one or two cores, and a young generation that most passes fit into.
    MEMORY = ["-Xms4g", "-Xmx4g", "-Xmn2g", "-XX:+UseParallelGC"]

    def __init__(self, name, folder, package, version, jars, way="", leaves=None, about="",
                 both_cores=False):
        super().__init__(name)
        self.BOTH_CORES = both_cores
        self.folder, self.package, self.version = folder, package, version
        self.jars, self.way, self.LEAVES, self.ABOUT = jars, way, leaves or {}, about
        self.classes, self.path, self.events = None, None, None

    def build(self, quick):
        say(f"building {self.name}")
        if shutil.which("javac") is None:
            packages("default-jdk-headless")
        self.path = self.install()
        self.classes = TARGET / f"{self.folder}-classes"
        self.classes.mkdir(parents=True, exist_ok=True)
        sources = [str(file) for folder in ("common", self.folder)
                   for file in sorted((HERE / "jvm" / folder).glob("*.java"))]
        call(["javac", "-nowarn", "-d", str(self.classes), "-cp", self.path, *sources], BUILD_MOST)
        self.events = cargo(HERE / "workload", quick) / "events"

    def install(self):
        """The package, in an environment of its own; what its classes are found in."""
        environment = TARGET / "venv"
        if not (environment / "bin" / "pip").exists():
            try:
                call([sys.executable, "-m", "venv", str(environment)], BUILD_MOST)
            except Unavailable:
                packages("python3-venv")
                call([sys.executable, "-m", "venv", str(environment)], BUILD_MOST)
        find = lambda: sorted(environment.glob(f"lib/python3*/site-packages/{self.jars}"))
        wanted = list(environment.glob(
            f"lib/python3*/site-packages/{self.package.replace('-', '_')}-{self.version}.dist-info"))
        if not wanted or not find():
            say(f"installing {self.package} {self.version}, some hundred megabytes")
            call([str(environment / "bin" / "pip"), "install", "--quiet", "--no-deps",
                  f"{self.package}=={self.version}"], BUILD_MOST)
        if not find():
            raise Unavailable(f"{self.package} {self.version} has no {self.jars}")
        return f"{find()[0]}/*"

    def input(self, records):
        """Events of NEXMark in a file, written once for each number of them."""
        path = TARGET / f"events-{records}.bin"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("wb") as out:
                subprocess.run([str(self.events), str(records)], stdout=out, check=True,
                               timeout=BUILD_MOST)
            part.replace(path)
        return path

    def command(self, case, seconds):
        command = ["java", *self.MEMORY, *self.OPENS, f"-Dlog4j2.configurationFile={HERE}/jvm/"
                   "log4j2.properties", "-cp", f"{self.classes}:{self.path}",
                   f"{self.folder}.Rival", case.workload, "--cores", str(case.cores),
                   "--records", str(case.records), "--seconds", str(seconds)]
        if case.rate:
            command += ["--rate", str(case.rate)]
        if case.kind == "query":
            command += ["--events", str(self.input(case.records))]
        way = self.way or ("sql" if case.kind == "sliding" else "")
        return command + (["--way", way] if way else [])


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
    Rust("differential", "differential", "differential-dataflow"),
    Rust("renoir", "renoir", "renoir", loses=True),
    Absent("dbsp", "its release 0.375 asks for Rust 1.96.1; no package here builds an older one yet"),
    Jvm("flink", "flink", "apache-flink-libraries", "2.3.0", "pyflink/lib",
        about="all operators one chain on one core, by SQL where windows slide"),
    Jvm("flink-shuffle", "flink", "apache-flink-libraries", "2.3.0", "pyflink/lib", way="shuffle",
        leaves={kind: "as flink" for kind in ("tumbling", "sliding", "join", "query")} |
               {("latency", 2): "as flink"}, both_cores=True,
        about="the same behind a key_by: the source and the window on a core each"),
    Jvm("spark", "spark", "pyspark", "4.3.0", "pyspark/jars", about="micro-batches",
        leaves={"q4": "a running average of what a timer yields is no streaming query there"}),
)}
