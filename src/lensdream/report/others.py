"""Tables of data, training, explanations and real cutouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from lensdream.families import COMPOUND_SPLIT, COMPOUND_TRAIN, FAMILIES, TEST, TRAIN, VALIDATION
from lensdream.report.table import (
    NOTHING,
    Table,
    count,
    decimal,
    duration,
    interval,
    pairs,
    percent,
    percent_interval,
    plain,
    size,
    word,
)

SPLITS = (TRAIN, COMPOUND_TRAIN, VALIDATION, TEST, COMPOUND_SPLIT)

LENS_QUANTITIES = {
    "z_lens": "redshift of the lens",
    "z_source": "redshift of the source",
    "theta_E": "Einstein radius [arcsec]",
    "sigma": "velocity dispersion [km/s]",
    "q": "axis ratio of the mass",
    "lens_VIS": "lens [VIS mag]",
    "source_VIS": "source, unlensed [VIS mag]",
    "lensed_VIS": "source, lensed [VIS mag]",
    "source_r_e": "half-light radius of the source [arcsec]",
    "magnification": "magnification",
}
"""labels of the forecast's quantities, the same as in its figure"""

EPOCH_COLUMNS = {
    "train_loss": ("training loss", 4),
    "validation_loss": ("validation loss", 4),
    "train_accuracy": ("training accuracy", 4),
    "validation_accuracy": ("validation accuracy", 4),
    "validation_auroc": ("validation AUROC", 4),
    "augmented_train_loss": ("training loss as trained, augmented and with dropout", 4),
    "learning_rate": ("learning rate", 6),
}

MAP_SCORES = ("relevance_mass", "chance", "brightness", "random", "rank_accuracy", "pointing")
LAYERS = {"stem": "first layer", "block_3": "last block"}
DREAM_WAYS = {"towards_lens": "towards lens", "towards_non_lens": "towards non-lens"}

MOST_FILES = 300
"""rows of real cutouts on the page; `scores.csv` has all of them"""


def counts(population: Mapping) -> Table:
    """Table of the number of images of each family in each split."""
    numbers = {tuple(name.split("/", 1)): n for name, n in population["counts"].items()}
    splits = [s for s in SPLITS if any(split == s for split, _ in numbers)]
    found = dict.fromkeys(family for _, family in numbers)
    names = [*(name for name in FAMILIES if name in found), *(name for name in found if name not in FAMILIES)]

    def cells(family: str) -> tuple[str, ...]:
        return tuple(count(numbers[split, family]) if (split, family) in numbers else NOTHING for split in splits)

    totals = tuple(count(sum(n for (s, _), n in numbers.items() if s == split)) for split in splits)
    return Table(("family", *splits), (*((plain(name), *cells(name)) for name in names), ("all", *totals)))


def forecast(population: Mapping) -> Table:
    """Table of properties of the lenses, forecast and drawn: percentiles 16, 50 and 84."""
    rows = tuple(
        (
            LENS_QUANTITIES.get(name, plain(name)),
            *(_percentiles(row[key]) for key in ("forecast", "drawn")),
            word(row["within"]),
        )
        for name, row in population["forecast"].items()
    )
    return Table(("detectable lenses: 16 %, median, 84 %", "Collett 2015", "drawn", "within the goal"), rows)


