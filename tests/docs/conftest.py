"""`markdown_pages`, which both test files use, can be imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
