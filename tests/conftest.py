"""Scenes that the tests render, stores that they read, and processes that they interrupt."""

import dataclasses
import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.cosmology import FlatLambdaCDM

from lensdream import config
from lensdream.config import (
    Fit,
    FreshMix,
    PopulationConfig,
    SecondStageFineTuning,
    SimulateConfig,
    SurveyConfig,
    WarmStart,
)
from lensdream.dataset import target_mix
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import SCHEMA_VERSION
from lensdream.families import NON_LENS_CLASSES
from lensdream.instrument import EUCLID, Band
from lensdream.networks.class_prior import ClassPrior, save_class_prior
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.optics.sie import einstein_radius_sis
from lensdream.population import drawing
from lensdream.population.catalogs import draw_catalogs
from lensdream.runtime.files import sha256_of
from lensdream.scene import COMPONENT_COLUMNS, FLUX_COLUMNS, SCENE_COLUMNS, SKY_COLUMNS, Role, Scenes
from lensdream.train.second_stage_data import (
    OnTheFlyMix,
)

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent


COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def catalogs():
    """Few galaxies and deflectors."""
    return draw_catalogs(3, 0.02, 27.0, 20_000)


@pytest.fixture
def few_catalogs(catalogs, monkeypatch):
    """Drawing scenes takes these catalogues and no new ones."""
    monkeypatch.setattr(drawing, "draw_all_catalogs", lambda settings: catalogs)
    return catalogs


def ratio(z_lens, z_source):
    """D_ls / D_s from astropy, not from our table."""
    distance = COSMOLOGY.angular_diameter_distance
    return float(distance(z_lens, z_source) / distance(z_source))


def random_scene(rng, sources, index=0):
    """A scene with light and, for `sources` of 1 or 2, a deflector; every parameter drawn."""
    row = dict.fromkeys(SCENE_COLUMNS, 0.0)
    row |= {"split": "test", "family": "lens" if sources else "elliptical", "label": int(sources > 0)}
    row |= {
        "index": index,
        "seed": int(rng.integers(2**62)),
        "partner": -1,
        "psf": int(rng.choice([0, 3, 11])),
        "dither": int(rng.choice([0, 5, 17])),
    }
    row |= dict.fromkeys(SKY_COLUMNS, 1.0)
    z = np.sort(rng.uniform(0.2, 3.0, 3))
    z += np.array([0.0, 0.2, 0.4])
    row |= {"z_lens": z[0], "z_source_1": z[1] if sources else np.nan, "z_source_2": z[2] if sources == 2 else np.nan}
    row |= {"mass_q": rng.uniform(0.4, 0.95), "mass_phi": rng.uniform(0, np.pi)}
    row |= dict(zip(("mass_x", "mass_y", "mass_2_x", "mass_2_y"), rng.normal(0, 0.15, 4), strict=True))
    row["mass_b_q"] = 1.0
    row |= {"mass_2_q": rng.uniform(0.5, 0.95), "mass_2_phi": rng.uniform(0, np.pi)}
    sigma, sigma_1 = rng.uniform(200, 320), rng.uniform(80, 180)
    if sources:
        row |= dict(zip(("shear_1", "shear_2"), rng.normal(0, 0.04, 2), strict=True))
        row["theta_E_1"] = einstein_radius_sis(sigma, ratio(z[0], z[1]))
    if sources == 2:
        row["theta_E_2"] = einstein_radius_sis(sigma, ratio(z[0], z[2]))
        row["theta_E_12"] = einstein_radius_sis(sigma_1, ratio(z[1], z[2]))
    parts = []

    def add(role, plane, x, y, r_e, n):
        part = dict.fromkeys(COMPONENT_COLUMNS, 0.0)
        part |= {"scene": index, "role": int(role), "plane": plane, "x": x, "y": y, "r_e": r_e, "sersic_index": n}
        part |= {"q": rng.uniform(0.3, 0.99), "phi": rng.uniform(0, np.pi), "arm_pitch": 1.0}
        part |= dict(zip(FLUX_COLUMNS, rng.uniform(1, 20, 4), strict=True))
        parts.append(part)

    add(Role.TARGET, 0, row["mass_x"], row["mass_y"], rng.uniform(0.3, 1.5), rng.uniform(2.5, 5))
    add(Role.NEIGHBOUR, 0, *rng.uniform(-2, 2, 2), rng.uniform(0.2, 0.6), rng.uniform(0.7, 4))
    for plane in range(1, sources + 1):
        add(Role.SOURCE_1 + plane - 1, plane, *rng.normal(0, 0.2, 2), rng.uniform(0.05, 0.3), rng.uniform(0.5, 2))
    kinds = {"scene": np.int64, "role": np.int8, "plane": np.int8}
    whole = {"index": np.int64, "seed": np.int64, "label": np.int8}
    whole |= dict.fromkeys(("psf", "dither", "cosmic_rays", "hot_pixels", "dead_columns"), np.int16)
    whole |= dict.fromkeys(("edge_side", "missing_bands"), np.int16)
    components = pd.DataFrame(parts).astype(kinds)
    return Scenes(pd.DataFrame([row]).astype(whole), components)


