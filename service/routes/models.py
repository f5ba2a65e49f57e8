"""GET /v1/models: the routed model, the base and every specialist, with vLLM's `root` and `parent`.

A specialist's `fingerprint` stands for its whole bundle, the base's for its weights as the bundles were checked against
them, so that scores can name what they were measured on.
"""

from typing import Any

from fastapi import APIRouter, Request

from service.errors import UnknownModel
from service.request import AUTO
from service.runtime import Runtime

router = APIRouter()


def card(runtime: Runtime, name: str, root: str, parent: str | None = None) -> dict[str, Any]:
    """One model in OpenAI's shape."""
    return {
        "id": name,
        "object": "model",
        "created": runtime.created,
        "owned_by": "pointsman",
        "root": root,
        "parent": parent,
        "max_model_len": runtime.config.max_model_len,
    }


def cards(runtime: Runtime) -> list[dict[str, Any]]:
    """All names a request may use."""
    base = runtime.config.served_name
    specialists = [
        card(runtime, name, s.folder.name, base) | {"fingerprint": s.fingerprint}
        for name, s in runtime.specialists.items()
    ]
    own = card(runtime, base, runtime.config.model)
    if (any_one := next(iter(runtime.specialists.values()), None)) is not None:
        own["fingerprint"] = any_one.base_fingerprint
    return [card(runtime, AUTO, AUTO), own, *specialists]


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """All models."""
    return {"object": "list", "data": cards(request.app.state.runtime)}


@router.get("/v1/models/{name:path}")
async def model(name: str, request: Request) -> dict[str, Any]:
    """One model by name."""
    for found in cards(request.app.state.runtime):
        if found["id"] == name:
            return found
    raise UnknownModel(f'model "{name[:100]}" does not exist: GET /v1/models lists them', param="model")
