#!/usr/bin/env python3
"""Millstream beside its rivals, in turns, on this machine: one table of ratios.

Builds each contestant that can be built, lets it and Millstream run in turns (ours, rival, ours,
rival, ...) on the same cores over the same input, holds their results against each other, and
writes target/rivals/table.md, table.json and chart.svg. See README.md beside this file.
"""

import argparse
import sys
import time

import chart
import contestants
import report
from cases import Case, cases
from contestants import Unavailable, say


def arguments():
    names = ", ".join(contestants.RIVALS)
    parser = argparse.ArgumentParser(prog="scripts/rivals", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="small inputs, one round, builds without link-time optimisation: "
                             "whether all agree, and no figures to quote")
    parser.add_argument("--only", metavar="NAMES", help=f"some of: {names}")
    parser.add_argument("--workloads", metavar="NAMES",
                        help="some of: tumbling, sliding, join, q1 to q8, latency")
    parser.add_argument("--rounds", type=int, metavar="N", help="5 unless said, 1 if quick")
    parser.add_argument("--seconds", type=float, metavar="S",
                        help="how long each turn measures: 2 unless said (latency 20)")
    args = parser.parse_args()
    only = args.only.split(",") if args.only else list(contestants.RIVALS)
    unknown = [name for name in only if name not in contestants.RIVALS]
    if unknown:
        parser.error(f"no such rival: {', '.join(unknown)}; there are: {names}")
    args.only = only
    args.workloads = args.workloads.split(",") if args.workloads else None
    known = {case.workload for case in cases(args.quick, [0, 1])}
    unknown = [name for name in args.workloads or [] if name not in known]
    if unknown:
        parser.error(f"no such workload: {', '.join(unknown)}")
    args.rounds = args.rounds or (1 if args.quick else 5)
    return args


def build(only, quick):
    """All contestants that are there, ours first, and why the others are not."""
    ours = contestants.OURS
    ours.build(quick)
    built, left_out = [], []
    for name in only:
        rival = contestants.RIVALS[name]
        try:
            rival.build(quick)
            built.append(rival)
        except Unavailable as why:
            say(f"{name} is left out: {why}")
            left_out.append({"rival": name, "workload": "all", "why": str(why)})
    return ours, built, left_out


def compare(case: Case, ours, rival, rounds, seconds):
    """Turns of both; returns a row of the table, or why there is none."""
    case = case.for_rival(rival.name)
    mine, theirs = [], []
    for turn in range(rounds):
        for who, found in ((ours, mine), (rival, theirs)):
            line = who.run(case, seconds)
            if "left_out" in line:
                return None, f"{who.name}: {line['left_out']}"
            found.append(line)
        pair = f"millstream {report.said(mine[-1])}, {rival.name} {report.said(theirs[-1])}"
        say(f"{case.title}, {turn + 1} of {rounds}: {pair}")
    return report.row(case, rival, mine, theirs), None


def main():
    args = arguments()
    began = time.time()
    cpus = contestants.cpus()
    ours, rivals, left_out = build(args.only, args.quick)
    found = report.Report(args.rounds, args.quick, contestants.host(args.quick, cpus), left_out)
    todo = [case for case in cases(args.quick, cpus)
            if args.workloads is None or case.workload in args.workloads]
    pairs = [(case, rival) for case in todo for rival in rivals if rival.does(case)]
    for place, (case, rival) in enumerate(pairs):
        minutes = (time.time() - began) / 60
        say(f"[{place + 1}/{len(pairs)}, {minutes:.0f} min] {case.title}: {rival.name}")
        row, why = compare(case, ours, rival, args.rounds, args.seconds)
        if row is None:
            say(f"left out: {why}")
            found.left_out.append({"rival": rival.name, "workload": case.title, "why": why})
        else:
            found.rows.append(row)
        # After each pair: whoever stops this keeps what was found.
        found.write()
        chart.write(found)
    for case in todo:
        for rival in rivals:
            why = rival.why_not(case)
            if why and not why.startswith("as "):
                found.left_out.append({"rival": rival.name, "workload": case.title, "why": why})
    found.write()
    chart.write(found)
    wrong = [row for row in found.rows if not row["same_results"]]
    say(f"{len(found.rows)} comparisons in {(time.time() - began) / 60:.1f} min, "
        f"{len(wrong)} with other results: see {report.FOLDER}/table.md")
    # A rival that is known to lose records says so in the table; any other is an error.
    return 1 if any(not row["rival_loses"] for row in wrong) or not found.rows else 0


if __name__ == "__main__":
    sys.exit(main())
