"""Renews the pictures of pages in docs/images from a finished `make demo`; needs Chromium.

python tools/pictures.py demo-output
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
EXPLAINED = (
    "manipulated_sequences/NeuralTextures/c23/videos/024_022.mp4",
    "manipulated_sequences/FaceSwap/c23/videos/024_022.mp4",
    "original_sequences/actors/c23/videos/11__talking_against_wall.mp4",
)


def main() -> None:
    demo = Path(sys.argv[1]).resolve()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    (predicted,) = demo.glob("predictions/*/report.html")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox", "--hide-scrollbars"]
        )
        pages = ((demo / "run/report.html", "report", 1100, 1350), (predicted, "predict", 880, 1080))
        for page, name, width, height in pages:
            view = chromium.new_page(viewport={"width": width, "height": height})
            view.goto(page.as_uri())
            view.wait_for_timeout(1000)  # until the video shows its first frame
            view.screenshot(path=IMAGES / f"{name}.png")
        chromium.close()
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            ["dfd-train", "explain", demo / "run", "--samples", "1000", "--out", out, "--video", *EXPLAINED],
            check=True,
        )
        (figure,) = Path(out).glob("*.png")
        shutil.copy(figure, IMAGES / "explain.png")


if __name__ == "__main__":
    main()
