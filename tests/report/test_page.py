"""The report: one page that needs nothing else, and the picture of every family."""

import base64
import dataclasses
import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from matplotlib.image import imread

from conftest import ROOT, write_images
from lensdream import config
from lensdream.commands import report
from lensdream.commands.paths import Paths
from lensdream.config import CompoundConfig, EvaluateConfig, SurveyConfig
from lensdream.dataset import family_examples
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import compound, compound_classifier, shortcuts, test_set
from lensdream.evaluate import survey as survey_test
from lensdream.evaluate.explanations.measure import score_maps
from lensdream.families import FAMILIES, FAMILIES_NON_LENS
from lensdream.instrument import EUCLID, Band
from lensdream.plots.contact_sheet import title_of
from lensdream.plots.encoded import jpeg
from lensdream.population.forecast import FORECAST
from lensdream.report import compound_classifier as report_of_head
from lensdream.report import finder, others, survey
from lensdream.report.page import Explanations, Measured, captioned
from lensdream.report.table import NOTHING
from lensdream.runtime.files import without_nan
from truth_tables import truth_table

PARAMS = ROOT / "params.yaml"


SCALE, STAMP = "tiny", 32


SHEETS = ("survey-test/atlas", "compound-test/missed")
NASTY = '<img src="http://x/y.png">&"quoted".fits'


VOID = {"meta", "img", "br", "hr", "link", "input"}


RNG = np.random.default_rng(0)


class Read(HTMLParser):
    """What a page loads and links to, and its text; fails on tags that do not match."""

    def __init__(self, html: str):
        super().__init__()
        self.sources, self.links, self.tags, self.pieces = [], [], [], []
        self.stack = []
        self.feed(html)
        assert not self.stack

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.stack.append(tag)
        for name, value in attributes:
            assert not name.startswith("on")
            if name in ("src", "srcset", "data", "poster"):
                self.sources.append(value)
            if name == "href":
                self.links.append((tag, value))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.pieces.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.pieces).split())


def write_store(paths: Paths) -> None:
    truth = truth_table()
    images = RNG.normal(size=(len(truth), len(Band), STAMP, STAMP)) * np.array(EUCLID.sky_sigma)[:, None, None]
    write_images(paths.images, truth, images)


def evaluated() -> dict:
    """`evaluate.json` as its stage writes it, of made-up scores."""
    family = np.repeat(["lens", *FAMILIES_NON_LENS], [60, *[10] * len(FAMILIES_NON_LENS)])
    label = (family == "lens").astype(int)
    test = pd.DataFrame({"family": family, "label": label, "logit": RNG.normal(size=len(family)) + 3 * label - 1.5})
    result = test_set.measure(test, 1.2, EvaluateConfig(bootstrap=20, seed=0, prevalence=1e-3, batch_size=8))
    bins = [{"low": 0.2, "high": 0.4, "n": 7, "completeness_at_0.5": 0.5, "completeness_at_fpr_1e-3": 0.25}]
    return result | {
        "undetectable": {"n": 8, "found_at_0.5": 0.5, "found_at_threshold_1e-3": 0.25},
        "selection_function": {"theta_E": bins, "arc_snr": []},
    }


def survey_tested() -> dict:
    """`survey-test.json` as its stage writes it, of made-up scores."""
    settings = config.load("survey", SurveyConfig, "quick", PARAMS)
    rng = np.random.default_rng(1)
    family = np.repeat(FAMILIES_NON_LENS, 20)
    scored = pd.DataFrame({"family": family, "logit": rng.normal(size=len(family)) - 2})
    result = survey_test.measure(scored, rng.normal(size=50) + 1, dataclasses.replace(settings, bootstrap=20))
    images, labels = torch.rand(40, len(Band), 4, 4), np.arange(40) % 2
    checks = {
        "deflector_magnitude": shortcuts.magnitude_dependence(*rng.uniform(20, 25, (3, 60))),
        "arcs_removed": shortcuts.arcs_removed(*rng.normal(size=(2, 30)), {"0.5": 0.0, "survey_1e-3": 1.0}),
        "bands": shortcuts.changed_bands(lambda some: some.sum((1, 2, 3)).numpy(), images, labels, 20, 0),
    }
    about = {"n": len(scored)}
    bins = [{"low": 0.2, "high": 0.4, "n": 7, "completeness_at_0.5": 0.5, "completeness_at_fpr_1e-3": 0.25}]
    return about | result | {"atlas": {"ring": 17}, "shortcuts": checks, "selection_function": {"theta_E": bins}}


