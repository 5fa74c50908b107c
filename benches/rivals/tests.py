#!/usr/bin/env python3
"""Tests of the harness, with contestants that are a line of shell or Python: `python3 tests.py`."""

import contextlib
import io
import json
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import chart
import contestants
import processes
import report
import run
from cases import cases
from contestants import How
from processes import Anew, Kept, Unavailable, call
from schedule import Schedule

# Says when it is ready, takes turns, and counts how often it could look at the time meanwhile.
COUNTS = """
import json, sys, threading, time
ticks = 0
def tick():
    global ticks
    while True:
        time.sleep(0.001)
        ticks += 1
threading.Thread(target=tick, daemon=True).start()
print("a library says something", flush=True)
print("ready", flush=True)
for line in sys.stdin:
    print("and again", flush=True)
    print(json.dumps({"ticks": ticks}), flush=True)
"""


def python(text):
    return [sys.executable, "-c", text]


class Processes(unittest.TestCase):
    def test_what_is_not_there_is_said(self):
        with self.assertRaisesRegex(Unavailable, "no-such-program: No such file"):
            call(["no-such-program"], 5)
        with self.assertRaisesRegex(Unavailable, "exit status 3: first / second"):
            call(["sh", "-c", "echo first >&2; echo second >&2; exit 3"], 5)

    def test_what_takes_too_long_is_killed_with_all_that_it_started(self):
        with tempfile.TemporaryDirectory() as folder:
            file = f"{folder}/pid"
            began = time.monotonic()
            with self.assertRaisesRegex(Unavailable, "not done after 1 s"):
                call(["sh", "-c", f"sleep 60 & echo $! > {file}; wait"], 1)
            self.assertLess(time.monotonic() - began, 20)
            self.assertTrue(is_gone(int(Path(file).read_text())))

    def test_a_turn_is_the_last_line_of_json(self):
        with Anew(["sh", "-c", "echo warn; echo '{\"rate\": 1}'; echo '{\"rate\": 2}'"], 5) as it:
            self.assertEqual(it.turn(), {"rate": 2})
        with Anew(["true"], 5) as it:
            self.assertIn("left_out", it.turn())

    def test_one_process_takes_all_turns_and_is_stopped_between_them(self):
        with Kept(python(COUNTS), 20) as it:
            first = it.turn()["ticks"]
            time.sleep(0.5)
            second = it.turn()["ticks"]
            pid = it.process.pid
            self.assertEqual(state(pid), "T", "stopped")
        # It ran half a second less than was waited: some ticks, not hundreds.
        self.assertLess(second - first, 100)
        self.assertTrue(is_gone(pid))

    def test_a_kept_process_that_cannot_says_why(self):
        why = '{"left_out": "no such query there"}'
        with Kept(["sh", "-c", f"echo '{why}'"], 5) as it:
            self.assertEqual(it.turn(), json.loads(why))
        for text, words in (("echo oh >&2; exit 1", "it ended: oh"), ("sleep 60", "not done")):
            with self.assertRaisesRegex(Unavailable, words):
                with Kept(["sh", "-c", text], 1):
                    self.fail("it is not there")
        with Kept(["sh", "-c", "echo ready; read line; echo gone >&2"], 5) as it:
            with self.assertRaisesRegex(Unavailable, "it ended: gone"):
                it.turn()


def state(pid):
    """One letter: T is stopped, Z is gone and not yet waited for."""
    deadline = time.monotonic() + 5
    while True:
        found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if found != "R" and found != "S" or time.monotonic() > deadline:
            return found


def is_gone(pid):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if state(pid) == "Z":
                return True
        except FileNotFoundError:
            return True
    return False


