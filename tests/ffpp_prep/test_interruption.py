"""A signal is answered whatever the command is doing, also while an object is taken down."""

import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
from ffpp_prep.command_line.interruption import answer_signals

class Slow:
    def __del__(self):
        helper()

def helper():
    signal.raise_signal(number)
    time.sleep(0.1)

number = signal.Signals[sys.argv[1]]
answer_signals()
try:
    thing = Slow()
    if sys.argv[2] == "taken down":
        del thing
    else:
        signal.raise_signal(number)
    time.sleep(60)
except KeyboardInterrupt:
    signal.signal(number, signal.SIG_IGN)
    print("answered")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("when", ["taken down", "at work"])
def test_a_signal_is_answered_also_while_an_object_is_taken_down(name, when):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, when], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("answered\n", "")


def test_a_process_that_was_started_to_ignore_ctrl_c_goes_on_ignoring_it():
    code = "import signal; from ffpp_prep.command_line.interruption import answer_signals\n"
    code += (
        "signal.signal(signal.SIGINT, signal.SIG_IGN); answer_signals(); signal.raise_signal(signal.SIGINT)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
