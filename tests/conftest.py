"""What holds for all tests."""

import signal

# A shell that starts the tests in the background has its children ignore Ctrl-C, and theirs too: the commands that
# tests interrupt must not inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
