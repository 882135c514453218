"""The house in figures: ``python -m tools.house`` from the repository's root, at any commit.

Files per folder, arrows between rooms, exported names, comments, functions that are named by a verb, lines. The circles
are the business of ``lint-imports``; the distributions of an install are counted by docs/development/decisions.
"""

from __future__ import annotations

import ast
import configparser
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path("airflow_mlops")
FLAT = {"specs", "operators"}
"""Folders that users import from, one module for each stage."""

VERBS = """
accept add adjust admit answer append apply approve ask attach attend begin bless bound build calibrate call
check choose clean clear close collect combine compare complete compute conclude connect convert copy count
create cut decide decode delete deliver deploy derive describe digest divide do draw drop embed encode end
ensure escape estimate evaluate execute expect explain export fetch fill finalize find finish fit fix follow
format gather get give go guess halt handle has hash hide hold impute in infer install invoke is join judge
keep launch limit list load log look make mark match may measure merge move name note notify number open order
paint parse permute pick plan predict prefix prepare prepend profile promote propose prune publish put quote
raise rank reach read rebuild record reduce refit refuse register rehearse release remove render repeat replay
replicate report reproduce require resample resolve restore return rollback run sanitize save scan score seal
select send separate serve set settle share should show shuffle skip slice sort split start stop store stream
submit sum summarise sync take tell track train translate try tune undo update upgrade use validate verify
wait want warm watch weigh widen write
"""


def _modules() -> dict[str, ast.Module]:
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(file.read_text())
    return found


def _imports(tree: ast.Module, known: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for each in node.names:
                module = f"{node.module}.{each.name}"
                yield module if module in known else node.module


def _arrows(modules: dict[str, ast.Module], floor: str) -> tuple[int, int]:
    """Return how many imports there are among a floor's files, and how many pairs of its rooms they tie."""
    prefix, known = f"{PACKAGE}.{floor}.", set(modules)
    files, rooms = set(), set()
    for name, tree in modules.items():
        for other in _imports(tree, known):
            if name.startswith(prefix) and other.startswith(prefix) and name != other:
                files.add((name, other))
                pair = tuple(each.removeprefix(prefix).partition(".")[0] for each in (name, other))
                if pair[0] != pair[1]:
                    rooms.add(pair)
    return len(files), len(rooms)


def _comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT for token in tokens)


def _exported(tree: ast.Module) -> int:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return len(getattr(node.value, "elts", ()))
    return 0


def main() -> None:
    """Print the figures."""
    modules = _modules()
    texts = [file.read_text() for file in PACKAGE.rglob("*.py")]
    lines = sum(text.count("\n") for text in texts)
    per_folder = Counter(
        file.parent.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"
    )
    most = max((n, folder) for folder, n in per_folder.items() if folder not in FLAT)
    functions = [
        node.name.strip("_").split("_")[0]
        for tree in modules.values()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    verbs = set(VERBS.split())
    named = sum(word in verbs for word in functions)
    setup = configparser.ConfigParser()
    setup.read("setup.cfg")
    required = [line for line in setup["options"]["install_requires"].splitlines() if line and line[0] != "#"]
    figures: dict[str, object] = {
        "files": len(texts),
        "lines": lines,
        "most files in one folder": f"{most[0]} ({most[1]})",
        **{f"arrows among {floor}, of files and of rooms": _arrows(modules, floor) for floor in ("core", "steps")},
        "names in __all__": sum(map(_exported, modules.values())),
        "comments per 1,000 lines": round(1000 * sum(map(_comments, texts)) / lines, 1),
        "module functions named by a verb": f"{named} of {len(functions)} ({named / len(functions):.0%})",
        "base requirements": len(required),
    }
    for name, figure in figures.items():
        print(f"{name:50} {figure}")


if __name__ == "__main__":
    main()
