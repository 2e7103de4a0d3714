#!/usr/bin/env python3
"""Checks who includes whom, and lists long files and functions.

A module is a folder under src/. Its CMakeLists.txt names its DEPS, which must be among those allowed here; a source
file may include only its own module's headers, those of its DEPS and theirs, and the installed headers sluice/*.h.
Modules of the pure side may not include what does I/O, waits or starts threads. Exits 1 on a forbidden include.
Sizes are a list, not a failure.
"""

import pathlib
import re
import sys

# Who may name whom in DEPS; what they name may be reached through them.
ALLOWED = {
    "base": set(),
    "pgoutput": {"base"},
    "types": {"pgoutput", "base"},
    "columnar": {"types", "pgoutput", "base"},
    "replication": {"columnar", "types", "pgoutput", "base"},
    "spill": {"columnar", "base"},  # what is spilled are sealed batches
    "postgres": {"types", "base"},
    "stores": {"base"},
    "verify": {"postgres", "columnar", "types", "base"},
    "engine": {"replication", "columnar", "types", "pgoutput", "postgres", "spill", "stores", "telemetry",
               "verify", "base"},
    "telemetry": {"base"},
    # An options struct lies beside its consumer; config/ maps names to its fields.
    "config": {"engine", "types", "base"},
    "pipeline": {"engine", "destinations", "stores", "telemetry", "config", "verify", "replication", "columnar",
                 "types", "pgoutput", "postgres", "spill", "base"},
    "cli": {"pipeline", "engine", "destinations", "stores", "telemetry", "config", "verify", "replication",
            "columnar", "types", "pgoutput", "postgres", "spill", "base"},
}
DESTINATION = {"columnar", "types", "pgoutput", "stores", "base"}
PURE = {"pgoutput", "types", "columnar", "replication"}
IMPURE_HEADERS = {
    "condition_variable", "filesystem", "fstream", "iostream", "mutex", "thread", "shared_mutex", "future",
    "sys/socket.h", "unistd.h", "fcntl.h", "poll.h", "sys/epoll.h", "libpq-fe.h", "base/bounded_queue.h",
    "base/mutex.h",
}
LINES_MAX = 500
FUNCTION_LINES_MAX = 60
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def module_of(path):
    """destinations/duckdb is a module of its own; others are the first folder."""
    parts = path.split("/")
    if parts[0] == "destinations" and len(parts) > 2:
        return "destinations/" + parts[1]
    return parts[0]


def allowed_for(module):
    if module.startswith("destinations/"):
        # The doubles decorate other destinations, the suites test them.
        extra = {"destinations/memory"} if module.split("/")[1] in ("doubles", "testing") else set()
        return DESTINATION | extra | {"destinations/testing"}
    direct = ALLOWED.get(module)
    if direct is None:
        return None
    reach = set(direct)
    for other in direct:
        reach |= ALLOWED.get(other, set())
    return reach


def check_file(path, problems):
    relative = path[len("src/"):]
    module = module_of(relative)
    allowed = allowed_for(module)
    if allowed is None:
        problems.append(f"{path}: {module} is not in the table of scripts/check_layers.py")
        return
    is_test = re.search(r"(_test|_pgtest|_fuzz|_bench)\.cc$", path) or "/testing/" in path
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            header = match.group(2)
            if module in PURE and not is_test and header in IMPURE_HEADERS:
                problems.append(f"{path}:{number}: {module} is pure and may not include {header}")
            if match.group(1) == "<" or header.startswith("sluice/") or "/" not in header:
                continue
            other = module_of(header)
            if other == "destinations" or (module in ("pipeline", "cli") and other.startswith("destinations/")):
                continue
            if other == module or other in allowed:
                continue
            if is_test and (other == "testing" or pathlib.Path("src", header).exists()):
                continue
            problems.append(f"{path}:{number}: {module} may not include {header}")


def check_dependencies(problems):
    pattern = re.compile(r"sluice_module\(\s*(\w+)(.*?)\n?\)", re.S)
    for cmake in sorted(pathlib.Path("src").glob("*/CMakeLists.txt")):
        for name, body in pattern.findall(cmake.read_text(encoding="utf-8")):
            if name not in ALLOWED:
                continue
            match = re.search(r"(?<!TEST_)\bDEPS\s+((?:[a-z_]+\s*)+)", body)
            for other in (match.group(1).split() if match else []):
                if other in ALLOWED and other not in ALLOWED[name]:
                    problems.append(f"{cmake}: {name} may not depend on {other}")


def long_functions(path, lines):
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            opens = re.match(r"^[A-Za-z_~].*\{\s*$|^\s{4}.*\)\s*(const\s*)?(noexcept\s*)?\{\s*$", line)
            if opens and not re.match(r"^(namespace|struct|class|enum|union|extern|constexpr|const)\b", line):
                start = number
        elif line.startswith("}"):
            if number - start + 1 > FUNCTION_LINES_MAX and not line.startswith("};"):
                yield f"{path}:{start}: a function of {number - start + 1} lines"
            start = None


def main(files):
    problems, remarks = [], []
    check_dependencies(problems)
    for path in files:
        lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
        if len(lines) > LINES_MAX:
            remarks.append(f"{path}: {len(lines)} lines")
        if path.endswith(".cc"):
            remarks.extend(long_functions(path, lines))
        if path.startswith("src/"):
            check_file(path, problems)
        if path.startswith("include/"):
            for number, line in enumerate(lines, 1):
                match = INCLUDE.match(line)
                if match and "/" in match.group(2) and not match.group(2).startswith("sluice/"):
                    problems.append(f"{path}:{number}: an installed header may not include {match.group(2)}")
    for remark in remarks:
        print("long: " + remark)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
