"""The environment, read here and nowhere else. Variables begin with `EMPO_`; see the README."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
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
    stack: str = Field("auto", description="stack to load: a name, a YAML file, or auto")
    quantisation: Quantisation | None = Field(None, description="nf4, int8 or none")
    max_queue: int = Field(32, ge=1, description="turns that may wait before new ones are refused")
    space_host: str | None = Field(None, validation_alias="SPACE_HOST")
    zero_gpu: bool = Field(False, validation_alias="SPACES_ZERO_GPU")

    @property
    def data_dir(self) -> Path:
        return self.data or self.home / "data"

    @property
    def votes_url(self) -> str:
        """The database of the arena, as SQLAlchemy wants it."""
        return self.database_url or f"sqlite:///{self.home / 'arena.sqlite3'}"


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
