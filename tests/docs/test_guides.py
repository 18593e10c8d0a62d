"""Every command of the tutorial, the guides and the READMEs runs, as it stands there, on the sample data."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import pytest
import timm
from markdown_pages import DOCS, PAGES, READMES, ROOT, blocks, code, commands
from safetensors.torch import save_file
from shell import BIN, Shell
from small_sets import dfdc_set, ffpp_set, folder_set, pairs, table_set

FFPP = "/data/FaceForensics++"
PUBLISHED = "adopt gend-clip-l14 --weights GenD_CLIP_L_14"
NETWORKS = (
    ROOT / "packages/reseption-models/README.md"
)  # its commands: tests/reseption_models/test_package.py
PREP, TRAIN = ROOT / "packages/ffpp-prep/README.md", ROOT / "packages/dfd-train/README.md"
GUIDES = [
    DOCS / f"{name}.md"
    for name in (
        "tutorial",
        "published",
        "ffpp",
        "dfdc",
        "own-data",
        "digests",
        "exports",
        "predict",
        "recipes",
        "cluster",
    )
]


def stand_in(folder: Path) -> str:
    """What is here of a published detector's weights: those of a small network that nobody trained."""
    network = timm.create_model("test_resnet", num_classes=1)
    save_file(network.state_dict(), folder / "stand-in.safetensors")
    return f"adopt timm:test_resnet --fake 0 --weights {folder / 'stand-in.safetensors'}"


def test_no_command_escapes():
    """Pages with commands are those that a test below runs, and commands stand in blocks marked `sh`."""
    run = {*GUIDES, ROOT / "README.md", PREP, TRAIN, NETWORKS}
    assert {page for page in (*PAGES, *READMES) if commands(page)} == run
    for page in (*PAGES, *READMES):
        assert not blocks(page, ""), f"{page.name}: a block without a language"


@pytest.mark.full
def test_the_tutorial_runs(sample_data, tmp_path):
    """With the page's own settings, on a part of the sample for two epochs; `make demo` trains to the end."""
    shell = Shell(tmp_path, os.pathsep.join([BIN, os.environ["PATH"]]))
    part = ffpp_set(sample_data, tmp_path / "part", "020", "021", "026")  # no face, broken, scored by ONNX
    shell.instead = {
        "ffpp-prep sample data": f"cp -r {part} data",
        "ffpp-prep boxes work": "ffpp-prep boxes work --detect-every 8",
        "dfd-train run": "dfd-train run --epochs 2",
    }
    shell.run(DOCS / "tutorial.md")
    for name in ("run/report.html", "predicted", "explained/explain.html", "detector.onnx", "transforms.png"):
        assert (tmp_path / name).exists(), name


@pytest.mark.full
def test_the_guide_to_ffpp_runs(shell, sample_data, tmp_path):
    shell.variables["FFPP"] = str(ffpp_set(sample_data, tmp_path / "ffpp"))
    shell.run(DOCS / "ffpp.md")
    table = (shell.folder / "comparison/tables").glob("*7*6*.csv")
    assert any("Deepfakes" in file.read_text() for file in table)
    assert (shell.folder / "explained/explain.html").is_file()
    (several,) = [line for line in code(DOCS / "ffpp.md") if line.startswith("torchrun ")]
    short = "--epochs 1 --max-steps 1 --batch-size 8 --val-frames 1 --workers 0 --device cpu"
    settings = f"--data work --model reseption_v1_tiny --out runs/several {short}"
    shell.execute("ffpp.md", several.replace("…", settings))
    assert (shell.folder / "runs/several/checkpoints/best.pt").is_file()


@pytest.mark.full
def test_the_guide_to_dfdc_runs(shell, sample_data, tmp_path):
    shell.variables["DFDC"] = str(dfdc_set(sample_data, tmp_path / "dfdc"))
    shell.run(DOCS / "dfdc.md")


@pytest.mark.full
def test_the_guide_to_own_data_runs(shell, sample_data, tmp_path):
    shell.variables |= {
        "MINE": str(folder_set(sample_data, tmp_path / "mine")),
        "TABLE": str(table_set(sample_data, tmp_path / "clips")),
    }
    shell.run(DOCS / "own-data.md")
    (shell.folder / "work").symlink_to("mine")
    shell.run(DOCS / "digests.md")
    shell.run(DOCS / "exports.md")


