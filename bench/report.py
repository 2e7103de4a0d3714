#!/usr/bin/env python3
"""What was found: printed, and kept as JSON. report.py RESULTS.json prints it as the tables of docs/performance.md."""
import json
import pathlib
import sys


def _reached(outcome, goal):
    """aim, must or missed; disturbed: a contender had no run that others left alone, so the goal says nothing."""
    comparison = outcome.comparison
    if comparison and not all(comparison.count(who) for who in comparison.samples):
        return "disturbed"
    return "aim" if goal.reaches(goal.aim) else "must" if goal.reaches(goal.must) else "missed"


def as_json(outcome, about):
    return {**about, "title": outcome.title, "results": outcome.comparison.as_json() if outcome.comparison else [], "points": outcome.points,
            "figures": outcome.figures,
            "goals": [{"what": goal.what, "value": goal.value, "must": goal.must, "aim": goal.aim, "unit": goal.unit, "at_most": goal.at_most,
                       "reached": _reached(outcome, goal)} for goal in outcome.goals]}


def keep(path, name, found, order):
    """Adds a case to the file, in the place of what it had of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[name] = found
    kept = {each: kept[each] for each in order if each in kept}
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def figure(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(name, found, seconds):
    print(f"\n{name}: {found['title']}  ({seconds:.0f} s)")
    for result in found["results"]:
        disturbed = f"  ({result['disturbed']} of {len(result['runs'])} runs disturbed)" if result["disturbed"] else ""
        print(f"  {result['who']:30} {result['rows_per_second'] / 1e6:7.3f} M rows/s  {result['median_seconds']:6.2f} s  "
              f"CPU {result['cpu_seconds']:5.2f} s, server {result['server_cpu_seconds']:5.2f} s{disturbed}")
    for point in found["points"]:
        print("  " + f"{point['x']:>10,}" + "".join(
            f"   {who}: {figure(value['rows_per_second'])} rows/s" if isinstance(value, dict) else f"   {who} {figure(value)}"
            for who, value in point.items() if who != "x"))
    for what, value in found["figures"].items():
        print(f"  {what}: {', '.join(map(figure, value)) if isinstance(value, list) else figure(value)}")
    for goal in found["goals"]:
        sign = "<=" if goal["at_most"] else ">="
        print(f"  {goal['reached']:6}  {goal['what']}: {figure(goal['value'])} {goal['unit']}  (must {sign} {goal['must']}, aim {goal['aim']})")


def conclude(kept, path):
    goals = [goal for found in kept.values() for goal in found["goals"]]
    counts = {reached: sum(goal["reached"] == reached for goal in goals) for reached in ("aim", "must", "missed", "disturbed")}
    print(f"\n{path}: {len(kept)} cases, {len(goals)} goals: {counts['aim']} reach the aim, {counts['must']} what must be, "
          f"{counts['missed']} miss it, {counts['disturbed']} were disturbed")


def markdown(kept):
    print("| Case | What | Found | Must, aim | |\n|---|---|---|---|---|")
    for found in kept.values():
        for number, goal in enumerate(found["goals"]):
            unit = "" if goal["unit"] == "x" else f" {goal['unit']}"
            wanted = f"{goal['must']:g}" if goal["must"] == goal["aim"] else f"{goal['must']:g}, {goal['aim']:g}"
            print(f"| {'' if number else found['title']} | {goal['what']} | {figure(goal['value'])}{unit} | {'at most ' if goal['at_most'] else ''}{wanted}{unit} | {goal['reached']} |")
    print("\n| Case | Who | M rows/s | its processor time, s per M rows | the server's |\n|---|---|---|---|---|")
    for found in kept.values():
        for number, result in enumerate(found["results"]):
            millions = result["rows"] / 1e6
            own = f"{result['cpu_seconds'] / millions:.2f}" if result["cpu_seconds"] else ""
            print(f"| {'' if number else found['title']} | {result['who']} | {result['rows_per_second'] / 1e6:.2f} | {own} | {result['server_cpu_seconds'] / millions:.2f} |")


if __name__ == "__main__":
    markdown(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
