"""Renews the pictures of pages in docs/images from a finished `make demo`; needs Chromium.

python tools/pictures.py demo-output
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
EXPLAINED = (
    "manipulated_sequences/NeuralTextures/c23/videos/024_022.mp4",
    "manipulated_sequences/FaceSwap/c23/videos/024_022.mp4",
    "original_sequences/actors/c23/videos/11__talking_against_wall.mp4",
)


def main() -> None:
    demo = Path(sys.argv[1])
    photograph(demo)
    explain(demo)


def photograph(demo: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    (predicted,) = demo.glob("predictions/*/report.html")
    pages = ((demo / "run/report.html", "report", 1100, 1375), (predicted, "predict", 880, 1100))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--hide-scrollbars"]
        )
        for page, name, width, height in pages:
            view = chromium.new_page(viewport={"width": width, "height": height})
            view.goto(page.resolve().as_uri())
            view.wait_for_timeout(1000)  # until the video shows its first frame
            view.screenshot(path=IMAGES / f"{name}.png")
        chromium.close()


def explain(demo: Path) -> None:
    with tempfile.TemporaryDirectory() as out:
        command = ["dfd-train", "explain", demo / "run", "--data", demo / "work", "--samples", "1000"]
        subprocess.run([*command, "--out", out, "--video", *EXPLAINED], check=True)
        (figure,) = Path(out).glob("*.png")
        Image.open(figure).convert("RGB").quantize(256).save(IMAGES / "explain.png", optimize=True)


if __name__ == "__main__":
    main()
