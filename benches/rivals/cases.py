"""What is compared: workloads, on how many cores, and how large."""

from dataclasses import dataclass, replace

QUERIES = ("q1", "q2", "q3", "q4", "q5", "q7", "q8")

# Records a pass. Small ones only show that results agree.
RECORDS = {"tumbling": 16 << 20, "sliding": 16 << 20, "join": 8 << 20, "query": 4 << 20}
QUICK = {"tumbling": 2_500_000, "sliding": 2_500_000, "join": 1 << 20, "query": 1 << 19}

# Rivals that take minutes for as many get fewer, and ours as many as they.
FEWER = {
    ("flink", "tumbling"): 8 << 20,
    ("flink", "sliding"): 3 << 20,
    ("flink", "join"): 2 << 20,
    ("spark", "tumbling"): 8 << 20,
    ("spark", "sliding"): 3 << 20,
    ("spark", "join"): 2 << 20,
    ("spark", "query"): 2 << 20,
    ("dbsp", "sliding"): 4 << 20,
    ("dbsp", "join"): 2 << 20,
    ("dbsp", "tumbling"): 8 << 20,
    ("differential", "tumbling"): 8 << 20,
    ("differential", "sliding"): 4 << 20,
    ("differential", "join"): 2 << 20,
    ("renoir", "tumbling"): 8 << 20,
    ("renoir", "sliding"): 8 << 20,
}

# Seconds that a turn measures unless said: throughput, latency.
SECONDS, LATENCY_SECONDS = 0.5, 5.0
QUICK_SECONDS, QUICK_LATENCY_SECONDS = 0.2, 2.0


@dataclass(frozen=True)
class Case:
    """One workload on some cores."""

    workload: str
    title: str
    cpus: tuple
    records: int
    seconds: float
    rate: int = 0
    # A variant of ours; rivals do as always.
    way: str = ""
    quick: bool = False

    @property
    def kind(self):
        return "query" if self.workload in QUERIES else self.workload

    @property
    def cores(self):
        return len(self.cpus)

    @property
    def key(self):
        """Its stable name."""
        rate = f"_{self.rate // 1000}k" if self.rate else ""
        way = f"_{self.way}" if self.way else ""
        return f"{self.workload}{rate}_{self.cores}{way}"

    def for_rival(self, name):
        """As large as a rival can do in reasonable time."""
        fewer = FEWER.get((name, self.kind), self.records)
        return replace(self, records=min(self.records, fewer))


def cases(quick, cpus):
    """All of them. One core is the last one: the first has most of the host's interrupts."""
    sizes = QUICK if quick else RECORDS
    seconds = QUICK_SECONDS if quick else SECONDS
    paced = QUICK_LATENCY_SECONDS if quick else LATENCY_SECONDS
    one, two = (cpus[-1],), tuple(cpus[:2])
    has_two = len(two) == 2
    found = [Case("tumbling", "tumbling 1 s", one, sizes["tumbling"], seconds)]
    if has_two:
        found.append(Case("tumbling", "tumbling 1 s", two, sizes["tumbling"], seconds))
        found.append(Case("tumbling", "tumbling 1 s, ours pre-combined", two, sizes["tumbling"],
                          seconds, way="precombined"))
    found.append(Case("sliding", "sliding 10 s / 1 s", one, sizes["sliding"], seconds))
    for query in ("q5", "q7", "q8"):
        found.append(Case(query, f"NEXMark {query}", one, sizes["query"], seconds))
    found.append(Case("latency", "latency at 100 000/s", one, 0, paced, rate=100_000))
    if has_two:
        found.append(Case("latency", "latency at 500 000/s", two, 0, paced, rate=500_000))
    found.append(Case("join", "interval join", one, sizes["join"], seconds))
    for query in ("q1", "q2", "q3", "q4"):
        found.append(Case(query, f"NEXMark {query}", one, sizes["query"], seconds))
    plural = {1: "1 core", 2: "2 cores"}
    return [replace(case, title=f"{case.title}, {plural[case.cores]}", quick=quick)
            for case in found]
