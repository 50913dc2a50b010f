"""``python -m benchmarks [name ...] [options]``: run all benchmarks, or those named (folders with a ``run.py`` that has ``main``).

Options, from the first argument that starts with a dash, are for a benchmark that is named alone.
"""

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(path.parent.name for path in HERE.glob("*/run.py"))


def run(arguments: list[str]) -> int:
    """Run them one after the other; returns the process's exit code (2: no such benchmark)."""
    first = next((at for at, argument in enumerate(arguments) if argument.startswith("-")), len(arguments))
    asked, options = arguments[:first], arguments[first:]
    if options and len(asked) != 1:
        print(f"{options[0]} is an option of which benchmark? Name one: {', '.join(names())}", file=sys.stderr)
        return 2
    unknown = sorted(set(asked) - set(names()))
    if unknown:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    for name in asked or names():
        print(f"\n== {name}", flush=True)
        import_module(f"benchmarks.{name}.run").main(*([options] if options else []))
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
