"""Pages of the occlusion maps (`explain.occlusion`) and Guided Grad-CAM in the study, a family each."""

from __future__ import annotations

from matplotlib.figure import Figure

from lensdream import config
from lensdream.evaluate.explanations.explained_set import ExplainedSet
from lensdream.plots import heatmaps
from lensdream.render import batch


def pages(explained: ExplainedSet, settings: config.ExplainConfig, note: str) -> dict[str, Figure]:
    """Page of maps of every family, with a note below; by file name."""
    drawn = {}
    for name in dict.fromkeys(explained.family):
        rows = [_maps_row(explained, row) for row in explained.rows_of(name)[: settings.figures_per_family]]
        drawn[f"occlusion-{name}"] = heatmaps.maps_page(
            f"What supports the decision: {name}", rows, (settings.window, settings.sky_window), note
        )
    return drawn


def _maps_row(explained: ExplainedSet, row: int) -> heatmaps.MapsRow:
    logit, mask = explained.zero.original[row], explained.masks[row]
    return heatmaps.MapsRow(
        label=f"{explained.label(row)}\nlogit {float(logit):+.2f}, p {float(logit.sigmoid()):.2f}",
        image=explained.images[row],
        arcs=((mask & batch.ARC_1) > 0, (mask & batch.ARC_2) > 0),
        occlusion_zero=explained.maps["occlusion_zero"][row],
        occlusion_sky=explained.maps["occlusion_sky"][row],
        guided_grad_cam=explained.maps["guided_grad_cam"][row],
    )
