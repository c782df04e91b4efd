"""A study or a verdict as tables for people, Markdown, and JSON for machines."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from textwrap import wrap

from modelrollout.domain.durations import duration_text


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...] = ()
    prose: tuple[int, ...] = ()
    """Columns of words, besides the first; the others are numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is told, in one of three ways. `document` is the same in numbers."""

    title: str
    tables: tuple[Table, ...]
    document: object
    remarks: tuple[str, ...] = ()

    def as_(self, form: Format) -> str:
        if form is Format.JSON:
            return json.dumps(self.document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        return self._markdown() if form is Format.MARKDOWN else self._text()

    def _text(self) -> str:
        blocks = [[self.title, *_indented(self.remarks)]]
        blocks += [[table.title, *aligned(table), *_indented(table.remarks)] for table in self.tables]
        return "\n\n".join("\n".join(block) for block in blocks) + "\n"

    def _markdown(self) -> str:
        blocks = [f"# {self.title}", *self.remarks]
        for table in self.tables:
            blocks += [f"## {table.title}", "\n".join(_rows(table)), *table.remarks]
        return "\n\n".join(blocks) + "\n"


def _indented(remarks: Sequence[str]) -> list[str]:
    return [line for remark in remarks for line in wrap(remark, 110, initial_indent="  ", subsequent_indent="  ")]


def aligned(table: Table) -> list[str]:
    """Words to the left, numbers to the right."""
    lines = [table.head, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]

    def line_of(line: tuple[str, ...]) -> str:
        cells = [
            cell.ljust(width) if index == 0 or index in table.prose else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  " + "   ".join(cells).rstrip()

    return [line_of(line) for line in lines]


def _rows(table: Table) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    marks = ["---" if index == 0 or index in table.prose else "---:" for index in range(len(table.head))]
    return [line(table.head), line(marks), *(line(row) for row in table.rows)]


def seconds_text(seconds: float | None) -> str:
    """`5m30s`; a dash where there is nothing to tell."""
    return "–" if seconds is None else duration_text(timedelta(seconds=round(seconds)))


def per_cent(share: float) -> str:
    """Three figures are enough for anybody.

    >>> per_cent(0.005), per_cent(1.0), per_cent(0.01234)
    ('0.5 %', '100 %', '1.23 %')
    """
    return f"{100 * share:.3g} %"


def number_text(number: float) -> str:
    """Thousands apart: `12 345`."""
    return f"{round(number):,}".replace(",", " ")
