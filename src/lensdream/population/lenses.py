"""Lenses: a deflector and one or two sources behind it, placed by chance and kept if the detection rule says so.

Two-source families, by geometry alone:
    double ring    both sources detectable, each covering at least 270 degrees of azimuth above 1 sigma a pixel, and
                   theta_E_2 - theta_E_1 larger than the full width at half maximum of the VIS point spread;
    compound arc   both sources detectable, at least one covering less than 270 degrees;
    faint second   a control: the first source detectable, the second lensed but below the detection rule.
A matched single lens is a compound scene without the second source: same deflector, first source, neighbours and noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from lensdream.config import PopulationConfig
from lensdream.families import COMPOUND_ARC, DOUBLE_RING, ELLIPTICAL, FAINT_SECOND, LENS, MATCHED_SINGLE, UNDETECTABLE
from lensdream.instrument import EUCLID, Band
from lensdream.optics.cosmology import distance_ratio
from lensdream.optics.sampling import Frame
from lensdream.optics.sie import einstein_radius_sis
from lensdream.population.builder import NAN, SceneBuilder, add_galaxy, empty_scene, fluxes, redden, to_table
from lensdream.population.catalogs import CatalogRow, Catalogs
from lensdream.population.deflectors import velocity_dispersion_of_source
from lensdream.population.satellites import add_group, add_second_deflector, draw_pair
from lensdream.population.surroundings import surround
from lensdream.render.detectability import FULL_RING_DEGREES, arc_snr, azimuth_covered, resolved
from lensdream.render.renderer import Renderer
from lensdream.scene import Role, Scenes

LARGEST_OFFSET = 0.75
"""largest offset of a source from the axis, in Einstein radii: a SIS magnifies no point beyond 2/3 three times. Flat
deflectors, shear and extended sources do: of detectable lenses one in twelve lies beyond (`docs/design.md`, "What is
known to be off")"""
SMALLEST_THETA_E = 0.2
"""smallest Einstein radius of a proposed lens [arcsec]"""
RING_OFFSET = 0.06
"""scale of the offset of the sources of full rings [arcsec]"""
PROPOSALS = {1: 3000, 2: 20000}
"""proposals of a round, by number of sources: they give some 30 lenses, or some 10 compound ones"""
SNR_OVERESTIMATE = 2.0
"""by how much a proposal's estimated S/N exceeds the measured one; 4 in 1,000 detectable lenses have less"""
SMALLEST_REDSHIFT_GAP = 0.1
LARGEST_CONTROL_MAGNIFICATION = 2.5
"""a control's source is magnified by less: it has one image, or nearly all of its light in one"""
CONTROL_TRIES = 10
"""tried positions of a control's source; of 5,000 lenses 69 needed two, 5 three, none more"""
SEEING = EUCLID.bands[Band.VIS].psf_fwhm
DETECTION_FRAME = Frame(
    stamp=64, padding=8, supersampling=3, fine_width=40, pixel_scale=EUCLID.pixel_scale, integrate=False
)
"""coarse, but finer than a pixel: at one sample a pixel the magnification of sources below 0.05 arcsec is off by 20 to
90 %"""
NARROW_FRAME = replace(DETECTION_FRAME, stamp=32, fine_width=28)
"""for scenes whose arcs fit into it: nearly half of them, at less than half of the cost"""
DETECTION_CHUNK = 64
"""scenes rendered together"""


@dataclass(frozen=True)
class Detection:
    """Measurements that the detection rule uses: arrays over scenes for one source."""

    snr: np.ndarray
    magnification: np.ndarray
    degrees: np.ndarray
    resolved: np.ndarray

    def passes(self, config: PopulationConfig) -> np.ndarray:
        """Test for detectable arcs (scene,): S/N, magnification and geometry (Collett 2015)."""
        strong = self.magnification > config.minimum_magnification
        return (self.snr > config.minimum_arc_snr) & strong & self.resolved


@dataclass(frozen=True)
class Selection:
    """Selection of single lenses: all of nature's, or a subset in natural proportions."""

    offset: float = LARGEST_OFFSET
    """largest offset of the source from the axis"""
    in_arcsec: bool = False
    """whether that is in arcsec or in Einstein radii"""
    minimum_theta_E: float = SMALLEST_THETA_E
    minimum_snr: float = 0.0
    """least S/N, where the detection rule asks for less"""
    minimum_degrees: float = 0.0
    """least azimuth that the arcs cover"""


ANY = Selection()
RARE_SELECTIONS = (
    Selection(RING_OFFSET, in_arcsec=True, minimum_degrees=FULL_RING_DEGREES),
    Selection(minimum_snr=100.0),
    Selection(minimum_theta_E=1.2),
)
"""full rings, bright arcs and wide ones: too rare in nature to be learnt. A network trained on a handful of them takes the
plainest lenses of all for ring galaxies, spirals or groups"""


def draw_single(
    config: PopulationConfig, catalogs: Catalogs, split: str, rng: np.random.Generator, selection: Selection = ANY
) -> tuple[list, list]:
    """One round of proposals: (detectable lenses of a selection, those below the detection rule) as builders.

    Detectable ones of another selection are in neither.
    """
    rule = replace(config, minimum_arc_snr=max(config.minimum_arc_snr, selection.minimum_snr))
    chosen = _propose(
        catalogs, rng, 1, rule.minimum_arc_snr, selection.offset, selection.in_arcsec, selection.minimum_theta_E
    )
    builders = [_lens(config, catalogs, split, rng, *proposal) for proposal in chosen]
    if not builders:
        return [], []
    detection, _ = detect(to_table(builders))
    detectable = detection.passes(config)
    wanted = detection.passes(rule) & (detection.degrees >= selection.minimum_degrees)
    for k, builder in enumerate(builders):
        _record(builder, detection, k)
        if not detectable[k]:
            builder.row |= {"family": UNDETECTABLE, "label": -1}
        surround(builder, catalogs, rng, config)
    return [builders[k] for k in np.flatnonzero(wanted)], [builders[k] for k in np.flatnonzero(~detectable)]


@dataclass(frozen=True)
class CompoundFamily:
    """Definition of a family of two-source lenses: its criterion, and the offsets at which sources are tried."""

    name: str
    offset: float
    """largest offset of a source from the axis"""
    in_arcsec: bool
    """whether that is in arcsec or in Einstein radii"""
    dimmest_second: float
    """S/N that the second source may be estimated at, against the least that is detectable"""
    wanted: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """criterion of arrays over scenes: first source detectable, second detectable, both rings full, rings a seeing apart"""


COMPOUND_FAMILIES = {
    family.name: family
    for family in (
        CompoundFamily(COMPOUND_ARC, LARGEST_OFFSET, False, 1.0, lambda one, two, full, gap: one & two & ~full),
        CompoundFamily(DOUBLE_RING, RING_OFFSET, True, 1.0, lambda one, two, full, gap: one & two & full & gap),
        CompoundFamily(FAINT_SECOND, LARGEST_OFFSET, False, 0.0, lambda one, two, full, gap: one & ~two),
    )
}


def draw_compound(
    config: PopulationConfig, catalogs: Catalogs, split: str, rng: np.random.Generator, family: CompoundFamily
) -> list[tuple[SceneBuilder, SceneBuilder]]:
    """One round of proposals: (compound lens, its matched single lens)."""
    dimmest = config.minimum_arc_snr * np.array([[1.0], [family.dimmest_second]])
    chosen = _propose(catalogs, rng, 2, dimmest, family.offset, family.in_arcsec)
    builders = [_lens(config, catalogs, split, rng, *proposal) for proposal in chosen]
    if not builders:
        return []
    scenes = to_table(builders)
    first, second = detect(scenes)
    gap = (scenes.scenes["theta_E_2"] - scenes.scenes["theta_E_1"]).to_numpy() > SEEING
    full = (first.degrees >= FULL_RING_DEGREES) & (second.degrees >= FULL_RING_DEGREES)
    found = []
    for k in np.flatnonzero(family.wanted(first.passes(config), second.passes(config), full, gap)):
        builder = builders[k]
        _record(builder, first, k)
        builder.row |= {"family": family.name, "magnification_2": float(second.magnification[k])}
        surround(builder, catalogs, rng, config)
        found.append((builder, _without_second_source(builder)))
    return found


def detect(scenes: Scenes) -> tuple[Detection, Detection]:
    """Measure the arcs of sources 1 and 2 of every scene on a coarse, noiseless rendering; zeros where there is none."""
    narrow = _reach(scenes) < NARROW_FRAME.stamp * NARROW_FRAME.pixel_scale / 2
    rows: list[np.ndarray] = []
    found: list[tuple[list[np.ndarray], list[np.ndarray]]] = []
    for frame, chosen in ((NARROW_FRAME, np.flatnonzero(narrow)), (DETECTION_FRAME, np.flatnonzero(~narrow))):
        for start in range(0, len(chosen), DETECTION_CHUNK):
            rows.append(chosen[start : start + DETECTION_CHUNK])
            part = scenes.take(rows[-1])
            truth, lensed = _detection_renderer(frame).arcs(part)
            found.append((_measure(part, truth, lensed, 1), _measure(part, truth, lensed, 2)))
    order = np.argsort(np.concatenate(rows))
    first, second = (
        Detection(*(np.concatenate(values)[order] for values in zip(*parts, strict=True)))
        for parts in zip(*found, strict=True)
    )
    return first, second


def _reach(scenes: Scenes) -> np.ndarray:
    """Largest distance of a scene's arcs from the stamp's centre [arcsec]."""
    sources = scenes.components[scenes.components["plane"] > 0]
    farthest = (np.hypot(sources["x"], sources["y"]) + 3 * sources["r_e"]).groupby(sources["scene"]).max()
    theta_E = (scenes.scenes[["theta_E_1", "theta_E_2"]].max(axis=1) + scenes.scenes["theta_E_b"]).to_numpy()
    # flat deflectors and shear stretch the images' circle
    return farthest.reindex(scenes.scenes["index"]).to_numpy() + 1.4 * theta_E


@cache
def _detection_renderer(frame: Frame) -> Renderer:
    return Renderer(frame)


def _measure(part: Scenes, truth: torch.Tensor, lensed: torch.Tensor, source: int) -> list[np.ndarray]:
    """Arrays of `Detection` for one batch."""
    table, own = part.scenes, part.components[part.components["role"] == Role.SOURCE_1 + source - 1]
    if own.empty:
        return [np.zeros(len(table)), np.zeros(len(table)), np.zeros(len(table)), np.zeros(len(table), bool)]
    intrinsic = own.groupby("scene")["flux_VIS"].sum().reindex(table["index"]).to_numpy()
    r_e = own.groupby("scene")["r_e"].first().reindex(table["index"]).to_numpy()  # the disc's, before its clumps
    sky = torch.as_tensor(table["sky_scale_VIS"].to_numpy(np.float32)) * EUCLID.bands[Band.VIS].sky_sigma
    arc, rest = truth[:, source], truth[:, 0] + truth[:, 3 - source]
    center = (torch.as_tensor(table[f"mass_{axis}"].to_numpy(np.float32)) for axis in "xy")
    theta_E = torch.tensor(table[f"theta_E_{source}"].to_numpy())
    return [
        arc_snr(arc, rest, sky).numpy(),
        np.nan_to_num(lensed[:, source].numpy() / intrinsic),
        azimuth_covered(arc, sky, *center, DETECTION_FRAME.pixel_scale).numpy(),
        resolved(theta_E, torch.tensor(r_e), SEEING).numpy(),
    ]


def controls(config: PopulationConfig, builders: list[SceneBuilder], rng: np.random.Generator) -> list[SceneBuilder]:
    """Paired controls of lenses: same galaxy, neighbours and noise, the source moved to where it has one image.

    The offset is 1.4 to 3 Einstein radii, and more where a flat deflector or shear still magnifies the source strongly.
    Raises `ValueError` for a lens without such an offset within `CONTROL_TRIES`.
    """
    moved = [_move_source_out(builder, rng.uniform(1.4, 3.0), rng) for builder in builders]
    still = np.arange(len(builders))
    for _ in range(CONTROL_TRIES):
        detection, _ = detect(to_table([moved[k] for k in still]))
        strong = detection.magnification > LARGEST_CONTROL_MAGNIFICATION
        still = still[strong]
        if len(still) == 0:
            return moved
        for k in still:
            moved[k] = _move_source_out(builders[k], rng.uniform(2.0, 4.0), rng)
    raise ValueError(
        f"population: {len(still)} of {len(builders)} controls are still magnified {detection.magnification[strong].max():.1f} "
        f"times after {CONTROL_TRIES} positions of their source, at most {LARGEST_CONTROL_MAGNIFICATION} is allowed: lower "
        "population.second_deflector or change population.seed"
    )


def _move_source_out(builder: SceneBuilder, einstein_radii: float, rng: np.random.Generator) -> SceneBuilder:
    control = copy.deepcopy(builder)
    row = control.row
    row |= {"family": ELLIPTICAL, "label": 0, "arc_snr": NAN, "magnification_1": NAN}
    distance, angle = row["theta_E_1"] * einstein_radii, rng.uniform(0, 2 * np.pi)
    dx = row["mass_x"] + distance * np.cos(angle) - row["mass_2_x"]
    dy = row["mass_y"] + distance * np.sin(angle) - row["mass_2_y"]
    row |= {"mass_2_x": row["mass_2_x"] + dx, "mass_2_y": row["mass_2_y"] + dy}
    control.components = [
        part._replace(x=part.x + dx, y=part.y + dy) if part.role == Role.SOURCE_1 else part
        for part in control.components
    ]
    return control


def add_early_type(
    builder: SceneBuilder,
    galaxy: CatalogRow,
    rng: np.random.Generator,
    q: float,
    phi: float,
    at: np.ndarray | float = 0.0,
) -> tuple[float, float]:
    """Add an early-type galaxy a little off the point `at` (x, y), one in four with an outer disc; returns its (x, y)."""
    x, y = at + rng.normal(0, 0.1, 2)
    flux, r_e = fluxes(galaxy), float(galaxy["r_e"])
    n = float(np.clip(rng.normal(4.0, 0.7), 2.0, 6.0))
    if rng.random() < 0.25:
        bulge, disc = redden(flux, rng.uniform(0.5, 0.8), 0.1)
        builder.add(Role.TARGET, 0, x, y, r_e * 0.8, n, q, phi, bulge)
        builder.add(Role.TARGET, 0, x, y, r_e * rng.uniform(1.3, 2.2), 1.0, max(q - 0.15, 0.2), phi, disc)
    else:
        builder.add(Role.TARGET, 0, x, y, r_e, n, q, phi, flux)
    return x, y


def _propose(
    catalogs: Catalogs, rng: np.random.Generator, n_sources: int, minimum_snr: float | np.ndarray, offset: float,
    in_arcsec: bool = False, minimum_theta_E: float = SMALLEST_THETA_E,
) -> list[tuple]:  # fmt: skip
    """Proposed lenses (deflector, sources, offsets [arcsec]), drawn by cross-section, whose arcs may be bright enough.

    minimum_snr: one for all sources or (source, 1); offset: the largest, in Einstein radii or in arcsec; minimum_theta_E:
    of the first source [arcsec].
    """
    deflectors, galaxies = catalogs.deflectors, catalogs.galaxies
    n = PROPOSALS[n_sources]
    d = rng.integers(len(deflectors), size=n)
    sources = rng.integers(len(galaxies), size=(n_sources, n))
    z_lens, z = deflectors["z"].to_numpy()[d], galaxies["z"].to_numpy()[sources]
    order = np.argsort(z, axis=0)
    sources, z = np.take_along_axis(sources, order, 0), np.take_along_axis(z, order, 0)
    behind = z[0] > z_lens + SMALLEST_REDSHIFT_GAP
    if n_sources == 2:
        behind &= z[1] > z[0] + SMALLEST_REDSHIFT_GAP
    ratio = distance_ratio(z_lens, z)  # (source, proposal)
    # the catalogue of deflectors has the cross-section's sigma^4 in it; its distances come in here
    by_chance = rng.random(n) < np.prod(ratio, 0) ** 2
    theta_E = einstein_radius_sis(deflectors["sigma"].to_numpy()[d], ratio)
    scale = np.full_like(theta_E, offset) if in_arcsec else offset * theta_E
    radius = scale * np.sqrt(rng.random(theta_E.shape))
    angle = rng.uniform(0, 2 * np.pi, theta_E.shape)
    magnification = np.clip(2 * theta_E / np.maximum(radius, 1e-6), 2.0, 25.0)  # of a point behind a SIS
    flux = galaxies["flux_VIS"].to_numpy()[sources] * magnification
    area = np.pi * magnification * (galaxies["r_e"].to_numpy()[sources] ** 2 + 0.1**2) / EUCLID.pixel_scale**2
    bright = flux / (EUCLID.bands[Band.VIS].sky_sigma * np.sqrt(area)) > SNR_OVERESTIMATE * minimum_snr
    separate = theta_E**2 > galaxies["r_e"].to_numpy()[sources] ** 2 + (SEEING / 2) ** 2
    possible = behind & by_chance & bright.all(0) & separate.all(0) & (theta_E[0] > minimum_theta_E)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    return [(int(d[k]), sources[:, k], theta_E[:, k], x[:, k], y[:, k]) for k in np.flatnonzero(possible)]


def _lens(
    config: PopulationConfig, catalogs: Catalogs, split: str, rng: np.random.Generator, d: int, sources: np.ndarray,
    theta_E: np.ndarray, offset_x: np.ndarray, offset_y: np.ndarray,
) -> SceneBuilder:  # fmt: skip
    """Builder of a proposed lens, without neighbours but for those of the deflector's own redshift."""
    deflector = catalogs.deflector(d)
    behind = [catalogs.galaxy(int(k)) for k in sources]
    builder = empty_scene(LENS, 1, split, rng)
    q, phi = float(deflector["q"]), float(rng.uniform(0, np.pi))
    # light follows mass with a scatter in flattening and of 10 degrees in angle
    q_light = float(np.clip(q + rng.normal(0, 0.08), 0.25, 0.99))
    pair = draw_pair(rng) if rng.random() < config.second_deflector else None
    centre = pair.point(-pair.middle) if pair else 0.0
    x, y = add_early_type(builder, deflector, rng, q_light, phi + rng.normal(0, np.radians(10)), centre)
    shear, direction = rng.rayleigh(0.03), rng.uniform(0, np.pi)
    row = builder.row
    row |= {
        "z_lens": deflector["z"], "sigma_lens": deflector["sigma"], "mass_q": q, "mass_phi": phi, "mass_x": x, "mass_y": y,
        "shear_1": shear * np.cos(2 * direction), "shear_2": shear * np.sin(2 * direction),
    }  # fmt: skip
    if pair:
        add_second_deflector(builder, deflector, pair, x, y, theta_E[0], rng)
    if rng.random() < config.group_members:
        add_group(builder, deflector, x, y, rng)
    for plane, galaxy in enumerate(behind, start=1):
        moved_x, moved_y = pair.point(pair.towards(theta_E[plane - 1])) if pair else (0.0, 0.0)
        at_x, at_y = x + offset_x[plane - 1] + moved_x, y + offset_y[plane - 1] + moved_y
        row |= {f"z_source_{plane}": galaxy["z"], f"theta_E_{plane}": theta_E[plane - 1]}
        add_galaxy(builder, Role.SOURCE_1 if plane == 1 else Role.SOURCE_2, galaxy, at_x, at_y, rng, plane)
        if plane == 1:
            row |= {"mass_2_x": at_x, "mass_2_y": at_y}
    if len(behind) == 2:
        first, second = behind
        sigma = velocity_dispersion_of_source(first["M"], bool(first["red"]))
        disc = next(part for part in builder.components if part.role == Role.SOURCE_1)
        row |= {
            "sigma_source_1": sigma, "mass_2_q": max(disc.q, 0.4), "mass_2_phi": disc.phi,
            "theta_E_12": einstein_radius_sis(sigma, float(distance_ratio(first["z"], second["z"]))),
        }  # fmt: skip
    return builder


def _record(builder: SceneBuilder, detection: Detection, k: int) -> None:
    builder.row |= {"arc_snr": float(detection.snr[k]), "magnification_1": float(detection.magnification[k])}


def _without_second_source(builder: SceneBuilder) -> SceneBuilder:
    single = copy.deepcopy(builder)
    single.row |= {
        "family": MATCHED_SINGLE, "z_source_2": NAN, "theta_E_2": 0.0, "theta_E_12": 0.0,
        "magnification_2": NAN, "sigma_source_1": NAN,
    }  # fmt: skip
    single.components = [part for part in single.components if part.role != Role.SOURCE_2]
    return single
