"""Checks for shortcuts: dependence of the logit on brightness, on arcs, on single bands and on their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from scipy.stats import linregress, spearmanr
from torch import Tensor

from lensdream import metrics
from lensdream.evaluate.selection import EDGES
from lensdream.families import LENS
from lensdream.instrument import EUCLID, Band
from lensdream.metrics import Interval
from lensdream.scene import Scenes

FEWEST = 10
"""smallest number of lenses in a bin with a correlation"""
SPEARMAN_VARIANCE = 1.06
"""variance of the Fisher transform of Spearman's coefficient, times n - 3 (Fieller, Hartley & Pearson 1957)"""

Change = Callable[[Tensor, torch.Generator], Tensor]
"""function of images (B, band, y, x) and a random generator that returns changed images"""


def magnitude_dependence(
    arc_snr: np.ndarray, magnitude: np.ndarray, logits: np.ndarray, edges: Iterable[float] = EDGES["arc_snr"]
) -> dict[str, object]:
    """Dependence of the logit of lenses on the deflector's magnitude at equal signal-to-noise of the arcs; all (N,).

    Spearman's coefficient and the slope [logit / mag] in bins of the signal-to-noise, and one coefficient over the bins:
    their mean, each weighted by its certainty. Bins of fewer than `FEWEST` lenses are left out.
    """
    edges = tuple(edges)
    which = np.digitize(arc_snr, edges) - 1
    inside = {k: which == k for k in range(len(edges) - 1)}
    filled = {k: here for k, here in inside.items() if here.sum() >= FEWEST}
    bins = [
        {
            "low": edges[k],
            "high": edges[k + 1],
            "n": int(here.sum()),
            "spearman": rank_correlation([(magnitude[here], logits[here])]),
            "slope": float(linregress(magnitude[here], logits[here]).slope),
        }
        for k, here in filled.items()
    ]
    pairs = [(magnitude[here], logits[here]) for here in filled.values()]
    return {"spearman": rank_correlation(pairs), "bins": bins}


