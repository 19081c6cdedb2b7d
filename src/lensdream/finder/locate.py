"""Look-up of a model: a folder, an alias or version of the registry, the champion, the best of `models/`, the packaged one.

No torch is imported here, so that a model that does not exist is refused at once.
"""

from __future__ import annotations

import json
from pathlib import Path

from lensdream.networks.layout import MERIT, POINTS, SETTINGS, WEIGHTS, is_model

PACKAGED = Path(__file__).parents[1] / "model"
"""folder of the model that a wheel ships; absent in a checkout"""


class ModelError(ValueError):
    """A model that is not there or cannot be used; the message says what to do."""


def find_model(model: str | Path | None = None, root: Path = Path()) -> tuple[Path, str]:
    """Folder of a model and its name in tables.

    Parameters
    ----------
    model : str or Path, optional
        A model folder, or an alias or version of the registry. By default the champion; without one the model in `models/`
        of the highest completeness on its test set, else the newest there; without any the packaged one.
    root : Path
        The repository, which `models/` and the registry belong to.

    Raises
    ------
    ModelError
        Where there is no such model.

    """
    if model is not None and Path(model).is_dir():
        return _checked(Path(model)), str(model)
    registered = (root / "mlruns" / "mlflow.db").is_file() or (root / ".dvc").is_dir()
    if model is not None and not registered:
        raise ModelError(
            f"no model {str(model)!r}: no such folder, and no registry in {root.resolve()}; name a folder with {WEIGHTS} and "
            f"{SETTINGS}, or run `lensdream register` in the repository"
        )
    if registered:
        found = _in_registry(None if model is None else str(model), root)
        if found is not None:
            return found
    trained = [path.parent for path in (root / "models").glob(f"*/{WEIGHTS}") if is_model(path.parent)]
    if trained:
        best = max(trained, key=_merit)
        return best, best.relative_to(root).as_posix()
    if is_model(PACKAGED):
        return PACKAGED, "packaged"
    raise ModelError(
        f"no model: the registry has no champion and {root / 'models'} no trained one; run `dvc repro`, or name a folder "
        f"with {WEIGHTS} and {SETTINGS}"
    )


def _in_registry(name: str | None, root: Path) -> tuple[Path, str] | None:
    """Folder and name of the model of an alias or version; without a name the champion, None where there is none."""
    from lensdream import tracking  # MLflow takes seconds to import, and few need it

    try:
        if name is not None:
            return tracking.pull(name, root=root), name
        return (tracking.pull("champion", root=root), "champion") if tracking.has_champion(root) else None
    except LookupError as error:
        raise ModelError(f"{error.args[0]}; or name a folder with {WEIGHTS} and {SETTINGS}") from None


def _merit(folder: Path) -> tuple[float, float]:
    """Completeness of a model and the time of its training: a fresh clone has many models and no registry yet."""
    try:
        merit = float(json.loads((folder / POINTS).read_text()).get(MERIT, 0.0))
    except (OSError, ValueError, TypeError, AttributeError):
        merit = 0.0  # not measured, or in a file that loading the model will refuse in better words
    return merit, (folder / WEIGHTS).stat().st_mtime


def _checked(folder: Path) -> Path:
    missing = [name for name in (WEIGHTS, SETTINGS) if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"the folder {folder} has no {' and no '.join(missing)}: run the train stage first")
    return folder
