"""One convention: a function's docstring is a sentence that begins with what it does."""

import ast
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[1] / "packages"
FILES = sorted(PACKAGES.glob("*/src/**/*.py"))
# A verb that isn't here yet may be added; a noun may not.
VERBS = """
Adds Answers Appends Applies Asks Audits Averages Blends Builds Calibrates Calls Cancels Changes Checks
Chooses Classifies Closes Commits Compares Computes Connects Convolves Counts Cuts Deals Decides Decodes
Deletes Detects Does Draws Encodes Ends Estimates Explains Fills Films Finds Forgets Gives Goes Groups Hands
Holds Imports Joins Judges Keeps Learns Leaves Lists Loads Logs Looks Makes Manipulates Maps Marks Measures
Merges Moves Names Normalises Offers Opens Orders Overwrites Pins Plans Pools Prints Puts Raises Reads
Records Refuses Removes Renames Reserves Resizes Restores Returns Runs Samples Says Scales Scans Scores
Selects Sends Serves Sets Shifts Silences Sorts Starts Stops Takes Tells Traces Trains Turns Validates Waits
Walks Warns Works Writes Yields
"""


def described(path: Path) -> list[tuple[str, str]]:
    """Every function's name and docstring; of properties, which are nouns, none."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
            text = ast.get_docstring(node)
            if text and not any("property" in ast.unparse(each) for each in node.decorator_list):
                found.append((node.name, text))
    return found


@pytest.mark.parametrize("package", ["ffpp_prep", "dfd_train", "reseption_models"])
def test_a_function_s_docstring_begins_with_a_verb(package) -> None:
    texts = [
        (f"{path.relative_to(PACKAGES)} {name}", text)
        for path in FILES
        if package in path.parts
        for name, text in described(path)
    ]
    assert len(texts) > 100
    begins = [(where, text) for where, text in texts if not text.startswith("See `")]
    words = [(where, text.split()[0].rstrip(".,:")) for where, text in begins]
    assert [(where, word) for where, word in words if word not in VERBS.split()] == []
    assert [where for where, text in begins if not text.split("\n\n")[0].rstrip().endswith((".", ":"))] == []


@pytest.mark.parametrize("package", ["ffpp_prep", "dfd_train", "reseption_models"])
def test_no_docstring_only_repeats_the_name(package) -> None:
    fillers = [
        f"{path.relative_to(PACKAGES)} {name}"
        for path in FILES
        if package in path.parts
        for name, text in described(path)
        if set(text.rstrip(".").lower().replace("`", "").split()[1:])
        <= {"the", "a", "an", *name.lower().split("_")}
    ]
    assert fillers == []
