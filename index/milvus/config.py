"""Which Milvus, and the name of the index there: what a config says, and what index.json states of it.

Light: imports no library of Milvus.
"""

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from index.config import Settings


class MilvusConfig(Settings):
    """The key `store.milvus` of a config."""

    uri: str = Field(description="http(s)://HOST:PORT of a server, or a path ending in .db: milvus-lite's own file.")
    collection: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$",
        description="Name of this index there, its own; each build makes a collection NAME_<folder>_<build>.",
    )
    token_env: str | None = Field(
        default=None,
        pattern=r"^(POINTSMAN|MILVUS)_\w+$",  # a bundle states it: it may not ask for any secret of its reader
        description="Environment variable with the token, or user:password, MILVUS_... or POINTSMAN_...; read at use.",
    )
    timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for one call of a query or a start (s).")

    @field_validator("uri")
    @classmethod
    def _names_a_server_and_no_secret(cls, uri: str) -> str:
        parts = urlsplit(uri)
        if parts.username or parts.password:
            raise ValueError("index.json would store its password; name a variable in token_env")
        if not uri.endswith(".db") and not (parts.scheme in ("http", "https") and parts.hostname):
            raise ValueError("give http://HOST:PORT, https://HOST:PORT, or a path ending in .db")
        return uri


class MilvusFacts(MilvusConfig):
    """The key `milvus` of index.json: where the index lies, and the collection that its build made."""

    build: str

    @classmethod
    def of(cls, config: MilvusConfig, build: str) -> "MilvusFacts":
        """The facts of one build."""
        given: dict[str, Any] = config.model_dump()
        return cls(**given, build=build)
