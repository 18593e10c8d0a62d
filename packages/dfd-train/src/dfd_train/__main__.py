"""`python -m dfd_train`, for torchrun."""

import sys

from dfd_train.cli import main

sys.exit(main())
