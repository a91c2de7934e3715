"""What the Hub's refusals and silences mean for a person, without the token in them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from empo.errors import EmpoError, FetchError, NotAllowed, UsageError

T = TypeVar("T")
TOKENS = "https://huggingface.co/settings/tokens"
BILLING = "https://huggingface.co/settings/billing"
NO_TOKEN = (
    "HF Jobs needs a token of yours, and there is none here: make one of type write (or one with "
    f"write access to repositories and Jobs) at {TOKENS}, then run hf auth login; on a Space store "
    "it as the secret HF_TOKEN."
)
PATIENCE = 60.0  # seconds for one answer: the library itself would wait for ever


class Unseen(FetchError):
    """The Hub does not answer now: that says nothing about what goes on there."""


class Gone(FetchError):
    """The Hub does not know what it is asked about."""


def find_token(given: str | None) -> str:
    """`given`, or what `hf auth login` left on this machine.

    Raises:
        UsageError: there is none; says where to get one.
    """
    from huggingface_hub import get_token

    token = given or get_token()
    if not token:
        raise UsageError(NO_TOKEN)
    return token


@contextmanager
def told(token: str, what: str) -> Iterator[None]:
    """Errors of the Hub's library inside become one sentence; `what` was to be done ("…ing").

    Raises:
        NotAllowed: the token is not accepted, has no right to this, or there is no credit.
        Gone: there is no such thing. Unseen: no answer, or none that can be used.
        FetchError: any other refusal.
    """
    try:
        yield
    except EmpoError:
        raise
    except Exception as error:  # the Hub's many errors, network errors
        raise _told(error, token, what) from None  # its cause may quote the request


def _told(error: Exception, token: str, what: str) -> EmpoError:
    code = getattr(getattr(error, "response", None), "status_code", None)
    said = clean(str(getattr(error, "server_message", None) or error), token)
    if code == 401:
        return NotAllowed(
            f"The Hub does not accept the token ({what}): it was revoked, has run out or is "
            f"mistyped; make a new one at {TOKENS}, then hf auth login (on a Space: HF_TOKEN)."
        )
    if code == 402:
        return NotAllowed(
            f"There is no credit for {what}: HF Jobs is paid from your balance, which is at "
            f"{BILLING}."
        )
    if code == 403:
        return NotAllowed(
            f"The token has no right to {what} ({said}): give it write access to repositories and "
            f"Jobs at {TOKENS}."
        )
    if code in (404, 410):
        return Gone(f"The Hub knows nothing of it any more ({what}).")
    if _silence(error) if code is None else (code == 429 or code >= 500):
        reason = f"answer {code}" if code else type(error).__name__
        return Unseen(f"The Hub does not answer now ({what}: {reason}); try again in a while.")
    if code is None:
        return FetchError(f"It failed here, {what}: {type(error).__name__}: {said}.")
    return FetchError(f"The Hub refuses {what}: {said}.")


def _silence(error: Exception) -> bool:
    """Whether `error` is of the network, and not of what was asked or of this machine."""
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    kinds = [f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__]
    return any(name.startswith(("httpx", "httpcore")) for name in kinds) or any(
        name.endswith("LocalEntryNotFoundError") for name in kinds
    )


def clean(text: str, token: str) -> str:
    """The first line of `text`, short, the token taken out."""
    lines = text.replace(token, "…").strip().splitlines()
    return lines[0].strip()[:200].rstrip(".") if lines else "no reason given"


def within(call: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What `call` returns, or raises; given up after `seconds`.

    Raises:
        TimeoutError: there was no answer in time.
    """
    found: dict[str, Any] = {}

    def work() -> None:
        try:
            found["value"] = call()
        except BaseException as error:
            found["error"] = error

    thread = threading.Thread(target=work, name="ask-hub", daemon=True)
    thread.start()
    thread.join(seconds)
    if "error" in found:
        raise found["error"]
    if "value" not in found:
        raise TimeoutError(f"no answer in {seconds:.0f} s")
    return found["value"]