class Plans(unittest.TestCase):
    def test_one_core_has_cases_and_nobody_spins_on_a_second(self):
        self.assertTrue(all(case.cpus == (3,) for case in cases(True, [3])))
        shuffle = contestants.RIVALS["flink-shuffle"]
        case = next(it for it in cases(True, [0, 1]) if it.rate == 100_000)
        with mock.patch.object(contestants, "cpus", lambda: [0]):
            self.assertIn("only one", shuffle.why_not(case))
        with mock.patch.object(contestants, "cpus", lambda: [0, 1]):
            self.assertTrue(shuffle.does(case))

    def test_flink_on_two_cores_has_a_shuffle_and_says_so(self):
        two = next(it for it in cases(True, [0, 1]) if it.rate == 500_000)
        does = {name: contestants.RIVALS[name].does(two) for name in ("flink", "flink-shuffle")}
        self.assertEqual(does, {"flink": False, "flink-shuffle": True})

    def test_names_of_comparisons_are_of_one_each(self):
        for cpus in ([0], [0, 1]):
            names = [report.name_of(case, rival) for case in cases(False, cpus)
                     for rival in contestants.RIVALS.values()]
            self.assertEqual(len(names), len(set(names)))

    def test_what_is_left_is_mended_by_what_was_seen(self):
        now = [0.0]
        with mock.patch("time.monotonic", lambda: now[0]):
            plan = Schedule([("one", 60), ("two", 120)])
            seen = []
            for thing, head in plan:
                seen.append((thing, head))
                now[0] += 240
        self.assertEqual(seen, [("one", "[1/2, 0 min, about 3 min left]"),
                                ("two", "[2/2, 4 min, about 8 min left]")])


class Flags(unittest.TestCase):
    def refused(self, *words):
        said = io.StringIO()
        with mock.patch.object(sys, "argv", ["rivals", *words]), \
                contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as end:
            run.arguments()
        self.assertEqual(end.exception.code, 2)
        return said.getvalue()

    def test_what_is_not_known_is_said_with_what_is(self):
        self.assertIn("no such rival: flunk; there are: hand, timely", self.refused("--only", "flunk"))
        self.assertIn("no such workload: q6; there are: tumbling", self.refused("--workloads", "q6"))
        self.assertIn("no such rival: ;", self.refused("--only", ""))
        for rounds in ("0", "-1", "x"):
            self.assertIn("--rounds", self.refused("--rounds", rounds))
        for seconds in ("0", "nan", "inf"):
            self.assertIn("--seconds", self.refused("--seconds", seconds))
        self.assertIn("not allowed with", self.refused("--build-only", "--prebuilt"))


LINE = {"rate": 2e6, "rows": 3, "hash": "00", "records": 10}


PACED = {**LINE, "p50_ns": 10, "p90_ns": 20, "p99_ns": 30, "p999_ns": 40, "p9999_ns": 50,
         "max_ns": 60, "samples": 7}
FLOOR = {"p50": 1, "p99": 2000, "p99_9": 3e6}


class Away:
    """A rival whose turns are given."""

    ABOUT, LOSES, version = "", False, "1"
    START, ASIDE = 0, 0

    def __init__(self, name, lines):
        self.name, self.lines = name, lines

    def does(self, _):
        return True

    def turns(self, *_):
        return Anew(python(f"print({json.dumps(self.lines.pop(0))!r})"), 20)


