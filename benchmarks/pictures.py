"""Curves as SVG. The same numbers give the same bytes."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.result import Picture

COLOURS = ("#0b6e4f", "#56b870", "#c44536", "#e09f3e", "#5b5f97", "#8d99ae")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    label: str
    x: Sequence[float]
    y: Sequence[float]
    """Infinite and NaN are gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    title: str
    curves: Sequence[Curve]
    limit: float | None = None
    """A line that nothing should be above."""


def curves(
    name: str, caption: str, panels: Sequence[Panel], *, x: str, y: str, linear_to: float | None = None
) -> Picture:
    """One panel beside the other over a logarithmic x; y is logarithmic too, linear below `linear_to` where given."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "modelrollout", "font.size": 9}):
        rows = (len(panels) + 1) // 2
        figure = Figure(figsize=(9, 3.2 * rows), layout="constrained")
        axes = figure.subplots(rows, min(2, len(panels)), sharex=True, sharey=True, squeeze=False)
        for axis, panel in zip(axes.flat, panels, strict=True):
            axis.set_title(panel.title, fontsize=9)
            axis.set_xscale("log")
            if linear_to is None:
                axis.set_yscale("log")
            else:
                axis.set_yscale("symlog", linthresh=linear_to)
            for curve, colour in zip(panel.curves, COLOURS, strict=False):
                shown = [value if isfinite(value) else nan for value in curve.y]
                axis.plot(curve.x, shown, marker="o", markersize=3, color=colour, label=curve.label)
            if panel.limit is not None:
                axis.axhline(panel.limit, color="grey", linestyle="--", linewidth=0.8)
            axis.xaxis.set_major_formatter("{x:g}")
            axis.yaxis.set_major_formatter("{x:g}")
            axis.grid(alpha=0.25)
        axes[0, 0].legend(fontsize=8)
        figure.supxlabel(x, fontsize=9)
        figure.supylabel(y, fontsize=9)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return Picture(name=name, caption=caption, svg=written.getvalue())
