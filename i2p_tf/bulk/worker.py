"""A worker process of `local_runner`: Beam's own, which ends when the command that started it ends or wants it to."""

import logging
import os
import sys
import threading
import time

_SECONDS = 0.5


def main(folder: str, parent: int) -> None:
    """Works until the folder is gone, or the parent; Beam takes the rest from the environment."""
    logging.disable(logging.CRITICAL)  # what fails is raised in the parent too
    from apache_beam.runners.worker import sdk_worker_main

    threading.Thread(target=_watch, args=(folder, parent), daemon=True).start()
    sdk_worker_main.main([])


def _watch(folder, parent):
    while os.path.isdir(folder) and os.getppid() == parent:
        time.sleep(_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
