"""The process of one part: `python -m benchmarks.gpu.work PART SETTINGS`."""

import faulthandler
import importlib
import os
import signal
import sys
import time

from benchmarks.gpu.findings import Findings
from benchmarks.gpu.plan import Settings
from benchmarks.gpu.processes import die_with_parent

_LAST_WORDS_SECONDS = 2  # before the end, for a traceback of what takes so long


def main() -> None:
    name, settings = sys.argv[1], Settings.from_json(sys.argv[2])
    fault = sys.argv[3] if len(sys.argv) > 3 else None
    die_with_parent()
    faulthandler.enable()
    faulthandler.dump_traceback_later(settings.seconds_left(_LAST_WORDS_SECONDS) + 0.1)
    signal.alarm(int(settings.seconds_left()) + 30)  # ends this process if the supervisor has gone
    found = Findings(settings.folder)
    if fault == "hang":
        time.sleep(3600)
    if fault == "crash":
        os.abort()
    importlib.import_module(f"benchmarks.gpu.parts.{name}").run(settings, found)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
