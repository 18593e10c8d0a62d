"""A run's records, for tests that change them on purpose."""

import json
from pathlib import Path
from typing import Any


def settings_text(run: Path) -> str:
    """config.toml without its checksum."""
    return (run / "config.toml").read_text().partition("\n")[2]


def record(run: Path, name: str) -> dict[str, Any]:
    """A JSON file without its checksum."""
    content = json.loads((run / name).read_text())
    del content["content_crc32"]
    return content
