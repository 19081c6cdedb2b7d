"""Command line `lensdream`: a table of commands, each a function of `lensdream.commands` that is imported when called.

Exit codes: 0 done, 1 a broken store or a diverged training, 2 usage, settings or a stage that has not run yet, 3 some
input skipped, 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lensdream import __version__

INTERRUPTED = 130
"""exit code of a command that Ctrl-C ended, as shells have it"""
USAGE_ERROR = 2
FULL_DATABASE = "database or disk is full"
"""words of SQLite, in whatever MLflow makes of them"""
DESCRIPTION = "Find strong gravitational lenses in survey images, and show why."

AddArguments = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True)
class Command:
    """Command: a help line, a function, and the arguments of the command line that the function takes."""

    help: str
    function: str
    """`module:function` within `lensdream.commands`"""
    add_arguments: AddArguments

    def __call__(self, **arguments: object) -> int | None:
        """Import the function and call it."""
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(f"lensdream.commands.{module}"), name)(**arguments)


def _scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", required=True, help="scale of params.yaml, such as quick or poster")


def _train(parser: argparse.ArgumentParser) -> None:
    _scale(parser)
    parser.add_argument(
        "--recipe",
        default="lensnet",
        help="what to train: lensnet, ou66, deep, second_stage or compound_classifier (default: lensnet)",
    )


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        help="model folder, or an alias or version of the registry (default: the champion, else the best model folder)",
    )


def _explain(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--scale", help="scale of params.yaml whose simulated test scenes are explained instead of files")
    what.add_argument("paths", nargs="*", default=[], help="folders, globs and files of FITS cutouts to explain")
    parser.add_argument(
        "--out",
        default="explained",
        help="folder for the results, a PNG and a FITS file for each cutout (default: explained)",
    )
    _model(parser)
    parser.add_argument(
        "--window", type=int, default=4, help="side of the square that covers the image [pixel] (default: 4)"
    )
    parser.add_argument(
        "--stride", type=int, default=2, help="step from one position of the square to the next [pixel] (default: 2)"
    )


def _score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", help="folders, globs and files of FITS cutouts to score")
    parser.add_argument(
        "--positions",
        metavar="TABLE",
        help="CSV table of objects in larger FITS images: id, file (relative to the table) and x_pix, y_pix or ra_deg, dec_deg",
    )
    parser.add_argument("--out", required=True, help="file of the table of scores, .parquet or .csv")
    _model(parser)


def _tune(parser: argparse.ArgumentParser) -> None:
    _scale(parser)
    parser.add_argument(
        "--write", action="store_true", help="write the best settings into params.yaml (default: print them)"
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="PostgreSQL database for trials on several machines, postgresql+psycopg://USER@HOST/DATABASE "
        "(default: a journal file for trials on this machine)",
    )


def _register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scale", help="scale whose model is registered (default: every scale with an evaluated model)"
    )


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="folder of an image store, such as artifacts/quick/images")
    parser.add_argument("--format", choices=["fits"], default="fits", help="format of the files (default: fits)")
    parser.add_argument("--family", required=True, help="family of scenes, such as lens or spiral")
    parser.add_argument("--n", type=int, required=True, help="number of images to export")
    parser.add_argument("--out", required=True, help="folder for the FITS files")


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="folder of an image store, such as artifacts/quick/images")
    parser.add_argument("--out", required=True, help="PNG file of the picture")
    parser.add_argument("--per-family", type=int, default=8, metavar="N", help="images of each family (default: 8)")
    parser.add_argument("--family", nargs="+", default=[], metavar="NAME", help="families to draw (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random choice of images (default: 0)")
    parser.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="CUTOUTS",
        help="folders, globs and files of real cutouts to draw below the simulated images",
    )


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="folder of an image store, such as artifacts/quick/images")


def _diff(parser: argparse.ArgumentParser) -> None:
    what = "manifest file, folder of a data set, or revision of git"
    parser.add_argument("one", metavar="A", help=what)
    parser.add_argument("other", metavar="B", help=what)
    parser.add_argument("--scale", default="quick", help="scale of the revisions' manifests (default: quick)")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.02,
        help="smallest change of a quantile that is reported, relative, for magnitudes in mag (default: 0.02)",
    )


def _params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--write", action="store_true", help="write them (default: check that they are up to date)")


def _run(parser: argparse.ArgumentParser) -> None:
    _scale(parser)
    parser.add_argument("--dry", action="store_true", help="print the plan, and run nothing")


def _ui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=5000, help="port of the web pages (default: 5000)")


def _nothing(parser: argparse.ArgumentParser) -> None:
    """Add no argument."""


GROUPS: dict[str, dict[str, Command]] = {
    "Score your own images": {
        "score": Command("score FITS cutouts into a table of candidates", "score:run", _score),
        "explain": Command(
            "draw maps of the pixels that support 'lens', in FITS cutouts or in simulated test scenes",
            "explain:run",
            _explain,
        ),
    },
    "The pipeline": {
        "run": Command(
            "say what the pipeline of a scale will run and how long that took last time, then run it", "run:run", _run
        ),
        "params": Command(
            "check or write what follows from params.yaml: its comments, and DVC's file of every scale",
            "params:run",
            _params,
        ),
    },
    "Stages of the pipeline (`dvc repro` runs them)": {
        "code": Command("write the digests of the code that every stage runs", "code:run", _nothing),
        "population": Command(
            "draw galaxies with SkyPy and build the tables of simulated scenes", "population:run", _scale
        ),
        "simulate": Command("render the tables of simulated scenes into an image store", "simulate:run", _scale),
        "train": Command("train a network and keep the epoch of the lowest validation loss", "train:run", _train),
        "class-prior": Command(
            "fit the class prior, which corrects logits where the mix of non-lenses differs from training",
            "class_prior:run",
            _scale,
        ),
        "evaluate": Command("measure the finder on the test set and fix its thresholds", "evaluate:run", _scale),
        "survey-test": Command(
            "measure the finder on newly simulated non-lenses in the proportions of a survey", "survey_test:run", _scale
        ),
        "compound-test": Command(
            "measure the finder and the compound classifier on compound lenses kept out of training",
            "compound_test:run",
            _scale,
        ),
        "observe": Command(
            "score the real cutouts in data/cutouts and in the folders of LENSDREAM_CUTOUTS", "observe:run", _scale
        ),
        "report": Command("write all results of a scale as one HTML page", "report:run", _scale),
    },
    "Models and experiments": {
        "tune": Command("search for better training settings with Optuna", "tune:run", _tune),
        "register": Command("register trained models and promote a better one to champion", "register:run", _register),
        "ui": Command("serve the MLflow pages of all runs on 127.0.0.1", "ui:run", _ui),
    },
    "Data sets and documents": {
        "dataset export": Command(
            "write images of an image store as FITS cutouts in Euclid's layout", "export:run", _export
        ),
        "dataset show": Command("draw images of every family of an image store into one picture", "show:run", _show),
        "dataset diff": Command("say what differs between two versions of a data set", "diff:run", _diff),
        "dataset check": Command("compare every file of an image store with its manifest", "check:run", _folder),
        "readme": Command("write the committed metrics into the README's tables", "readme:run", _nothing),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors that a user can correct are printed without a traceback."""
    argv = list(sys.argv[1:] if argv is None else argv)
    name, rest = _split(argv)
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"lensdream {name}", description=f"{command.help[0].upper()}{command.help[1:]}."
    )
    command.add_arguments(parser)
    arguments = vars(parser.parse_args(rest))
    try:
        _refuse_unknown(arguments)
        _refuse_missing_model(arguments.get("model"))
        _prepare()
        return command(**arguments) or 0
    except KeyboardInterrupt as interrupt:
        message = str(interrupt) or "what was whole is kept; run the same command again for the rest"
        print(f"\ninterrupted: {message}", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, LookupError, OSError) as error:
        print(f"lensdream: {error}", file=sys.stderr)
        return USAGE_ERROR
    except FloatingPointError as error:
        print(f"lensdream: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        if FULL_DATABASE not in str(error):
            raise
        told = "the disk of mlruns/ is full: free some space and run again; what was whole is kept"
        print(f"lensdream: {told}", file=sys.stderr)
        return USAGE_ERROR


def _split(argv: list[str]) -> tuple[str, list[str]]:
    """Name of the command and its arguments; prints help, version or a usage error, and exits."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        raise SystemExit(0 if argv else USAGE_ERROR)
    if argv[0] == "--version":
        print(f"lensdream {__version__}")
        raise SystemExit(0)
    for words in (2, 1):
        name = " ".join(argv[:words])
        if name in COMMANDS:
            return name, argv[words:]
    given = " ".join(argv[:2]) if any(name.startswith(f"{argv[0]} ") for name in COMMANDS) else argv[0]
    near = difflib.get_close_matches(given, COMMANDS, 1, 0.5)
    hint = f"did you mean `lensdream {near[0]}`?" if near else "`lensdream --help` lists the commands"
    print(f"lensdream: no command {given!r}; {hint}", file=sys.stderr)
    raise SystemExit(USAGE_ERROR)


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = ["usage: lensdream COMMAND ...    (lensdream COMMAND --help for its arguments)", "", DESCRIPTION]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:{width}s}{command.help}" for name, command in commands.items())]
    return "\n".join([*lines, "", "options:", f"  {'--version':{width}s}print the version"])


def _refuse_unknown(arguments: Mapping[str, object]) -> None:
    """Raise `ValueError` for a scale, a recipe or a model that does not exist, before heavy imports."""
    scale, recipe, model = (arguments.get(name) for name in ("scale", "recipe", "model"))
    if model is not None:
        from lensdream.finder.locate import find_model

        find_model(str(model))
    if scale is not None:
        from lensdream.config import require_scale
        from lensdream.train import recipes

        require_scale(str(scale), blocks=recipes.blocks())
        if recipe is not None:
            recipes.recipe_of(str(recipe))


def _refuse_missing_model(model: object) -> None:
    """Raise `ModelError` for a model that is not there, before anything heavy is imported."""
    if model is not None:
        from lensdream.finder.locate import find_model

        find_model(str(model))


def _prepare() -> None:
    # Threads of several processes on the same cores wait asleep and not in a loop: training beside other work would fall to
    # a fiftieth of its speed. The OpenMP of torch reads this when it is loaded, and no result depends on it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from lensdream.runtime.allocator import keep_freed_memory

    warnings.filterwarnings("ignore", category=DeprecationWarning)
    keep_freed_memory()


if __name__ == "__main__":
    sys.exit(main())
