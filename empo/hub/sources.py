"""The data that a person may fetch from its owners: addresses, checksums, terms.

None of it is shipped with the project. Each address is pinned to one version by its SHA-256; the
NRC VAD lexicon has no published checksum, so its own is recorded at the first fetch and compared
from then on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from empo.errors import UsageError

_EPITOME_AT = (
    "https://raw.githubusercontent.com/behavioral-data/Empathy-Mental-Health/"
    "0e11f98901527550885dbf253bd2af92dbcec43b/dataset/"
)
_REPLIES_AT = (
    "https://raw.githubusercontent.com/justtherightsize/empo/"
    "e80b4b4bf975d9414a108cd2e37c7bbe2fdc4901/predictions/"
)


@dataclass(frozen=True, slots=True)
class Remote:
    """One file on a server. `saved_as`: where it goes, relative to the data folder."""

    url: str
    saved_as: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Something to fetch. `members`: base name in the archive -> path in the data folder."""

    name: str
    title: str
    terms: str
    files: tuple[Remote, ...]
    archive: Literal["tar", "zip"] | None = None
    members: dict[str, str] = field(default_factory=dict)


_ED = Source(
    name="ed",
    title="EmpatheticDialogues (Rashkin et al. 2019), the original tarball",
    terms=(
        "Licence: CC BY-NC 4.0 (name the authors, no commercial use).\n"
        "For training, evaluation and preference pairs. Cite arXiv 1811.00207."
    ),
    files=(
        Remote(
            "https://dl.fbaipublicfiles.com/parlai/empatheticdialogues/empatheticdialogues.tar.gz",
            "empatheticdialogues/empatheticdialogues.tar.gz",
            "240c492cb6199a315722f716bfcc14f13ea6605f1cec67349153b606be92f6f2",
        ),
    ),
    archive="tar",
    members={
        "train.csv": "empatheticdialogues/train.csv",
        "valid.csv": "empatheticdialogues/valid.csv",
        "test.csv": "empatheticdialogues/test.csv",
    },
)

_EPITOME = Source(
    name="epitome",
    title="EPITOME, the Reddit part (Sharma et al. 2020)",
    terms=(
        "Licence: for academic, non-commercial research only; see the authors' repository, whose\n"
        "notice holds for models trained on it too.\n"
        "For training and checking the empathy scorer. Cite arXiv 2009.08441."
    ),
    files=(
        Remote(
            _EPITOME_AT + "emotional-reactions-reddit.csv",
            "epitome/emotional-reactions-reddit.csv",
            "225b28ffdc257f8a997d557eb937e78b68235e6203c87c7e2203d00fef8545cc",
        ),
        Remote(
            _EPITOME_AT + "explorations-reddit.csv",
            "epitome/explorations-reddit.csv",
            "9efa1af8e0537c16894379598f2076cb380ae18aacd9a8d26ebd381f5b7f9645",
        ),
        Remote(
            _EPITOME_AT + "interpretations-reddit.csv",
            "epitome/interpretations-reddit.csv",
            "2cedbe4252c919d22a6f46685afa16d3192a91e3306c2d4a386be12a30ad3f29",
        ),
    ),
)

_REPLIES = Source(
    name="replies",
    title="The EmPO paper's recorded replies on the test split of EmpatheticDialogues",
    terms=(
        "Licence: none is stated by the authors. For your own research only: do not pass the\n"
        "files on and keep them out of public exports. Cite arXiv 2406.19071."
    ),
    files=(
        Remote(
            _REPLIES_AT + "preds_dlr1e6m1000_zephyr-7b-sft-full124_d270_epi.txt",
            "recorded_replies_dpo_d270.csv",
            "3027e379339eff51c5cfec9e1628a4e5e9c19a444ee449d525bee564dee5f523",
        ),
        Remote(
            _REPLIES_AT + "preds_dlr1e6m1000_zephyr-7b-sft-full124_epi.txt",
            "recorded_replies_sft_124.csv",
            "cea4cae1ba91488c7e89b1d180a3523873f6b99f35eb9207684c7d960cc26d0a",
        ),
        Remote(
            _REPLIES_AT + "preds_dlrxxx30x_zephyr-7b-sft-full_epi.txt",
            "recorded_replies_base_short.csv",
            "53fe56fc7a183b04248c9faba8e92738e232f39462e40e9e1968679f00a76f9f",
        ),
        Remote(
            _REPLIES_AT + "preds_dlrxxx_zephyr-7b-sft-full_epi.txt",
            "recorded_replies_base.csv",
            "043a431404dbc48cad43e45c1956dcf260cd090cc261c9dfd6548c3a8bb511b3",
        ),
    ),
)

_VAD = Source(
    name="vad",
    title="NRC Valence, Arousal and Dominance lexicon (Mohammad 2018)",
    terms=(
        "Licence: free for research, no redistribution; for commercial use ask the author.\n"
        "For a second measure of valence beside VADER. Cite Mohammad, ACL 2018."
    ),
    files=(
        Remote(
            "https://saifmohammad.com/WebDocs/Lexicons/NRC-VAD-Lexicon.zip",
            "NRC-VAD-Lexicon.zip",
        ),
    ),
    archive="zip",
    members={"NRC-VAD-Lexicon.txt": "nrc_vad_lexicon.txt"},
)

SOURCES: dict[str, Source] = {source.name: source for source in (_ED, _EPITOME, _REPLIES, _VAD)}


def source(name: str) -> Source:
    """What is fetched under `name`.

    Raises:
        UsageError: nothing is.
    """
    if name not in SOURCES:
        raise UsageError(f"There is no data set “{name}” to fetch; choose {', '.join(SOURCES)}.")
    return SOURCES[name]
