"""`python -m ffpp_prep` is `ffpp-prep`."""

import sys

from ffpp_prep.cli import main

sys.exit(main())
