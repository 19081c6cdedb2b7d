"""The command line: a command a stage, and the few beside the pipeline.

Exit codes: 0 done, 1 a broken store or a diverged training, 2 usage, settings or a stage that has not run yet, 3 some
input skipped, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from lensdream.memory import keep_freed_memory

INTERRUPTED = 130
"""exit code of a command that Ctrl-C ended, as shells have it"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors that a user can mend are printed without a traceback."""
    arguments = _parser().parse_args(argv)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    keep_freed_memory()
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt as interrupt:
        words = str(interrupt) or "what was whole is kept; run the same command again for the rest"
        print(f"\ninterrupted: {words}", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, LookupError, OSError) as error:
        print(f"lensdream: {error}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"lensdream: {error}", file=sys.stderr)
        return 1


# each command imports its own stage, so that none waits for the others' libraries
def _population(scale: str) -> None:
    from lensdream.population import stage

    stage.run(scale)


def _simulate(scale: str) -> None:
    from lensdream.simulate import stage

    stage.run(scale)


def _train(scale: str, network: str = "lensnet") -> None:
    from lensdream import train

    train.run(scale, network)


def _train_compound(scale: str) -> None:
    from lensdream.compound_head import stage

    stage.run(scale)


def _train_deep(scale: str) -> None:
    from lensdream.second_network import stage

    stage.run_deep(scale)


def _train_second(scale: str) -> None:
    from lensdream.second_network import stage

    stage.run(scale)


def _train_kinds(scale: str) -> None:
    from lensdream.kinds import stage

    stage.run(scale)


def _evaluate(scale: str) -> None:
    from lensdream.evaluate import stage

    stage.run(scale)


def _survey_test(scale: str) -> None:
    from lensdream.evaluate import survey_test

    survey_test.run(scale)


def _survey_peers(scale: str) -> None:
    from lensdream.evaluate import survey_peers

    survey_peers.run(scale)


def _compound(scale: str) -> None:
    from lensdream.evaluate import compound

    compound.run(scale)


def _explain(scale: str | None, paths: list[str], out: str, model: str | None, window: int, stride: int) -> int | None:
    if scale is None:
        from lensdream.explain.command import main_explain

        return main_explain(paths, Path(out), model, window=window, stride=stride)
    from lensdream.explain import stage

    return stage.run(scale)


def _observe(scale: str) -> None:
    from lensdream.observe import stage

    stage.run(scale)


def _report(scale: str) -> None:
    from lensdream.report import stage

    stage.run(scale)


STAGES: dict[str, tuple[Callable[..., int | None], str]] = {
    "population": (_population, "draw galaxies with SkyPy and put scenes together"),
    "simulate": (_simulate, "render the scenes"),
    "train": (_train, "train a network, keep the best validation epoch"),
    "train-deep": (_train_deep, "teach a DeepLensNet what the first look lets through"),
    "train-second": (_train_second, "go on from it to the network of the second looks, with more lenses of rare kinds"),
    "train-kinds": (_train_kinds, "learn what else an image may be, for a survey's own shares of non-lenses"),
    "train-compound": (_train_compound, "teach it to tell compound from single lenses"),
    "evaluate": (_evaluate, "measure it on the test set"),
    "survey-test": (_survey_test, "measure it on fresh non-lenses as a survey has them"),
    "survey-peers": (_survey_peers, "hold it against its peers there"),
    "compound": (_compound, "measure it on compound lenses it never saw"),
    "explain": (_explain, "why a scale's scenes, or FITS cutouts, are called lenses: maps, and of scenes their scores"),
    "observe": (_observe, "score the real cutouts in data/cutouts and LENSDREAM_CUTOUTS"),
    "report": (_report, "put everything on one page"),
}


def _score(arguments: argparse.Namespace) -> int:
    from lensdream.observe.score import main_score

    positions = arguments.positions and Path(arguments.positions)
    return main_score(arguments.paths, Path(arguments.out), arguments.model, positions=positions)


def _tune(arguments: argparse.Namespace) -> None:
    from lensdream import tuning

    tuning.run(arguments.scale, write=arguments.write, storage=arguments.storage)


def _register(arguments: argparse.Namespace) -> None:
    from lensdream import registration

    registration.run(arguments.scale)


def _export(arguments: argparse.Namespace) -> None:
    from lensdream.dataset import ImageStore
    from lensdream.dataset.export import export_fits

    export_fits(ImageStore.open(Path(arguments.folder)), Path(arguments.out), arguments.family, arguments.n)


def _check(arguments: argparse.Namespace) -> int:
    from lensdream.dataset import ImageStore
    from lensdream.dataset.check import problems

    folder = Path(arguments.folder)
    found = problems(folder)
    for problem in found:
        print(f"lensdream: {problem}", file=sys.stderr)
    if found:
        return 1
    store = ImageStore.open(folder)
    print(f"{len(store)} images in {len(store.manifest['sha256'])} files, all as the manifest says")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from lensdream.dataset import ImageStore, contact_sheet, show
    from lensdream.files import write_whole
    from lensdream.observe.inputs import Skipped

    store, skipped = ImageStore.open(Path(arguments.folder)), Skipped()
    rows = show.rows_of_store(store, arguments.per_family, arguments.seed, arguments.family)
    if arguments.beside:
        rows += show.rows_of_cutouts(arguments.beside, store.stamp, arguments.per_family, arguments.seed, skipped.add)
    write_whole(Path(arguments.out), contact_sheet.draw(rows))
    print(f"{sum(len(row.images) for row in rows)} images in {arguments.out}")
    return skipped.exit_code


def _readme(arguments: argparse.Namespace) -> None:
    from lensdream.report import readme

    readme.run()


def _ui(arguments: argparse.Namespace) -> int:
    import subprocess

    from lensdream import tracking

    print(f"MLflow at http://127.0.0.1:{arguments.port} (Ctrl-C ends it)", flush=True)
    return subprocess.run(tracking.ui_command(Path(), arguments.port), check=False).returncode


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lensdream", description="Find strong gravitational lenses and show why.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, (function, text) in STAGES.items():
        command = commands.add_parser(name, help=text, description=text)
        ARGUMENTS.get(name, _add_scale)(command)
        command.set_defaults(run=lambda arguments, function=function: function(**_values(arguments)))

    score = commands.add_parser("score", help="score FITS cutouts: one row a file or place in one")
    score.add_argument("paths", nargs="*", help="folders, globs and files")
    score.add_argument(
        "--positions",
        metavar="TABLE",
        help="CSV of places in files: id, file (relative to the table) and x_pix, y_pix or ra_deg, dec_deg",
    )
    score.add_argument("--out", required=True, help="table to write, .parquet or .csv")
    score.add_argument(
        "--model", help="alias or version in the registry, or a model's folder (default: the champion, else the best)"
    )
    score.set_defaults(run=_score)

    tune = commands.add_parser("tune", help="search for better training settings with Optuna")
    _add_scale(tune)
    tune.add_argument("--write", action="store_true", help="write the winner into params.yaml")
    tune.add_argument(
        "--storage",
        metavar="URL",
        help="PostgreSQL database that workers on several machines share, postgresql+psycopg://USER@HOST/DATABASE "
        "(default: a journal for those of this machine)",
    )
    tune.set_defaults(run=_tune)

    register = commands.add_parser("register", help="register trained models, move the champion to a better one")
    register.add_argument("--scale", help="quick or poster (default: every scale whose model was evaluated)")
    register.set_defaults(run=_register)

    dataset = commands.add_parser("dataset", help="look after an image store").add_subparsers(
        required=True, metavar="ACTION"
    )
    export = dataset.add_parser("export", help="write images as FITS cutouts in Euclid's layout")
    export.add_argument("folder")
    export.add_argument("--format", choices=["fits"], default="fits")
    export.add_argument("--family", required=True)
    export.add_argument("--n", type=int, required=True)
    export.add_argument("--out", required=True)
    export.set_defaults(run=_export)
    show = dataset.add_parser("show", help="draw images of every family into one picture")
    show.add_argument("folder")
    show.add_argument("--out", required=True, help="PNG file to write")
    show.add_argument("--per-family", type=int, default=8, metavar="N", help="images in a row (default: 8)")
    show.add_argument("--family", nargs="+", default=[], metavar="NAME", help="only these families")
    show.add_argument("--seed", type=int, default=0, help="of the choice (default: 0)")
    show.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="CUTOUTS",
        help="folders, globs and files of real cutouts to draw last",
    )
    show.set_defaults(run=_show)
    check = dataset.add_parser("check", help="compare every file with the manifest")
    check.add_argument("folder")
    check.set_defaults(run=_check)

    readme = commands.add_parser("readme", help="write the committed metrics into the README's tables")
    readme.set_defaults(run=_readme)

    ui = commands.add_parser("ui", help="open MLflow on 127.0.0.1")
    ui.add_argument("--port", type=int, default=5000)
    ui.set_defaults(run=_ui)
    return parser


