"""What stands on a file's page in rows of name and value: the file, and how its answer was made."""

from __future__ import annotations

from dfd_train.predict.analysis import Media
from dfd_train.predict.credential_facts import facts_of_credentials
from dfd_train.predict.ensemble import Reading
from dfd_train.predict.evidence import Evidence, Settings
from dfd_train.predict.result import Result
from dfd_train.predict.words import exact_percent, sentence
from ffpp_prep.text.units import counted, plural

FINGERPRINT = "SHA-256, the file's fingerprint: only the same bytes have the same"
DEVICES = {"cpu": "the processor (CPU)", "cuda": "a graphics card (CUDA)"}
PRECISIONS = {
    "fp32": "in 32-bit numbers (fp32)",
    "bf16": "in 16-bit numbers (bf16)",
    "int8": "in 8-bit numbers (int8)",
}
FINDERS = {"ssd": "SSD MobileNet", "blazeface": "BlazeFace"}


def facts_of_file(result: Result) -> list[tuple[str, str]]:
    """Returns what the file is and what it says of itself."""
    facts, evidence, media = [("Name", result.file)], result.evidence, result.media
    if evidence is not None:
        facts.append((FINGERPRINT, evidence.file_sha256 or "the file can't be read"))
        size = f"{evidence.file_bytes:,} {plural(evidence.file_bytes, 'byte')}"
        facts.append(("Size", size if evidence.file_sha256 else "unknown"))
    if media is not None:
        facts.append(("Picture size", f"{media.width} × {media.height} pixels, as displayed"))
        if media.kind == "video":
            facts.append(("Length", f"{media.duration:.2f} seconds, {counted(media.frames, 'frame')}"))
    if evidence is not None and evidence.container is not None:
        said = evidence.container
        facts.append(("Kind of file (its container)", said.format))
        facts.append(("Program that wrote it (encoder tag)", said.encoder or "not said"))
        facts.append(("Creation time", said.created or "not said"))
        facts += [("Camera", said.device)] * bool(said.device)
        facts += [("Software", said.software)] * bool(said.software)
        facts += [
            ("Track" if len(said.tracks) == 1 else f"Track {i}", one) for i, one in enumerate(said.tracks, 1)
        ]
        name = "Edit list: what of a track players show, and when; most programs write one"
        facts += [(name, one) for one in said.edit_lists]
        facts += [("Times", sentence(one)) for one in said.odd_times]
    if evidence is not None and evidence.credentials is not None:
        facts += facts_of_credentials(evidence.credentials)
    if media is not None and media.remark:
        facts.append(("Corrected to read it", sentence(media.remark)))
    return facts


def _made(evidence: Evidence, media: Media | None) -> list[tuple[str, str]]:
    """Returns the rows about the program that made the answer."""
    facts = [("Made at", evidence.made_at)]
    for one in evidence.networks:
        facts.append((f"Weights of {one.name}: what it learned, as numbers", f"SHA-256 {one.weights_sha256}"))
        facts.append(("Licence of the weights", one.licence))
        facts.append(("Trained on", one.trained_on))
        how = PRECISIONS.get(one.precision, f"in {one.precision}")
        facts.append(("Computed by", f"{DEVICES.get(one.device, one.device)}, {how}"))
        facts += [("Compared with 32-bit numbers", one.checked)] * bool(one.checked)
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
    facts.append(("Settings", "; ".join(filter(None, (", ".join(rates), _asked(asked))))))
    facts.append(("Weights of that face detector", f"SHA-256 {asked.detector_sha256}"))
    programs = [
        f"dfd-train {used.dfd_train}, ffpp-prep {used.ffpp_prep}, reseption-models {used.reseption_models}",
        f"Python {used.python}, torch {used.torch}, PyAV {used.pyav} (libavcodec {used.ffmpeg})",
        f"ONNX Runtime {used.onnxruntime}" if used.onnxruntime else "",
    ]
    facts.append(("Versions", ", ".join(filter(None, programs))))
    return facts


def _asked(settings: Settings) -> str:
    finder, sure = FINDERS.get(settings.detector, settings.detector), _sure(settings.detector_threshold)
    tiles = settings.detector_tiles
    return f"faces by {finder}, {sure}" + (f", in {tiles}×{tiles} tiles of each picture too" if tiles else "")


def _sure(threshold: float) -> str:
    """Says what the face detector's threshold is."""
    return f"where it was more than {threshold:g} sure of one, from 0 to 1"


def facts_of_answer(result: Result, reading: Reading) -> list[tuple[str, str]]:
    """Returns all rows about how the answer was made."""
    facts = []
    if result.media is not None:
        media = result.media
        if media.kind == "video":
            facts.append(("Shots, from one cut to the next", str(media.shots)))
        facts.append(("Faces found by", _finder(media)))
    title = "Model" if len(result.models) == 1 else "Models: the mean of their numbers counts"
    facts.append((title, reading.title))
    if reading.unfinished:
        facts.append(
            ("Not trained to the end", f"{reading.unfinished} (an epoch is a pass over the training videos)")
        )
    if result.prob is not None:
        facts.append(("From the model's numbers to percent", _scale(result, reading)))
        facts.append(("The score is", _taken_over(result, reading)))
        if not reading.demonstration:  # which gives no verdict
            said = "no score, however high" if result.threshold is None else exact_percent(result.threshold)
            facts.append(("Called fake above", said))
    if reading.calibration is not None and not reading.demonstration:
        kept = reading.calibration
        facts.append(
            (
                "Limits and percentages were set on",
                f"{kept.videos_real:,} real and {counted(kept.videos_fake, 'fake video')} that did not train it "
                "(validation videos)",
            )
        )
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


def _scale(result: Result, reading: Reading) -> str:
    """Says how a percentage is made of the network's number."""
    if reading.score.scale.method == "isotonic":
        return "by a rising line through the validation videos (isotonic regression)"
    if reading.score.scale.method == "platt":
        return "by a curve with two numbers fitted to the validation videos (Platt scaling)"
    if result.temperature == 1:
        return "as the network gives them"
    return f"divided by {result.temperature:.3g} first (a temperature, set on the validation videos)"


def _taken_over(result: Result, reading: Reading) -> str:
    """Says which frames of the face the file's score is made of."""
    face = max((one for one in result.faces if not one.left_out), key=lambda one: one.value)
    if face.frames_scored == 1:
        return "that of the only scored frame"
    return {
        "all frames": f"the mean over all {face.frames_scored} scored frames",
        "median frame": f"the middle one (median) of {face.frames_scored} scored frames",
        "sure frames": f"the mean over the sure ones of {face.frames_scored} scored frames, if they are many, else all",
        "worst stretch": f"that of the highest frames in a row, of {face.frames_scored} scored frames",
    }[reading.score.over]


def _finder(media: Media) -> str:
    """Names the detector in words."""
    name = FINDERS.get(media.detector, media.detector)
    if not media.second_look:
        return f"{name}, {_sure(media.threshold)}"
    return (
        f"{name} at a second look, {_sure(media.threshold)}: the detector of the model's training data found "
        "none, so these faces are of a kind that the model knows less well"
    )
