"""Lenses by hand: parameters, row in the table of scenes, image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from lensdream.families import LENS, TEST
from lensdream.instrument import EUCLID, N_BANDS, Band, microjansky
from lensdream.optics.cosmology import distance_ratio
from lensdream.optics.sampling import Frame
from lensdream.optics.sie import einstein_radius_sis
from lensdream.population.builder import SceneBuilder, empty_scene, to_table
from lensdream.render.batch import in_chunks
from lensdream.render.renderer import Renderer
from lensdream.render.validate import ANY, AXIS_RATIO, NOT_NEGATIVE, POSITIVE, Bound
from lensdream.scene import Role, Scenes

REDSHIFT = Bound(0, 6, above=True)
"""range of the table of distances"""
MAGNITUDE = Bound(10, 40)
"""brighter objects saturate the detectors; a number beyond either end is most likely no magnitude"""
SERSIC_INDEX = Bound(0.3, 10)
"""range in which the profile's approximation holds"""
LARGEST_SHEAR = 0.3
"""surroundings of galaxies shear by some 0.03; from 0.3 on there would be a second deflector"""
SMALLEST_STAMP, LARGEST_STAMP = 32, 1024
CHUNK = 32
"""lenses rendered together: more would not fit a CPU's cache"""
FLATTEST_SOURCE_MASS = 0.4
"""axis ratio of source 1's mass, which is rounder than its light, as in the population"""


def _beyond(name: str, value: float | Sequence[float] | None, bound: Bound, remedy: str) -> list[str]:
    """Problem of a value, or of one of several, out of its bound; an empty list if all lie within."""
    if bound.holds(np.asarray(value, float)).all():
        return []
    return [f"{name} = {value} is not in {bound}: {remedy}"]


def _of_shear(shear: tuple[float, float]) -> list[str]:
    remedy = "give (gamma_1, gamma_2)"
    if np.shape(shear) != (2,):
        return [f"shear = {shear!r} is not of two numbers: {remedy}"]
    strength = math.hypot(*shear)
    if strength <= LARGEST_SHEAR:
        return []
    return [f"shear = {shear} is {strength:.3g} in all, at most {LARGEST_SHEAR} is allowed: {remedy}"]


def _refuse(what: str, problems: list[str]) -> None:
    if problems:
        raise ValueError(f"{what} cannot be drawn:\n  " + "\n  ".join(problems))


def _behind(before: str, z_before: float, behind: str, z_behind: float, remedy: str) -> list[str]:
    """Problems of two redshifts of which the second must be the larger."""
    problems = _beyond(before, z_before, REDSHIFT, "give a redshift") + _beyond(
        behind, z_behind, REDSHIFT, "give a redshift"
    )
    if problems or z_behind > z_before:
        return problems
    return [f"{behind} = {z_behind} is not beyond {before} = {z_before}: {remedy}"]