def survey_compared() -> dict:
    """`survey-peers.json` as its stage writes it, of ours and one peer."""
    found = {f"tpr_at_fpr_{rate}": {"value": 0.8, "low": 0.7, "high": 0.9} for rate in ("1e-2", "1e-3")}
    ratio = {"missed_at_fpr_1e-3_ratio": {"value": 5.5, "low": 4.0, "high": 7.0}}
    return {"n": 30_000, "n_lens": 50, "lensnet": found, "ou66": found | ratio}


def compound_tested() -> dict:
    """`compound-test.json` as its stage writes it, of made-up scores; few single lenses are found."""
    settings = CompoundConfig(bootstrap=20, seed=0, prevalence=0.01, batch_size=8)
    table = truth_table()
    table = table[table["split"] == "compound"].assign(logit=1.0)
    thresholds = {"0.5": 0.0, "fpr_1e-2": 0.5, "fpr_1e-3": 2.0}
    single = pd.DataFrame(
        {"index": np.arange(900, 1050), "partner": -1, "split": "test", "family": "lens", "logit": 1.0}
    )
    both = pd.concat([table, single], ignore_index=True)
    both = both.assign(compound_logit=np.arange(len(both))[::-1] + 0.5)
    classifier = compound_classifier.measure(both, thresholds, settings)
    classifier["selection_function"] = compound_classifier.completeness(both, 0.5, classifier["found_at_fpr_1e-2"])
    bins = [{"low": 0.4, "high": 0.6, "n": 77, "completeness_at_0.5": 0.5, "completeness_at_fpr_1e-3": 0.25}]
    sections = {"selection_function": {"theta_E_2": bins}, "compound_head": classifier}
    non_lenses = {"logit": np.array([3.0, 2.0, *[1.0] * 8, *[0.5] * 990]), "survey_logit": np.array([])}
    return without_nan(compound.measure(table, non_lenses, settings) | sections)


def explained() -> dict:
    maps, images = RNG.random((4, 8, 8)), RNG.random((4, len(Band), 8, 8))
    arcs = np.zeros((4, 8, 8), bool)
    arcs[:3, 2:4, 2:6] = True
    family = np.array(["lens", "lens", "compound_arc", "double_ring"])
    change = {"value": 1.5, "low": 1.0, "high": 2.0}
    dreamt = {
        "logit_change": change,
        "arc_vis_minus_h_change": dict.fromkeys(change, -0.0625),
        "bluer": dict.fromkeys(change),
        "n": 4,
    }
    ways = {way: dreamt | {"families": {"double_ring": dreamt}} for way in ("towards_lens", "towards_non_lens")}
    dream = {"trained": ways | {"between_ways": change}, "random_weights": ways}
    channels = {
        "n_channels": 32,
        "n_higher_for_lenses": 7,
        "n_higher_for_non_lenses": 5,
        "n_silent": 1,
        "strongest": 31,
    }
    kernels = {"stem": channels | {"n": 4, "best": 17, "best_auroc": dict.fromkeys(change, 0.875)}}
    ablation = {
        "components": {"lens": {"source_1": {"logit_change": change, "lost": dict.fromkeys(change, 0.25), "n": 2}}},
        "rank_correlation": {"occlusion_sky": change, "area": dict.fromkeys(change)},
    }
    sanity = {"n": 2, "guided_grad_cam": {"head": change | {"n_undefined": 0}, "stem": dict.fromkeys(change)}}
    scored = score_maps({"occlusion_zero": maps, "guided_grad_cam": maps}, images, arcs, family, 0)
    removal = {"n": 2, "brightness": {"most_first": change, "least_first": change, "gap": dict.fromkeys(change)}}
    return scored | {
        "removal": removal,
        "ablation": ablation,
        "sanity": sanity,
        "dream": dream,
        "kernels": kernels,
        "scenes": {"lens": 2},
    }


