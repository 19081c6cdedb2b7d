"""Report page: all metrics and figures of a run in one self-contained HTML file."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import pandas as pd

from lensdream.families import COMPOUND_ARC, DOUBLE_RING, FAMILIES, UNDETECTABLE, WITH_ARCS
from lensdream.report import compound_classifier, finder, others, survey
from lensdream.report.table import count, decimal, duration, interval, percent_interval
from lensdream.runtime.provenance import GitState

STAGES = (
    "population", "simulate", "train", "train-compound", "evaluate", "survey-test", "survey-peers", "compound-test",
    "explain", "observe",
)  # fmt: skip
"""metrics of the stages before the report, in their order"""
COMMANDS = {"train-compound": "train --recipe compound_classifier", "survey-peers": "survey-test"}
"""commands that write metrics of another name"""

CURVES = {
    "roc": "Completeness against the false-positive rate. The dotted lines are rates of 1e-2 and 1e-3.",
    "reliability": "Share of lenses against the stated probability, before and after temperature scaling.",
}
FAMILY_FIGURES = {"scores": "Scores of each family, with its number of images. The dotted lines are the thresholds."}
SELECTION_FIGURES = {"selection": "Completeness against properties of the lens, with the number of lenses in each bin."}
SURVEY_FIGURES = {
    "scores": "Scores of each family with its number of images: percentiles 5, 25, 50, 75 and 95, and single images above "
    "the threshold of 1e-2. The dotted lines are the thresholds.",
    "selection": "Completeness at a survey's rates against properties of the lens, with the number of lenses in each bin.",
    "selection-map": "Completeness at a survey's rate of 1e-3 against Einstein radius and S/N of the arcs, above the number of "
    "lenses in each cell.",
    "atlas": "The highest-scoring non-lenses, in the order of their logits, framed by family.",
}
COMPOUND_FIGURES = {
    "scores": "Scores of compound lenses and of the single lenses matched to them.",
    "selection": "Completeness of compound lenses against their properties, with the number of lenses in each bin.",
}
CLASSIFIER_FIGURES = {
    "told": "Left: compound lenses classified as compound against single ones classified so, of the lenses found at FPR 1e-2. "
    "Right: purity against completeness, of all compound lenses, those not found included.",
    "told-selection": "Share of the compound lenses found that are classified as compound, against their properties, at two "
    "rates of misclassified ordinary single lenses.",
    "missed": "Compound lenses missed by the finder at FPR 1e-2, those found but classified as single, and single ones "
    "classified as compound, at a rate of 1e-2. The strongest second sources come first, of single lenses the highest scores.",
}
POPULATION_FIGURES = {
    "forecast": "Properties of the detectable lenses drawn, with percentiles 16, 50 and 84 of the forecast of Collett 2015.",
    "counts": "Number counts of the galaxies that scenes are made of, with the published counts.",
}
TRAIN_FIGURES = {"losses": "Training and validation by epoch. All results are of the weights of the kept epoch."}
SHEETS = {"atlas", "missed"}
"""figures of many images, which are JPEG files"""
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


@dataclass(frozen=True)
class Measured:
    """Metrics of a scale, file by file."""

    population: Mapping
    simulate: Mapping
    train: Mapping
    train_compound: Mapping
    evaluate: Mapping
    survey_test: Mapping
    survey_peers: Mapping
    compound_test: Mapping
    explain: Mapping
    observe: Mapping
    epochs: pd.DataFrame
    timings: Mapping[str, Mapping] = field(default_factory=dict)
    """duration of each stage on this machine; without one, the page leaves out the sentence"""

    @classmethod
    def read(cls, folder: Path, scale: str, timings: Mapping[str, Mapping]) -> Measured:
        """Read the metrics files of a scale from its folder; timings: of the stages that have run on this machine.

        Raises `FileNotFoundError` that names each missing file and the command that writes it.
        """
        files = {stage: folder / f"{stage}.json" for stage in STAGES}
        epochs = folder / "epochs.csv"
        missing = [stage for stage, file in files.items() if not file.is_file()]
        if not epochs.is_file() and "train" not in missing:
            missing.append("train")
        if missing:
            names = [str(file) for file in (*files.values(), epochs) if not file.is_file()]
            raise FileNotFoundError(
                f"no {', no '.join(names)}: run `lensdream run --scale {scale}`, or on their own "
                + ", ".join(f"`lensdream {COMMANDS.get(stage, stage)} --scale {scale}`" for stage in missing)
            )
        read = {stage.replace("-", "_"): _json(file) for stage, file in files.items()}
        return cls(**read, epochs=pd.read_csv(epochs), timings=timings)

    def took(self, stage: str) -> Mapping[str, float]:
        """`seconds` and `images_per_second` of a stage: of its last run here, else of its metrics, else absent.

        Only metrics of models that were trained elsewhere have them.
        """
        blocks = (getattr(self, stage.replace("-", "_")), self.timings.get(stage, {}))
        return {key: block[key] for block in blocks for key in ("seconds", "images_per_second") if key in block}


@dataclass(frozen=True)
class Pictures:
    """Files of the pictures of a scale, with caption and credit."""

    figures: Path
    """folder of the figures, one subfolder a stage"""
    observed: Path
    """folder of the sheets of real cutouts, `sheet-*.png`"""
    real_lenses: Path
    """maps of real cutouts beside those of simulated lenses; absent where the observe stage had none to draw"""
    examples: Picture
    """examples of every family"""
    credit: str
    """of the pixels of real cutouts"""


@dataclass(frozen=True)
class Picture:
    """Picture of the page; without a `source` the page has a note that the file is missing."""

    name: str
    source: str = ""
    """data URI"""
    caption: str = ""

    @classmethod
    def read(cls, path: Path, caption: str = "") -> Picture:
        """Picture of a PNG or JPEG file, embedded."""
        if not path.is_file():
            return cls(path.name, caption=caption)
        content = base64.b64encode(path.read_bytes()).decode()
        return cls(path.name, f"data:{MEDIA_TYPES[path.suffix]};base64,{content}", caption)


def captioned(folder: Path, captions: Mapping[str, str]) -> list[Picture]:
    """Pictures of a folder with these captions by name, whether the file exists or not."""
    return [
        Picture.read(folder / f"{name}{'.jpg' if name in SHEETS else '.png'}", caption)
        for name, caption in captions.items()
    ]


@dataclass(frozen=True)
class Explanations:
    """Figures of the explain stage, by their subject."""

    dreams: tuple[Picture, ...]
    with_arcs: tuple[Picture, ...]
    """maps of families with arcs"""
    others: tuple[Picture, ...]
    ablations: tuple[Picture, ...]
    sanity: tuple[Picture, ...]
    removal: tuple[Picture, ...]
    kernels: tuple[Picture, ...]

    @classmethod
    def read(cls, folder: Path) -> Explanations:
        """Pictures of a folder, named `<kind>-<family>.png`, families in their order."""
        files = sorted(folder.glob("*.png"), key=lambda file: (_place(_family(file)), file.name))
        names = ("dream", "ablation", "sanity", "removal", "kernels")
        kinds = {kind: [file for file in files if _kind(file) == kind] for kind in names}
        maps = [file for file in files if _kind(file) not in kinds]
        with_arcs = [file for file in maps if _family(file) in WITH_ARCS]
        others = [file for file in maps if file not in with_arcs]
        parts = (kinds["dream"], with_arcs, others, *(kinds[name] for name in names[1:]))
        return cls(*(tuple(Picture.read(file) for file in part) for part in parts))


def _kind(file: Path) -> str:
    return file.stem.partition("-")[0]


def _family(file: Path) -> str:
    return file.stem.partition("-")[2]


def _place(family: str) -> int:
    return FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)


def summary(measured: Measured) -> str:
    """Sentences with the main numbers of a run."""
    train, evaluate, observe = measured.train, measured.evaluate, measured.observe
    took = measured.took("train")
    trained = f", trained in {duration(took['seconds'])}" if "seconds" in took else ""
    arcs, rings = (
        f"{percent_interval(row['completeness_at_0.5'])} of {count(row['n'])}"
        for row in (measured.compound_test[COMPOUND_ARC], measured.compound_test[DOUBLE_RING])
    )
    above = sum(row["above_fpr_1e-3"] is True for row in observe["files"])
    real = f"Of {count(observe['n'])} real cutouts, {count(above)} lie above the threshold of that false-positive rate."
    return (
        f"LensNet ({count(train['parameters'])} weights{trained}) finds "
        f"{percent_interval(evaluate['tpr_at_fpr_1e-3'])} of {count(evaluate['n_lens'])} lenses in the test set at a "
        f"false-positive rate of 1e-3 (brackets hold 95 % intervals). "
        + (real if observe["n"] else "No real cutouts were scored.")
        + f" At a score of 0.5 its precision is {decimal(evaluate['precision']['value'], 3)} and its recall "
        f"{decimal(evaluate['recall']['value'], 3)}, and of compound lenses, which it was never trained on, it finds "
        f"{arcs} compound arcs and {rings} double rings."
    )


def render(
    scale: str, measured: Measured, pictures: Pictures, git: GitState, links: Mapping[str, str], now: datetime
) -> str:
    """HTML of the page. `links`: address of each stage's run on MLflow's pages.

    Raises `ValueError` where a metrics file lacks what the page shows; the message says what to run.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        values = _values(measured, pictures)
    except KeyError as error:
        raise ValueError(
            f"the metrics of {scale} have no {error}, so another version wrote them: run "
            f"`lensdream run --scale {scale}` after removing them"
        ) from error
    return environment.get_template("page.html").render(
        values,
        scale=scale,
        commit="" if git.commit == "none" else git.commit,
        dirty=git.dirty,
        date=now.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        links={stage: links[stage] for stage in STAGES if stage in links},
        commands=dict.fromkeys(COMMANDS.get(stage, stage) for stage in STAGES),
    )


