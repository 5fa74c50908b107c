#!/usr/bin/env python3
"""Millstream beside its rivals, in turns, on this machine: one table of ratios.

Builds each contestant that can be built, lets it and Millstream run in turns (ours, rival, ours,
rival, ...) on the same cores over the same input, holds their results against each other, and
writes target/rivals/table.md, table.json and chart.svg. See README.md beside this file.
"""

import argparse
import sys

import chart
import contestants
import report
from cases import QUERIES, Case, cases
from contestants import How
from processes import Unavailable, say
from schedule import Schedule


# How much of a turn counts where latency is asked for: the first fifth does not.
COUNTED = 0.8


def positive(kind):
    """Numbers above zero."""
    def read(text):
        number = kind(text)
        if not 0 < number < 1e6:
            raise ValueError
        return number
    read.__name__ = f"{kind.__name__} above zero"
    return read


def some_of(text, known, what, parser):
    """Names in a list, all of them if there is none."""
    names = list(dict.fromkeys(text.split(","))) if text is not None else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no such {what}: {', '.join(unknown)}; there are: {', '.join(known)}")
    return names


def arguments():
    rivals = list(contestants.RIVALS)
    workloads = ["tumbling", "sliding", "join", *QUERIES, "latency"]
    parser = argparse.ArgumentParser(prog="scripts/rivals", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="small inputs, one round, builds without link-time optimisation: "
                             "whether all agree, and no figures to quote")
    parser.add_argument("--only", metavar="NAMES", help=f"some of: {', '.join(rivals)}")
    parser.add_argument("--workloads", metavar="NAMES", help=f"some of: {', '.join(workloads)}")
    parser.add_argument("--rounds", type=positive(int), metavar="N",
                        help="5 unless said, 1 if quick")
    parser.add_argument("--seconds", type=positive(float), metavar="S",
                        help="how long each turn measures: 0.5 unless said, latency 5")
    building = parser.add_mutually_exclusive_group()
    building.add_argument("--build-only", action="store_true",
                          help="install and build all that a run needs, and run nothing")
    building.add_argument("--prebuilt", action="store_true",
                          help="run what --build-only left, and build nothing")
    parser.add_argument("--resume", action="store_true",
                        help="go on with the table that is there: the same rounds, seconds, "
                             "processor and build; other rivals and workloads join it")
    args = parser.parse_args()
    args.only = some_of(args.only, rivals, "rival", parser)
    args.workloads = some_of(args.workloads, workloads, "workload", parser)
    args.rounds = args.rounds or (1 if args.quick else 5)
    return args


def build(only, how):
    """The rivals that are there, and why the others are not."""
    built, left_out = [], []
    for name in only:
        rival = contestants.RIVALS[name]
        say(f"{'looking for' if how.prebuilt else 'building'} {name}")
        try:
            rival.build(how)
            built.append(rival)
        except Unavailable as why:
            say(f"{name} is left out: {why}")
            left_out.append({"rival": name, "workload": "all", "why": str(why)})
    return built, left_out


def compare(case: Case, ours, rival, rounds, seconds, host):
    """Turns of both; returns a row of the table, or why there is none. Behind each pair that is
    about latency comes one of the noise floor, for as long as ours counted."""
    mine, theirs, floors = [], [], []
    with rival.turns(case, seconds) as rivals, ours.turns(case, seconds) as own:
        for turn in range(rounds):
            for who, turns, found in ((ours, own, mine), (rival, rivals, theirs)):
                try:
                    line = turns.turn()
                except Unavailable as why:
                    raise Unavailable(f"{who.name}: {why}") from None
                if "left_out" in line:
                    raise Unavailable(f"{who.name}: {line['left_out']}")
                if missing := report.missing(case, line):
                    raise Unavailable(f"{who.name}: said nothing of {missing}")
                found.append(line)
            pair = f"millstream {report.said(mine[-1])}, {rival.name} {report.said(theirs[-1])}"
            if case.rate and (floor := host.listen(case.cpus, seconds * COUNTED)):
                floors.append(floor)
                pair += f", floor {report.said_of_floor(floor)}"
            say(f"{case.title}, {turn + 1} of {rounds}: {pair}")
    return report.row(case, rival, mine, theirs, floors)


def measure(args, rivals, found, todo, host):
    """All pairs of a case and a rival, but those that are in the table."""
    pairs = [(case.for_rival(rival.name), rival) for case in todo for rival in rivals
             if rival.does(case)]
    schedule = Schedule([(pair, seconds_of(*pair, args)) for pair in pairs
                         if report.name_of(*pair) not in found.names()])
    for (case, rival), head in schedule:
        say(f"{head} {case.title}: {rival.name}")
        try:
            found.rows.append(compare(case, contestants.OURS, rival, args.rounds,
                                      args.seconds or case.seconds, host))
        except Unavailable as why:
            say(f"left out: {why}")
            found.leave_out(rival.name, case.title, str(why))
        # After each pair: whoever stops this keeps what was found.
        found.write()
        chart.write(found)
    return schedule


def seconds_of(case, rival, args):
    """About how long a pair takes."""
    measured = args.seconds or case.seconds
    aside = contestants.OURS.ASIDE + rival.ASIDE
    sides = 3 if case.rate else 2
    return rival.START + args.rounds * (sides * measured + aside)


def main():
    args = arguments()
    how = How(args.quick, args.prebuilt)
    try:
        say(f"{'looking for' if how.prebuilt else 'building'} millstream")
        contestants.OURS.build(how)
    except Unavailable as why:
        say(f"nothing to compare with, millstream: {why}")
        return 2
    rivals, left_out = build(args.only, how)
    host = contestants.Host(how)
    if args.build_only:
        contestants.inputs(rivals, args.quick)
        built = ", ".join(rival.name for rival in rivals)
        say(f"built: {built}; scripts/rivals --prebuilt runs them")
        return 0
    cpus = contestants.cpus()
    floor = host.fingerprint(cpus[:2], 1 if args.quick else 3)
    found = report.Report(args, floor, left_out)
    todo = [case for case in cases(args.quick, cpus) if case.workload in args.workloads]
    if args.resume:
        found.go_on([case.title for case in todo])
    if len(cpus) < 2:
        found.leave_out("all", "what needs two cores", "this process may use one only")
    for case in todo:
        for rival in rivals:
            why = rival.why_not(case)
            if why and not why.startswith("as "):
                found.leave_out(rival.name, case.title, why)
    try:
        schedule = measure(args, rivals, found, todo, host)
    except KeyboardInterrupt:
        say("stopped; with --resume and the same flags it goes on from here")
        return 130
    found.write()
    wrong = [row for row in found.rows if not row["same_results"]]
    say(f"{len(found.rows)} comparisons, {schedule.minutes():.1f} min, "
        f"{len(wrong)} with other results: see {report.FOLDER}/table.md")
    # A rival that is known to lose records says so in the table; any other is an error.
    return 1 if any(not row["rival_loses"] for row in wrong) or not found.rows else 0


if __name__ == "__main__":
    sys.exit(main())
