"""`python -m tests.bench [NAME ...]`: every benchmark, or those named."""

import sys
from importlib import import_module
from pathlib import Path

from tests.bench import report

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef run(" in path.read_text()
)


def main(names: list[str]) -> None:
    """Run benchmarks by name; all of them when none is named."""
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in names or NAMES:
        module = import_module(f"tests.bench.{name}")
        report.show((module.__doc__ or name).splitlines()[0], module.run())


if __name__ == "__main__":
    main(sys.argv[1:])
