"""GET /health: is the process alive? GET /ready: can it answer requests?"""

from fastapi import APIRouter, Request

from service.errors import EngineDead
from service.runtime import Runtime

router = APIRouter()


@router.get("/health")
async def health(request: Request) -> dict[str, str]:
    """200 from the first moment, also while loading; 503 once nothing can be answered any more."""
    runtime: Runtime = request.app.state.runtime
    if runtime.failure:
        raise EngineDead("the service has failed and is about to end: the log has the reason")
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request) -> dict[str, str]:
    """200 when the engine is warm, otherwise 503."""
    runtime: Runtime = request.app.state.runtime
    await runtime.engine.check_health()
    return {"status": "ready"}