def _values(measured: Measured, pictures: Pictures) -> dict[str, object]:
    """Values of the template by name, from metrics and figures."""
    evaluate, observe, explain = measured.evaluate, measured.observe, measured.explain
    classifier = measured.compound_test["compound_head"]
    return {
        "summary": summary(measured),
        "examples": pictures.examples,
        "poster_comparison": finder.poster_comparison(evaluate, measured.compound_test),
        "n_lens": count(evaluate["n_lens"]),
        "n_nonlens": count(evaluate["n_nonlens"]),
        "networks": finder.networks(evaluate),
        "scores": finder.scores(evaluate),
        "thresholds": finder.thresholds(evaluate),
        "unmeasured_rates": finder.unmeasured_rates(evaluate),
        "family_table": finder.families(evaluate),
        UNDETECTABLE: finder.undetectable(evaluate),
        "selection": finder.selection(evaluate),
        "curves": captioned(pictures.figures / "evaluate", CURVES),
        "family_pictures": captioned(pictures.figures / "evaluate", FAMILY_FIGURES),
        "selection_pictures": captioned(pictures.figures / "evaluate", SELECTION_FIGURES),
        "survey_n": count(measured.survey_test["n"]),
        "survey_rates": survey.rates(measured.survey_test),
        "survey_networks": survey.networks(measured.survey_peers),
        "survey_peers_n": count(measured.survey_peers["n"]),
        "survey_calibration": interval(measured.survey_test["ece"], 4) if "ece" in measured.survey_test else None,
        "survey_unmeasured": survey.unmeasured_rates(measured.survey_test),
        "purity": survey.purity(measured.survey_test),
        "survey_families": survey.families(measured.survey_test),
        "survey_pictures": captioned(pictures.figures / "survey-test", SURVEY_FIGURES),
        "survey_selection": finder.selection(measured.survey_test),
        "shortcuts": survey.shortcuts(measured.survey_test),
        "brightness": survey.brightness(measured.survey_test),
        "band_checks": survey.bands(measured.survey_test),
        "compound": finder.compound(measured.compound_test),
        "compound_selection": finder.selection(measured.compound_test),
        "compound_pictures": captioned(pictures.figures / "compound-test", COMPOUND_FIGURES),
        "classifier_training": compound_classifier.training(measured.train_compound, measured.took("train-compound")),
        "classifier_summary": compound_classifier.summary(classifier),
        "classified": compound_classifier.classified(classifier),
        "misclassified": compound_classifier.misclassified(classifier),
        "classifier_selection": finder.selection(classifier),
        "classifier_pictures": captioned(pictures.figures / "compound-test", CLASSIFIER_FIGURES),
        "training": others.training(measured.train, measured.took("train")),
        "accuracies": others.accuracies(measured.train),
        "epochs": others.epochs(measured.epochs),
        "train_pictures": captioned(pictures.figures / "train", TRAIN_FIGURES),
        "relevance": others.relevance(explain),
        "relevance_by_family": others.relevance_by_family(explain),
        "ablation": others.ablation(explain),
        "rank_correlations": others.rank_correlations(explain),
        "sanity": others.sanity(explain),
        "removal": others.removal(explain),
        "dream": others.dream(explain),
        "dream_by_family": others.dream_by_family(explain),
        "kernels": others.kernels(explain),
        "explanations": Explanations.read(pictures.figures / "explain"),
        "real_lenses": [Picture.read(pictures.real_lenses)] if pictures.real_lenses.is_file() else [],
        "n_cutouts": observe["n"],
        "cutouts": others.cutouts(observe),
        "skipped": others.skipped(observe),
        "cutout_pictures": [Picture.read(file) for file in sorted(pictures.observed.glob("sheet-*.png"))],
        "credit": pictures.credit,
        "counts": others.counts(measured.population),
        "forecast": others.forecast(measured.population),
        "population_pictures": captioned(pictures.figures / "population", POPULATION_FIGURES),
        "rendering": others.rendering(
            measured.simulate, drawing=measured.took("population"), rendering=measured.took("simulate")
        ),
    }


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}): run its stage again") from None
