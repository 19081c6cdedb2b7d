"""Settings of the stages that train nothing: one frozen dataclass each."""

from __future__ import annotations

from dataclasses import dataclass

from lensdream import families
from lensdream.config.fields import LARGEST_SEED, MANY, ConfigError, checked_mix, choice, mix, setting
from lensdream.instrument import EUCLID

FIELD_WIDTH = 11.2
"""side of the square in which a scene has neighbours [arcsec]: no frame may be wider"""


@dataclass(frozen=True)
class PopulationConfig:
    """Population: scenes to draw, and their numbers."""

    seed: int = setting(20220225, 0, LARGEST_SEED, "of every draw")
    sky_area: float = setting(0.15, 1e-3, 100.0, "sky that SkyPy fills with galaxies", "deg2")
    magnitude_limit: float = setting(25.5, 20.0, 30.0, "faintest neighbour drawn, VIS", "AB mag")
    source_magnitude_limit: float = setting(27.5, 20.0, 30.0, "faintest source drawn, VIS", "AB mag")
    lens_fraction: float = setting(0.5, 0.0, 1.0, "of training, validation and test scenes")
    non_lens_shares: dict[str, float] = mix(
        "share of each family among the non-lenses; they add up to 1",
        {
            families.ELLIPTICAL: (0.20, "paired with lenses: the same deflector, the source moved out"),
            families.SPIRAL: (0.16, "discs with bulge, bar and arms"),
            families.RING: (0.05, "ring galaxies"),
            families.MERGER: (0.07, "two galaxies with tidal tails"),
            families.COMPANION: (0.14, "a galaxy with close companions"),
            families.EDGE_ON: (0.06, "discs from the side, most with a dust lane"),
            families.GROUP: (0.06, "several early types together"),
            families.IRREGULAR: (0.06, "clumps without order"),
            families.FIELD: (0.13, "small, faint, off-centre galaxies of the field"),
            families.STAR: (0.03, "with diffraction spikes where bright"),
            families.ARTEFACT: (0.02, "cosmic rays, hot pixels, dead columns, ghosts, edges, missing bands"),
            families.EMPTY: (0.02, "sky with its neighbours only"),
        },
    )
    artefact_rate: float = setting(0.02, 0.0, 1.0, "share of all other scenes that have an artefact too")
    second_deflector: float = setting(
        0.12, 0.0, 1.0, "share of proposed lenses, and of the ellipticals paired with them, with two deflectors"
    )
    group_members: float = setting(
        0.2, 0.0, 1.0, "the same with one or two galaxies of the deflector's redshift around"
    )
    rare_lenses: float = setting(
        0.3, 0.0, 1.0, "share of the training lenses: full rings, bright arcs, wide ones, a third each"
    )
    minimum_arc_snr: float = setting(20.0, 0.0, 1000.0, "of a detectable lens, VIS (Collett 2015)")
    minimum_magnification: float = setting(3.0, 1.0, 100.0, "of a detectable lens (Collett 2015)")
    train: int = setting(8000, 0, MANY, "scenes")
    validation: int = setting(1000, 0, MANY, "scenes")
    test: int = setting(3000, 0, MANY, "scenes")
    undetectable: int = setting(300, 0, MANY, "lenses below the detection rule: reported, never trained on")
    compound_arc: int = setting(500, 0, MANY, "scenes")
    double_ring: int = setting(500, 0, MANY, "scenes")
    faint_second: int = setting(100, 0, MANY, "two sources, the second below the detection rule: a control")
    compound_arc_train: int = setting(300, 0, MANY, "for the compound classifier; the finder is not trained on them")
    double_ring_train: int = setting(300, 0, MANY, "the same")

    def __post_init__(self) -> None:
        """Check bounds that involve several settings."""
        shares = checked_mix("population.non_lens_shares", self.non_lens_shares)
        object.__setattr__(self, "non_lens_shares", shares)


