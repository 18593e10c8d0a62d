"""The card of an exported detector: JSON and back, refusals, and that reading one loads no torch."""

import json
import subprocess
import sys

import pytest

from dfd_train.calibration.card import DetectorCard
from dfd_train.errors import UserError
from dfd_train.runs.trained_on import run_detector
from ffpp_prep.format.checksums import KEY

CARD = DetectorCard(
    model="reseption_v1",
    input_size=299,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.5, 0.5),
    threshold=0.43,
    temperature=1.7,
    calibrated_on="validation",
    demonstration=True,
    margin=0.3,
    border="clip",
    crop_size=0,
    checkpoint_sha256="ab" * 32,
)


def test_a_card_survives_json() -> None:
    assert DetectorCard.from_json(CARD.to_json()) == CARD
    plain = json.loads(CARD.to_json())
    assert plain["labels"] == ["real", "fake"]
    assert plain["std"] == [0.25, 0.5, 0.5]
    assert plain["format_version"] == 1


@pytest.mark.parametrize(
    "change",
    [
        *({"format_version": 2}, {"labels": ["fake", "real"]}, {"temperature": 0}, {"border": "wrap"}),
        *({"margin": 1e40}, {"scale": float("nan")}, {"crop_size": 10**30}),
    ],
)
def test_another_card_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UserError, match=rf"dfd_train\.json: not the metadata .*{next(iter(change))}"):
        DetectorCard.from_json(json.dumps({**without_checksum(json.loads(CARD.to_json())), **change}))


def without_checksum(card: dict[str, object]) -> dict[str, object]:
    """As a card of before there was one."""
    return {name: value for name, value in card.items() if name != KEY}


def test_a_damaged_card_is_refused() -> None:
    text = CARD.to_json()
    with pytest.raises(
        ValueError, match="damaged: its content doesn't match its checksum; export the run again"
    ):
        DetectorCard.from_json(text.replace('"threshold": 0.', '"threshold": 0.0', 1))


def test_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not readable as JSON .*; export the run again"):
        DetectorCard.from_json("{")


def test_reading_a_card_loads_no_torch() -> None:
    program = "import sys, dfd_train.calibration.card; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_unknown_detector_of_a_run_is_named_and_taken_for_no_other(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps({"detector": "retinaface"}))
    with pytest.raises(
        UserError, match="detector=retinaface found the faces of its data; this version has ssd"
    ):
        run_detector(tmp_path)
