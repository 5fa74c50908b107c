"""The table: what both sides found, as ratios, in Markdown and JSON."""

import json
import statistics
import time

from contestants import TARGET
from processes import say

FOLDER = TARGET
PERCENTILES = ("p50_ns", "p99_ns", "p999_ns")
LATE = (*PERCENTILES, "p90_ns", "p9999_ns", "max_ns", "samples")


def rate(per_s):
    """Records a second, for people."""
    return f"{per_s / 1e6:.3g} M/s"


def span(ns):
    """A time, for people."""
    for unit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= unit:
            return f"{ns / unit:.3g} {name}"
    return f"{ns:.0f} ns"


def said_of_floor(floor):
    """A noise floor, for people."""
    return " / ".join(span(floor[name]) for name in ("p50", "p99", "p99_9"))


def said(line):
    """What one turn found, for people."""
    if "p50_ns" in line:
        return " / ".join(span(line[name]) for name in PERCENTILES)
    return rate(line["rate"])


def ratios(case, mine, theirs):
    """By stable name: ours to theirs, turn by turn. Records a second, or latency."""
    names = PERCENTILES if case.rate else ("rate",)
    return {name.removesuffix("_ns"): [one[name] / max(other[name], 1)
                                       for one, other in zip(mine, theirs)] for name in names}


def missing(case, line):
    """What a turn should have said and did not, such as percentiles of no results at all."""
    wanted = LATE if case.rate else ("rate",)
    return ", ".join(name for name in (*wanted, "records", "rows", "hash") if name not in line)


def name_of(case, rival):
    """The stable name of a comparison."""
    return f"{case.key}_vs_{rival.name}"


def row(case, rival, mine, theirs, floors=()):
    """What a comparison came to."""
    turns = ratios(case, mine, theirs)
    median = {name: statistics.median(values) for name, values in turns.items()}
    results = {(line["rows"], line["hash"]) for line in mine + theirs}
    # Less is better where latency is asked for, more where throughput is.
    better = [name for name, value in median.items() if (value > 1 if case.rate else value < 1)]
    # Of notes that differ in numbers only, the first.
    notes = set({line["note"].split(":")[0]: line["note"]
                 for line in reversed(theirs) if line.get("note")}.values())
    if rival.ABOUT:
        notes.add(rival.ABOUT)
    if len(results) > 1:
        rows = f"{theirs[-1]['rows']} rows instead of {mine[-1]['rows']}"
        notes.add(f"other results than ours: {rows}")
    keep = LATE if case.rate else ("rate",)
    of = lambda lines: {name: statistics.median(line[name] for line in lines) for name in keep}
    return {
        "name": name_of(case, rival), "case": case.title, "workload": case.workload,
        "cores": case.cores, "offered_per_s": case.rate or None, "rival": rival.name,
        "version": rival.version, "records": mine[0]["records"], "ours": of(mine),
        "theirs": of(theirs), "ratio": median,
        "ratio_range": {name: [min(values), max(values)] for name, values in turns.items()},
        "rounds": len(mine), "same_results": len(results) == 1, "rival_loses": rival.LOSES,
        "rival_is_better": better, "hash": mine[0]["hash"], "rows": mine[0]["rows"],
        "noise_floor_ns": middle(floors), "note": "; ".join(sorted(notes)),
    }


def middle(floors):
    """The median of each percentile of some noise floors; none if there are none."""
    names = floors[0].keys() if floors else ()
    return {name: statistics.median(floor[name] for floor in floors) for name in names} or None