def observed(*files: str) -> dict:
    rows = [
        {"file": name, "object": f"object {k}", "kind": "cutout", "probability": 0.9, "logit": float(k),
         "above_fpr_1e-2": None, "above_fpr_1e-3": k > 0, "flags": "missing:NIR_J;bad_pixels_VIS:0.03"}
        for k, name in enumerate(files)
    ]  # fmt: skip
    skipped = [{"file": "broken & <i>.fits", "reason": "no VIS"}] if files else []
    points = {"threshold_fpr_1e-2": None, "threshold_fpr_1e-3": 1.0}
    return {"n": len(rows), "n_skipped": len(skipped), **points, "files": rows, "skipped": skipped}


def all_metrics() -> dict:
    """Every metrics file of the stages before this one, by stage."""
    return {
        "population": {
            "counts": {"train/lens": 1, "test/lens": 1234, "compound/double_ring": 3},
            "forecast": {
                "theta_E": {"forecast": [0.37, 0.65, 1.11], "drawn": [0.38, 0.66, 1.2], "within": True},
                "magnification": {"forecast": [3.5, 5.4, 11.0], "drawn": [3.4, 4.4, 7.1], "within": False},
            },
        },
        "simulate": {"n": 1238, "bytes": 711008025},
        "train": {
            "best_epoch": 1, "epochs": 2, "validation_loss": 0.3, "validation_auroc": 0.95, "parameters": 622017,
            "train_accuracy": 0.9375, "validation_accuracy": 0.875, "parting_epoch": 1,
        },
        "train-compound": {"epochs": 8, "compound_lenses": 7200, "single_lenses_an_epoch": 14400},
        "evaluate": evaluated(),
        "survey-test": survey_tested(),
        "survey-peers": survey_compared(),
        "compound-test": compound_tested(),
        "explain": explained(),
        "observe": observed("real.fits", NASTY),
    }  # fmt: skip


TIMINGS = {
    "population": {"seconds": 61.0},
    "simulate": {"seconds": 3725.0, "images_per_second": 88.8},
    "train": {"seconds": 42.0, "images_per_second": 224.8},
    "train-compound": {"seconds": 150.0, "images_per_second": 80.0},
}


