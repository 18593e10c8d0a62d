"""The named networks as a table, with what each costs. Only a measurement of speed loads torch."""

from .catalog import Entry, list_models, markdown, model_entry
from .errors import UserError


def table_of_models(pattern: str = "*", speed: bool = False) -> str:
    """Returns the named networks that match a shell pattern in Markdown, with what each costs at its input size.

    Raises:
        ValueError: none matches.
    """
    entries = [model_entry(name) for name in list_models(pattern)]
    if not entries:
        raise UserError(f"no model matches {pattern!r}; allowed: {', '.join(list_models())}")
    columns = ["name", "input", "parameters", "multiply-adds", *["ms on one core"] * speed, "what it is"]
    rows = [columns, [":--"] + ["--:"] * (len(columns) - 2) + [":--"]]
    for entry in entries:
        cells = [f"`{entry.name}`", f"{entry.config.input_size}", f"{entry.parameters:,}"]
        cells.append(f"{entry.giga_multiply_adds:.3f} G")
        rows.append([*cells, *_milliseconds(entry, speed), entry.description])
    return markdown(rows)


def _milliseconds(entry: Entry, speed: bool) -> list[str]:
    if not speed:
        return []
    from .profiling import measure_seconds
    from .registry import create_model

    return [f"{1000 * measure_seconds(create_model(entry.name), entry.config.input_size):.0f}"]
