#!/usr/bin/env python3
"""Documents name what proves them: fails where a test, a scenario or a program that they name in `backticks` is not there."""
import pathlib
import re
import subprocess
import sys

DOCUMENTS = ["SECURITY.md", "docs/reliability.md", "docs/performance.md", "tests/README.md"]
root = pathlib.Path(__file__).parent.parent
files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, text=True, stdout=subprocess.PIPE, check=True).stdout.split()
tests = set()
for name in files:
    if name.endswith(".cc") and (root / name).is_file():
        for suite, test in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", (root / name).read_text()):
            tests |= {suite, test, f"{suite}.{test}"}
areas = {path.name for path in (root / "tests/scenarios").iterdir()}
known = {name for name in files if (root / name).is_file()}
known |= {name.rpartition("/")[2] for name in known if name.startswith("tests/failure/")} | {str(pathlib.PurePath(name).parent) for name in known}
missing = []
for document in DOCUMENTS:
    if not (root / document).is_file():
        continue
    for text in re.findall(r"`([^`\n]+)`", (root / document).read_text()):
        word = text.split()[0]
        scenario = re.fullmatch(r"(\w+)/(\w+)", word)
        if re.fullmatch(r"[A-Z][a-z]\w+\.[A-Z]\w+|(?=\w*[a-z][A-Z])[A-Z][a-z]\w+", word):
            found = word in tests
        elif scenario and scenario[1] in areas:
            found = f"tests/scenarios/{word}.test" in known
        elif "*" not in word and re.match(r"(tests|scripts|src|testing)/", word) or re.fullmatch(r"\w+\.py", word):
            found = word.rstrip("/") in known
        else:
            continue
        if not found:
            missing.append(f"{document}: {text}")
print("\n".join(missing), end="\n" if missing else "")
sys.exit(1 if missing else 0)
