"""What was found: printed, and kept as JSON."""
import json


def as_json(outcome, about):
    return {**about, "title": outcome.title, "results": outcome.comparison.as_json() if outcome.comparison else [], "points": outcome.points,
            "figures": outcome.figures,
            "goals": [{"what": goal.what, "value": goal.value, "must": goal.must, "aim": goal.aim, "unit": goal.unit, "at_most": goal.at_most,
                       "reached": "aim" if goal.reaches(goal.aim) else "must" if goal.reaches(goal.must) else "missed"} for goal in outcome.goals]}


def keep(path, name, found):
    """Adds a case to the file, in the place of what it had of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[name] = found
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def figure(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show(name, found, seconds):
    print(f"\n{name}: {found['title']}  ({seconds:.0f} s)")
    for result in found["results"]:
        disturbed = f"  ({result['disturbed']} disturbed runs dropped)" if result["disturbed"] else ""
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
        print(f"  {goal['reached']:6}  {goal['what']}: {figure(goal['value'])} {goal['unit']}  (must {sign} {goal['must']}, aim {goal['aim']})", flush=True)


def conclude(kept, path):
    goals = [goal for found in kept.values() for goal in found["goals"]]
    missed = sum(goal["reached"] == "missed" for goal in goals)
    print(f"\n{path}: {len(kept)} cases, {len(goals)} goals: {sum(goal['reached'] == 'aim' for goal in goals)} reach the aim, "
          f"{sum(goal['reached'] == 'must' for goal in goals)} what must be, {missed} miss it")