@dataclass(frozen=True)
class SimulateConfig:
    """Rendering of scenes into images."""

    stamp: int = setting(80, 32, 1024, "side of an image; 112 at most with the padding on both sides", "pixel")
    padding: int = setting(16, 8, 128, "rendered around it and cut away, as wide as the point spread", "pixel")
    supersampling: int = setting(3, 1, 15, "samples an axis in a pixel of the inner square")
    fine_width: int = setting(54, 8, 1024, "side of that inner square; outside it one sample a pixel", "pixel")
    shard_size: int = setting(500, 1, 10**6, "images in a file")
    chunk: int = setting(32, 1, 4096, "scenes rendered together; more do not fit a CPU's cache, and suit a GPU")
    workers: int = setting(2, 1, 1024, "processes")
    renderer: str = choice(
        "lensdream", "lensdream", "lenstronomy", text="the second is the slow reference that ours is tested against"
    )

    def __post_init__(self) -> None:
        """Check bounds that involve several settings."""
        problems = []
        if self.padding > self.stamp:
            problems.append(
                f"simulate.padding: {self.padding} is wider than the stamp, the point spread may reach over "
                f"{self.stamp} pixels at most: lower it or raise simulate.stamp"
            )
        frame, widest = self.stamp + 2 * self.padding, round(FIELD_WIDTH / EUCLID.pixel_scale)
        if frame > widest:
            problems.append(
                f"simulate.stamp: {self.stamp} and a padding of {self.padding} on each side are {frame} pixels, neighbours are "
                f"drawn in {widest} at most and the sky beyond would be empty: lower simulate.stamp or simulate.padding"
            )
        if self.fine_width > self.stamp:
            problems.append(
                f"simulate.fine_width: {self.fine_width} is wider than the stamp of {self.stamp} pixels: lower it or raise "
                "simulate.stamp"
            )
        if (self.stamp - self.fine_width) % 2:
            problems.append(
                f"simulate.fine_width: {self.fine_width} and the stamp of {self.stamp} pixels have not the same middle, "
                "both must be even or both odd: change one by 1"
            )
        if problems:
            raise ConfigError("\n  ".join(problems))


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluation of the finder on the test set."""

    bootstrap: int = setting(1000, 10, 10**6, "resamplings of the scenes for the 95 % intervals")
    seed: int = setting(2, 0, LARGEST_SEED, "of the resampling")
    prevalence: float = setting(0.001, 1e-6, 0.5, "of lenses in a survey, for purity")
    batch_size: int = setting(32, 1, 65536, "more leave a CPU's cache, and take twice as long")


@dataclass(frozen=True)
class SurveyConfig:
    """Target mix of a survey (its list of resolved VIS targets), and the test of the finder on freshly simulated targets."""

    n: int = setting(2000, 100, MANY, "non-lenses streamed, at least ten over the lowest rate that is to be measured")
    n_peers: int = setting(1000, 100, MANY, "of those, how many the baseline networks score too")
    atlas: int = setting(100, 1, 1000, "highest-scoring non-lenses kept and drawn")
    pairs: int = setting(200, 1, 10**6, "test lenses rendered with and without their arcs")
    images: int = setting(1000, 10, MANY, "test images for the checks of the bands")
    bootstrap: int = setting(1000, 10, 10**6, "resamplings of the scenes for the 95 % intervals")
    seed: int = setting(6, 0, LARGEST_SEED, "of resampling and of shuffled bands")
    prevalence: float = setting(0.001, 1e-6, 0.5, "of lenses among the targets, for purity")
    batch_size: int = setting(32, 1, 65536, "more leave a CPU's cache, and take twice as long")
    non_lens_shares: dict[str, float] = mix(
        "share of each family among the non-lenses of a survey; they add up to 1",
        {
            families.ELLIPTICAL: (0.17, "early types that are no lenses, 15 to 20 % of a flux-limited list"),
            families.SPIRAL: (0.24, "discs seen from anywhere but the side, bright enough to show bulge and arms"),
            families.RING: (0.003, "ring galaxies: one disc in a hundred"),
            families.MERGER: (0.02, "pairs in contact and what is left of them, 1 to 3 %"),
            families.COMPANION: (0.05, 'others within 2.5", by chance or bound, comparable in flux'),
            families.EDGE_ON: (0.05, "a disc in six, as chance turns them"),
            families.GROUP: (0.01, "several early types within one stamp: cores of groups and clusters"),
            families.IRREGULAR: (0.05, "dwarfs and clumpy galaxies"),
            families.FIELD: (0.38, "of a list that goes to VIS 24.5 the largest part is small and faint"),
            families.STAR: (0.02, "stars, single or double, that passed for resolved"),
            families.ARTEFACT: (0.005, "what flags did not catch; population.artefact_rate holds for every family"),
            families.EMPTY: (0.002, "detections of nothing"),
        },
    )
    near_miss: float = setting(
        0.1, 0.0, 1.0,
        "share of the ellipticals with the source of a lens 1.4 to 3 Einstein radii away: that ring is 14 times the area in "
        "which it makes a lens, so at this prevalence 8 % of them have one; the others have no arc at all",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check bounds that involve several settings."""
        object.__setattr__(self, "non_lens_shares", checked_mix("survey.non_lens_shares", self.non_lens_shares))
        if self.n_peers > self.n:
            raise ConfigError(
                f"survey.n_peers: {self.n_peers} are not among the {self.n} non-lenses of survey.n, at most all of them can "
                "be: lower it or raise survey.n"
            )


