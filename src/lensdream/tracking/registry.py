"""Registry of trained models: versions, aliases, and the champion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from lensdream.networks.layout import POINTS, SURVEY_POINTS, WEIGHTS, digest_of
from lensdream.runtime.files import sha256_of
from lensdream.runtime.provenance import dvc_environment, git_state, lock_digest
from lensdream.tracking.store import MODEL_FOLDER, Store, database_of, lock_of, log_model, model_files, open_store

MODEL = "lensdream"
CANDIDATE = "candidate"
CHAMPION = "champion"
PREVIOUS = "previous"


@dataclass(frozen=True)
class RegisteredVersion:
    """A model in the registry."""

    version: int
    weights_sha256: str
    created: bool
    """whether the registry had no version of these weights"""
    aliases: tuple[str, ...]
    """aliases of the version"""
    run_id: str | None
    """the training run that stored these weights, where MLflow knows it"""


def register(folder: Path, scale: str, *, root: Path = Path(), promote: bool) -> RegisteredVersion:
    """Make the model of a scale, in `folder`, a version of the registered model, once for the same weights.

    The aliases `candidate` and `candidate-<scale>` point to it afterwards; with `promote` outside of a DVC experiment
    `champion` too, and the champion before it becomes `previous`. Weights that are registered already get their present
    operating points.

    Raises `FileNotFoundError` without a trained model.
    """
    model_files(folder)
    digest = digest_of(folder)
    store = open_store(root)
    with lock_of(root):
        version = _version_of(store, digest)
        created = version is None
        if version is None:
            version = _new_version(store, folder, scale, root, digest)
        else:
            model_id = store.client.get_model_version(MODEL, version).source.removeprefix("models:/")
            for points in filter(Path.is_file, (folder / POINTS, folder / SURVEY_POINTS)):
                store.client.log_model_artifact(model_id, str(points), MODEL_FOLDER.as_posix())
        _point(store, version, scale, promote=promote and "DVC_EXP_NAME" not in dvc_environment())
    entry = store.client.get_model_version(MODEL, version)
    return RegisteredVersion(int(version), digest, created, tuple(sorted(entry.aliases)), entry.run_id or None)


def _version_of(store: Store, digest: str) -> str | None:
    found = store.client.search_model_versions(f"name = '{MODEL}' and tags.weights_sha256 = '{digest}'")
    return max((str(entry.version) for entry in found), key=int, default=None)


def _new_version(store: Store, folder: Path, scale: str, root: Path, digest: str) -> str:
    client = store.client
    git = git_state(root)
    tags = {
        "scale": scale,
        "git_commit": git.commit,
        "git_dirty": str(git.dirty).lower(),
        "weights_sha256": digest,
        "dvc_lock_md5": lock_digest(root) or "none",
        **{name.lower(): value for name, value in dvc_environment().items()},
    }
    run_id = _training_run(store, sha256_of(folder / WEIGHTS))
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(MODEL, description="Finds strong lenses: images (n, 4, y, x) to lens logits")
    model_id = log_model(store, folder, model_files(folder), f"{MODEL}-{scale}", "registered", run_id, tags)
    return str(client.create_model_version(MODEL, f"models:/{model_id}", run_id, tags, model_id=model_id).version)


def _training_run(store: Store, digest: str) -> str | None:
    """Newest run that logged these weights as a checkpoint."""
    found = store.client.search_logged_models([store.experiment_id], f"tags.weights_sha256 = '{digest}'")
    checkpoints = [model for model in found if model.model_type == "checkpoint"]
    return max(checkpoints, key=lambda model: model.creation_timestamp).source_run_id if checkpoints else None


def _point(store: Store, version: str, scale: str, *, promote: bool) -> None:
    """Move the aliases to `version`."""
    for alias in (CANDIDATE, f"{CANDIDATE}-{scale}"):
        store.client.set_registered_model_alias(MODEL, alias, version)
    champion = _aliases(store).get(CHAMPION)
    if promote and champion != version:
        if champion is not None:
            store.client.set_registered_model_alias(MODEL, PREVIOUS, champion)
        store.client.set_registered_model_alias(MODEL, CHAMPION, version)


def _aliases(store: Store) -> Mapping[str, str]:
    """Version that each alias points to."""
    models = store.client.search_registered_models(f"name = '{MODEL}'")
    return {alias: str(version) for model in models for alias, version in model.aliases.items()}


def has_champion(root: Path = Path()) -> bool:
    """Whether a champion is registered; makes nothing."""
    return database_of(root).is_file() and CHAMPION in _aliases(open_store(root))


def pull(name_or_alias: str = CHAMPION, *, root: Path = Path()) -> Path:
    """Folder of a registered model: weights, settings and, where they were measured, operating points. Read-only.

    `name_or_alias` is an alias (`champion`, `candidate-poster`) or a version number, with or without
    `models:/lensdream@` or `models:/lensdream/` before it.

    Raises `LookupError` where there is no such model.
    """
    name = name_or_alias.removeprefix(f"models:/{MODEL}@").removeprefix(f"models:/{MODEL}/")
    if not database_of(root).is_file():
        raise LookupError(f"no model {name_or_alias!r}: nothing is registered; run `lensdream register`")
    store = open_store(root)
    aliases = _aliases(store)
    known = {str(entry.version): entry for entry in store.client.search_model_versions(f"name = '{MODEL}'")}
    entry = known.get(aliases.get(name, name))
    if entry is None:
        have = ", ".join([*sorted(aliases), *sorted(known, key=int)]) or "none"
        raise LookupError(
            f"no model {name_or_alias!r} in the registry, it has: {have}; run `lensdream register`"
            + (" (only a model that passes the gate becomes champion)" if name == CHAMPION else "")
        )
    location = store.client.get_model_version_download_uri(MODEL, entry.version)
    folder = Path(url2pathname(urlparse(location).path)) / MODEL_FOLDER
    try:
        model_files(folder)
    except FileNotFoundError:
        raise LookupError(
            f"the files of version {entry.version} are gone from {folder}: register the model again"
        ) from None
    return folder
