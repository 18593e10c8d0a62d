"""Several runs explained on the same pictures: figures, tables and a page in one folder (thesis section 7.3)."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.util import find_spec

from dfd_train.engine.device import choose_device
from dfd_train.errors import UserError
from dfd_train.explain.explaining import explain_all
from dfd_train.explain.folder import remove_earlier, write
from dfd_train.explain.pictures import Picture, choose_videos, open_crops, open_videos
from dfd_train.explain.request import ExplainOutcome, ExplainRequest
from dfd_train.models.inference import for_inference
from dfd_train.report.tables import warning
from dfd_train.runs.checkpoint import TrainedModel, load_model
from dfd_train.runs.folder import RunFolder
from dfd_train.runs.names import run_names
from ffpp_prep.format.joined import open_sets

log = logging.getLogger(__name__)


def explain(request: ExplainRequest) -> ExplainOutcome:
    """Explains each picture for each run and writes figures, tables, `settings.json` and `explain.html` under `out`.

    Raises: FileNotFoundError, UserError for runs, pictures or data that are missing or do not fit, a run that
    stands twice, and where the extra `explain` is not installed; NotANumber.
    """
    for package in ("captum", "skimage", "sklearn"):
        if find_spec(package) is None:
            raise UserError(f"explain needs {package}: pip install 'dfd-train[explain]'")
    names = run_names(request.runs)
    device = choose_device(request.device)
    trained = [load_model(run, device, request.trust) for run in request.runs]
    models = [replace(model, detector=for_inference(model.detector).detector) for model in trained]
    pictures, sample_data = _open_pictures(request, models[0])
    demonstration = sample_data or any(model.facts.demonstration for model in models)
    unfinished = [
        f"{name}: {far}"
        for name, run in zip(names, request.runs, strict=True)
        if (far := RunFolder(run).unfinished())
    ]
    for line in unfinished:
        log.warning("unfinished: %s", line)
    as_trained = [model.detector for model in trained]
    explained = explain_all(request, models, as_trained, pictures, device)
    remove_earlier(request.out)
    outcome = write(request, names, models, explained, warning(demonstration), unfinished, device)
    return replace(outcome, left_out=len(pictures) < len(request.images or request.crops))


def _open_pictures(request: ExplainRequest, first: TrainedModel) -> tuple[list[Picture], bool]:
    """Returns the pictures, and whether they are sample data."""
    if request.crops:
        return open_crops(request.crops), False
    if request.images:
        from dfd_train.explain.faces import open_files

        return open_files(request.images, request.runs, request.device, request.trust), False
    config = RunFolder(request.runs[0]).read_config()
    try:
        prepared = first.crops_of(open_sets(first.works(request.data)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}; another prepared set: --data WORK, your own picture: --image FILE"
        ) from None
    videos = request.videos or choose_videos(
        prepared, request.per_method, request.seed, config.data.multiple_faces
    )
    return open_videos(prepared, videos, request.frame, config.data.multiple_faces), prepared.demonstration
