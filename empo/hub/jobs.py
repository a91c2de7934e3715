"""HF Jobs: what they cost, starting one, looking at it, its log, ending it.

A thin face of the Hub's own library, which is imported late; its errors become one sentence each.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from empo.errors import NotAllowed
from empo.hub.answers import TOKENS, Gone, find_token, told, within
from empo.hub.hardware import Flavor, flavors

PYTHON = "3.12"  # of the image that the Hub takes for uv jobs
OVER = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
LABEL = "empo-run"


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as the Hub tells it: its stage there, and `seconds` that it has been running."""

    id: str
    stage: str
    message: str = ""
    url: str = ""
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        return self.stage in OVER


class HubJobs:
    """The jobs of whoever has `token` (None: the one that `hf auth login` left).

    `endpoint` None: the Hub.
    """

    def __init__(self, token: str | None = None, endpoint: str | None = None) -> None:
        """Raises UsageError where there is no token; says where to get one."""
        from huggingface_hub import HfApi

        self._token = find_token(token)
        self.api = HfApi(endpoint=endpoint, token=self._token)

    @property
    def token(self) -> str:
        """Never to be shown or written anywhere."""
        return self._token

    def namespace(self, wanted: str | None = None) -> str:
        """Who pays: `wanted` (a person or an organisation), else the token's own person.

        Raises:
            NotAllowed: the token is not accepted, or can only read.
            Unseen: the Hub does not answer.
        """
        with told(self._token, "asking whose token it is"):
            who = within(self.api.whoami)
        found = (who.get("auth") or {}).get("accessToken") or {}
        if found.get("role") == "read":
            raise NotAllowed(
                "The token can only read, and HF Jobs takes one that can write: make one of type "
                f"write at {TOKENS}, then hf auth login (on a Space: the secret HF_TOKEN)."
            )
        return wanted or str(who["name"])

    def flavors(self) -> tuple[Flavor, ...]:
        """What can be rented now, with its price. Raises: as `namespace`."""
        with told(self._token, "asking for prices"):
            return flavors(within(self.api.list_jobs_hardware))

    def start(
        self,
        namespace: str,
        label: str,
        flavor: str,
        seconds: int,
        arguments: Sequence[str],
        dependencies: Sequence[str],
        variables: dict[str, str],
    ) -> Seen:
        """Start `python arguments…` with `dependencies`; the token goes along as a secret.

        Raises:
            NotAllowed: no right, or no credit. Unseen, FetchError: no answer, or a refusal.
        """

        def ask() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the library's jobs are young
                return self.api.run_uv_job(
                    "python",
                    script_args=list(arguments),
                    dependencies=list(dependencies),
                    python=PYTHON,
                    env=variables,
                    secrets={"HF_TOKEN": self._token},
                    flavor=flavor,
                    timeout=seconds,
                    labels={LABEL: label, "name": label},
                    namespace=namespace,
                )

        with told(self._token, "starting the job"):
            return _seen(within(ask))

    def look(self, namespace: str, job: str) -> Seen:
        """The job as it is now.

        Raises:
            Gone: the Hub does not know it. Unseen: no answer. NotAllowed: as `namespace`.
        """
        with told(self._token, "looking at the job"):
            return _seen(within(lambda: self.api.inspect_job(job_id=job, namespace=namespace)))

    def find(self, namespace: str, label: str) -> Seen | None:
        """The newest job with that label. Raises: as `look`."""

        def ask() -> list[Any]:
            return list(self.api.list_jobs(labels={LABEL: label}, namespace=namespace))

        with told(self._token, "looking for the job"):
            found = within(ask)
        found.sort(key=lambda info: str(info.created_at or ""))
        return _seen(found[-1]) if found else None

    def cancel(self, namespace: str, job: str) -> None:
        """End it at once; one that has ended already is no error. Raises: as `look`."""
        try:
            with told(self._token, "cancelling the job"):
                within(lambda: self.api.cancel_job(job_id=job, namespace=namespace))
        except Gone:
            return

    def lines(self, namespace: str, job: str, skip: int = 0, follow: bool = True) -> Iterator[str]:
        """The job's log from its line `skip` on, one line each; with `follow` until it has ended.

        The Hub tells the whole log anew at every connection. Raises: as `look`.
        """
        with told(self._token, "reading the job's log"):
            found = self.api.fetch_job_logs(job_id=job, namespace=namespace, follow=follow)
            for number, line in enumerate(found):
                if number >= skip:
                    yield " ".join(line.replace(self._token, "…").splitlines())


def _seen(info: Any) -> Seen:
    running = info.durations.running_secs if info.durations else None
    stage = str(getattr(info.status.stage, "value", info.status.stage))
    message = " ".join(str(info.status.message or "").split())[:300]
    return Seen(info.id, stage, message, info.url, float(running or 0))