@dataclass(frozen=True)
class Sersic:
    """Light of a galaxy: an elliptical Sersic profile in the four bands.

    Parameters
    ----------
    magnitude : float or sequence of 4 floats
        AB magnitude before lensing in VIS, Y, J, H; one number stands for all four bands. Between 10 and 40.
    r_e : float
        Half-light radius of the circle of equal area [arcsec], positive.
    n : float
        Sersic index, 0.3 to 10: 1 for a disc, 4 for an elliptical galaxy.
    q : float
        Axis ratio, in (0, 1].
    phi : float
        Position angle of the major axis, counted from x to y [radian].
    x, y : float
        Centre [arcsec], from the middle of the image; x to the right, y up. Of a source: its unlensed position.

    Raises
    ------
    ValueError
        For values that no galaxy can have: one message with all of them, their bounds and what to give.

    Examples
    --------
    >>> from lensdream import Sersic
    >>> disc = Sersic(magnitude=(22.0, 21.7, 21.6, 21.5), r_e=0.4, q=0.6)
    >>> disc.flux.round(2)  # [microjansky]
    array([5.75, 7.59, 8.32, 9.12])
    >>> Sersic(magnitude=23.9, r_e=-0.4)
    Traceback (most recent call last):
        ...
    ValueError: this Sersic profile cannot be drawn:
      r_e = -0.4 is not in (0, inf): give the half-light radius in arcsec
    """

    magnitude: float | Sequence[float]
    r_e: float
    n: float = 1.0
    q: float = 0.8
    phi: float = 0.0
    x: float = 0.0
    y: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError that lists all problems."""
        problems = []
        if np.shape(self.magnitude) not in ((), (N_BANDS,)):
            problems.append(
                f"magnitude = {self.magnitude!r} has the shape {np.shape(self.magnitude)}: give {N_BANDS} numbers, for "
                f"{', '.join(band.name for band in Band)}, or one for all of them"
            )
        else:
            problems += _beyond("magnitude", self.magnitude, MAGNITUDE, "give AB magnitudes, not fluxes")
        problems += _beyond("r_e", self.r_e, POSITIVE, "give the half-light radius in arcsec")
        problems += _beyond("n", self.n, SERSIC_INDEX, "1 is a disc, 4 an elliptical galaxy")
        problems += _beyond("q", self.q, AXIS_RATIO, "give the minor axis over the major axis")
        for name in ("phi", "x", "y"):
            problems += _beyond(name, getattr(self, name), ANY, "give a finite number")
        _refuse("this Sersic profile", problems)

    @property
    def flux(self) -> np.ndarray:
        """Flux (4,) in VIS, Y, J, H, before lensing [microjansky]."""
        return np.broadcast_to(microjansky(np.asarray(self.magnitude, float)), (N_BANDS,))


DEFLECTOR = Sersic(magnitude=(19.3, 18.3, 18.0, 17.7), r_e=0.8, n=4.0, q=0.85, phi=0.3)
"""light of a massive elliptical galaxy at redshift 0.5"""
SOURCE = Sersic(magnitude=(23.6, 23.5, 23.4, 23.3), r_e=0.12, q=0.7, phi=1.0, x=0.3, y=0.18)
"""a blue galaxy behind it, off the axis: a long arc and a counter-image"""


@dataclass(frozen=True)
class Lens:
    """A galaxy that lenses one source or, as a compound lens, two.

    The mass is a singular isothermal ellipsoid around the centre of the deflector's light, with external shear. `Lens()` is a
    plain lens: a massive elliptical galaxy with a blue arc and its counter-image.

    Parameters
    ----------
    theta_E : float
        Einstein radius for source 1, of the circle of equal area [arcsec], positive.
    q, phi : float
        Axis ratio, in (0, 1], and position angle [radian] of the mass.
    shear : (float, float)
        External shear for source 1, (gamma_1, gamma_2), 0.3 in all at most.
    z_lens, z_source : float
        Redshifts of the deflector and of source 1, in (0, 6]; the source lies behind the deflector.
    light, source : Sersic
        Light of the deflector, and of source 1 before lensing.
    second_source : Sersic, optional
        Light of a second source, behind the first one: this makes a compound lens.
    z_source_2 : float, optional
        Redshift of the second source; goes with `second_source`, and lies behind source 1.
    theta_E_2 : float, optional
        Einstein radius of the deflector for source 2 [arcsec]. By default that of the same velocity dispersion:
        `theta_E` times the ratio of the distances.
    theta_E_12 : float
        Einstein radius of source 1's own mass for source 2 [arcsec]; 0 leaves that mass out. Source 1's mass has the centre
        and position angle of its light, and its axis ratio or 0.4, whichever is rounder.

    Raises
    ------
    ValueError
        For lenses that cannot be, such as a source in front of the deflector: one message with all problems,
        each with its value, its bound and what to give.

    See Also
    --------
    simulate : The image of a lens.

    Examples
    --------
    >>> from lensdream import Lens, Sersic
    >>> round(Lens(theta_E=1.2, z_lens=0.5, z_source=2.0).sigma)  # velocity dispersion [km/s]
    256
    >>> Lens(z_source=0.2)
    Traceback (most recent call last):
        ...
    ValueError: this lens cannot be drawn:
      z_source = 0.2 is not beyond z_lens = 0.5: put the source behind the deflector

    A compound lens is traced through both planes:

    >>> double = Lens(second_source=Sersic(24.0, 0.15, x=0.05), z_source_2=4.0, theta_E_12=0.1)
    >>> double.scene().scenes[["theta_E_1", "theta_E_2", "theta_E_12"]].round(3).to_dict("records")
    [{'theta_E_1': 1.0, 'theta_E_2': 1.159, 'theta_E_12': 0.1}]
    """

    theta_E: float = 1.0
    q: float = 0.8
    phi: float = 0.3
    shear: tuple[float, float] = (0.0, 0.0)
    z_lens: float = 0.5
    z_source: float = 2.0
    light: Sersic = field(default=DEFLECTOR)
    source: Sersic = field(default=SOURCE)
    second_source: Sersic | None = None
    z_source_2: float | None = None
    theta_E_2: float | None = None
    theta_E_12: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError that lists all problems."""
        problems = _beyond("theta_E", self.theta_E, POSITIVE, "give the Einstein radius in arcsec")
        problems += _beyond("q", self.q, AXIS_RATIO, "give the minor axis over the major axis")
        problems += _beyond("phi", self.phi, ANY, "give a finite number")
        problems += _of_shear(self.shear)
        problems += _behind("z_lens", self.z_lens, "z_source", self.z_source, "put the source behind the deflector")
        for name in ("light", "source"):
            if not isinstance(getattr(self, name), Sersic):
                problems.append(f"{name} = {getattr(self, name)!r} is no Sersic: give Sersic(magnitude, r_e)")
        problems += self._single() if self.second_source is None else self._compound()
        _refuse("this lens", problems)

    def _single(self) -> list[str]:
        """Problems of a lens without a second source."""
        given = [name for name in ("z_source_2", "theta_E_2") if getattr(self, name) is not None]
        given += ["theta_E_12"] if self.theta_E_12 != 0 else []
        remedy = "give the second source's light, or leave it out"
        return [f"{name} = {getattr(self, name)} is of a second_source, which is None: {remedy}" for name in given]

    def _compound(self) -> list[str]:
        """Problems of the second source."""
        problems = _beyond("theta_E_12", self.theta_E_12, NOT_NEGATIVE, "give it in arcsec, 0 for no mass")
        if not isinstance(self.second_source, Sersic):
            problems.append(f"second_source = {self.second_source!r} is no Sersic: give Sersic(magnitude, r_e)")
        if self.theta_E_2 is not None:
            problems += _beyond("theta_E_2", self.theta_E_2, POSITIVE, "give it in arcsec, or None to compute it")
        if self.z_source_2 is None:
            return [*problems, "z_source_2 = None: give the redshift of the second source"]
        remedy = "put the second source behind the first one, or exchange them"
        problems += _behind("z_source", self.z_source, "z_source_2", self.z_source_2, remedy)
        return problems

    @property
    def sigma(self) -> float:
        """Velocity dispersion of a singular isothermal sphere with this `theta_E` [km/s]."""
        return _sigma(self.theta_E, self.z_lens, self.z_source)

    def scene(self, seed: int = 0) -> Scenes:
        """Table of one scene for this lens, input of `Renderer`.

        Parameters
        ----------
        seed : int
            Seed of all that a lens does not determine: the noise and its level, the sky's residual, the field's point
            spread and dithers. Zero or more.

        Returns
        -------
        Scenes
            One scene of the family `lens`, with a component for the deflector and for each source.

        Raises
        ------
        ValueError
            For a negative seed.

        Examples
        --------
        >>> from lensdream import Lens, Renderer
        >>> rendered = Renderer().render(Lens().scene(seed=1))
        >>> rendered.images.shape, rendered.truth.shape  # truth: VIS light of deflector, source 1, source 2
        (torch.Size([1, 4, 80, 80]), torch.Size([1, 3, 80, 80]))
        """
        return to_table([_builder(self, seed)])


