"""``python -m benchmarks [name ...]``: run all benchmarks, or those named (folders with a ``run.py`` that has ``main() -> None``)."""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(path.parent.name for path in HERE.glob("*/run.py"))


def run(asked: list[str]) -> int:
    """Run them one after the other; returns the process's exit code (2: no such benchmark)."""
    unknown = sorted(set(asked) - set(names()))
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    for name in asked or names():
        print(f"\n== {name}", flush=True)
        import_module(f"benchmarks.{name}.run").main()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
