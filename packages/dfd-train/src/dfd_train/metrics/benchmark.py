"""The test sets of DeepfakeBench, each of which it scores by itself.

Facts of its public code (`preprocessing/rearrange.py`, `training/dataset/abstract_dataset.py`): a test set is of one
compression; FaceForensics++ is its four methods and YouTube's originals; FaceShifter and DeepFakeDetection are sets of
their own, with YouTube's and the actors' originals.
"""

import pandas as pd

from dfd_train.errors import UserError
from dfd_train.metrics.summary import ORIGINALS

FFPP = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
SETS = {
    "FaceForensics++": ("ffpp", FFPP),
    "FF-DF": ("ffpp", ("Deepfakes",)),
    "FF-F2F": ("ffpp", ("Face2Face",)),
    "FF-FS": ("ffpp", ("FaceSwap",)),
    "FF-NT": ("ffpp", ("NeuralTextures",)),
    "FaceShifter": ("ffpp", ("FaceShifter",)),
    "DeepFakeDetection": ("dfd", ()),
}
"""its name of a set: our `dataset`, and the methods in it; none given: all"""


def benchmark_sets(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Returns the rows of videos or of their frames by the benchmark's test sets: those that have fakes and
    originals here.

    `table` needs `dataset`, `method`, `label` and `compression`. A data set that isn't in SETS is one by its own name.

    Raises: UserError where a set's videos are of several compressions.
    """
    known = {dataset for dataset, _ in SETS.values()}
    others = {str(name): (name, ()) for name in table["dataset"].unique() if name not in known}
    found = {}
    for name, (dataset, methods) in {**SETS, **others}.items():
        own = table[table["dataset"] == dataset]
        own = own[own["method"].isin([*methods, ORIGINALS])] if methods else own
        if own["label"].nunique() < 2:
            continue
        compressions = sorted({text for text in own["compression"].fillna("") if text})
        if len(compressions) > 1:
            raise UserError(
                f"--protocol deepfakebench: {name} has videos of {' and '.join(compressions)}; the benchmark scores "
                "one compression at a time: scan a folder or table that holds one"
            )
        found[name] = own
    if set(FFPP) - set(table["method"]):  # without all four it is not that set
        found.pop("FaceForensics++", None)
    return found
