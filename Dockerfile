# One image for every part: docker run annotation-budget serve | api | embedder | planner | migrate
FROM python:3.12.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH

# Where torch comes from; empty: the default index. docs/deployment.md names the index of CPU builds.
ARG TORCH_INDEX=
# It is pinned; hadolint takes the index for a package.
# hadolint ignore=DL3013
RUN pip install --no-deps torch==2.13.0 ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}

WORKDIR /build
COPY .ci/constraints.txt .ci/
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY migrations migrations
RUN pip install --constraint .ci/constraints.txt .

FROM python:3.12.13-slim-trixie

RUN useradd --uid 10001 --user-group --create-home budget \
    && install --directory --owner budget --group budget --mode 0700 /data
COPY --from=build /opt/venv /opt/venv

ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DATA_DIR=/data HOST=0.0.0.0 PORT=8000
USER 10001:10001
WORKDIR /home/budget
VOLUME /data
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/readyz', timeout=4)"]

ENTRYPOINT ["annotation-budget"]
CMD ["serve"]