class Report:
    """All rows, where they were measured, and who was left out."""

    def __init__(self, args, host, left_out):
        self.rounds, self.quick, self.seconds = args.rounds, args.quick, args.seconds
        self.only = args.only
        self.host, self.left_out, self.rows = host, left_out, []
        self.when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())

    def names(self):
        """The comparisons that are made."""
        return {row["name"] for row in self.rows}

    def leave_out(self, rival, workload, why):
        it = {"rival": rival, "workload": workload, "why": why}
        if it not in self.left_out:
            self.left_out.append(it)

    def go_on(self, titles):
        """Takes over the rows of a run that was cut short, or was about other rivals, if it was
        one of this kind. Who was left out of a case of these titles is asked again, if he takes
        part."""
        try:
            before = json.loads((FOLDER / "table.json").read_text())
        except (OSError, ValueError):
            say("nothing to go on from: this begins at the beginning")
            return
        other = [name for name, value in self.kind().items() if before.get(name) != value]
        if other:
            say(f"the run before had another {', '.join(other)}: this begins at the beginning")
            return
        self.rows, self.when = before["rows"], before["when"]
        asked = {(rival, title) for rival in self.only for title in ("all", *titles)}
        for it in before["left_out"]:
            if (it["rival"], it["workload"]) not in asked:
                self.leave_out(**it)
        say(f"{len(self.rows)} comparisons are made already")

    def kind(self):
        """What two runs have in common that can be one."""
        return {"rounds": self.rounds, "quick": self.quick, "seconds": self.seconds,
                "cpu_model": self.host["host"].get("cpu_model"), "built": self.host.get("built")}

    def write(self):
        FOLDER.mkdir(parents=True, exist_ok=True)
        whole = {"when": self.when, **self.kind(), **self.host, "rows": self.rows,
                 "left_out": self.left_out}
        for name, text in (("table.json", json.dumps(whole, indent=1) + "\n"),
                           ("table.md", self.markdown())):
            part = FOLDER / f"{name}.part"
            part.write_text(text)
            part.replace(FOLDER / name)

    def markdown(self):
        lines = [*self.head(), "", *self.matrix(), "", *self.details()]
        if self.left_out:
            lines += ["", "Left out:", ""]
            lines += [f"- {it['rival']}, {it['workload']}: {it['why']}" for it in self.left_out]
        return "\n".join(lines) + "\n"

    def fingerprint(self):
        host, floor = self.host["host"], self.host["noise_floor_ns"]
        memory = (host.get("memory_bytes") or 0) / 2**30
        virtual = ", virtual" if host.get("virtualised") else ""
        said = f"{host.get('cpu_model', 'unknown processor')}, {host.get('cores', '?')} cores" \
               f"{virtual}, {memory:.0f} GiB, Linux {host.get('kernel', '?')}, " \
               f"load {host.get('load', '?')}"
        if not floor:
            return f"{said}; noise floor unknown: {self.host.get('why', '')}"
        return f"{said}; noise floor {said_of_floor(floor)} at first"

    def head(self):
        quick = ["", "**Quick run: builds without link-time optimisation, small inputs, one "
                 "round. It shows that results agree; its figures are not to be quoted.**"]
        return [
            "# Millstream and its rivals", "",
            f"{self.when}, medians of {self.rounds} rounds in turns on the same cores. "
            f"{self.fingerprint()}.",
            *(quick if self.quick else []), "",
            "Throughput is ours to theirs: above 1 we are faster. Latency (p50, p99, p99.9 from "
            "when the last record of a window was due) is ours to theirs: below 1 we are faster. "
            "The noise floor beside it is that of turns between theirs. "
            "**Bold: the rival is better. ! : not the same results.**",
        ]

    def matrix(self):
        """One line a case, one column a rival."""
        rivals = list(dict.fromkeys(row["rival"] for row in self.rows))
        titles = list(dict.fromkeys(row["case"] for row in self.rows))
        by_place = {(row["case"], row["rival"]): row for row in self.rows}
        heads = [f"{name} {self.version(name)}".strip() for name in rivals]
        lines = [f"| ours to | {' | '.join(heads)} |", "|---" * (len(rivals) + 1) + "|"]
        for title in titles:
            cells = [self.cell(by_place.get((title, name))) for name in rivals]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        return lines

    def version(self, rival):
        found = {row["version"] for row in self.rows if row["rival"] == rival}
        return "" if rival == "hand" else ", ".join(sorted(found))

    @staticmethod
    def cell(row):
        if row is None:
            return ""
        shown = [f"**{value:.3g}**" if name in row["rival_is_better"] else f"{value:.3g}"
                 for name, value in row["ratio"].items()]
        return " / ".join(shown) + ("" if row["same_results"] else " !")

    def details(self):
        lines = ["| | rival | ours | theirs | ratio (range) | same results | to be said |",
                 "|---|---|---|---|---|---|---|"]
        for row in self.rows:
            ranges = [f"{row['ratio'][name]:.3g} ({low:.3g} to {high:.3g})"
                      for name, (low, high) in row["ratio_range"].items()]
            same = "yes" if row["same_results"] else "NO"
            notes = [row["note"]] if row["note"] else []
            if row["noise_floor_ns"]:
                notes.append(f"noise floor {said_of_floor(row['noise_floor_ns'])}")
            if row["rival_is_better"]:
                notes.insert(0, "the rival is better")
            lines.append(f"| {row['case']} | {row['rival']} | {said(row['ours'])} | "
                         f"{said(row['theirs'])} | {' / '.join(ranges)} | {same} | "
                         f"{'; '.join(notes)} |")
        return lines
