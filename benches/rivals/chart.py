"""The chart: one line a workload, one dot a contestant, by hand-made SVG."""

import math
import statistics
from html import escape

from report import FOLDER

COLOURS = {"millstream": "#0b5fff", "hand": "#777777", "timely": "#d9480f",
           "differential": "#e8a317", "renoir": "#2b8a3e", "dbsp": "#9c36b5",
           "flink": "#c2255c", "flink-shuffle": "#f783ac", "spark": "#0c8599"}
LEFT, WIDTH, HEAD = 270, 620, 30
# The height of a line of dots, and of one of ranges, which lie above each other.
DOTS, RANGES = 24, 60
FONT = 'font-family="sans-serif" font-size="12"'


def text(x, y, words, anchor="start", colour="#222", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {FONT} {more}>'
            f"{escape(words)}</text>")


def decades(values):
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


class Panel:
    """Lines of dots on one logarithmic scale."""

    def __init__(self, title, lines, unit):
        # Each line: its title, and of each contestant some values, the first of which is the dot.
        self.title, self.lines, self.unit = title, lines, unit
        is_range = any(len(some) > 1 for _, dots in lines for some in dots.values())
        self.line = RANGES if is_range else DOTS

    @property
    def height(self):
        return HEAD + self.line * len(self.lines) + 40

    def draw(self, top):
        values = [value for _, dots in self.lines for some in dots.values() for value in some]
        low, high = decades(values)
        x = lambda value: LEFT + WIDTH * (math.log10(value) - low) / (high - low)
        bottom = top + HEAD + self.line * len(self.lines)
        out = [text(10, top + 14, self.title, more='font-weight="bold"')]
        for power in range(low, high + 1):
            place = x(10.0 ** power)
            out.append(f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{top + HEAD - 6}" '
                       f'y2="{bottom}" stroke="#ddd"/>')
            out.append(text(place, bottom + 16, self.unit(10.0 ** power), "middle", "#555"))
        for number, (title, dots) in enumerate(self.lines):
            y = top + HEAD + self.line * number + self.line / 2
            out.append(text(LEFT - 14, y + 4, title, "end"))
            out.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="#eee"/>')
            # Ours last, so that it lies on top.
            for step, (name, some) in enumerate(sorted(dots.items(), key=lambda it: (
                    it[0] == "millstream", it[0]))):
                colour = COLOURS.get(name, "#000")
                spread = self.line * 0.7
                level = y
                if len(some) > 1:
                    level += spread * (step / max(len(dots) - 1, 1) - 0.5)
                if len(some) > 1:
                    out.append(f'<line x1="{x(min(some)):.1f}" x2="{x(max(some)):.1f}" '
                               f'y1="{level:.1f}" y2="{level:.1f}" stroke="{colour}" '
                               f'stroke-width="2" stroke-opacity="0.6"/>')
                radius = 5 if len(some) == 1 else 3.5
                out.append(f'<circle cx="{x(some[0]):.1f}" cy="{level:.1f}" r="{radius}" '
                           f'fill="{colour}"><title>{escape(name)}</title></circle>')
        return out


def unit_rate(value):
    return f"{value / 1e6:g} M/s" if value >= 1e6 else f"{value / 1e3:g} k/s"


def unit_span(value):
    for unit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if value >= unit:
            return f"{value / unit:g} {name}"
    return f"{value:g} ns"


def lines_of(rows, names):
    """Of each case the values of each contestant; ours is the median beside all rivals."""
    found = {}
    for row in rows:
        dots = found.setdefault(row["case"], {})
        dots[row["rival"]] = [max(row["theirs"][name], 1) for name in names]
    for case, dots in found.items():
        ours = [row["ours"] for row in rows if row["case"] == case]
        dots["millstream"] = [max(statistics.median(one[name] for one in ours), 1)
                              for name in names]
    return list(found.items())


def write(found):
    """Draws what has been found so far."""
    flat = [row for row in found.rows if not row["offered_per_s"]]
    paced = [row for row in found.rows if row["offered_per_s"]]
    panels = []
    if flat:
        panels.append(Panel("Records a second: further right is better",
                            lines_of(flat, ["rate"]), unit_rate))
    if paced:
        panels.append(Panel("Latency of window results, p50 (dot) to p99.9: further left is better",
                            lines_of(paced, ["p50_ns", "p999_ns"]), unit_span))
    if not panels:
        return
    names = ["millstream"] + list(dict.fromkeys(row["rival"] for row in found.rows))
    width, height = LEFT + WIDTH + 50, 60 + sum(panel.height for panel in panels)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}">', f'<rect width="{width}" height="{height}" '
           'fill="#fff"/>']
    place = 14
    for name in names:
        out.append(f'<circle cx="{place}" cy="18" r="5" fill="{COLOURS.get(name, "#000")}"/>')
        label = "hand-written loop" if name == "hand" else name
        out.append(text(place + 10, 22, label))
        place += 34 + 7 * len(label)
    top = 44
    for panel in panels:
        out += panel.draw(top)
        top += panel.height
    quick = " Quick run: not to be quoted." if found.quick else ""
    host = found.host["host"]
    where = f"{host.get('cpu_model', 'unknown processor')}, {host.get('cores', '?')} cores"
    said = f"{found.when}, medians of {found.rounds} rounds in turns, {where}.{quick}"
    out.append(text(10, height - 8, said, colour="#777"))
    (FOLDER / "chart.svg").write_text("\n".join(out + ["</svg>"]) + "\n")
