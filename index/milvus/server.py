"""A Milvus server, or milvus-lite's file, behind the calls an index needs. The one file that imports pymilvus.

pymilvus is imported when a server is connected to: it takes seconds, and who keeps indexes in folders does without it.
Every call has a time limit, and whatever fails is a BundleError that names the server and the call.
Not covered: other databases than the default one, partitions, users.
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from index.errors import BundleError
from index.milvus.config import MilvusConfig

# The columns; the key of a document is its row, so that rankings of both stores are of the same numbers
ROW, DENSE, SPARSE = "row", "dense", "sparse"
TEXT_BYTES = 65_535  # Milvus's own limit of a text
MOST_HITS = 16_384  # and of one search
ROWS_A_CALL = 256  # of the longest texts 16 MiB, a quarter of what a server takes at once
BUILD_S = 600  # a server indexes and loads a million vectors in minutes; whole, as pymilvus heeds no fractions there
# Each error that pymilvus raises it also logs with its traceback, and milvus-lite's server, in this process, logs one
# for a call that pymilvus makes and does not need.
CHATTY = ("pymilvus", "grpc._server")
# pymilvus asks every 10 s whether an idle server lives, and milvus-lite's hangs up on who asks so often.
LITE = {"grpc_options": {"grpc.keepalive_time_ms": 2**31 - 1}}
CURE = "start it, or correct `store` in the config and build the index again"


class Server:
    """A connection; may be used from any thread."""

    def __init__(self, config: MilvusConfig) -> None:
        try:
            import grpc
            import pymilvus
        except ModuleNotFoundError as error:
            raise BundleError(
                f"the package \"{error.name}\" is not installed, and the index lies in Milvus: pip install '.[milvus]'"
            ) from error
        for chatty in CHATTY:
            logging.getLogger(chatty).setLevel(logging.CRITICAL)
        self.uri = config.uri
        self._timeout_s = config.timeout_s
        self._types = pymilvus.DataType
        self._faults = (pymilvus.MilvusException, grpc.RpcError, grpc.FutureTimeoutError)
        try:
            self._client = pymilvus.MilvusClient(
                config.uri, token=token_of(config), timeout=config.timeout_s,
                **(LITE if config.uri.endswith(".db") else {}),
            )  # fmt: skip
        except self._faults as error:
            lite = ", and end the other process that has this file open" if config.uri.endswith(".db") else ""
            raise BundleError(f'Milvus at "{config.uri}" cannot be reached ({told(error)}): {CURE}{lite}') from error

    def _call(self, method: str, *given: object, timeout_s: float | None = None, **named: object) -> Any:
        try:
            return getattr(self._client, method)(*given, timeout=timeout_s or self._timeout_s, **named)
        except self._faults as error:
            raise BundleError(f'Milvus at "{self.uri}" failed to {method} ({told(error)}): {CURE}') from error

    def collections(self) -> list[str]:
        """The names of all collections."""
        return list(self._call("list_collections"))

    def create(self, name: str, dimension: int, texts: Sequence[str], numbers: Sequence[str]) -> None:
        """Make a collection of rows with a dense vector, a sparse one, texts and numbers."""
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(ROW, self._types.INT64, is_primary=True)
        schema.add_field(DENSE, self._types.FLOAT_VECTOR, dim=dimension)
        schema.add_field(SPARSE, self._types.SPARSE_FLOAT_VECTOR)
        for text in texts:
            schema.add_field(text, self._types.VARCHAR, max_length=TEXT_BYTES)
        for number in numbers:
            schema.add_field(number, self._types.INT64)
        self._call("create_collection", name, schema=schema, consistency_level="Bounded", timeout_s=BUILD_S)

    def insert(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Add rows, ROWS_A_CALL at a time."""
        batch: list[Mapping[str, object]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == ROWS_A_CALL:
                self._call("insert", name, batch, timeout_s=BUILD_S)
                batch = []
        if batch:
            self._call("insert", name, batch, timeout_s=BUILD_S)

    def finish(self, name: str, dense: str, parameters: Mapping[str, int]) -> None:
        """Make all rows of a collection searchable; `dense` is Milvus's name of the dense index."""
        indexes = self._client.prepare_index_params()
        indexes.add_index(DENSE, index_type=dense, metric_type="IP", params=dict(parameters))
        indexes.add_index(SPARSE, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        self._call("flush", name, timeout_s=BUILD_S)
        self._call("create_index", name, indexes, timeout_s=BUILD_S)
        self._call("load_collection", name, timeout_s=BUILD_S)

    def drop(self, name: str) -> None:
        """Delete a collection."""
        self._call("drop_collection", name, timeout_s=BUILD_S)

    def load(self, name: str) -> None:
        """Have a collection ready for searches; a server that was started again has to load it."""
        self._call("load_collection", name, timeout_s=BUILD_S)

    def shape(self, name: str) -> tuple[int, int]:
        """How many rows a collection holds, all that were ever inserted, and of how many dimensions."""
        fields = self._call("describe_collection", name)["fields"]
        dimensions = [int(field["params"]["dim"]) for field in fields if field["name"] == DENSE]
        counted = self._call("query", name, filter="", output_fields=["count(*)"], consistency_level="Strong")
        return int(counted[0]["count(*)"]), max(dimensions, default=0)

    def search(
        self, name: str, field: str, query: object, k: int, parameters: Mapping[str, int]
    ) -> list[tuple[int, float]]:
        """The k rows of the largest inner products with a query, and these, best first."""
        found = self._call(
            "search", name, [query], anns_field=field, limit=min(k, MOST_HITS), output_fields=[ROW],
            search_params={"metric_type": "IP", "params": dict(parameters)},
        )  # fmt: skip
        return [(int(hit[ROW]), float(hit["distance"])) for hit in found[0]]

    def rows(self, name: str, numbers: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Fields of these rows, in this order."""
        found: dict[int, dict[str, Any]] = {}
        for start in range(0, len(numbers), ROWS_A_CALL):
            asked = [int(number) for number in numbers[start : start + ROWS_A_CALL]]
            got = self._call("get", name, ids=asked, output_fields=[ROW, *fields])
            found |= {int(row[ROW]): row for row in got}
        if missing := {int(number) for number in numbers} - found.keys():
            raise BundleError(
                f'collection "{name}" in Milvus at "{self.uri}" has lost row "{min(missing)}": build the index again'
            )
        return [found[int(number)] for number in numbers]


def token_of(config: MilvusConfig) -> str:
    """The token from its environment variable; "" where none is named."""
    if config.token_env is None:
        return ""
    if not (token := os.environ.get(config.token_env)):
        raise BundleError(
            f'the environment variable "{config.token_env}" with the token of Milvus at "{config.uri}" is not set: '
            "set it, or correct token_env"
        )
    return token


def told(error: Exception) -> str:
    """An error of Milvus in one line."""
    return " ".join(str(getattr(error, "message", "") or error).split())[:300]


def vector(values: object) -> np.ndarray:
    """A dense vector as it is computed with."""
    return np.asarray(values, np.float32)
