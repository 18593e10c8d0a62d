"""What a run says of its length: the counts before it, the time from its first batches and after each epoch."""

from dataclasses import replace

import pytest

from dfd_train.data.batches import plan_evaluation
from dfd_train.engine import sources
from dfd_train.engine.data import describe_data, open_data
from dfd_train.engine.pace import Pace
from dfd_train.engine.sources import crop_sources
from dfd_train.settings.config import build_config
from ffpp_prep.format.prepared import PreparedSet, load_prepared
from ffpp_prep.text.units import duration_text


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, to be set."""
    now = [1000.0]
    monkeypatch.setattr("dfd_train.engine.pace.time.monotonic", lambda: now[0])
    return now


def test_an_epoch_s_and_the_run_s_time_are_said_once_from_the_first_batches(clock):
    pace = Pace(epochs=50)
    said = []
    for seconds in (60.0, 10.0, *[2.0] * 30):  # the first two start everything
        clock[0] += seconds
        said.append(pace.batch(1, of=300))
    assert [i for i, line in enumerate(said) if line] == [2 + 15 - 1]  # 30 seconds of them, not yet 20
    assert said[16] == (
        "about 10 min an epoch, 8.3 h to the end of the run, validation not counted (2 s a batch, from the first 15)"
    )


def test_what_is_left_counts_validation_and_the_share_of_an_epoch_that_was_done_here(clock):
    pace = Pace(epochs=10)
    for _ in range(5):  # the other half was done before the run was stopped
        clock[0] += 6.0
        pace.batch(7, of=10)
    clock[0] += 30.0
    assert pace.left(7) == "  about 6 min left"  # a minute for half an epoch
    assert pace.left(10) == ""


def test_the_first_batches_say_nothing_once_an_epoch_has_said_what_is_left(clock):
    pace = Pace(epochs=9)
    for epoch in (1, 2, 3):
        for _ in range(15):
            clock[0] += 1.0
            assert pace.batch(epoch, of=15) == ""
        assert pace.left(epoch)


def test_a_run_that_was_stopped_between_an_epoch_s_batches_and_its_end_goes_on(clock):
    pace = Pace(epochs=9)
    clock[0] += 1.0
    assert pace.left(1) == ""


def test_durations():
    assert [duration_text(s) for s in (45, 720, 12600, 181440)] == ["45 s", "12 min", "3.5 h", "2.1 days"]


def test_the_first_lines_of_a_run_count_its_batches(small_set):
    tables = {"data": {"work": str(small_set.work), "batch_size": 4}, "train": {"epochs": 3}}
    config = build_config(tables)
    data = open_data(config)
    assert len(data.pairs) == 6
    assert "3 batches an epoch, 12 crops; epochs: 3, each validated on 42 crops" in describe_data(
        data, config
    )
    config = build_config(tables, [("train.max_steps", "2")])
    assert "2 batches an epoch, 8 crops; epochs: 3, each validated on 42 crops" in describe_data(data, config)


@pytest.fixture
def a_second_each(monkeypatch):
    """Cutting a crop takes a second of processor time."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(sources.time, "process_time", lambda: float(next(seconds)))
    monkeypatch.setattr(PreparedSet, "read_crop_at", lambda self, row, frame: None)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (lambda frame: True, "epochs 1, 2, 3 and validation: 78 crops stored, 0 to be cut from videos"),
        (
            lambda frame: frame > 2,
            "validation: 68 crops stored, 10 to be cut from videos, which takes about 10 s",
        ),
        (
            lambda frame: False,
            "validation: 0 crops stored, 78 to be cut from videos, which takes about 78 s",
        ),
    ],
)
def test_the_first_lines_say_how_many_crops_must_be_cut_and_what_it_costs(
    small_set_writer, tmp_path, a_second_each, stored, said
):
    (tmp_path / "video.mp4").touch()
    work = small_set_writer(
        tmp_path / "work",
        length=8,
        stored=stored,
        edit=lambda table: table.assign(path=str(tmp_path / "video.mp4")),
    ).work
    config = build_config({"data": {"work": str(work), "batch_size": 4}, "train": {"epochs": 3}})
    (line,) = [line for line in describe_data(open_data(config), config) if "to be cut" in line]
    assert said in line and line.startswith("WARNING: epochs 1, 2, 3" if "which takes" in said else "epochs")
    assert (f"`ffpp-prep extract {work} --for-training 3` stores them" in line) == (", which takes" in said)


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ({}, " --for-training 50"),
        ({"batches": "dual"}, " --for-training 50 --batches presets"),
        ({"batches": "shuffled"}, ""),  # drawn from all frames
        ({"val_frames": 9}, ""),
    ],
)
def test_the_command_that_stores_what_must_be_cut(small_set_writer, tmp_path, a_second_each, settings, flags):
    (tmp_path / "video.mp4").touch()
    work = small_set_writer(
        tmp_path / "work",
        length=297,
        stored=lambda frame: False,
        edit=lambda table: table.assign(path=str(tmp_path / "video.mp4")),
    ).work
    config = build_config({"data": {"work": str(work), **settings}, "train": {"epochs": 50}})
    (line,) = [line for line in describe_data(open_data(config), config) if "to be cut" in line]
    assert f"`ffpp-prep extract {work}{flags}` stores them" in line


@pytest.mark.parametrize("several", [False, True])
def test_the_command_that_stores_what_a_protocol_asks_for(small_set_writer, tmp_path, a_second_each, several):
    """Test videos with several faces come with the protocol; other videos with several need a flag of their own."""
    (tmp_path / "video.mp4").touch()

    def edit(table):
        return table.assign(path=str(tmp_path / "video.mp4"))

    work = small_set_writer(tmp_path / "work", length=297, stored=lambda frame: False, edit=edit).work
    prepared = load_prepared(work)
    prepared = replace(prepared, videos=prepared.videos.assign(multiple_faces=several))
    for split, way in (("test", "--for-training 50 --protocol deepfakebench"), ("val", "")):
        videos = prepared.videos[prepared.videos["split"] == split]
        spots = plan_evaluation(videos, 32, 24, benchmark=True).batches.spots
        way = f" {way}" if way else " --include-multiple-faces" * several
        assert f"`ffpp-prep extract {work}{way}` stores them" in crop_sources(prepared, spots, split, 50)
