#!/usr/bin/env python3
"""soak_picture.py SAMPLES.csv OUT.svg: what soak.py has measured, as a picture."""
import csv
import math
import sys

WIDTH, LEFT, RIGHT, HEIGHT, GAP, TOP = 900, 64, 20, 84, 34, 40
GROUND, TEXT, DIM = "#1e2430", "#d8dee9", "#4c566a"
PANELS = [
    ("resident memory, MiB", [("rss_mib", "#56b6c2", "")]),
    ("descriptors and threads", [("descriptors", "#56b6c2", "descriptors"), ("threads", "#e5c07b", "threads")]),
    ("destination, MiB", [("file_mib", "#56b6c2", "file"), ("log_mib", "#e5c07b", "DuckDB's log")]),
    ("WAL kept by the slot, MiB", [("retained_mib", "#56b6c2", "")]),
    ("lag, seconds", [("lag_seconds", "#56b6c2", "")]),
]
EVENTS = {"kill": ("#e06c75", "SIGKILL of sluice"), "crash": ("#c678dd", "PostgreSQL crashes"), "": ("#61708a", "network fault")}


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def round_up(value):
    """The next of 1, 2, 5 and their tenfolds."""
    if value <= 0:
        return 1
    unit = 10 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value)


def panel(rows, y, title, lines, at):
    values = {field: [(at(float(row["seconds"])), float(row[field])) for row in rows if row[field]] for field, _, _ in lines}
    top = round_up(max([value for points in values.values() for _, value in points], default=1))
    out = [f'<text x="{LEFT}" y="{y - 6}" fill="{TEXT}">{title}</text>']
    for share in (0, 0.5, 1):
        height = y + HEIGHT * (1 - share)
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" y2="{height:.1f}" stroke="{DIM}" stroke-width="0.6"/>'
                   f'<text x="{LEFT - 6}" y="{height + 4:.1f}" fill="{TEXT}" text-anchor="end">{top * share:g}</text>')
    for number, (field, colour, name) in enumerate(lines):
        points = " ".join(f"{x:.1f},{y + HEIGHT * (1 - value / top):.1f}" for x, value in values[field])
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>')
        out.append(f'<text x="{WIDTH - RIGHT - 110 * (len(lines) - number) + 110}" y="{y - 6}" fill="{colour}" text-anchor="end">{name}</text>')
    return out


def write(samples, path):
    rows = read(samples)
    if not rows:
        return
    minutes = max(float(row["seconds"]) for row in rows) / 60

    def at(seconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / 60 / minutes

    end = TOP + len(PANELS) * (HEIGHT + GAP) + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {end + 34}" width="{WIDTH}">',
           f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>',
           '<g font-family="ui-monospace,Menlo,Consolas,monospace" font-size="12">']
    for row in rows:
        if row["event"]:
            x, colour = at(float(row["seconds"])), EVENTS.get(row["event"], EVENTS[""])[0]
            out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{end - 30}" stroke="{colour}" stroke-width="0.7" stroke-opacity="0.6"/>')
    for number, (title, lines) in enumerate(PANELS):
        out += panel(rows, TOP + number * (HEIGHT + GAP), title, lines, at)
    step = max(1, round_up(minutes / 12))
    for minute in range(0, int(minutes) + 1, step):
        out.append(f'<text x="{at(minute * 60):.1f}" y="{end - 12}" fill="{TEXT}" text-anchor="middle">{minute} min</text>')
    for number, (colour, name) in enumerate(EVENTS.values()):
        x = LEFT + number * 200
        out.append(f'<line x1="{x}" x2="{x + 16}" y1="{end + 12}" y2="{end + 12}" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{x + 22}" y="{end + 16}" fill="{TEXT}">{name}</text>')
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*out, "</g></svg>"]) + "\n")


if __name__ == "__main__":
    write(*sys.argv[1:])