def draw_something(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(1, 1))
    figure.text(0, 0.5, path.stem)  # no two pictures are the same
    figure.savefig(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository in which every stage before the report has run."""
    root = tmp_path_factory.mktemp("made")
    paths = Paths(SCALE, root)
    write_store(paths)
    paths.metrics("train").parent.mkdir(parents=True)
    for name, values in all_metrics().items():
        paths.metrics(name).write_text(json.dumps(values))
    paths.timings.write_text(json.dumps(TIMINGS))
    paths.metrics("train").with_name("epochs.csv").write_text(
        "epoch,train_loss,validation_loss,train_accuracy,validation_accuracy,validation_auroc,augmented_train_loss,"
        "learning_rate,kept\n0,0.5,0.5,0.75,0.75,0.8,0.6,0.002,0\n1,0.2,0.3,0.9375,0.875,0.95,0.4,2e-05,1\n"
    )
    for name in ("population/forecast", "population/counts", "train/losses", "evaluate/roc", "evaluate/scores",
                 "survey-test/scores", "survey-test/selection", "survey-test/selection-map", "survey-test/atlas",
                 "evaluate/selection", "evaluate/reliability", "compound-test/scores", "compound-test/selection",
                 "compound-test/told", "compound-test/told-selection", "compound-test/missed", "explain/occlusion-star",
                 "explain/occlusion-lens", "explain/dream-lens", "explain/ablation",
                 "explain/ablation-lens", "explain/sanity",
                 "explain/removal", "explain/kernels", "explain/kernels-stem"):  # fmt: skip
        draw_something(paths.figures / f"{name}{'.jpg' if name in SHEETS else '.png'}")
    draw_something(paths.observed / "sheet-01.png")
    draw_something(paths.real_lenses)
    (root / "params.yaml").write_text(yaml.safe_dump({"report": {"examples_per_family": 3}, "scales": {SCALE: {}}}))
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy of it that a test may change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("reports"))
    return tmp_path


def written(root) -> Read:
    return Read(Paths(SCALE, root).report.joinpath("index.html").read_text())


def test_page_holds_everything_and_loads_nothing(made, capsys):
    report.run(SCALE, made)
    paths, page = Paths(SCALE, made), written(made)
    n_pictures = 16 + 9 + 1 + 1 + 1  # of the stages, the explanations, the cutouts, their maps, the families
    assert len(page.sources) == n_pictures
    kinds = [source.partition(";base64,")[0] for source in page.sources]
    assert kinds.count("data:image/jpeg") == 3  # families, atlas, missed compound lenses
    assert kinds.count("data:image/png") == n_pictures - 3
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert {tag for tag, _ in page.links} == {"a"}
    style = (paths.report / "index.html").read_text().partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    for words in (
        "lensdream, tiny scale", "622,017 weights, trained in 42 s", "Wilde et al. 2022", "0.473", "57.3 %", "34 %",
        "Not the same test", "completeness at FPR 1e-4", "120 non-lenses are too few to measure a rate of 1e-3",
        "elliptical", "undetectable", "0.2 to 0.4", "single lenses matched to them", "both groups of matched single lenses",
        "occlusion zero", "guided grad cam", "trained, towards non-lens", "random weights, towards lens", "-0.0625",
        "first layer", "17: 0.875 [0.875, 0.875]", "missing:NIR_J, bad_pixels_VIS:0.03", "1 h 2 min",
        "711.0 MB", "1,234", "Euclid Q1 (ESA/Euclid)", "HST (NASA/ESA, MAST)", "lensdream run --scale tiny",
        "240 non-lenses are too few to measure a rate of 1e-3", "candidates in 1,000,000 objects, 1,000 of them lenses",
        "0.4 to 0.6", "S/N of source 2 in VIS", "in 8 epochs and 2 min 30 s, on 7,200 compound lenses of its own",
        "both, finder at FPR 1e-2", "If a share of 0.01 of all lenses is compound",
        "arcs removed from 30 lenses", "without VIS", "Y, J and H in another order",
        "MLflow has no finished run", "not a git repository", "1, kept",
        "Their accuracy at 0.5 is 93.8 % on training images and 87.5 % on validation images",
        "From epoch 1 on the training accuracy stays above",
    ):  # fmt: skip
        assert words in page.text, words
    assert "is missing: its stage has not drawn it" not in page.text
    assert "nan" not in page.text.lower().split()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"report: {(paths.report / 'index.html').resolve()}"
    assert lines[-2].split()[:3] == ["2", "real", "cutouts"]
    assert any(line.split()[:3] == ["precision", "at", "0.5"] for line in lines)
    assert not list(made.rglob("*.part"))
    picture = imread(paths.figures / "families.jpg")
    rows = len(FAMILIES)
    assert picture.shape[0] > 160 * rows
    assert 160 * 3 < picture.shape[1] < 160 * 5


def test_the_headline_metrics_are_written_with_the_page(made):
    report.run(SCALE, made)
    found = json.loads(Paths(SCALE, made).metrics("headline").read_text())
    evaluate = json.loads(Paths(SCALE, made).metrics("evaluate").read_text())
    assert found["auroc"] == round(evaluate["auroc"]["value"], 4)
    assert found["survey_1e-3"] is None  # 240 non-lenses are too few


def test_without_timings_the_page_says_nothing_of_time(root):
    report.run(SCALE, root)
    timed = written(root).text
    words = (
        "drawing the scenes",
        "rendering them",
        "images a second",
        " and 2 min 30 s",
        ", trained in 42 s",
        "1 h 2 min",
    )
    assert [some for some in words if some not in timed] == []
    Paths(SCALE, root).timings.unlink()
    report.run(SCALE, root)
    untimed = written(root).text
    assert [some for some in words if some in untimed] == []
    assert "LensNet (622,017 weights) finds" in untimed
    assert "is trained, in 8 epochs, on 7,200 compound lenses" in untimed


def test_times_of_a_training_elsewhere_are_those_of_its_metrics(root):
    paths = Paths(SCALE, root)
    train = json.loads(paths.metrics("train").read_text()) | {"seconds": 7205.0, "images_per_second": 9000.0}
    paths.metrics("train").write_text(json.dumps(train))
    report.run(SCALE, root)
    assert "trained in 42 s" in written(root).text  # the last run here
    paths.timings.unlink()
    report.run(SCALE, root)
    assert "trained in 2 h 0 min" in written(root).text
    assert "images a second 9000" in written(root).text


def test_a_compound_lens_that_is_found_is_classified_in_the_row_of_the_finders_threshold():
    head = compound_tested()["compound_head"]
    table = report_of_head.classified(head)
    assert [row[0] for row in table.rows[3:6]] == [
        "compound arcs, finder at FPR 1e-2", "double rings, finder at FPR 1e-2", "both, finder at FPR 1e-2",
    ]  # fmt: skip
    both = dict(zip(table.head, table.rows[5], strict=True))
    # compound lenses outscore the 150 single lenses, all of which are found; one in 100 is too many for a rate of 1e-3
    assert (both["images"], both["AUROC"], both["completeness at 1e-2"]) == ("6", "1.000", "100.0 [100.0, 100.0] %")
    assert both["purity at 1e-2"] == "50.3 [50.3, 50.3] %"  # 0.01 against 0.99 x 0.01
    assert (both["completeness at 1e-3"], both["purity at 1e-3"]) == (NOTHING, NOTHING)
    assert table.rows[8][1:] == ("0", *[NOTHING] * 6)  # nothing is found at FPR 1e-3
    misclassified = dict(
        zip(report_of_head.misclassified(head).head, report_of_head.misclassified(head).rows[1], strict=True)
    )
    assert misclassified["ordinary single lenses"] == "150"
    assert misclassified["matched single lenses, at 1e-2"] == "100.0 [100.0, 100.0] %"


def test_maps_of_real_cutouts_are_in_the_report_where_the_observe_stage_has_drawn_them(root):
    paths = Paths(SCALE, root)
    report.run(SCALE, root)
    page = written(root)
    picture = f"data:image/png;base64,{base64.b64encode(paths.real_lenses.read_bytes()).decode()}"
    assert page.sources.count(picture) == 1
    assert "Real cutouts beside simulated lenses" in page.text
    paths.real_lenses.unlink()
    report.run(SCALE, root)
    without = written(root)
    assert page.sources != without.sources
    assert [source for source in page.sources if source != picture] == without.sources
    assert "Real cutouts beside simulated lenses" not in without.text


def test_labels_of_the_forecast_are_those_of_its_figure():
    assert {quantity.name: quantity.label for quantity in FORECAST} == others.LENS_QUANTITIES


def test_second_run_links_to_no_run_of_its_own(made):
    report.run(SCALE, made)
    assert not [address for _, address in written(made).links if "127.0.0.1" in address]


def test_links_of_the_stages_are_in_their_order(root, monkeypatch):
    links = {name: f"http://127.0.0.1:5000/#/{name}" for name in ("report", "train", "population")}
    monkeypatch.setattr(report.tracking, "stage_links", lambda scale, root: links)
    report.run(SCALE, root)
    page = written(root)
    assert [address for _, address in page.links if "127.0.0.1" in address] == [links["population"], links["train"]]
    assert "while make ui runs" in page.text


def test_names_from_outside_are_escaped(made):
    report.run(SCALE, made)
    html = (Paths(SCALE, made).report / "index.html").read_text()
    page = Read(html)
    assert NASTY in page.text
    assert NASTY not in html
    assert "broken & <i>.fits" in page.text
    assert "i" not in page.tags


def test_page_says_so_without_cutouts_and_without_figures(root):
    paths = Paths(SCALE, root)
    paths.metrics("observe").write_text(json.dumps(observed()))
    shutil.rmtree(paths.figures)
    shutil.rmtree(paths.observed)
    report.run(SCALE, root)
    page = written(root)
    assert page.text.count("No real cutouts were scored.") == 2
    assert "make observe CUTOUTS=/your/folder SCALE=tiny" in page.text
    assert "ESA" not in page.text
    for name in ("losses", "roc", "scores", "selection", "reliability", "forecast", "counts"):
        assert f"The figure {name}.png is missing" in page.text
    assert "The figure atlas.jpg is missing" in page.text
    assert "There are no pictures of maps" in page.text
    assert len(page.sources) == 1


def test_every_missing_metrics_file_is_named_with_the_remedy(root):
    paths = Paths(SCALE, root)
    paths.metrics("compound-test").unlink()
    paths.metrics("train").with_name("epochs.csv").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"compound-test\.json.*epochs\.csv.*lensdream run --scale tiny"
    ) as error:
        report.run(SCALE, root)
    assert "`lensdream compound-test --scale tiny`" in str(error.value)
    assert "`lensdream train --scale tiny`" in str(error.value)
    assert "evaluate" not in str(error.value)
    assert not paths.report.exists()


@pytest.mark.parametrize(("content", "message"), [("{}", "have no '"), ("{", "is not JSON")])
def test_metrics_that_cannot_be_used_are_refused_with_the_remedy(root, content, message):
    Paths(SCALE, root).metrics("evaluate").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        report.run(SCALE, root)
    assert "run" in str(error.value)
    assert not Paths(SCALE, root).report.exists()


def test_accuracies_that_do_not_part_or_were_not_measured_are_said_to_be_so():
    train = all_metrics()["train"]
    assert "do not part by more than two standard errors" in others.accuracies(train | {"parting_epoch": None})
    older = {name: value for name, value in train.items() if name not in ("train_accuracy", "validation_accuracy")}
    assert others.accuracies(older) == ""
    assert len(others.training(older, {}).rows) == len(others.training(train, {}).rows) - 2


def test_the_training_loss_of_an_earlier_version_is_the_one_as_trained():
    row = {"epoch": 0, "train_loss": 0.6, "validation_loss": 0.5}
    now = others.epochs(pd.DataFrame([row | {"augmented_train_loss": 0.7, "kept": 1}]))
    assert now.head[1:] == (
        "training loss", "validation loss", "training loss as trained, augmented and with dropout",
    )  # fmt: skip
    assert now.rows == (("0, kept", "0.6000", "0.5000", "0.7000"),)
    earlier = others.epochs(pd.DataFrame([row]))
    assert earlier.head[1:] == ("validation loss", "training loss as trained, augmented and with dropout")
    assert earlier.rows == (("0", "0.5000", "0.6000"),)


def test_peers_stand_in_columns_of_their_own():
    ours = evaluated()
    table = finder.scores(ours | {"ou66": {"auroc": {"value": 0.5, "low": 0.4, "high": 0.6}}})
    assert table.head == ("test set", "the finder", "OU-66")
    cells = {row[0]: row[2] for row in table.rows}
    assert cells["AUROC"] == "0.5000 [0.4000, 0.6000]"
    assert cells["precision at 0.5"] == "–"  # noqa: RUF001


def test_networks_stand_side_by_side_in_a_survey():
    table = survey.networks(survey_compared())
    assert table.head[0] == "30,000 non-lenses in a survey's proportions"
    assert [row[0] for row in table.rows] == ["the finder", "OU-66"]
    assert [row[-1] for row in table.rows] == [NOTHING, "5.50 [4.00, 7.00]"]
    assert table.rows[1][2] == "80.0 [70.0, 90.0] %"


def test_networks_stand_side_by_side_with_the_published_ones():
    ratio = {"missed_at_fpr_1e-3_ratio": {"value": 5.0, "low": 4.0, "high": 6.0}}
    baseline = evaluated() | {"images_trained_on": 6000, "parameters": 203_192} | ratio
    table = finder.networks(evaluated() | {"ou66": baseline, "second": baseline})
    second = "second stage alone (DeepLensNet), one orientation"
    names = ["the finder", second, "OU-66", "poster, published", "Wilde et al. 2022, published"]
    assert [row[0] for row in table.rows] == names
    rows = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    assert rows["OU-66"]["trained on"] == "6,000"
    assert rows["OU-66"]["weights"] == "203,192"
    assert rows["OU-66"]["missed at FPR 1e-3, relative to the finder"] == "5.00 [4.00, 6.00]"
    assert rows[second]["trained on"] == rows["the finder"]["trained on"] == "6,000"
    whole = finder.networks(evaluated() | {"images_trained_on": 70, "second": baseline})
    assert whole.rows[0][1] == "70 + 6,000"
    assert rows["poster, published"]["accuracy"] == "0.573"
    assert rows["Wilde et al. 2022, published"]["F1"] == "0.83 to 0.91"
    assert rows["Wilde et al. 2022, published"]["remark"] == "measured on other images"
    assert [row[0] for row in finder.networks(evaluated()).rows] == ["the finder", *names[3:]]


def test_false_positives_of_all_families_add_up():
    rows = {"star": {"n": 10, "fpr_at_0.5": 0.1}, "field": {"n": 30, "fpr_at_0.5": 0.2}}
    rows["empty"] = {"n": 0, "fpr_at_0.5": None}
    assert finder.false_positive_rate({"families": rows}).startswith("17.5 [")
    assert finder.false_positive_rate({"families": rows}).endswith("% (7)")


def test_rates_that_the_test_set_is_too_small_for():
    assert finder.unmeasured_rates({"n_nonlens": 10_000}) == []
    assert finder.unmeasured_rates({"n_nonlens": 1500}) == ["1e-4"]
    assert finder.unmeasured_rates({"n_nonlens": 0}) == ["1e-2", "1e-3", "1e-4"]


def test_of_many_cutouts_the_highest_are_listed(monkeypatch):
    monkeypatch.setattr(others, "MOST_FILES", 2)
    table = others.cutouts(observed("a.fits", "b.fits", "c.fits"))
    assert [row[0] for row in table.rows] == ["c.fits", "b.fits"]


def test_titles_name_both_sources_where_there_are_two():
    row = truth_table().query("family == 'double_ring'").iloc[0]
    assert title_of(row) == "θ 0.80″, 1.10″  S/N 30, 25"
    assert title_of(truth_table().iloc[0]) == "θ 0.80″  S/N 30"


def test_picture_of_the_families_is_the_same_twice(made):
    store = ImageStore.open(Paths(SCALE, made).images)
    one, other = (jpeg(family_examples.draw(store, 2)) for _ in range(2))
    assert one == other


def test_explanations_are_sorted_by_what_they_show(made):
    found = Explanations.read(Paths(SCALE, made).figures / "explain")
    assert [
        [p.name for p in part]
        for part in (
            found.dreams,
            found.with_arcs,
            found.others,
            found.ablations,
            found.sanity,
            found.removal,
            found.kernels,
        )
    ] == [
        ["dream-lens.png"],
        ["occlusion-lens.png"],
        ["occlusion-star.png"],
        ["ablation-lens.png", "ablation.png"],
        ["sanity.png"],
        ["removal.png"],
        ["kernels-stem.png", "kernels.png"],
    ]


def test_ablation_sanity_and_removal_become_tables_and_may_be_missing():
    explain = explained()
    assert others.ablation(explain).rows == (("lens", "source 1", "2", "1.50 [1.00, 2.00]", "25.0 [25.0, 25.0] %"),)
    assert others.rank_correlations(explain).rows == (("occlusion sky", "1.50 [1.00, 2.00]"), ("area", "\N{EN DASH}"))
    within = {
        "occlusion_sky": dict(value=0.5, low=0.25, high=0.75, n=3),
        "area": dict.fromkeys(("value", "low", "high")),
    }
    more = explain | {"ablation": explain["ablation"] | {"rank_correlation_within_scenes": within}}
    assert others.rank_correlations(more).head[1:] == ("all components", "within scenes with arcs, mean")
    assert others.rank_correlations(more).rows[0] == ("occlusion sky", "1.50 [1.00, 2.00]", "0.50 [0.25, 0.75]")
    assert others.sanity(explain).head == ("randomised down to", "head", "stem")
    assert others.sanity(explain).rows == (("guided grad cam", "1.50", "\N{EN DASH}"),)
    one = "1.50 [1.00, 2.00]"
    assert others.removal(explain).rows == (("brightness", one, one, "\N{EN DASH}"),)
    for table in (others.ablation, others.rank_correlations, others.sanity, others.removal):
        assert table({}).rows == ()


def test_metrics_are_read_and_absent_figures_noticed(made):
    paths = Paths(SCALE, made)
    assert Measured.read(paths.metrics("train").parent, SCALE, {}).train["epochs"] == 2
    assert captioned(paths.figures, {"absent": "words"})[0].source == ""


def test_counts_follow_the_order_of_the_families_and_add_up():
    table = others.counts({"counts": {"test/star": 2, "test/lens": 1, "train/lens": 5, "test/new": 4}})
    assert table.head == ("family", "train", "test")
    assert [row[0] for row in table.rows] == ["lens", "star", "new", "all"]
    assert table.rows[-1] == ("all", "5", "7")
