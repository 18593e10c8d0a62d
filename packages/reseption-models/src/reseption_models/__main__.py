"""`python -m reseption_models`."""

import sys

from .cli import main

sys.exit(main())
