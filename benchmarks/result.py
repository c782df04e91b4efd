"""What a benchmark found, as values, and its page in results/. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One number that was asked for, what was measured, and whether that is good enough."""

    what: str
    wanted: str
    measured: str
    met: bool

    @classmethod
    def at_most(cls, what: str, limit: float, measured: float, unit: str) -> "Target":
        return cls(what=what, wanted=f"≤ {limit:g}{unit}", measured=f"{measured:.3g}{unit}", met=measured <= limit)

    @classmethod
    def none(cls, what: str, count: int, of: int) -> "Target":
        return cls(what=what, wanted="none", measured=f"{count} of {of}", met=count == 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError(f"{self.title}: every row needs {len(self.head)} cells")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    name: str
    """Of the file beside the page, without `.svg`."""
    caption: str
    svg: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    title: str
    measured: str
    """What is measured and how, in a few sentences."""
    targets: tuple[Target, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    remarks: tuple[str, ...] = ()
    """What a reader must know to judge the numbers: conditions, misses and their causes."""

    @property
    def met(self) -> bool:
        return all(target.met for target in self.targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Where, when and of what a result is."""

    cores: int
    processor: str
    memory_gib: float
    kernel: str
    load_before: tuple[float, float, float]
    commit: str
    changed: tuple[str, ...]
    """Paths of what was measured that differ from the commit."""
    command: str
    began: datetime
    seconds: float


def page(result: Result, of: Circumstances) -> str:
    """The result as Markdown."""
    lines = [f"# {result.title}", "", result.measured, ""]
    if result.targets:
        lines += _table(
            ("", "target", "measured", "met"),
            [(each.what, each.wanted, each.measured, "yes" if each.met else "**no**") for each in result.targets],
        )
    for table in result.tables:
        lines += [f"## {table.title}", "", *_table(table.head, table.rows)]
    for picture in result.pictures:
        lines += [f"![{picture.caption}]({picture.name}.svg)", "", picture.caption, ""]
    if result.remarks:
        lines += ["## Remarks", "", *(f"- {remark}" for remark in result.remarks), ""]
    lines += ["## Circumstances", "", *_table(("", ""), _circumstances(of))]
    return "\n".join(lines)


def _circumstances(of: Circumstances) -> list[tuple[str, str]]:
    changed = f", and uncommitted changes in {', '.join(of.changed)}" if of.changed else ""
    return [
        ("command", f"`{of.command}`"),
        ("commit", f"`{of.commit}`{changed}"),
        ("date", f"{of.began:%Y-%m-%d %H:%M} UTC, {of.seconds:.0f} s"),
        ("processor", f"{of.cores} cores, {of.processor}"),
        ("memory", f"{of.memory_gib:.0f} GiB"),
        ("kernel", of.kernel),
        ("load before", " ".join(f"{load:.2f}" for load in of.load_before) + " (1, 5, 15 minutes)"),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, least and most of some numbers: honest for ten of them, where a percentile would not be."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        if not numbers:
            raise ValueError("there is nothing to summarise: every repetition went without a number")
        return cls(median=median(numbers), least=min(numbers), most=max(numbers), count=len(numbers))

    def cells(self, digits: int = 2) -> tuple[str, str, str]:
        return (f"{self.median:.{digits}f}", f"{self.least:.{digits}f}", f"{self.most:.{digits}f}")
