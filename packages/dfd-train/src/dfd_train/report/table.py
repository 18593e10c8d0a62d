"""One table, four ways to write it: text, CSV, LaTeX, HTML."""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tabulate import tabulate

from dfd_train.report.files import write_text
from dfd_train.report.templates import render
from ffpp_prep.text.spreadsheet import cell

Mark = Literal["", "best", "shared"]
NOTHING = "–"
SHARED = "in more than one list"
_SIGN = {"": "", "best": " *", "shared": " +"}
_LATEX_MARKS = {"best": "Bold", "shared": "Underlined"}
_LATEX_ESCAPES = {letter: "\\" + letter for letter in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "×": r"$\times$",
}


@dataclass(frozen=True)
class Cell:
    """What a person reads, and the value behind it for the CSV file."""

    text: str
    value: str | int | float
    mark: Mark = ""
    ends: tuple[float, float] | None = None
    """of an interval: in CSV two columns, low and high"""


@dataclass(frozen=True)
class Table:
    """A title, column names, rows of cells, and notes below them. The first column names the rows.

    A line break in a column name is kept where there is room for it. `warning` stands in every way of
    writing: as the last note, and in CSV, which has no notes, as a last column. `best` says of what the marked
    cells are the best.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    slug: str = "table"
    warning: str = ""
    best: str = "best"

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row) == len(self.header), f"{len(row)} cells under {len(self.header)} column names"

    @property
    def is_words(self) -> tuple[bool, ...]:
        """Whether each column holds words, which stand on the left; numbers stand on the right."""
        values = [[row[place].value for row in self.rows] for place in range(len(self.header))]
        return tuple(
            place == 0 or all(isinstance(value, str) for value in column)
            for place, column in enumerate(values)
        )

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes, the warning as the last one."""
        return (*self.notes, self.warning) if self.warning else self.notes

    @property
    def legend(self) -> dict[Mark, str]:
        """What the marks mean that stand in the table."""
        used = {cell.mark for row in self.rows for cell in row}
        meanings: dict[Mark, str] = {"best": self.best, "shared": SHARED}
        return {mark: text for mark, text in meanings.items() if mark in used}

    def to_text(self) -> str:
        """Returns aligned columns for a terminal; marks are trailing signs explained right below, before the notes."""
        cells = [[cell.text + _SIGN[cell.mark] for cell in row] for row in self.rows]
        align = ["left" if of_words else "right" for of_words in self.is_words]
        body = tabulate(
            cells, headers=list(self.header), colalign=align if cells else None, disable_numparse=True
        )
        legend = [f"{_SIGN[mark].strip()} {text}" for mark, text in self.legend.items()]
        notes = [f"  {note}" for note in (*legend, *self.all_notes)]
        return "\n".join([self.title, "", body, *notes]) + "\n"

    def to_csv(self) -> str:
        """Returns values at full precision under the column names, as RFC 4180; what is missing is empty.

        A column of intervals becomes two, `<the column before> low` and `… high`.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        warned = (self.warning,) if self.warning else ()
        of_ends = [any(row[place].ends for row in self.rows) for place in range(len(self.header))]
        names: list[str] = []
        for name, two in zip(self.header, of_ends, strict=True):
            names += [f"{names[-1]} low", f"{names[-1]} high"] if two else [" ".join(name.split("\n"))]
        writer.writerow([*map(cell, names), *("Note" for _ in warned)])
        for row in self.rows:
            values: list[str | int | float] = []
            for one, two in zip(row, of_ends, strict=True):
                values += (one.ends or ("", "")) if two else (one.value,)
            writer.writerow(
                [*("" if _missing(value) else cell(value) for value in values), *map(cell, warned)]
            )
        return out.getvalue()

    def to_latex(self) -> str:
        """Returns a `table` float with booktabs rules; everything that comes from data is escaped."""
        lines = [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_latex(self.title)}}}",
            rf"  \begin{{tabular}}{{{''.join('l' if of_words else 'r' for of_words in self.is_words)}}}",
            r"    \toprule",
            "    " + " & ".join(map(_latex_header, self.header)) + r" \\",
            r"    \midrule",
            *("    " + " & ".join(map(_latex_cell, row)) + r" \\" for row in self.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(
                rf"  \par\footnotesize {_LATEX_MARKS[mark]}: {_latex(text)}."
                for mark, text in self.legend.items()
            ),
            *(rf"  \par\footnotesize {_latex(note)}" for note in self.all_notes),
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """Returns a `<figure>` with caption, head, body and notes; everything that comes from data is escaped."""
        return render("table.html", table=self)

    def __html__(self) -> str:
        return self.to_html()

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Writes `<slug>.txt`, `.csv`, `.tex` and `.html` under `folder`, each whole or not at all."""
        content = {
            "txt": self.to_text(),
            "csv": self.to_csv(),
            "tex": self.to_latex(),
            "html": self.to_html(),
        }
        return tuple(write_text(folder / f"{self.slug}.{ending}", text) for ending, text in content.items())


def words(text: str, mark: Mark = "") -> Cell:
    """Returns a cell of words."""
    return Cell(text or NOTHING, text, mark)


def count(value: int) -> Cell:
    """Returns a cell with a whole number, thousands apart."""
    return Cell(f"{value:,}", value)


def number(value: float, digits: int = 5, mark: Mark = "") -> Cell:
    """Returns a cell with a number; a dash where it is undefined."""
    return Cell(NOTHING if _missing(value) else f"{value:.{digits}f}", value, mark)


def percent(value: float, mark: Mark = "") -> Cell:
    """Returns a cell with a share of one as a percentage; a dash where it is undefined."""
    return Cell(NOTHING if _missing(value) else f"{100 * value:.2f}%", value, mark)


def between(low: float, high: float, write: Callable[[float], Cell] = number) -> Cell:
    """Returns a cell with an interval; a dash where none is given. Ends that differ never look equal."""
    if math.isnan(low):
        return Cell(NOTHING, "", ends=(low, high))
    first, second = write(low).text, write(high).text
    if first == second and low != high:
        first, second = repr(low), repr(high)
    text = f"{first} to {second}"
    return Cell(text, text, ends=(low, high))


def _missing(value: str | int | float) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _latex(text: str) -> str:
    return "".join(_LATEX_ESCAPES.get(letter, letter) for letter in text)


def _latex_cell(cell: Cell) -> str:
    text = _latex(cell.text)
    return {"": text, "best": rf"\textbf{{{text}}}", "shared": rf"\underline{{{text}}}"}[cell.mark]


def _latex_header(name: str) -> str:
    lines = [_latex(line) for line in name.split("\n")]
    return lines[0] if len(lines) == 1 else r"\shortstack{" + r" \\ ".join(lines) + "}"
