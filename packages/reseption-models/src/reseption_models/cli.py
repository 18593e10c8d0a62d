"""`python -m reseption_models list | profile | export | diagram`."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from .errors import UserError

BUG = 70  # as sysexits.h calls it: an internal software error


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns 0, 2 after one line that says what was wrong, or 70 after a fault's traceback."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (UserError, OSError, ImportError) as error:
        print(f"reseption_models: {error}", file=sys.stderr)
        return 2
    except Exception:
        traceback.print_exc()
        return BUG
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reseption_models", description="The Reseption networks.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("list", help="the named networks with what they cost")
    command.add_argument("pattern", nargs="?", default="*", help="only names like this, such as '*_tiny'")
    command.add_argument(
        "--speed", action="store_true", help="also measure the time of one image on one core"
    )
    command.set_defaults(run=_list)

    command = commands.add_parser("profile", help="the thesis's Table 7.1 next to our figures")
    command.add_argument(
        "--speed", action="store_true", help="also measure the time of one image on one core"
    )
    command.set_defaults(run=_profile)

    command = commands.add_parser("export", help="write an ONNX file or a torch.export program")
    command.add_argument("network", help="a name of `list`, a folder that save_pretrained wrote, or a hub id")
    command.add_argument("-o", "--out", type=Path, required=True, help="the file: .onnx or .pt2")
    command.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights for a name of `list`")
    command.add_argument("--fuse", action="store_true", help="fold batch norm and merge convolutions first")
    command.add_argument("--input-size", type=int, metavar="PIXELS", help="default: the network's own")
    command.add_argument(
        "--dynamic-size", action="store_true", help="leave height and width open, from 107 up"
    )
    command.add_argument("--opset", type=int, help="ONNX operators; default: what the exporter prefers")
    command.set_defaults(run=_export)

    command = commands.add_parser("diagram", help="draw a network as SVG")
    command.add_argument("name", help="a network of `list`")
    command.add_argument("-o", "--out", type=Path, required=True, help="the file: .svg")
    command.set_defaults(run=_diagram)
    return parser


def _list(options: argparse.Namespace) -> None:
    from .overview import table_of_models

    print(table_of_models(options.pattern, options.speed))


def _profile(options: argparse.Namespace) -> None:
    from .profiling import table_7_1

    print(table_7_1(options.speed))


def _export(options: argparse.Namespace) -> None:
    from .catalog import list_models
    from .export import check_out, export_onnx, export_program
    from .fusion import fuse
    from .registry import create_model
    from .weights import from_pretrained

    if options.out.suffix not in (".onnx", ".pt2"):
        raise UserError(f"{options.out}: allowed are files named .onnx and .pt2")
    check_out(options.out)
    named = options.network in list_models()
    saved = not named and (Path(options.network).exists() or "/" in options.network)
    if options.checkpoint is not None and saved:
        raise UserError(
            f"--checkpoint goes with a name of `list`; {options.network} is no such name: a folder or a hub id has its "
            "own weights"
        )
    if options.checkpoint is not None and options.checkpoint.is_dir():
        raise IsADirectoryError(
            f"--checkpoint {options.checkpoint} is a folder; allowed: a file (to export what save_pretrained wrote: "
            f"export {options.checkpoint})"
        )
    if named or options.checkpoint is not None:
        model = create_model(options.network, checkpoint_path=options.checkpoint)
    elif not saved:
        raise UserError(
            f"there is no model {options.network!r} and no such folder; "
            f"allowed: a folder that save_pretrained wrote, a hub id, {', '.join(list_models())}"
        )
    else:
        model = from_pretrained(options.network)
    if options.fuse:
        model = fuse(model)
    if options.out.suffix == ".onnx":
        deviation = export_onnx(
            model, options.out, options.input_size, options.opset, dynamic_size=options.dynamic_size
        )
    else:
        deviation = export_program(model, options.out, options.input_size, dynamic_size=options.dynamic_size)
    print(
        f"{options.out}: {options.out.stat().st_size:,} bytes, largest deviation of a logit {deviation:.1e}"
    )


def _diagram(options: argparse.Namespace) -> None:
    from .catalog import model_entry
    from .diagram import draw
    from .ensemble import build
    from .export import check_out

    check_out(options.out)
    if options.out.suffix != ".svg":
        raise UserError(f"{options.out}: allowed are files named .svg")
    network = build(model_entry(options.name).config)
    options.out.write_text(draw(network, options.name), encoding="utf-8")
