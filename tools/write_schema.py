"""Writes the JSON schema of result.json from the type that reads results.

    python tools/write_schema.py

`tests/dfd_train/evidence/test_contents.py` checks that the file is this script's.
"""

from __future__ import annotations

from pathlib import Path

from dfd_train.predict import schema

if __name__ == "__main__":
    (Path(schema.__file__).parent / schema.SCHEMA).write_text(schema.schema_text(), encoding="utf-8")
