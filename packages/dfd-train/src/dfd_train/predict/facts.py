"""What stands on a file's page in rows of name and value: the file, and how its answer was made."""

from __future__ import annotations

from dfd_train.predict.analysis import Media
from dfd_train.predict.credentials import Credentials
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.evidence import Evidence
from dfd_train.predict.result import Result
from dfd_train.predict.words import sentence
from ffpp_prep.text.units import counted


def facts_of_file(result: Result) -> list[tuple[str, str]]:
    """Returns what the file is and what it says of itself."""
    facts, evidence, media = [("Name", result.file)], result.evidence, result.media
    if evidence is not None:
        facts.append(("SHA-256", evidence.file_sha256 or "the file can't be read"))
        facts.append(
            ("Size", f"{evidence.file_bytes:,} bytes") if evidence.file_sha256 else ("Size", "unknown")
        )
    if media is not None:
        facts.append(("Picture size", f"{media.width} × {media.height} pixels, as displayed"))
        if media.kind == "video":
            facts.append(("Length", f"{media.duration:.2f} seconds, {counted(media.frames, 'frame')}"))
    if evidence is not None and evidence.container is not None:
        said = evidence.container
        facts.append(("Container", said.format))
        facts.append(("Encoder tag", said.encoder or "not said"))
        facts.append(("Creation time", said.created or "not said"))
        facts += [("Camera", said.device)] * bool(said.device)
        facts += [("Software", said.software)] * bool(said.software)
        facts += [
            ("Track" if len(said.tracks) == 1 else f"Track {i}", one) for i, one in enumerate(said.tracks, 1)
        ]
        facts += [("Edit list (most encoders write one)", one) for one in said.edit_lists]
        facts += [("Times", sentence(one)) for one in said.odd_times]
    if evidence is not None and evidence.credentials is not None:
        facts += _credentials(evidence.credentials)
    if media is not None and media.remark:
        facts.append(("Mended", sentence(media.remark)))
    return facts


def _credentials(said: Credentials) -> list[tuple[str, str]]:
    """Returns the rows about a C2PA manifest: whether it fits the file, who signed, with what, and what was done."""
    name = "Content credentials (C2PA)"
    if said.state == "not_looked_for":
        return [(name, f"not looked for: {said.reason}")]
    if said.state == "none":
        return [(name, f"none in the file ({said.reader})")]
    if said.state == "unreadable":
        return [(name, f"there are some, which can't be read: {said.reason} ({said.reader})")]
    fits = {
        "intact": "a signed manifest, whose signature and hashes fit this file; whether its signer is to be trusted is "
        "not checked",
        "broken": f"a signed manifest that does not fit this file: {', '.join(said.failures) or 'not valid'}",
    }[said.state]
    return [
        (name, f"{fits} ({said.reader})"),
        ("Signed by", said.signer or "not said"),
        ("Claimed by", said.generator or "not said"),
        ("Signed at", said.signed_at or "no time stamp"),
        *([("Actions told", ", ".join(said.actions))] if said.actions else []),
    ]


def _made(evidence: Evidence, media: Media | None) -> list[tuple[str, str]]:
    """Returns the rows about the program that made the answer."""
    facts = [("Made at", evidence.made_at)]
    for one in evidence.networks:
        facts.append(
            (f"Weights of {one.name}", f"SHA-256 {one.weights_sha256}, on {one.device} in {one.precision}")
        )
        facts += [("Compared with fp32", one.checked)] * bool(one.checked)
        facts.append(("Licence of the weights", one.licence))
        facts.append(("Trained on", one.trained_on))
    asked, used = evidence.settings, evidence.versions
    single = media is not None and media.kind == "image"
    rates = (
        []
        if single
        else [
            f"{what} {'in every frame' if rate is None else f'{rate:g} times a second'}"
            for what, rate in (("faces searched", asked.detect_rate), ("scored", asked.score_rate))
        ]
    )
    rates += ["short videos more often"] * (asked.score_rate is not None and not single)
    detector = f"{asked.detector}, score above {asked.detector_threshold:g}"
    if asked.detector_tiles:
        detector += f", in {asked.detector_tiles}×{asked.detector_tiles} tiles of each picture too"
    facts.append(("Settings", "; ".join(filter(None, (", ".join(rates), detector)))))
    facts.append(("Weights of the face detector", f"SHA-256 {asked.detector_sha256}"))
    programs = [
        f"dfd-train {used.dfd_train}, ffpp-prep {used.ffpp_prep}, reseption-models {used.reseption_models}",
        f"Python {used.python}, torch {used.torch}, PyAV {used.pyav} (libavcodec {used.ffmpeg})",
        f"ONNX Runtime {used.onnxruntime}" if used.onnxruntime else "",
    ]
    facts.append(("Versions", ", ".join(filter(None, programs))))
    return facts


def facts_of_answer(result: Result, reading: Reading) -> list[tuple[str, str]]:
    """Returns all rows about how the answer was made."""
    facts = []
    if result.media is not None:
        media = result.media
        if media.kind == "video":
            facts.append(("Shots between cuts", str(media.shots)))
        facts.append(("Faces found by", _finder(media)))
    facts.append(("Model" if len(result.models) == 1 else "Models (mean of their logits)", reading.title))
    if reading.unfinished:
        facts.append(("Unfinished", reading.unfinished))
    if result.prob is not None:
        scale: str = reading.score.scale.method
        if scale == "temperature":
            divided = f"the network's numbers divided by {result.temperature:.3g} (temperature)"
            scale = "as the network gives it" if result.temperature == 1 else divided
        facts.append(("Scale", scale))
        facts.append(("Score taken over", _taken_over(result, reading)))
        if not reading.demonstration:  # which gives no verdict
            facts.append(("Threshold", "none" if result.threshold is None else f"{result.threshold:.4f}"))
    if reading.calibration is not None and not reading.demonstration:
        kept = reading.calibration
        facts.append(("Set on", f"{kept.videos_real} real and {kept.videos_fake} fake validation videos"))
    if result.seconds is not None:
        spent = result.seconds
        facts.append(
            (
                "Time taken",
                f"{spent.total:.1f} s: reading {spent.decode:.1f}, finding faces {spent.detect:.1f}, "
                f"scoring {spent.network:.1f}",
            )
        )
    return facts + (_made(result.evidence, result.media) if result.evidence else [])


def _taken_over(result: Result, reading: Reading) -> str:
    """Says which frames of the face the file's score is made of."""
    face = max((one for one in result.faces if not one.left_out), key=lambda one: one.value)
    frames = counted(face.frames_scored, "scored frame")
    return f"all {frames}" if reading.score.over == "all frames" else f"{reading.score.over} of {frames}"


def _finder(media: Media) -> str:
    """Names the detector in words."""
    name = {"ssd": "SSD MobileNet", "blazeface": "BlazeFace"}.get(media.detector, media.detector)
    if not media.second_look:
        return f"{name}, score above {media.threshold:g}"
    return (
        f"{name} at a second look, score above {media.threshold:g}: the detector of the model's training data found "
        "none, so these faces are of a kind that the model knows less well"
    )
