"""Page of scored cutouts: pictures, highest scores first, and a table."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence

import jinja2
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensdream.cutouts.bands import Origin
from lensdream.cutouts.scoring import Score
from lensdream.finder.operating_points import OperatingPoints
from lensdream.plots import composite

COLUMNS, ROWS = 5, 4
"""pictures on one sheet"""
ABOVE, BELOW = "tab:green", "0.7"
"""frames of pictures above the threshold of a false-positive rate of 1e-3, and of the others"""

TEMPLATE = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>lensdream: real cutouts ({{ scale }})</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222 }
img { max-width: 100% }
table { border-collapse: collapse }
th, td { border-bottom: 1px solid #ddd; padding: .2em .8em; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums }
</style>
<h1>Real cutouts, scored by the {{ scale }} model</h1>
<p>{{ rows | length }} scored, {{ skipped | length }} skipped.
{% for rate, logit in thresholds.items() %}Threshold {{ rate }}: logit {{ "%.3f" | format(logit) }}. {% endfor %}
{% if not thresholds %}The thresholds are not known: run the evaluate stage. {% endif %}
{% if not rows %}There is nothing to show: {{ remedy }}{% endif %}</p>
{% for sheet in sheets %}<p><img src="{{ sheet }}" alt="Cutouts with their scores, sheet {{ loop.index }}"></p>
{% endfor %}
{% if credit %}<p>Pixels: {{ credit }}. Bands as colours: H red, the mean of Y and J green, VIS blue; grey where there
is one band only. A green frame: above the threshold of a false-positive rate of 1e-3.</p>{% endif %}
{% if rows %}<table>
<tr><th>file<th>object<th>probability<th>logit<th>above FPR 1e-2<th>above FPR 1e-3<th>flags</tr>
{% for row in rows %}<tr><td>{{ row.file }}<td>{{ row.object }}<td class="number">{{ "%.4f" | format(row.probability) }}
<td class="number">{{ "%.2f" | format(row.logit) }}<td>{{ words[row["above_fpr_1e-2"]] }}
<td>{{ words[row["above_fpr_1e-3"]] }}<td>{{ row.flags }}</tr>
{% endfor %}</table>{% endif %}
{% if skipped %}<h2>Skipped</h2>
<table><tr><th>file<th>reason</tr>
{% for row in skipped %}<tr><td>{{ row.file }}<td>{{ row.reason }}</tr>
{% endfor %}</table>{% endif %}
</html>
"""
)


def credit_of(origins: Iterable[Origin]) -> str:
    """Credits that pictures of these origins owe; empty for simulations only."""
    there = set(origins)
    return ", ".join(origin.value for origin in Origin if origin in there and origin.value)


def draw_sheets(scores: Sequence[Score]) -> list[bytes]:
    """PNG files of `COLUMNS` x `ROWS` pictures in the order of `scores`, with names, scores, flags and credits."""
    size = COLUMNS * ROWS
    return [_sheet(scores[start : start + size]) for start in range(0, len(scores), size)]


def _sheet(scores: Sequence[Score]) -> bytes:
    rows = -(-len(scores) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 3.5 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels[len(scores) :]:
        axes.axis("off")
    for axes, score in zip(panels, scores, strict=False):
        _panel(axes, score)
    credit = credit_of(score.cutout.origin for score in scores)
    if credit:
        figure.supxlabel(f"Pixels: {credit}", fontsize="small")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _panel(axes: Axes, score: Score) -> None:
    image = score.cutout.image
    axes.imshow(composite.picture(image), origin="lower", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=ABOVE if score.above("fpr_1e-3") else BELOW, linewidth=3)
    name = score.target.name or score.cutout.object
    title = f"{name if len(name) <= 26 else name[:25] + '…'}\np = {score.probability:.4f}"
    # Names come from files: no mathematics in them.
    axes.set_title(f"{title}, logit {score.logit:.2f}", fontsize="small", parse_math=False)
    axes.set_xlabel("\n".join(_lines(score.cutout.flags)), fontsize="xx-small", parse_math=False)


def _lines(flags: Sequence[str]) -> list[str]:
    """Lines of two flags each."""
    return [", ".join(flags[start : start + 2]) for start in range(0, len(flags), 2)]


def page(
    scale: str,
    rows: Sequence[Mapping[str, object]],
    skipped: Sequence[Mapping[str, str]],
    points: OperatingPoints,
    sheets: Sequence[str],
    credit: str,
    remedy: str,
) -> str:
    """HTML of the page: `rows` as in `observe.json`, in the order they are shown; `sheets`: names of the PNG files."""
    return TEMPLATE.render(
        scale=scale, rows=rows, skipped=skipped, thresholds=points.thresholds, sheets=sheets, credit=credit,
        remedy=remedy, words={True: "yes", False: "no", None: "", pd.NA: ""},
    )  # fmt: skip
