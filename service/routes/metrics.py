"""GET /metrics: the service's series and the engine's, in Prometheus's text format."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.runtime import Runtime

router = APIRouter()


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """All series."""
    runtime: Runtime = request.app.state.runtime
    return Response(runtime.exposition(), media_type=CONTENT_TYPE_LATEST)