def rank_correlation(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Interval:
    """Spearman's coefficient within groups of pairs (x, y), averaged after Fisher's transform, with its 95 % interval.

    NaN without groups. A coefficient of 1 counts as 0.999999, whose transform is finite.
    """
    weights = np.array([len(x) - 3 for x, _ in pairs], float)
    if weights.sum() <= 0:
        return dict.fromkeys(("value", "low", "high"), float("nan"))
    found = np.array([spearmanr(x, y).statistic for x, y in pairs])
    middle = np.average(np.arctanh(np.clip(found, -0.999999, 0.999999)), weights=weights)
    margin = 1.96 * np.sqrt(SPEARMAN_VARIANCE / weights.sum())
    return {
        name: float(np.tanh(z)) for name, z in (("value", middle), ("low", middle - margin), ("high", middle + margin))
    }


def lenses_of(scenes: Scenes, n: int) -> Scenes:
    """Scenes of at most `n` detectable test lenses, evenly spaced in the table."""
    table = scenes.scenes
    rows = np.flatnonzero((table["split"] == "test") & (table["family"] == LENS) & (table["label"] == 1))
    return scenes.take(evenly_spaced(rows, n))


def evenly_spaced(rows: np.ndarray, n: int) -> np.ndarray:
    """At most `n` of these rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int)]


def arcs_removed(
    with_arcs: np.ndarray, without: np.ndarray, thresholds: Mapping[str, float]
) -> dict[str, int | float | Interval]:
    """Fall of the logits (N,) of lenses in the same scene and noise without arcs, and shares above thresholds."""
    fall = with_arcs - without
    result: dict[str, int | float | Interval] = {
        "n": len(fall),
        "falls": metrics.rare_share(fall > 0),
        "median_fall": float(np.median(fall)) if len(fall) else float("nan"),
    }
    for name, threshold in thresholds.items():
        result[f"above_{name}_with_arcs"] = metrics.rare_share(with_arcs > threshold)
        result[f"above_{name}_without"] = metrics.rare_share(without > threshold)
    return result


def unchanged(images: Tensor, chance: torch.Generator) -> Tensor:
    """Images as they are."""
    return images


def without(*bands: Band) -> Change:
    """Change that sets bands to zero, as in an observation without them."""

    def changed(images: Tensor, chance: torch.Generator) -> Tensor:
        images = images.clone()
        images[:, list(bands)] = 0
        return images

    return changed


def shuffled(*bands: Band) -> Change:
    """Change that permutes these bands in each image, never by the identity.

    Fluxes are in units of the sky of their new band, so that its noise is kept; brightness, colour and sharpness are not.
    """
    sky = torch.tensor(EUCLID.sky_sigma)[list(bands), None, None]

    def changed(images: Tensor, chance: torch.Generator) -> Tensor:
        images = images.clone()
        order = torch.stack([_permutation(len(bands), chance) for _ in range(len(images))])
        relative = images[:, list(bands)].float() / sky
        moved = relative.gather(1, order[:, :, None, None].expand_as(relative)) * sky
        images[:, list(bands)] = moved.to(images.dtype)
        return images

    return changed


def _permutation(n: int, chance: torch.Generator) -> Tensor:
    """Permutation of n bands that is not the identity."""
    while torch.equal(order := torch.randperm(n, generator=chance), torch.arange(n)):
        pass
    return order


NEAR_INFRARED = tuple(Band)[Band.Y :]
CHANGES: dict[str, Change] = {
    "as_they_are": unchanged,
    **{f"without_{band.name}": without(band) for band in Band},
    "without_near_infrared": without(*NEAR_INFRARED),
    "near_infrared_shuffled": shuffled(*NEAR_INFRARED),
    "bands_shuffled": shuffled(*Band),
}
"""training drops near-infrared bands, too, but never VIS; a network that uses colour must lose by shuffled bands"""


def changed_bands(
    score: Callable[[Tensor], np.ndarray], images: Tensor, labels: np.ndarray, bootstrap: int, seed: int
) -> dict[str, dict[str, Interval]]:
    """AUROC, and completeness at a false-positive rate of 1e-2, of images (N, band, y, x) after each of `CHANGES`.

    `score` gives logits (N,); labels (N,) are 0 and 1. Each change has a threshold of its own, so that a shift of all
    logits costs nothing.
    """
    found = {}
    for name, change in CHANGES.items():
        logits = score(change(images, torch.Generator().manual_seed(seed))).astype(float)
        found[name] = {
            key: metrics.bootstrap(measure, logits, labels, bootstrap, np.random.default_rng(seed))
            for key, measure in (
                ("auroc", metrics.auroc),
                ("tpr_at_fpr_1e-2", lambda s, y: metrics.tpr_at_fpr(s, y, 1e-2)),
            )
        }
    return found


def report(result: Mapping[str, Mapping]) -> str:
    """Lines for the terminal, from the entry `shortcuts` of the metrics."""
    brightness, arcs = result["deflector_magnitude"], result["arcs_removed"]
    slopes = ", ".join(f"{row['slope']:+.2f}" for row in brightness["bins"])
    lines = [
        f"  logit and deflector's magnitude at fixed arc S/N: Spearman {_text(brightness['spearman'])}; "
        f"slopes in bins {slopes} a mag",
        f"  arcs removed from {arcs['n']} lenses: the logit falls in {_text(arcs['falls'])}, median fall "
        f"{arcs['median_fall']:.2f}; above 0.5 still {_text(arcs['above_0.5_without'])}, above the survey's 1e-3 threshold "
        f"{_text(arcs['above_survey_1e-3_without'])}",
    ]
    lines += [
        f"  {name.replace('_', ' '):24s} AUROC {_text(row['auroc'])}  TPR at FPR 1e-2 {_text(row['tpr_at_fpr_1e-2'])}"
        for name, row in result["bands"].items()
    ]
    return "\n".join(lines)


def _text(value: Interval) -> str:
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
