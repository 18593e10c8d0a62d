"""An explanation for predict's page: of the worst frames of one face, with what deletion and insertion say of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import PIL.Image

from dfd_train.errors import NotANumber, UserError
from dfd_train.explain.attribution import SIDE, gradcam
from dfd_train.explain.blind_baselines import centre_prior
from dfd_train.explain.curves import curves
from dfd_train.explain.figure import overlay
from dfd_train.predict.faces import Advance
from dfd_train.predict.scorer import Scorer, TorchScorer
from dfd_train.predict.worst import Explainer, Explanation, Marked, WorstFrame

METHOD = "Grad-CAM"
LEAST = 0.01  # of an area of 1: what is closer to the spot's counts as no better


def explainer(scorers: Sequence[Scorer]) -> Explainer:
    """Returns what explains frames to predict; of several models the first one. Raises: UserError without `explain`."""
    if find_spec("captum") is None:
        raise UserError("--explain needs captum: pip install 'dfd-train[explain]'")
    first = scorers[0]

    def explain(
        face: int, frames: Sequence[WorstFrame], advance: Advance = lambda at, duration: None
    ) -> tuple[Explanation, tuple[Marked, ...]]:
        times = tuple(frame.time for frame in frames)

        def none(reason: str) -> tuple[Explanation, tuple[Marked, ...]]:
            return Explanation(face, METHOD, first.facts.name, times, "", reason), ()

        if not isinstance(first, TorchScorer):
            return none("this form of the model (ONNX) allows none; the run that it was exported from does")
        if not frames:
            return none("only frames of the faces with the highest ones are kept, and none is of this face")
        try:
            return _explained(first, face, frames, advance)
        except (UserError, NotANumber) as error:
            return none(str(error))

    return explain


def _explained(
    scorer: TorchScorer, face: int, frames: Sequence[WorstFrame], advance: Advance
) -> tuple[Explanation, tuple[Marked, ...]]:
    marked, areas = [], []
    for number, frame in enumerate(frames):
        advance(number, len(frames))
        found = gradcam(scorer.detector, frame.crop, device=scorer.device)
        own = curves(scorer.detector, frame.crop, found.values, scorer.device)
        advance(number + 0.5, len(frames))
        middle = curves(scorer.detector, frame.crop, centre_prior(), scorer.device)
        advance(number + 1, len(frames))
        areas.append([*own.areas, *middle.areas])
        plain = PIL.Image.fromarray(frame.crop).resize((SIDE, SIDE))
        marked.append(
            Marked(
                frame.time, frame.logit, _jpeg(plain), _jpeg(PIL.Image.fromarray(overlay(frame.crop, found)))
            )
        )
    deletion, insertion, deletion_middle, insertion_middle = np.mean(areas, axis=0).tolist()
    explanation = Explanation(
        face=face,
        method=METHOD,
        model=scorer.facts.name,
        times=tuple(frame.time for frame in frames),
        worth=_worth(len(frames), deletion, deletion_middle, insertion, insertion_middle),
        reason="",
        deletion=deletion,
        deletion_middle=deletion_middle,
        insertion=insertion,
        insertion_middle=insertion_middle,
    )
    return explanation, tuple(marked)


def _worth(
    frames: int, deletion: float, deletion_middle: float, insertion: float, insertion_middle: float
) -> str:
    better = (deletion < deletion_middle - LEAST) + (insertion > insertion_middle + LEAST)
    said = (
        "by neither measure do the marks say more of this model than a spot in the middle of the face, which knows "
        "nothing of it: read nothing into them",
        "by one of two measures the marks say more of this model than a spot in the middle of the face, by the other "
        "no more: they are weak evidence of what moved it",
        "by both measures the marks say more of this model than a spot in the middle of the face, which knows nothing "
        "of it",
    )[better]
    where = "On these frames" if frames > 1 else "On this picture"
    return (
        f"{where}, {said} (mean score while the marked places are covered bit by bit, which good marks lower: "
        f"{deletion:.3f}, with the spot {deletion_middle:.3f}; while they are laid into a blurred picture, which good "
        f"marks raise: {insertion:.3f}, with the spot {insertion_middle:.3f})."
    )


def _jpeg(picture: PIL.Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return out.getvalue()
