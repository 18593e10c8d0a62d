"""On PYTHONPATH, every Python process lacks what only Linux (ELSEWHERE=macos) or no Windows has (ELSEWHERE=windows).

What Python's own library needs on this machine stays; what the three packages could use goes.
"""

import multiprocessing
import os
import signal
import sys

LINUX_ONLY = {
    os: ("sched_getaffinity", "sched_setaffinity", "posix_fadvise", "process_cpu_count"),
    signal: ("sigwaitinfo", "sigtimedwait"),
}
NOT_ON_WINDOWS = {
    os: ("pread", "pwrite", "preadv", "sysconf", "O_NONBLOCK", "setpgrp"),
    signal: ("pthread_sigmask", "sigwait", "SIGPIPE", "SIGALRM"),
}
where = os.environ.get("ELSEWHERE")
if where:
    import psutil  # noqa: F401  # it needs them here

    for module, names in [*LINUX_ONLY.items(), *(NOT_ON_WINDOWS.items() if where == "windows" else ())]:
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    if where == "windows":
        sys.modules["fcntl"] = sys.modules["resource"] = None
    multiprocessing.set_start_method("spawn")