def _values(arguments: argparse.Namespace) -> dict[str, str]:
    return {name: value for name, value in vars(arguments).items() if name != "run"}


def _add_scale(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scale", required=True, help="quick or poster: a scale in params.yaml")


def _add_network(command: argparse.ArgumentParser) -> None:
    _add_scale(command)
    command.add_argument(
        "--network", default="lensnet", help="lensnet, ou66, ou200, or lensnet-wide (default: lensnet)"
    )


def _add_scale_or_cutouts(command: argparse.ArgumentParser) -> None:
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--scale", help="quick or poster: a scale in params.yaml, whose scenes are explained")
    what.add_argument("paths", nargs="*", default=[], help="folders, globs and files of FITS cutouts to explain")
    command.add_argument("--out", default="explained", help="folder for a PNG and a FITS a cutout (default: explained)")
    command.add_argument(
        "--model", help="alias or version in the registry, or a model's folder (default: the champion, else the best)"
    )
    command.add_argument("--window", type=int, default=4, help="side of the occluding square [pixel] (default: 4)")
    command.add_argument("--stride", type=int, default=2, help="its step [pixel] (default: 2)")


ARGUMENTS = {"train": _add_network, "explain": _add_scale_or_cutouts}
"""of the stages that take more than a scale"""


if __name__ == "__main__":
    sys.exit(main())
