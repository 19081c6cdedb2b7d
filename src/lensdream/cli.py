"""The command line: one table of commands, each a function of `lensdream.commands` that is imported when it is called.

Exit codes: 0 done, 1 a broken store or a diverged training, 2 usage, settings or a stage that has not run yet, 3 some
input skipped, 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lensdream import __version__

INTERRUPTED = 130
"""exit code of a command that Ctrl-C ended, as shells have it"""
USAGE_ERROR = 2
DESCRIPTION = "Find strong gravitational lenses in survey images, and show why."

AddArguments = Callable[[argparse.ArgumentParser], None]


@dataclass(frozen=True)
class Command:
    """A command: its help line, the function that it calls, and the arguments that become the function's."""

    help: str
    function: str
    """`module:function` within `lensdream.commands`"""
    add_arguments: AddArguments

    def __call__(self, **arguments: object) -> int | None:
        """Import the function and call it."""
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(f"lensdream.commands.{module}"), name)(**arguments)


def _scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", required=True, help="a scale of params.yaml, such as quick or poster")


def _train(parser: argparse.ArgumentParser) -> None:
    _scale(parser)
    parser.add_argument("--network", default="lensnet", help="lensnet, ou66, ou200, or lensnet-wide (default: lensnet)")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        help="a model folder, or an alias or version in the registry (default: the champion, else the best model folder)",
    )


def _explain(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--scale", help="a scale of params.yaml: explain a fixed set of its simulated scenes")
    what.add_argument("paths", nargs="*", default=[], help="folders, globs and files of FITS cutouts to explain")
    parser.add_argument("--out", default="explained", help="folder for a PNG and a FITS a cutout (default: explained)")
    _model(parser)
    parser.add_argument("--window", type=int, default=4, help="side of the occluding square [pixel] (default: 4)")
    parser.add_argument("--stride", type=int, default=2, help="step of the occluding square [pixel] (default: 2)")


def _score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", help="folders, globs and files of FITS cutouts")
    parser.add_argument(
        "--positions",
        metavar="TABLE",
        help="CSV of positions in files: id, file (relative to the table) and x_pix, y_pix or ra_deg, dec_deg",
    )
    parser.add_argument("--out", required=True, help="table to write, .parquet or .csv")
    _model(parser)


def _tune(parser: argparse.ArgumentParser) -> None:
    _scale(parser)
    parser.add_argument("--write", action="store_true", help="write the best settings into params.yaml")
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="PostgreSQL database that workers on several machines share, postgresql+psycopg://USER@HOST/DATABASE "
        "(default: a journal for the workers of this machine)",
    )


def _register(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", help="a scale of params.yaml (default: every scale whose model was evaluated)")


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="an image store")
    parser.add_argument("--format", choices=["fits"], default="fits")
    parser.add_argument("--family", required=True)
    parser.add_argument("--n", type=int, required=True, help="number of images")
    parser.add_argument("--out", required=True, help="folder for the FITS files")


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="an image store")
    parser.add_argument("--out", required=True, help="PNG file to write")
    parser.add_argument("--per-family", type=int, default=8, metavar="N", help="images in a row (default: 8)")
    parser.add_argument("--family", nargs="+", default=[], metavar="NAME", help="draw only these families")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice of images (default: 0)")
    parser.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="CUTOUTS",
        help="folders, globs and files of real cutouts to draw below the simulated images",
    )


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="an image store")


def _params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--write", action="store_true", help="write the comments (default: say whether they are up to date)"
    )


def _ui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=5000)


def _nothing(parser: argparse.ArgumentParser) -> None:
    """Add no argument."""


GROUPS: dict[str, dict[str, Command]] = {
    "Score your own images": {
        "score": Command("score FITS cutouts into a table of candidates", "score:run", _score),
        "explain": Command(
            "draw maps of what supports 'lens' in FITS cutouts, or study a scale's simulated scenes",
            "explain:run",
            _explain,
        ),
    },
    "Stages of the pipeline (`dvc repro` runs them)": {
        "population": Command("draw galaxies with SkyPy and build the tables of scenes", "population:run", _scale),
        "simulate": Command("render the scenes into an image store", "simulate:run", _scale),
        "train": Command("train a network and keep the epoch of the lowest validation loss", "train:run", _train),
        "train-deep": Command(
            "train DeepLensNet from random weights on the images that pass the first stage",
            "train_second:run_deep",
            _scale,
        ),
        "train-second": Command(
            "fine-tune the second-stage network on a training set with more rare lenses", "train_second:run", _scale
        ),
        "train-kinds": Command(
            "fit the class prior: corrects logits where the mix of non-lenses differs from training",
            "train_prior:run",
            _scale,
        ),
        "train-compound": Command(
            "train the classifier that separates compound from single lenses", "train_compound:run", _scale
        ),
        "evaluate": Command("measure the finder on the test set and fix its thresholds", "evaluate:run", _scale),
        "survey-test": Command(
            "measure the finder on fresh non-lenses in the proportions of a survey", "survey_test:run", _scale
        ),
        "survey-peers": Command(
            "compare the finder with the baseline networks on simulated survey targets", "survey_peers:run", _scale
        ),
        "compound-test": Command(
            "measure finder and compound classifier on compound lenses that no training had",
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
        "ui": Command("open MLflow on 127.0.0.1", "ui:run", _ui),
    },
    "Data sets and documents": {
        "dataset export": Command("write images of a store as FITS cutouts in Euclid's layout", "export:run", _export),
        "dataset show": Command("draw images of every family into one picture", "show:run", _show),
        "dataset check": Command("compare every file of a store with its manifest", "check:run", _folder),
        "params": Command("write the comments of params.yaml from the settings", "params:run", _params),
        "readme": Command("write the committed metrics into the README's tables", "readme:run", _nothing),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; errors that a user can mend are printed without a traceback."""
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
    """Raise `ValueError` for a scale that params.yaml has not, and for an unknown network, before heavy imports."""
    scale, network = arguments.get("scale"), arguments.get("network")
    if scale is not None:
        from lensdream.config import require_scale
        from lensdream.train import recipes

        require_scale(str(scale), blocks=recipes.blocks())
        if network is not None:
            recipes.recipe_of(str(network))


def _refuse_missing_model(model: object) -> None:
    """Raise `ModelError` for a model that is not there, before anything heavy is imported."""
    if model is not None:
        from lensdream.finder.locate import find_model

        find_model(str(model))


def _prepare() -> None:
    from lensdream.runtime.allocator import keep_freed_memory

    warnings.filterwarnings("ignore", category=DeprecationWarning)
    keep_freed_memory()


if __name__ == "__main__":
    sys.exit(main())
