"""The child process that reads an untrusted file: python -m empo.data.upload_child, JSON on stdin.

It limits itself before it opens the file, writes the good rows to a file beside, and answers with
one line of JSON: `{"rows": n}` or `{"error": sentence}`. It gets no environment and no secret.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

from empo.data.upload_readers import Limits, rows_of
from empo.data.upload_rows import RowError, read_row


def limit(limits: Limits) -> None:
    """Address space, processor time, files: what the system enforces, where it can."""
    import resource

    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, int(limits.seconds) + 1),
        (resource.RLIMIT_FSIZE, 8 * limits.bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        # macOS refuses RLIMIT_AS; the other limits and the parent's clock stay.
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def convert(source: Path, suffix: str, target: Path, limits: Limits) -> int:
    """Write each good row of `source` as a line of JSON to `target`; how many.

    Raises:
        RowError: a row, or the file, is not what it should be.
    """
    number = written = 0
    with target.open("w", encoding="utf-8") as out:
        for number, row in rows_of(source, suffix, limits):
            try:
                pair = read_row(row)
            except RowError as error:
                error.row = number
                raise
            values = (number, pair.prompt, pair.chosen, pair.rejected, pair.emotion, pair.opposite)
            written += out.write(json.dumps(values) + "\n")
            if written > limits.decoded:
                # A column of one text said a million times is a few bytes of parquet.
                raise RowError("it unpacks to far more than it seems to hold", row=number)
    return number


def main() -> None:
    order = json.load(sys.stdin)
    limits = Limits(**order["limits"])
    limit(limits)
    try:
        source, target = Path(order["source"]), Path(order["target"])
        answer = {"rows": convert(source, order["suffix"], target, limits)}
    except RowError as error:
        answer = {"error": error.sentence(order["name"])}
    except MemoryError:
        answer = {"error": f"{order['name']}: it needs more memory to read than is given to it."}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
