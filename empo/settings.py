"""The environment, read here and nowhere else. Variables begin with `EMPO_`; see the README."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from empo.errors import UsageError
from empo.types import Quantisation

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"


def _host(known: dict[str, Any]) -> str:
    """Only this machine, unless it is a Space, whose visitors come through a proxy."""
    return "0.0.0.0" if known.get("space_id") else "127.0.0.1"


class Settings(BaseSettings):
    """All settings with their defaults; each is the variable `EMPO_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="EMPO_", frozen=True, populate_by_name=True)

    space_id: str | None = Field(None, validation_alias="SPACE_ID")
    home: Path = Field(Path.home() / ".empo", description="where all state lives")
    data: Path | None = Field(None, description="where downloaded data lie (EMPO_HOME/data)")
    vad: Path | None = Field(None, description="the NRC VAD lexicon (else looked for in EMPO_DATA)")
    database_url: str | None = Field(None, description="where votes are kept (in EMPO_HOME)")
    host: str = Field(default_factory=_host, description="address to listen on")
    port: int = Field(7860, ge=0, le=65535, description="port to listen on")
    stack: str = Field("auto", description="stack to load: a name, run:NAME, a YAML file, or auto")
    quantisation: Quantisation | None = Field(None, description="nf4, int8 or none")
    max_queue: int = Field(32, ge=1, description="turns that may wait before new ones are refused")
    owners: str | None = Field(None, description="on a Space: names that own it too, with commas")
    ask_token: bool = Field(False, description="ask even this machine's browsers for the token")
    space_host: str | None = Field(None, validation_alias="SPACE_HOST")
    hub_token: SecretStr | None = Field(None, validation_alias="HF_TOKEN")
    hub: str | None = Field(None, validation_alias="HF_ENDPOINT")
    zero_gpu: bool = Field(False, validation_alias="SPACES_ZERO_GPU")
    system: str | None = Field(None, validation_alias="SYSTEM")
    oauth_id: str | None = Field(None, validation_alias="OAUTH_CLIENT_ID")
    oauth_secret: SecretStr | None = Field(None, validation_alias="OAUTH_CLIENT_SECRET")
    oauth_scopes: str | None = Field(None, validation_alias="OAUTH_SCOPES")
    oauth_provider: str | None = Field(None, validation_alias="OPENID_PROVIDER_URL")

    @property
    def data_dir(self) -> Path:
        return self.data or self.home / "data"

    @property
    def votes_url(self) -> str:
        """The database of the arena, as SQLAlchemy wants it."""
        return self.database_url or f"sqlite:///{self.home / 'arena.sqlite3'}"

    @property
    def owner_names(self) -> frozenset[str]:
        """On a Space: the names on the Hub of those who own it; elsewhere nobody, by name."""
        if not self.space_id:
            return frozenset()
        named = (self.space_id.split("/")[0], *(self.owners or "").split(","))
        return frozenset(name.strip() for name in named if name.strip())

    @property
    def signs_in(self) -> bool:
        """Whether people can sign in with the Hub: on a Space that has `hf_oauth: true`.

        Elsewhere Gradio would take every visitor for the person the machine is logged in as, and
        with an empty secret everyone could sign a session of their own.
        """
        secret = self.oauth_secret.get_secret_value().strip() if self.oauth_secret else ""
        needed = (self.space_id, self.oauth_id, secret, self.oauth_scopes, self.oauth_provider)
        return self.system == "spaces" and all(needed)


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        UsageError: a variable holds a value that is not allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"The variable EMPO_{str(first['loc'][0]).upper()} is wrong: {first['msg']}."
        ) from error


# What a child process is given of the environment; everything else may be a secret.
_PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("PYTHON", "EMPO_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "OMP_", "MKL_", "TORCH_", "PYTORCH_"),
    *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_CACHE", "HF_ENDPOINT", "XDG_"),
    *("TOKENIZERS_PARALLELISM", "SSL_CERT_", "REQUESTS_CA_BUNDLE"),
)


def child_environment() -> dict[str, str]:
    """The environment of a process that the app starts: nothing that is not known to be needed.

    The app's own settings go with it as they are, and on a ZeroGPU Space the GPU does not.
    """
    found = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    found["EMPO_HOME"] = str(settings().home.expanduser().absolute())
    found["EMPO_DATA"] = str(settings().data_dir.expanduser().absolute())
    quiet = {"TQDM_DISABLE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    return found | quiet | {"TOKENIZERS_PARALLELISM": "false"}