def simulate(lens: Lens | Sequence[Lens], *, seed: int = 0, stamp: int = 80, noise: bool = True) -> np.ndarray:
    """Simulate Euclid's image of a lens.

    The image is that of the scene `lens.scene(seed)`, drawn as the pipeline draws scenes.

    Parameters
    ----------
    lens : Lens or sequence of Lens
        One lens, or several.
    seed : int
        Seed of the noise and the field's observing conditions, zero or more; the k-th of several lenses has the seed
        `seed + k`. One field in ten is shallower than the others, by up to twice the scatter of the sky.
    stamp : int
        Side of the image [pixel of 0.1 arcsec], 32 to 1024. The trained networks take 80.
    noise : bool
        Whether the image has noise and the sky's residual.

    Returns
    -------
    ndarray
        Image (4, stamp, stamp) of one lens or (n, 4, stamp, stamp) of n lenses, float32 [microjansky a
        pixel]; bands VIS, Y, J, H.

    Raises
    ------
    ValueError
        For a negative seed, a stamp out of bounds, or an empty list.

    See Also
    --------
    Lens.scene : The scene, from which `Renderer` also makes truth masks.

    Examples
    --------
    >>> from lensdream import Lens, simulate
    >>> image = simulate(Lens(theta_E=1.2))
    >>> image.shape, image.dtype
    ((4, 80, 80), dtype('float32'))
    >>> simulate([Lens(theta_E=0.8), Lens(theta_E=1.2)], seed=7).shape
    (2, 4, 80, 80)
    """
    single = isinstance(lens, Lens)
    lenses = [lens] if single else list(lens)
    if not lenses:
        raise ValueError("simulate was given no lens: give one Lens or several")
    scenes = to_table([_builder(each, seed + k) for k, each in enumerate(lenses)])
    parts = in_chunks(_renderer(stamp), scenes, CHUNK)
    images = np.concatenate([(part.images if noise else part.noiseless).numpy() for part in parts])
    return images[0] if single else images


