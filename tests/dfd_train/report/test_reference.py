"""The thesis's numbers: what can be recomputed from them is, and the footnotes name what disagrees."""

import pytest

from dfd_train import reference

RECOMPUTABLE = ["5.3", "5.4", "7.2", "7.3", "7.5", "7.6"]


@pytest.fixture(scope="module")
def results():
    return reference.results()


def counts(split):
    table = reference.implied_counts()
    return table[table["split"] == split].set_index("method")["videos"]


def columns(results, table, measure):
    """(model, optimizer, values by method) of every complete column of a table."""
    chosen = results[(results["table"] == table) & (results["measure"] == measure)]
    for (model, optimizer), column in chosen.groupby(["model", "optimizer"]):
        if len(column) == 7:
            yield model, optimizer, column.set_index("method")["value"]


def called_right(column, split):
    """Videos called right by method, which the percentages imply, and how far the percentages are from them."""
    videos = counts(split)
    right = (column[videos.index] * videos).round()
    return right, (right / videos - column[videos.index]).abs().max()


def balanced_accuracy(column, split):
    right, _ = called_right(column, split)
    videos = counts(split)
    fakes = videos.index.drop("original_sequences")
    reals = right["original_sequences"] / videos["original_sequences"]
    return (right[fakes].sum() / videos[fakes].sum() + reals) / 2


def test_every_table_is_there_in_full(results):
    sizes = results.groupby("table").size().to_dict()
    assert sizes == {"5.3": 70, "5.4": 70, "7.2": 14, "7.3": 14, "7.5": 14, "7.6": 76, "7.7": 5, "7.8": 30}
    assert reference.hardest().groupby(["table", "model", "optimizer"]).size().tolist() == [10] * 6
    assert len(reference.sizes()) == 10
    assert len(reference.frozen()) == 5
    for table in reference.TABLES:
        assert reference.heading(table).title
    with pytest.raises(ValueError, match=r"table '9\.9' is not carried"):
        reference.heading("9.9")


@pytest.mark.parametrize("table", RECOMPUTABLE)
def test_percentages_are_whole_numbers_of_videos_and_give_the_overall(results, table):
    split = "test" if table == "7.6" else "val"
    found = list(columns(results, table, "video_accuracy"))
    for model, optimizer, column in found:
        right, error = called_right(column, split)
        assert error < 0.000051, (model, optimizer)
        assert right.sum() / counts(split).sum() == pytest.approx(column["Overall"], abs=0.000051), (
            model,
            optimizer,
        )
    assert bool(found) == (table not in ("5.3", "7.2"))


@pytest.mark.parametrize("table", RECOMPUTABLE)
def test_losses_weighted_by_videos_give_the_overall(results, table):
    videos = counts("test" if table == "7.6" else "val")
    found = list(columns(results, table, "loss"))
    for model, optimizer, column in found:
        overall = (column[videos.index] * videos).sum() / videos.sum()
        assert overall == pytest.approx(column["Overall"], abs=0.000015), (model, optimizer)
    assert bool(found) == (table not in ("5.4", "7.3"))


def test_printed_balanced_accuracies_disagree_as_the_footnote_says(results):
    printed = results[results["table"] == "7.7"].set_index("model")["printed"].to_dict()
    assert printed == {
        "reseption_v1": "91.81%", "reseption_v2": "90.79%", "reseption_ensemble": "93.04%",
        "inception_v3": "94.78%", "resnext101_32x8d": "94.21%",
    }  # fmt: skip
    (note,) = reference.heading("7.7").notes
    recomputed = {}
    for model, _, column in columns(results, "7.6", "video_accuracy"):
        recomputed[model] = f"{100 * balanced_accuracy(column, 'test'):.2f}"
    assert recomputed == {
        "reseption_v1": "91.59", "reseption_v2": "91.00", "reseption_ensemble": "92.82",
        "inception_v3": "94.34", "resnext101_32x8d": "94.21",
    }  # fmt: skip
    assert all(value in note for value in recomputed.values())


def test_footnotes_on_validation_balanced_accuracy(results):
    note = reference.heading("5.4").notes[1]
    below = {
        (model, optimizer): f"{100 * value:.2f}"
        for model, optimizer, column in columns(results, "5.4", "video_accuracy")
        if (value := balanced_accuracy(column, "val")) < 0.95
    }
    assert below == {
        ("efficientnet_b5", "radam"): "93.61",
        ("efficientnet_b5", "sgd"): "92.90",
        ("resnext101_32x8d", "radam"): "94.37",
    }
    assert all(value in note for value in below.values())
    note = reference.heading("7.3").notes[0]
    for _, _, column in columns(results, "7.3", "video_accuracy"):
        assert f"{100 * balanced_accuracy(column, 'val'):.2f}" in note


@pytest.mark.slow
def test_sizes_are_in_units_of_1024000_bytes():
    import torch

    from reseption_models import create_model

    printed = reference.sizes().query("table == '7.1'").set_index("model")
    for model in ("reseption_v1", "reseption_v2", "reseption_ensemble"):
        with torch.device("meta"):
            network = create_model(model)
        parameters = sum(p.numel() for p in network.parameters())
        stored = sum(t.numel() * t.element_size() for t in network.state_dict().values())
        assert parameters / 1e6 == pytest.approx(float(printed.loc[model, "params_m"]), abs=0.1), model
        assert stored / 1_024_000 == pytest.approx(float(printed.loc[model, "size_mb"]), rel=0.005), model
