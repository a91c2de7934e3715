"""The private repository on the Hub that a run's files go through, both ways.

One dataset repository a run. Every sending is one commit, so that what belongs together (a status
and its curves) is seen together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from empo.hub.answers import Gone, told, within

KIND = "dataset"
Content = Path | bytes


class RunRepo:
    """`api` is the Hub's (`HubJobs.api`), `token` what it uses, `name` OWNER/NAME."""

    def __init__(self, api: Any, token: str, name: str) -> None:
        self.api, self._token, self.name = api, token, name

    def create(self) -> None:
        """Make it, private; that it is there already is no error. Raises: as `told`."""
        with told(self._token, "making the private repository"):
            within(
                lambda: self.api.create_repo(self.name, repo_type=KIND, private=True, exist_ok=True)
            )

    def send(self, files: Mapping[str, Content], message: str, gone: Iterable[str] = ()) -> str:
        """One commit: `files` by their path there, and `gone` taken away; its revision.

        Raises:
            NotAllowed, Unseen, FetchError: as `told`.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        with told(self._token, "sending the run's files"):
            steps: list[Any] = [
                CommitOperationAdd(path, content if isinstance(content, bytes) else str(content))
                for path, content in files.items()
            ]
            steps += [CommitOperationDelete(path) for path in gone]
            commit = self.api.create_commit(
                self.name, steps, commit_message=message, repo_type=KIND
            )
        return str(commit.oid)

    def listing(self, at: str | None = None) -> tuple[str, dict[str, str]]:
        """The revision `at` (None: the present one), and its files by path with their hashes.

        Raises: as `told`.
        """

        def ask() -> tuple[str, dict[str, str]]:
            revision = at or self.api.repo_info(self.name, repo_type=KIND).sha
            tree = self.api.list_repo_tree(
                self.name, recursive=True, revision=revision, repo_type=KIND
            )
            return revision, {item.path: item.blob_id for item in tree if hasattr(item, "blob_id")}

        with told(self._token, "looking at the run's files"):
            return within(ask)

    def has(self, path: str) -> bool:
        """Whether the file is there now. Raises: as `told`."""
        with told(self._token, "looking at the run's files"):
            return bool(within(lambda: self.api.file_exists(self.name, path, repo_type=KIND)))

    def fetch(self, paths: Iterable[str], revision: str, folder: Path) -> None:
        """Bring `paths` of `revision` below `folder`, at their own paths. Raises: as `told`."""
        for path in paths:
            with told(self._token, "fetching the run's files"):
                self.api.hf_hub_download(
                    self.name, path, repo_type=KIND, revision=revision, local_dir=str(folder)
                )

    def delete(self) -> None:
        """Take it away; that it has gone already is no error. Raises: as `told`."""
        try:
            with told(self._token, "deleting the private repository"):
                within(lambda: self.api.delete_repo(self.name, repo_type=KIND, missing_ok=True))
        except Gone:
            return