@cache
def _renderer(stamp: int) -> Renderer:
    if not SMALLEST_STAMP <= stamp <= LARGEST_STAMP:
        raise ValueError(
            f"stamp = {stamp} is not in [{SMALLEST_STAMP}, {LARGEST_STAMP}]: give the image's side in pixels of "
            f"{EUCLID.pixel_scale} arcsec; the trained networks take 80"
        )
    # the finely sampled square has the stamp's middle: both are even, or both odd
    fine = min(Frame().fine_width, stamp)
    return Renderer(Frame(stamp=stamp, fine_width=fine - (stamp - fine) % 2))


def _builder(lens: Lens, seed: int) -> SceneBuilder:
    """Scene of a lens, observed in the conditions of a seed."""
    if seed < 0:
        raise ValueError(f"seed = {seed} is negative: give a whole number from 0 on")
    builder = empty_scene(LENS, 1, TEST, np.random.default_rng(seed))
    source = lens.source
    builder.row |= {
        "z_lens": lens.z_lens, "z_source_1": lens.z_source, "sigma_lens": lens.sigma, "theta_E_1": lens.theta_E,
        "mass_q": lens.q, "mass_phi": lens.phi, "mass_x": lens.light.x, "mass_y": lens.light.y,
        "mass_2_x": source.x, "mass_2_y": source.y, "shear_1": lens.shear[0], "shear_2": lens.shear[1],
    }  # fmt: skip
    _add(builder, Role.TARGET, 0, lens.light)
    _add(builder, Role.SOURCE_1, 1, source)
    if lens.second_source is not None:
        sigma_1 = _sigma(lens.theta_E_12, lens.z_source, lens.z_source_2)
        theta_E_2 = einstein_radius_sis(lens.sigma, float(distance_ratio(lens.z_lens, lens.z_source_2)))
        builder.row |= {
            "z_source_2": lens.z_source_2, "theta_E_2": theta_E_2 if lens.theta_E_2 is None else lens.theta_E_2,
            "theta_E_12": lens.theta_E_12, "sigma_source_1": sigma_1,
            "mass_2_q": max(source.q, FLATTEST_SOURCE_MASS), "mass_2_phi": source.phi,
        }  # fmt: skip
        _add(builder, Role.SOURCE_2, 2, lens.second_source)
    return builder


def _add(builder: SceneBuilder, role: Role, plane: int, light: Sersic) -> None:
    builder.add(role, plane, light.x, light.y, light.r_e, light.n, light.q, light.phi, light.flux)


def _sigma(theta_E: float, z_lens: float, z_source: float) -> float:
    """Velocity dispersion [km/s] of an isothermal sphere: theta_E grows as its square."""
    return math.sqrt(theta_E / einstein_radius_sis(1.0, float(distance_ratio(z_lens, z_source))))
