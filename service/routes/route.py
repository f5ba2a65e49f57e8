"""POST /v1/route: what would be decided about a chat, with features and evidence texts; nothing is generated."""

from typing import Any

from fastapi import APIRouter, Request

from service.routes.chat import DOCUMENTED, read_chat
from service.runtime import Runtime

router = APIRouter()


@router.post("/v1/route", openapi_extra=DOCUMENTED)
async def dry_run(request: Request) -> dict[str, Any]:
    """Decide on the body of a chat request and explain it."""
    runtime: Runtime = request.app.state.runtime
    gate = runtime.gate
    ask = await read_chat(request, runtime.config.limits)
    decision = await gate.decide(ask.messages, ask.routing(runtime.config.served_name, runtime.specialists))
    request.state.trace.decision = decision
    return decision.explanation()
