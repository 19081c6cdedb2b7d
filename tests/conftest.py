"""Scenes that the tests render, stores that they read, and processes that they interrupt."""

import json
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.cosmology import FlatLambdaCDM

from lensdream.dataset.store import SCHEMA_VERSION
from lensdream.instrument import Band
from lensdream.optics.sie import einstein_radius_sis
from lensdream.population import drawing
from lensdream.population.catalogs import draw_catalogs
from lensdream.runtime.files import sha256_of
from lensdream.scene import COMPONENT_COLUMNS, FLUX_COLUMNS, SCENE_COLUMNS, SKY_COLUMNS, Role, Scenes

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
