"""How a benchmark tells what it found: a figure, and its ratio to a floor or peer of the same run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a report; `ratio` is ours over the named one's, or theirs over ours for times."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    reach: str = ""


def figure(
    name: str, value: float, unit: str, ratio: float | None = None, reach: str = ""
) -> Figure:
    """A figure."""
    return Figure(name, value, unit, ratio, reach)


def show(title: str, figures: list[Figure]) -> None:
    """Print a benchmark's figures."""
    print(f"\n{title}")
    for one in figures:
        ratio = "" if one.ratio is None else f"  ratio {one.ratio:.2f}"
        reach = f"  (reach: {one.reach})" if one.reach else ""
        print(f"  {one.name:<54}{one.value:>14,.2f} {one.unit}{ratio}{reach}")
