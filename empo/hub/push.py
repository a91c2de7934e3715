"""A finished adapter to the Hub: its weights, its configuration, its card, and nothing else."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from empo.errors import FetchError, UsageError

# By name: a trainer leaves pickles and a copy of its reference beside an adapter.
FILES = ("adapter_model.safetensors", "adapter_config.json", "README.md")


def push_folder(
    adapter: Path, card: Path, repo: str, private: bool = True, endpoint: str | None = None,
    token: str | None = None,
) -> str:  # fmt: skip
    """Upload to the model repository `repo` (made if need be); the address of the commit.

    `token` None: the one that `hf auth login` left. `endpoint` None: the Hub.

    Raises:
        UsageError: `repo` is no OWNER/NAME, or there is no token.
        FetchError: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi, get_token

    if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repo):
        raise UsageError(f"--repo {repo[:120]}: write OWNER/NAME.")
    token = token or get_token()
    if token is None:
        raise UsageError("There is no Hub token on this machine: run hf auth login, then again.")
    with tempfile.TemporaryDirectory() as staging:
        for path in (adapter / FILES[0], adapter / FILES[1], card):
            shutil.copyfile(path, Path(staging) / path.name)
        api = HfApi(endpoint=endpoint, token=token)
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo,
                folder_path=staging,
                allow_patterns=list(FILES),
                commit_message="An adapter trained with EmPO Space",
            )
        except Exception as error:  # the Hub's many errors, network errors
            reason = str(error).replace(token, "…").strip().splitlines()
            said = reason[0][:200] if reason else type(error).__name__
            raise FetchError(f"{repo} could not be uploaded: {said}.") from error
    return str(commit.commit_url)
