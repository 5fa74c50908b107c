"""Who takes part: how each is built and started."""

import glob
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from cases import cases
from processes import Anew, Kept, Unavailable, call, say

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "rivals"
# Where Python packages go.
VENV = TARGET / "venv"

# A build, and a turn beside what it measures, take no longer than that, in seconds.
BUILD_MOST, TURN_MOST = 3600, 240


@dataclass(frozen=True)
class How:
    """How contestants are built: without link-time optimisation, or not at all any more."""

    quick: bool
    prebuilt: bool = False


def cpus():
    """The CPUs that may be used."""
    return sorted(os.sched_getaffinity(0))


def cargo(folder, how, name):
    """Builds a program; a quick build is without link-time optimisation, in a folder of its own.
    All packages share that folder, so what they have in common is compiled once."""
    target = TARGET / ("build-quick" if how.quick else "build")
    program = target / "release" / name
    if how.prebuilt:
        return built(program)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_TERM_COLOR": "never",
                   "CARGO_PROFILE_RELEASE_DEBUG": "none"}
    if how.quick:
        environment |= {"CARGO_PROFILE_RELEASE_LTO": "off",
                        "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16"}
    call(["nice", "-n", "10", "cargo", "build", "--release", "--locked", "--bin", name,
          "--manifest-path", str(folder / "Cargo.toml")], BUILD_MOST, env=environment)
    return program


def built(program):
    """What a build left, where none is to be made."""
    if not program.exists():
        raise Unavailable("not built: scripts/rivals --build-only does that")
    return program


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
    # How its turns are taken.
    TURNS = Anew
    # Seconds until it is warm, and of a turn beside what is measured: only to say what is left.
    START, ASIDE = 0, 1

    def __init__(self, name):
        self.name, self.version = name, "?"

    def build(self, how):
        raise NotImplementedError

    def command(self, case, seconds):
        raise NotImplementedError

    def does(self, case):
        return self.why_not(case) is None

    def why_not(self, case):
        if self.BOTH_CORES and len(cpus()) < 2:
            return "its source spins on a core of its own, and there is only one"
        return self.LEAVES.get((case.kind, case.cores)) or self.LEAVES.get(case.kind) \
            or self.LEAVES.get(case.workload)

    def turns(self, case, seconds):
        """Its turns at a case."""
        on = cpus()[:2] if self.BOTH_CORES else case.cpus
        pinned = ["taskset", "-c", ",".join(map(str, on))]
        return self.TURNS(pinned + self.command(case, seconds), TURN_MOST + 4 * seconds)


class Rust(Contestant):
    """A package beside this file."""

    def __init__(self, name, folder, package, leaves=None, loses=False, about=""):
        super().__init__(name)
        self.folder, self.package = HERE / folder, package
        self.LEAVES, self.LOSES, self.ABOUT = leaves or {}, loses, about
        self.binary = None

    def build(self, how):
        self.binary = cargo(self.folder, how, f"rival-{self.folder.name}")
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

    TURNS = Kept
    START, ASIDE = 15, 2
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
        self.classes, self.path, self.events = TARGET / f"{folder}-classes", None, None

    def build(self, how):
        self.events = cargo(HERE / "workload", how, "events")
        self.path = self.installed()
        program = self.classes / self.folder / "Rival.class"
        if how.prebuilt:
            built(program)
            if self.path is None or shutil.which("java") is None:
                raise Unavailable("no Java, or no jars: scripts/rivals --build-only gets them")
            return
        if shutil.which("javac") is None:
            packages("default-jdk-headless")
        self.path = self.path or self.install()
        sources = [file for folder in ("common", self.folder)
                   for file in sorted((HERE / "jvm" / folder).glob("*.java"))]
        if program.exists() and program.stat().st_mtime > max(it.stat().st_mtime for it in sources):
            return
        self.classes.mkdir(parents=True, exist_ok=True)
        call(["javac", "-nowarn", "-d", str(self.classes), "-cp", self.path, *map(str, sources)],
             BUILD_MOST)

    def installed(self):
        """What its classes are found in, where that is there already."""
        packages_in = f"{VENV}/lib/python3*/site-packages"
        wanted = f"{packages_in}/{self.package.replace('-', '_')}-{self.version}.dist-info"
        jars = glob.glob(f"{packages_in}/{self.jars}")
        return f"{jars[0]}/*" if jars and glob.glob(wanted) else None

    def install(self):
        """The Python package, in an environment of its own."""
        if not (VENV / "bin" / "pip").exists():
            make = [sys.executable, "-m", "venv", str(VENV)]
            try:
                call(make, BUILD_MOST)
            except Unavailable:
                packages("python3-venv")
                call(make, BUILD_MOST)
        say(f"installing {self.package} {self.version}, some hundred megabytes")
        call([str(VENV / "bin" / "pip"), "install", "--quiet", "--no-deps",
              f"{self.package}=={self.version}"], BUILD_MOST)
        path = self.installed()
        if path is None:
            raise Unavailable(f"{self.package} {self.version} has no {self.jars}")
        return path

    def input(self, records):
        """Events of NEXMark in a file, written once for each number of them."""
        path = TARGET / f"events-{records}.bin"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("wb") as out:
                call([str(self.events), str(records)], TURN_MOST, stdout=out)
            part.replace(path)
        return path

    def command(self, case, seconds):
        command = ["java", *self.MEMORY, *self.OPENS, f"-Dlog4j2.configurationFile={HERE}/jvm/"
                   "log4j2.properties", "-cp", f"{self.classes}:{self.path}",
                   f"{self.folder}.Rival", case.workload, "--cores", str(case.cores),
                   "--records", str(case.records), "--seconds", str(seconds), "--turns", "asked"]
        if case.rate:
            command += ["--rate", str(case.rate)]
        if case.kind == "query":
            command += ["--events", str(self.input(case.records))]
        way = self.way or ("sql" if case.kind == "sliding" else "")
        return command + (["--way", way] if way else [])


