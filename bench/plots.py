#!/usr/bin/env python3
"""plots.py RESULTS.json OUT.svg: what bench/main.py has found, as a picture."""
import json
import math
import pathlib
import sys

WIDTH, HEIGHT, GAP_X, GAP_Y, LEFT, TOP = 360, 170, 90, 86, 64, 46
GROUND, TEXT, DIM = "#1e2430", "#d8dee9", "#4c566a"
CYAN, YELLOW, GREEN, PURPLE = "#56b6c2", "#e5c07b", "#98c379", "#c678dd"
STREAM = [("null:, TCP", CYAN, "sluice into null:"), ("pg_recvlogical, TCP", YELLOW, "pg_recvlogical")]
COPY = [("psql \\copy", YELLOW, "psql \\copy"), ("null:, 1 connection", CYAN, "into null:"), ("null:, 2 connections", GREEN, "2 connections"),
        ("DuckDB", PURPLE, "into DuckDB")]


def per_second(value):
    return value["rows_per_second"] / 1e6


# Case, title, what x is, lines, what a point's y is, is y on a scale of tenfolds.
PANELS = [
    ("transaction_sizes", "stream, M rows/s", "rows a transaction", STREAM, per_second, False),
    ("table_counts", "stream, M rows/s", "tables, 100 rows in each in turn", STREAM, per_second, False),
    ("rates", "commit to visible in DuckDB, ms", "transactions a second", [("p50", CYAN, "p50"), ("p99", YELLOW, "p99")], lambda value: value, False),
    ("column_counts", "copy, microseconds a row", "columns", COPY, lambda value: 1 / per_second(value), False),
    ("row_counts", "copy, seconds", "rows", COPY, lambda value: value["seconds"], True),
]


def nice(value):
    """The next of 1, 2, 5 and their tenfolds."""
    unit = 10 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value * 0.999)


def short(value):
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"


class Panel:
    def __init__(self, column, row):
        self.x, self.y = LEFT + column * (WIDTH + GAP_X), TOP + row * (HEIGHT + GAP_Y)

    def draw(self, points, title, below, lines, value, is_log):
        """The x axis is of tenfolds in every panel."""
        known = [(who, colour, name) for who, colour, name in lines if who in points[0]]
        values = [value(point[who]) for point in points for who, _, _ in known]
        bottom, top = (10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))) if is_log else (0, nice(max(values)))
        low, high = math.log10(points[0]["x"]), math.log10(points[-1]["x"])

        def at(x, y):
            share = math.log10(y / bottom) / math.log10(top / bottom) if is_log else y / top
            return self.x + WIDTH * (math.log10(x) - low) / (high - low), self.y + HEIGHT * (1 - share)

        out = [f'<text x="{self.x}" y="{self.y - 24}" fill="{TEXT}" font-weight="bold">{title}</text>']
        steps = [bottom * 10 ** n for n in range(round(math.log10(top / bottom)) + 1)] if is_log else [top * n / 4 for n in range(5)]
        for step in steps:
            height = at(points[0]["x"], step)[1]
            out.append(f'<line x1="{self.x}" x2="{self.x + WIDTH}" y1="{height:.1f}" y2="{height:.1f}" stroke="{DIM}" stroke-width="0.6"/>'
                       f'<text x="{self.x - 6}" y="{height + 4:.1f}" fill="{TEXT}" text-anchor="end">{short(step)}</text>')
        for point in points:
            out.append(f'<text x="{at(point["x"], top)[0]:.1f}" y="{self.y + HEIGHT + 16}" fill="{TEXT}" text-anchor="middle">{short(point["x"])}</text>')
        out.append(f'<text x="{self.x + WIDTH / 2}" y="{self.y + HEIGHT + 33}" fill="{TEXT}" text-anchor="middle">{below}</text>')
        left = self.x
        for who, colour, name in known:
            places = [at(point["x"], value(point[who])) for point in points]
            out.append('<polyline points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + f'" fill="none" stroke="{colour}" stroke-width="1.6"/>')
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in places]
            out.append(f'<text x="{left}" y="{self.y - 8}" fill="{colour}">{name.replace("&", "&amp;")}</text>')
            left += 12 + 7 * len(name)
        return out


def write(kept, path):
    """Draws the cases that the results have. Nothing is written where they have none."""
    shown = [panel for panel in PANELS if panel[0] in kept]
    if not shown:
        return
    rows = (len(shown) + 1) // 2
    width, height = LEFT + 2 * WIDTH + GAP_X + 24, TOP + rows * (HEIGHT + GAP_Y) - 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}">',
           f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>', '<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="11">']
    for number, (name, *how) in enumerate(shown):
        out += Panel(number % 2, number // 2).draw(kept[name]["points"], *how)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*out, "</g></svg>"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), pathlib.Path(sys.argv[2]))