@dataclass(frozen=True)
class CompoundConfig:
    """Test of finder and compound classifier on compound lenses."""

    bootstrap: int = setting(1000, 10, 10**6, "resamplings of the scenes for the 95 % intervals")
    seed: int = setting(3, 0, LARGEST_SEED, "of the resampling")
    prevalence: float = setting(0.01, 1e-6, 0.5, "of compound lenses among lenses, for purity")
    batch_size: int = setting(32, 1, 65536, "more leave a CPU's cache, and take twice as long")


@dataclass(frozen=True)
class ExplainConfig:
    """Explanations: scenes and methods."""

    seed: int = setting(4, 0, LARGEST_SEED, "of scenes, controls and jitter")
    window: int = setting(4, 1, 256, "side of the black square; 4 is the poster's", "pixel")
    stride: int = setting(4, 1, 256, "its step; 4 is the poster's", "pixel")
    sky_window: int = setting(
        2,
        1,
        256,
        "side of the square of sky, whose maps are scored: of those tried the best (benchmarks/windows.py)",
        "pixel",
    )
    sky_stride: int = setting(2, 1, 256, "its step", "pixel")
    chunk: int = setting(64, 1, 4096, "occluded images scored together")
    dream_scenes: int = setting(30, 0, 10**6, "scenes with arcs that are dreamt, as many of each family; 0 for none")
    dream_steps: int = setting(20, 1, 10**4, "gradient steps an octave")
    dream_octaves: int = setting(3, 1, 8, "sizes of the image that are dreamt, the smallest first")
    dream_octave_scale: float = setting(1.4, 1.0, 4.0, "ratio of their sizes")
    dream_jitter: int = setting(4, 0, 64, "largest random shift", "pixel")
    dream_step_size: float = setting(0.25, 1e-6, 10.0, "step, in units of the sky's scatter in each band")
    scenes_per_family: int = setting(3, 1, 10**4, "scenes explained of each family")
    sanity_scenes: int = setting(
        3, 0, 10**4, "scenes with arcs whose maps are made again of randomised networks; 0 for none"
    )
    removal_steps: int = setting(
        16, 1, 1000, "in which pixels are replaced by sky, the most or the least relevant first"
    )
    channel_scenes: int = setting(400, 0, 10**6, "test images whose output of single channels is studied; 0 for none")
    figures_per_family: int = setting(2, 1, 100, "scenes drawn of each family")


@dataclass(frozen=True)
class ObserveConfig:
    """Scoring of real cutouts."""

    batch_size: int = setting(32, 1, 65536, "more leave a CPU's cache, and take twice as long")
    pictures: int = setting(60, 0, 10**4, "cutouts drawn on the page, highest scores first")


@dataclass(frozen=True)
class ReportConfig:
    """Contents of the report."""

    examples_per_family: int = setting(6, 1, 100, "images drawn of each family")


@dataclass(frozen=True)
class TuneConfig:
    """Search for better training settings."""

    trials: int = setting(4, 1, 10**5, "trainings that are judged")
    images: int = setting(2000, 2, MANY, "training images of a trial")
    epochs: int = setting(3, 1, 10**4, "of a trial")
    seed: int = setting(5, 0, LARGEST_SEED, "of the sampler")
