"""The table of figures. Only the ratios of one run say something: machines differ, and so do their days."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """A work and its figure and, where it is compared, with what, and the ratio of the two."""

    work: str
    figure: str
    against: str = ""
    reference: str = ""
    ratio: str = ""


def compare(work: str, times: Sequence[float], against: str, references: Sequence[float]) -> Row:
    """A row from the seconds of each round."""
    ratio = statistics.median(times) / statistics.median(references)
    return Row(work, seconds(times), against, seconds(references), f"{ratio:.2f}")


def seconds(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.2f} s"


def table(rows: Sequence[Row]) -> str:
    """Markdown that is readable as it is."""
    lines = [Row("work", "median", "against", "median", "ratio"), *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    lines.insert(1, Row(*("-" * width for width in widths)))
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)