def join(scenes):
    """Several scenes in one table."""
    return Scenes(
        pd.concat([s.scenes for s in scenes], ignore_index=True),
        pd.concat([s.components for s in scenes], ignore_index=True),
    )


@pytest.fixture
def scenes():
    """Ten scenes with no, one or two sources."""
    return join([random_scene(np.random.default_rng(k), k % 3, k) for k in range(10)])


def heed_interrupts():
    """For `preexec_fn`: a test run started in a shell's background would hand down SIGINT as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write_images(folder, truth, images, masks=None):
    """A store of one shard: images (N, band, y, x), their truth table and, where given, masks (N, y, x)."""
    folder.mkdir(parents=True)
    truth.to_parquet(folder / "truth.parquet")
    np.save(folder / "images-00000.npy", images.astype(np.float16))
    if masks is not None:
        np.save(folder / "masks-00000.npy", masks)
    manifest = {
        "schema_version": SCHEMA_VERSION, "bands": [band.name for band in Band], "n": len(truth),
        "stamp": images.shape[-1], "shard_size": max(len(truth), 1),
        "sha256": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


TRAINING_FIT = Fit(
    seed=3, learning_rate=0.01, final_rate=0.01, weight_decay=0.01, warmup_epochs=0.5, batch_size=16,
    clip_norm=1.0, balanced=False, dihedral=True, shift_pixels=1, band_dropout=0.1, gain_scatter=0.02,
    label_smoothing=0.0, averaging=0.8, patience=0, epochs=4, threads=1,
)  # fmt: skip


def lensnet():
    """A narrow LensNet."""
    return LensNet(LensNetConfig(8, 0.1))


def measures_of(result):
    """What a training measured in each epoch, but for the time that it took."""
    return [dataclasses.replace(record, seconds=0.0, images_per_second=0.0) for record in result.records]


def blobs(n, seed):
    """Noise, and for label 1 a bright square: a task a network must learn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.normal(size=(n, 4, 32, 32)) * np.array(EUCLID.sky_sigma)[:, None, None]
    images[labels == 1, :, 12:20, 12:20] += 5 * np.array(EUCLID.sky_sigma)[:, None, None]
    return LabelledImages(torch.tensor(images, dtype=torch.float16), torch.tensor(labels, dtype=torch.float32))


