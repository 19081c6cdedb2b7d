"""A repository with the pipeline of this one, small enough to run in a minute; tests and kills.py share it."""

import shutil
import subprocess
from pathlib import Path

import yaml
from dvc.utils.hydra import apply_overrides

ROOT = Path(__file__).parents[1]

SMALL = {
    "population.sky_area": 0.02,
    "lensnet.network.width": 8,
    "evaluate.bootstrap": 20,
    "survey.bootstrap": 20,
    "survey.pairs": 10,
    "survey.atlas": 10,
    "compound_test.bootstrap": 20,
    "explain.window": 20,
    "explain.stride": 20,
    "explain.sky_window": 20,
    "explain.sky_stride": 20,
    "explain.dream_steps": 1,
    "explain.dream_octaves": 1,
    "explain.removal_steps": 2,
    "explain.figures_per_family": 1,
    "report.examples_per_family": 1,
    "scales.quick.population.train": 160,
    "scales.quick.population.validation": 48,
    "scales.quick.population.test": 96,
    "scales.quick.population.undetectable": 8,
    "scales.quick.population.compound_arc": 12,
    "scales.quick.population.double_ring": 12,
    "scales.quick.population.faint_second": 4,
    "scales.quick.population.compound_arc_train": 12,
    "scales.quick.population.double_ring_train": 12,
    "scales.quick.lensnet.fit.epochs": 2,
    "scales.quick.compound_classifier.fit.epochs": 1,
    "scales.quick.survey.n": 200,
    "scales.quick.survey.n_peers": 100,
    "scales.quick.survey.images": 48,
    "scales.quick.explain.dream_scenes": 1,
    "scales.quick.explain.scenes_per_family": 1,
    "scales.quick.explain.sanity_scenes": 1,
    "scales.quick.explain.channel_scenes": 20,
}
"""settings that differ from those of the repository"""


def make(folder: Path) -> None:
    """Make the repository: what git has of this one but for code and documents, with small numbers, and no results."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    wanted = (
        "dvc.yaml", "params.yaml", "scales/", ".dvc", ".gitignore", "data.dvc", "data_store/", "models/poster/", "mlruns/"
    )  # fmt: skip
    for name in filter(None, listed):
        if name.startswith(wanted) and not name.endswith("dvc.lock") and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    apply_overrides(folder / "params.yaml", [f"{name}={value}" for name, value in SMALL.items()])
    run("git", "init", "--quiet", cwd=folder)
    for key, value in {"user.name": "tiny", "user.email": "tiny@example.org"}.items():
        run("git", "config", key, value, cwd=folder)
    commit(folder, "pipeline")


def commit(folder: Path, message: str) -> None:
    """Commit all that is not ignored."""
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "-m", message, cwd=folder)


def outputs(folder: Path) -> dict[str, str]:
    """Digest of md5 of every output in the lock, by path."""
    stages = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", [])}


def run(*command: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess:
    """Run a command in the repository; its output is in the error where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
    return done
