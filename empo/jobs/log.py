"""The log of a job on the Hub, line by line at the end of the run's `log.txt`.

The Hub tells the whole log anew at every connection: how much of it is here already is counted in
the file itself, after the line that says which job begins, so that a restart loses and doubles
nothing.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from empo.errors import EmpoError
from empo.hub.answers import Gone
from empo.hub.jobs import HubJobs
from empo.jobs.offer import hub_jobs
from empo.training.elsewhere import Job
from empo.training.folder import RunFolder

_TRIES = 200  # connections in a row that may fail


class JobLog:
    """Follows the log of `job` into `folder`; `pause`: seconds before a new try."""

    def __init__(self, folder: RunFolder, job: Job, pause: float) -> None:
        self.path, self.job, self.pause = folder / "log.txt", job, pause
        self._thread = threading.Thread(target=self._work, name=f"log-{folder.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ended(self, seconds: float) -> bool:
        """Whether nothing is written any more; waits for that, `seconds` at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def pull(self, hub: HubJobs, follow: bool) -> None:
        """Append what is not here yet; with `follow` until the job has ended.

        Raises:
            EmpoError: the Hub refuses, or does not answer. OSError: it cannot be written.
        """
        have = self._have()
        with self.path.open("a", encoding="utf-8") as file:
            for line in hub.lines(self.job.namespace, self.job.id, have, follow):
                file.write(line + "\n")
                file.flush()

    def _have(self) -> int:
        """Lines of this job's log that are here; a last one that was cut off is taken away."""
        head = f"--- job {self.job.id} ({self.job.flavor}) ---\n".encode()
        with self.path.open("a+b") as file:
            file.seek(0)
            text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            if whole != text:
                file.truncate(len(whole))
            _, found, after = whole.rpartition(head)
            if not found:
                file.write(head)
                return 0
        return after.count(b"\n")

    def _work(self) -> None:
        with suppress(OSError, Gone):  # the run may be thrown away meanwhile
            for _ in range(_TRIES):
                try:
                    self.pull(hub_jobs(), follow=True)
                    return
                except Gone:
                    raise
                except EmpoError:
                    time.sleep(self.pause)