@pytest.mark.full
def test_the_page_of_recipes_runs(shell, sample_data, tmp_path):
    """With small networks in the place of those whose weights would be fetched."""
    small = "run --config sbi-efficientnet-b4 --model timm:resnet10t --input-size 64"
    shell.instead["run --config sbi-efficientnet-b4"] = small
    shell.instead["--config gend-clip-l14"] = "--config gend-clip-l14 --model timm:test_vit --input-size 160"
    shell.execute("recipes.md", f"ffpp-prep boxes {ffpp_set(sample_data, tmp_path / 'ffpp')} -o work")
    shell.run(DOCS / "recipes.md")
    assert (shell.folder / "runs/gend/checkpoints/best.pt").is_file()
    assert (shell.folder / "runs/sbi/checkpoints/best.pt").is_file()
    assert (shell.folder / "blends.png").is_file()


@pytest.mark.full
def test_the_page_of_published_detectors_runs(shell, sample_data, tmp_path):
    shell.instead[PUBLISHED] = stand_in(tmp_path)
    folder_set(sample_data, shell.folder / "footage")
    shutil.copy(pairs(sample_data)[-1][2], shell.folder / "clip.mp4")
    shell.run(DOCS / "published.md")
    assert (shell.folder / "predictions/index.html").is_file()


@pytest.mark.full
def test_the_readmes_run(shell, sample_data, tmp_path):
    """The README, then in its folder what builds on its runs: dfd-train's README and the page of predict."""
    shell.instead |= {
        FFPP: str(ffpp_set(sample_data, tmp_path / "ffpp")),
        "dfd-train serve": "dfd-train serve --port 0",
        PUBLISHED: stand_in(tmp_path),
    }
    _, original, fake = pairs(sample_data)[-1]
    shutil.copy(fake, shell.folder / "clip.mp4")
    (shell.folder / "photos").mkdir()
    with av.open(str(original)) as video:
        next(video.decode(video=0)).to_image().save(shell.folder / "photos/anna.jpg")
    shutil.copy(shell.folder / "photos/anna.jpg", shell.folder / "photo.jpg")
    for page in (ROOT / "README.md", TRAIN, DOCS / "predict.md"):
        shell.run(page)
    for name in (
        "runs/v1/report.html",
        "predictions/index.html",
        "explanations/explain.html",
        "explained/lime-1.png",
        "detector.onnx",
    ):
        assert (shell.folder / name).is_file(), name


@pytest.mark.full
def test_the_readme_of_ffpp_prep_runs(shell, sample_data, tmp_path):
    shell.instead[FFPP] = str(ffpp_set(sample_data, tmp_path / "ffpp"))
    shell.run(PREP)
    ((_, code),) = blocks(PREP, "python")
    shutil.rmtree(shell.folder / "work")
    body = textwrap.indent(
        f"{code}assert len(videos) and len(boxes)\n".replace(FFPP, shell.instead[FFPP]), "    "
    )
    (shell.folder / "readme.py").write_text(f'if __name__ == "__main__":\n{body}')
    subprocess.run([sys.executable, "readme.py"], cwd=shell.folder, check=True)


@pytest.mark.full
def test_the_guide_to_clusters_runs(shell, sample_data, tmp_path):
    """On this machine: a scheduler and two workers."""
    table = table_set(sample_data, tmp_path / "data")
    subprocess.run([f"{BIN}/ffpp-prep", "scan", str(table), "-o", "WORK"], cwd=shell.folder, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shell.instead |= {"HOST:8786": f"127.0.0.1:{port}", "--port 8786": f"--host 127.0.0.1 --port {port}"}
    shell.instead["--nworkers 16"] = "--nworkers 2"
    shell.run(DOCS / "cluster.md")
    for name in ("boxes/videos-*.parquet", "fakes/videos-*.parquet", "faces/faces-*.h5"):
        assert list((shell.folder / "WORK").glob(name)), name