def inputs(rivals, quick):
    """Writes what rivals read from files."""
    for rival in rivals:
        for case in cases(quick, cpus()):
            if isinstance(rival, Jvm) and case.kind == "query" and rival.does(case):
                rival.input(case.for_rival(rival.name).records)


class Host:
    """What `millstream bench` says of this host."""

    def __init__(self, how):
        self.binary, self.why = None, None
        try:
            self.binary = cargo(ROOT, how, "millstream")
        except Unavailable as why:
            self.why = str(why)

    def listen(self, on, seconds):
        """The noise floor of some CPUs: how late an empty loop on each notices that a moment has
        come. None if nothing can tell; then `why` says why."""
        return self.line(on, seconds).get("noise_floor")

    def fingerprint(self, on, seconds):
        """What it is, its noise floor now, and when ours was built."""
        say("the host and its noise floor")
        line = self.line(on, seconds)
        return {"host": line.get("host", {}), "noise_floor_ns": line.get("noise_floor"),
                "why": self.why, "built": int(OURS.binary.stat().st_mtime)}

    def line(self, on, seconds):
        if self.binary is None:
            return {}
        numbers = ",".join(map(str, on))
        command = [str(self.binary), "bench", "noise", "--seconds", str(seconds), "--cpus", numbers,
                   "--json"]
        try:
            return json.loads(call(command, TURN_MOST + 2 * seconds))
        except (Unavailable, ValueError) as why:
            self.why = str(why)
            return {}


ONE_CORE = "written by hand for one core only"
FLINK = ("apache-flink-libraries", "2.3.0", "pyflink/lib")

OURS = Rust("millstream", "ours", "millstream")
RIVALS = {rival.name: rival for rival in (
    Rust("hand", "hand", "rival-hand", about="loops written by hand, no engine",
         leaves={("latency", 2): ONE_CORE}),
    Rust("timely", "timely", "timely", about="operators written by hand"),
    Rust("differential", "differential", "differential-dataflow"),
    Rust("renoir", "renoir", "renoir", loses=True),
    Rust("dbsp", "dbsp", "dbsp", about="a transaction for each window or slide"),
    Jvm("flink", "flink", *FLINK, leaves={("latency", 2): "as flink-shuffle"},
        about="all operators one chain on one core, by SQL where windows slide"),
    Jvm("flink-shuffle", "flink", *FLINK, way="shuffle",
        leaves={kind: "as flink" for kind in ("tumbling", "sliding", "join", "query")},
        both_cores=True, about="the same behind a key_by, the source and the window a thread each"),
    Jvm("spark", "spark", "pyspark", "4.3.0", "pyspark/jars", about="micro-batches",
        leaves={"q4": "a running average of what a timer yields is no streaming query there"}),
)}
