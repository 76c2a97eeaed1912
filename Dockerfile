# The gateway as an image. Each step is a step of the Makefile. Run without D365_URL it ends with exit code 2; generated
# data are served by `docker run … d365-graphql d365-graphql serve --host 0.0.0.0 --sandbox`.
# The images are pinned by exact version. To pin by digest too, write image:version@sha256:… as the registry tells it.

FROM node:22.21.1-bookworm AS page
WORKDIR /app
COPY Makefile ./
COPY scripts scripts
COPY gateway/graphiql/page gateway/graphiql/page
RUN make page

FROM python:3.11.14-slim-bookworm AS setup
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY Makefile pyproject.toml README.md LICENSE requirements.lock ./
COPY scripts scripts
COPY schema schema
COPY gateway gateway
RUN make setup
# Users may not write there, so what is not compiled now is compiled anew by each start. Nobody edits it: no checks of times.
RUN .venv/bin/python -m compileall -q --invalidation-mode unchecked-hash gateway schema

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home gateway \
  && install -d -o 10001 -m 700 /var/lib/d365-graphql /var/cache/d365-graphql
WORKDIR /app
COPY --from=setup /app /app
COPY --from=page /app/gateway/graphiql/assets gateway/graphiql/assets
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The container listens on all its interfaces: it only reads, and shows no page or plans, until the one who publishes the
# port says otherwise (-e D365_READ_ONLY=false, -e D365_GRAPHIQL=true). With D365_URL it does not start before the settings
# say who may call (D365_INBOUND__ISSUERS …), or that a proxy authenticates (-e D365_INBOUND__ANONYMOUS=true).
ENV D365_READ_ONLY=true D365_GRAPHIQL=false
# API keys, audit files and the gateway's own key: mount a volume here to keep them.
ENV D365_DATA_DIR=/var/lib/d365-graphql
# Metadata and what is made of them: a volume that outlives the container starts the next one in a second. Nothing else is
# written but /tmp, so the root may be read-only (--read-only --tmpfs /tmp).
ENV D365_CACHE_DIR=/var/cache/d365-graphql
VOLUME ["/var/lib/d365-graphql", "/var/cache/d365-graphql"]
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"D365_PORT\") or 8000}/healthz', timeout=2)"]
CMD ["d365-graphql", "serve", "--host", "0.0.0.0"]