def write_training_store(root, change=""):
    """A store of 40 training and 16 validation images; the change may be to `an image` or to all `labels`."""
    folder = root / "artifacts" / "tiny" / "images"
    folder.mkdir(parents=True)
    data = blobs(56, 3)
    labels = data.labels.numpy().astype(int)
    if change == "an image":
        data.images[1] *= 2
    if change == "labels":
        labels = 1 - labels
    np.save(folder / "images-00000.npy", data.images.numpy())
    truth = {"label": labels, "split": np.repeat(["train", "validation"], [40, 16])}
    pd.DataFrame(truth).to_parquet(folder / "truth.parquet")
    manifest = {
        "schema_version": SCHEMA_VERSION, "bands": [band.name for band in Band], "n": 56, "stamp": 32, "shard_size": 56,
        "sha256": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


PARAMS = ROOT / "params.yaml"


POPULATION = dataclasses.replace(
    config.load("population", PopulationConfig, "quick", PARAMS),
    train=30, validation=12, test=12, undetectable=3, compound_arc=2, double_ring=2, faint_second=2,
    compound_arc_train=2, double_ring_train=1,
)  # fmt: skip


SIMULATE = SimulateConfig(
    stamp=40, padding=8, supersampling=1, fine_width=20, shard_size=4, chunk=4, workers=2, renderer="lensdream"
)  # fmt: skip


SURVEY_NUMBERS = {"train": 8, "validation": 0, "test": 40, "undetectable": 0, "compound_arc": 0, "double_ring": 0}


NO_OTHERS = dict.fromkeys(("faint_second", "compound_arc_train", "double_ring_train"), 0)


SURVEY_POPULATION = dataclasses.replace(
    config.load("population", PopulationConfig, "quick", PARAMS), **SURVEY_NUMBERS, **NO_OTHERS
)


SMALL_IMAGES = SimulateConfig(
    stamp=40, padding=8, supersampling=1, fine_width=20, shard_size=4, chunk=2, workers=1, renderer="lensdream"
)  # fmt: skip
SURVEY_SIMULATE = SimulateConfig(
    stamp=40, padding=8, supersampling=1, fine_width=20, shard_size=50, chunk=4, workers=1, renderer="lensdream"
)


SURVEY = config.load("survey", SurveyConfig, "quick", PARAMS)


SECOND_FIT = Fit(
    seed=3, learning_rate=0.001, final_rate=0.01, weight_decay=0.01, warmup_epochs=0.5, batch_size=8,
    clip_norm=1.0, balanced=False, dihedral=True, shift_pixels=1, band_dropout=0.0, gain_scatter=0.0,
    label_smoothing=0.0, averaging=0.8, patience=0, epochs=2, threads=1,
)  # fmt: skip


MIX = FreshMix(scenes=40, lens_share=0.25, rare_lenses=0.6, targets=50, hard_families=0)


FINE_TUNING = SecondStageFineTuning(SECOND_FIT, WarmStart(dropout=0.3), MIX)


INLINE = dataclasses.replace(SIMULATE, workers=0)


FRESH = OnTheFlyMix.of(POPULATION, INLINE, SURVEY, MIX)


class Brightness(torch.nn.Module):
    """Scores an image by its first VIS pixel: the logit is that pixel's flux."""

    def forward(self, pixels):
        return pixels[:, 0, 0, 0]


N_CLASSES = len(NON_LENS_CLASSES)


IN_SURVEY = target_mix.survey_shares(SURVEY)


EVENLY = dict.fromkeys(NON_LENS_CLASSES, 1.0)


def random_prior(features, trained_on=EVENLY):
    """A class prior with random weights."""
    torch.manual_seed(7)
    return ClassPrior(torch.randn(N_CLASSES, features), torch.randn(N_CLASSES), trained_on)


def save_classifying_finder(folder, stamp):
    """Save a finder with second stage and class prior, all of random weights: its first logits are near 0."""
    torch.manual_seed(6)
    save_model(folder, LensNet(LensNetConfig(4)).eval(), stamp)
    save_model(folder / "second", DeepLensNet(LensNetConfig(6)).eval(), stamp)
    save_class_prior(folder, random_prior(48))
