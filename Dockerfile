# syntax=docker/dockerfile:1
# CPU:   docker build -t pointsman .
# CUDA:  docker build -t pointsman:cuda --build-arg DEVICE=cuda .
#        docker run --gpus all -p 8000:8000 -v pointsman:/var/lib/pointsman pointsman:cuda
# The volume keeps the assembled starter model; the first start builds it.
ARG DEVICE=cpu

FROM python:3.11-slim-bookworm AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libtcmalloc-minimal4 libnuma1 make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app

FROM base AS setup-cpu
# bytecode is written now: at run time the folder belongs to root
ENV UV_COMPILE_BYTECODE=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
COPY . .
RUN make setup

FROM base AS setup-cuda
ENV PIP_NO_CACHE_DIR=1
COPY . .
# the entry points and the package itself are the same; torch and vllm are PyPI's CUDA builds
RUN python -m venv .venv && .venv/bin/pip install --editable '.[gpu,train]'

FROM setup-${DEVICE} AS final
RUN useradd --create-home --uid 1000 pointsman \
    && mkdir -p /var/lib/pointsman && chown pointsman:pointsman /var/lib/pointsman
ENV POINTSMAN_HOME=/var/lib/pointsman PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
VOLUME /var/lib/pointsman
USER pointsman
EXPOSE 8000
# ready means that the model is loaded; the first start downloads and converts it
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=4 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
ENTRYPOINT ["pointsman"]
CMD ["serve", "configs/service/starter.yaml", "--host", "0.0.0.0", "--port", "8000"]