class Tables(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        patches = [mock.patch.object(module, "FOLDER", folder) for module in (report, chart)]
        patches.append(contextlib.redirect_stderr(io.StringIO()))
        self.patches = contextlib.ExitStack()
        for patch in patches:
            self.patches.enter_context(patch)
        self.args = mock.Mock(rounds=1, quick=True, seconds=None, only=["r0", "r1"])
        self.listener = mock.Mock(listen=lambda on, seconds: FLOOR)
        self.host = {"host": {"cpu_model": "some"}, "noise_floor_ns": None}
        self.case = cases(True, [0])[0]

    def tearDown(self):
        self.patches.close()
        self.folder.cleanup()

    def measure(self, found, *lines, mine=LINE):
        rivals = [Away(f"r{place}", [line]) for place, line in enumerate(lines)]
        ours = Away("millstream", [mine] * len(lines))
        with mock.patch.object(contestants, "OURS", ours):
            run.measure(self.args, rivals, found, [self.case], self.listener)
        return ours

    def found(self):
        return report.Report(self.args, self.host, [])

    def test_rows_say_whether_results_are_the_same_and_who_is_better(self):
        found = self.found()
        self.measure(found, {**LINE, "rate": 1e6}, {**LINE, "rate": 4e6}, {**LINE, "hash": "01"},
                     {"left_out": "cannot"})
        slower, faster, other = found.rows
        self.assertEqual((slower["ratio"], slower["rival_is_better"]), ({"rate": 2.0}, []))
        self.assertEqual((faster["ratio"], faster["rival_is_better"]), ({"rate": 0.5}, ["rate"]))
        self.assertEqual([row["same_results"] for row in found.rows], [True, True, False])
        self.assertEqual(found.left_out[0]["why"], "r3: cannot")
        text = (Path(self.folder.name) / "table.md").read_text()
        for words in ("| 2 | **0.5** | 1 ! |", "the rival is better", "| NO |", "r3, tumbling"):
            self.assertIn(words, text)
        self.assertIn("<svg", (Path(self.folder.name) / "chart.svg").read_text())

    def test_latency_stands_beside_the_noise_floor_of_its_own_turns(self):
        self.case = next(case for case in cases(True, [0]) if case.rate)
        found = self.found()
        self.measure(found, {**PACED, "p50_ns": 100}, mine=PACED)
        row = found.rows[0]
        self.assertEqual((row["ratio"]["p50"], row["noise_floor_ns"]), (0.1, FLOOR))
        text = (Path(self.folder.name) / "table.md").read_text()
        self.assertIn("noise floor 1 ns / 2 us / 3 ms |", text)
        self.listener.listen = lambda on, seconds: None
        self.case = next(case for case in cases(True, [0, 1]) if case.rate == 500_000)
        self.measure(found, PACED, mine=PACED)
        self.assertIsNone(found.rows[1]["noise_floor_ns"])

    def test_who_says_nothing_that_can_be_compared_is_left_out(self):
        found = self.found()
        self.measure(found, {"rows": 0, "hash": "00", "records": 0}, LINE)
        self.assertEqual([row["rival"] for row in found.rows], ["r1"])
        self.assertEqual(found.left_out[0]["why"], "r0: said nothing of rate")
        with self.assertRaisesRegex(Unavailable, "no JSON: {half"):
            processes.found_in("{half")

    def test_a_run_goes_on_where_it_was_cut_short(self):
        found = self.found()
        self.measure(found, LINE, {"left_out": "for now"})
        again = self.found()
        again.go_on([self.case.title])
        self.assertEqual(again.rows, found.rows)
        ours = self.measure(again, {"left_out": "not asked again"}, LINE)
        self.assertEqual((len(again.rows), len(ours.lines), again.left_out), (2, 1, []))
        for change in ({"rounds": 2}, {"seconds": 1.0}, {"quick": False}):
            self.args = mock.Mock(**{"rounds": 1, "quick": True, "seconds": None, "only": [],
                                     **change})
            other = self.found()
            other.go_on([])
            self.assertEqual(other.rows, [], f"another kind of run: {change}")

    def test_who_was_left_out_of_a_run_about_others_stays_left_out(self):
        found = self.found()
        self.measure(found, LINE, {"left_out": "cannot"})
        again = self.found()
        again.leave_out("r1", self.case.title, "r1: cannot")
        again.go_on(["another"])
        self.assertEqual([it["why"] for it in again.left_out], ["r1: cannot"])
        self.args.only = ["r2"]
        again = self.found()
        again.go_on([self.case.title])
        self.assertEqual([it["why"] for it in again.left_out], ["r1: cannot"])

    def test_of_notes_that_differ_in_numbers_only_there_is_one(self):
        notes = ["too few: 7", "too few: 8", "late"]
        theirs = [{**LINE, "note": note} for note in notes]
        rival = mock.Mock(ABOUT="", LOSES=False, version="1")
        rival.name = "r0"
        row = report.row(self.case, rival, [LINE] * 3, theirs)
        self.assertEqual(row["note"], "late; too few: 7")

    def test_nothing_is_built_where_it_is_to_be_built_already(self):
        with mock.patch.object(contestants, "TARGET", Path(self.folder.name)), \
                mock.patch.object(contestants, "call", self.fail):
            for rival in contestants.RIVALS.values():
                with self.assertRaisesRegex(Unavailable, "--build-only"):
                    rival.build(How(quick=False, prebuilt=True))


if __name__ == "__main__":
    unittest.main()