def _percentiles(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def rendering(simulate: Mapping, *, drawing: Mapping[str, float], rendering: Mapping[str, float]) -> Table:
    """Table of the number and disk space of the images, and of the time of both stages where it is known."""
    rows = [("rendered", count(simulate["n"]))]
    if "seconds" in drawing:
        rows.append(("drawing the scenes", duration(drawing["seconds"])))
    rows += _time(rendering, "rendering them", 1)
    return pairs(("images", "value"), [*rows, ("size on disk", size(simulate["bytes"]))])


def training(train: Mapping, took: Mapping[str, float]) -> Table:
    """Table of the training's cost and result; its time and speed where they are known."""
    rows = [
        ("weights", count(train["parameters"])),
        ("epochs", count(train["epochs"])),
        ("best epoch, kept", str(train["best_epoch"])),
        *_time(took, "time", 0),
    ]
    of_best = {
        "validation_loss": "validation loss of the best epoch",
        "train_accuracy": "training accuracy of the best epoch",
        "validation_accuracy": "validation accuracy of the best epoch",
        "validation_auroc": "validation AUROC of the best epoch",
    }
    rows += [(words, decimal(train[name])) for name, words in of_best.items() if name in train]
    return pairs(("LensNet", "value"), rows)


def _time(took: Mapping[str, float], words: str, digits: int) -> list[tuple[str, str]]:
    rows = [(words, duration(took["seconds"]))] if "seconds" in took else []
    speed = took.get("images_per_second")
    return rows if speed is None else [*rows, ("images a second", f"{speed:.{digits}f}")]


def accuracies(train: Mapping) -> str:
    """Sentences on the kept epoch, its accuracies and where they part; empty for a training that did not measure them."""
    if "train_accuracy" not in train:
        return ""
    of_train, of_validation = percent(train["train_accuracy"]), percent(train["validation_accuracy"])
    first = (
        f"The weights of epoch {train['best_epoch']}, of the lowest validation loss, are kept. Their accuracy at 0.5 is "
        f"{of_train} on training images and {of_validation} on validation images, both without augmentation and dropout."
    )
    if train["parting_epoch"] is None:
        return f"{first} The two accuracies do not part by more than two standard errors up to the last epoch."
    return (
        f"{first} From epoch {train['parting_epoch']} on the training accuracy stays above the validation accuracy by more "
        "than two standard errors: the two part there, and the network begins to overfit."
    )


def epochs(history: pd.DataFrame) -> Table:
    """Table of the training history, an epoch a row."""
    if "augmented_train_loss" not in history:  # of an earlier version, whose one training loss is this
        history = history.rename(columns={"train_loss": "augmented_train_loss"})
    columns = {name: EPOCH_COLUMNS[name] for name in EPOCH_COLUMNS if name in history}
    rows = tuple(
        (
            f"{row['epoch']:.0f}{', kept' if row.get('kept') == 1 else ''}",
            *(decimal(row[name], digits) for name, (_, digits) in columns.items()),
        )
        for _, row in history.iterrows()
    )
    return Table(("epoch", *(words for words, _ in columns.values())), rows)


def methods(explain: Mapping) -> list[str]:
    """Names of the methods whose maps were scored."""
    return [name for name, value in explain.items() if isinstance(value, Mapping) and "relevance_mass" in value]


def relevance(explain: Mapping) -> Table:
    """Table of every method's scores and controls, over all scenes with arcs."""
    head = (
        "method",
        "scenes",
        "relevance mass",
        "times chance",
        "times brightness",
        "chance",
        "brightness",
        "random",
        "rank accuracy",
        "pointing",
    )
    rows = []
    for name in methods(explain):
        block = explain[name]
        texts = {key: interval(block[key], 3) for key in MAP_SCORES}
        times = (interval(block[key], 1) if key in block else NOTHING for key in ("times_chance", "times_brightness"))
        controls = (decimal(block[key]["value"], 3) for key in ("chance", "brightness", "random"))
        rows.append(
            (plain(name), str(block.get("n", NOTHING)), texts["relevance_mass"], *times, *controls,
             texts["rank_accuracy"], texts["pointing"])
        )  # fmt: skip
    return Table(head, tuple(rows))


def relevance_by_family(explain: Mapping) -> Table:
    """Table of relevance mass and controls of each family with arcs."""
    rows = tuple(
        (
            plain(method),
            plain(family),
            str(block["n"]),
            interval(block["relevance_mass"], 3),
            interval(block["times_chance"], 1),
            decimal(block["brightness"]["value"], 3),
        )
        for method in methods(explain)
        for family, block in explain[method].get("families", {}).items()
    )
    return Table(("method", "family", "scenes", "relevance mass", "times chance", "brightness"), rows, frozenset({1}))


def ablation(explain: Mapping) -> Table:
    """Table of the logit lost with each component of a scene."""
    rows = tuple(
        (
            plain(group),
            plain(component),
            str(block["n"]),
            interval(block["logit_change"], 2),
            percent_interval(block["lost"]),
        )
        for group, components in explain.get("ablation", {}).get("components", {}).items()
        for component, block in components.items()
    )
    head = ("scenes", "without", "number", "loss of the logit", "above 0.5 before, not after")
    return Table(head, rows, frozenset({1}))


def rank_correlations(explain: Mapping) -> Table:
    """Table of the maps' rank correlation with the ablation, and of controls that do not depend on the network."""
    ablation = explain.get("ablation", {})
    columns = {"all components": ablation.get("rank_correlation", {})}
    columns |= {
        f"{plain(group)} alone": block for group, block in ablation.get("rank_correlation_by_group", {}).items()
    }
    columns |= {"within scenes with arcs, mean": ablation.get("rank_correlation_within_scenes", {})}
    columns = {head: column for head, column in columns.items() if column}
    maps = next(iter(columns.values()), {})
    rows = tuple((plain(name), *(interval(column[name], 2) for column in columns.values())) for name in maps)
    return Table(("rank correlation with the ablation of each map's sums", *columns), rows)


def sanity(explain: Mapping) -> Table:
    """Table of the similarity of each method's maps as the network is randomised from its last layer down."""
    blocks = {name: block for name, block in explain.get("sanity", {}).items() if isinstance(block, Mapping)}
    layers = list(next(iter(blocks.values()), {}))
    rows = tuple(
        (plain(name), *(decimal(block[layer]["value"], 2) for layer in layers)) for name, block in blocks.items()
    )
    return Table(("randomised down to", *(plain(layer) for layer in layers)), rows)


def removal(explain: Mapping) -> Table:
    """Table of the mean logit while pixels are replaced by sky in the order of each map."""
    rows = tuple(
        (plain(name), *(interval(block[key], 2) for key in ("most_first", "least_first", "gap")))
        for name, block in explain.get("removal", {}).items()
        if isinstance(block, Mapping)
    )
    return Table(("order of", "mean logit, most relevant first", "least relevant first", "gap"), rows)


def dream(explain: Mapping) -> Table:
    """Table of the changes by Deep Dream of the logit and of the arcs' colour, for trained and random weights."""
    dreamt = explain.get("dream", {})
    rows = tuple(
        (
            f"{plain(network)}, {words}",
            str(block["n"]),
            interval(block["logit_change"], 2),
            interval(block["arc_vis_minus_h_change"], 4),
            percent_interval(block["bluer"]),
        )
        for network, ways in dreamt.items()
        for way, words in DREAM_WAYS.items()
        if way in ways
        for block in [ways[way]]
    )
    head = ("dreamt", "scenes", "change of the logit", "of VIS - H in the arcs [mag]", "arcs that turn bluer")
    return Table(head, rows)


def dream_by_family(explain: Mapping) -> Table:
    """Table of the change of colour of each family's arcs in the trained network's dreams."""
    trained = explain.get("dream", {}).get("trained", {})
    rows = tuple(
        (plain(family), words, str(block["n"]), interval(block["logit_change"], 2),
         interval(block["arc_vis_minus_h_change"], 4))
        for way, words in DREAM_WAYS.items()
        for family, block in trained.get(way, {}).get("families", {}).items()
    )  # fmt: skip
    head = ("family", "dreamt", "scenes", "change of the logit", "of VIS - H in the arcs [mag]")
    return Table(head, rows, frozenset({1}))


def kernels(explain: Mapping) -> Table:
    """Table of the channels of each layer: activity on lenses and on non-lenses."""
    rows = tuple(
        (
            LAYERS.get(layer, plain(layer)),
            str(block["n_channels"]),
            str(block["n_higher_for_lenses"]),
            str(block["n_higher_for_non_lenses"]),
            str(block["n_silent"]),
            str(block["strongest"]),
            f"{block['best']}: {interval(block['best_auroc'], 3)}",
        )
        for layer, block in explain.get("kernels", {}).items()
    )
    head = (
        "layer",
        "channels",
        "more active on lenses",
        "more active on non-lenses",
        "never active",
        "largest effect on the logit",
        "best separates lenses: AUROC of its activation",
    )
    return Table(head, rows)


def cutouts(observe: Mapping) -> Table:
    """Table of real cutouts, the highest scores first, at most `MOST_FILES` of them."""
    ordered = sorted(observe["files"], key=lambda row: row["logit"], reverse=True)[:MOST_FILES]
    rows = tuple(
        (
            row["file"],
            "" if row["object"] == Path(row["file"]).stem else row["object"],
            row["kind"],
            decimal(row["probability"]),
            decimal(row["logit"], 2),
            word(row["above_fpr_1e-2"]),
            word(row["above_fpr_1e-3"]),
            row["flags"].replace(";", ", "),
        )
        for row in ordered
    )
    head = ("file", "object", "kind", "probability", "logit", "above FPR 1e-2", "above FPR 1e-3", "flags")
    return Table(head, rows, frozenset({1, 2, 7}))


def skipped(observe: Mapping) -> Table:
    """Table of the files that could not be scored, with the reason."""
    return Table(("file", "reason"), tuple((row["file"], row["reason"]) for row in observe["skipped"]), frozenset({1}))
