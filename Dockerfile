# An image with the converters and the command `bakehouse`, from the same versions as a checkout.
#
#   docker build --tag bakehouse .
#   docker run --rm --volume "$PWD:/models" bakehouse build smollm2-int4-openvino
#
# Another torch, for example without CUDA, comes from another index: --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim-bookworm AS environment

ARG PIP_EXTRA_INDEX_URL=
ARG EXTRAS=build,sign

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline ./pipeline
# pip reads PIP_EXTRA_INDEX_URL from its environment, where an argument of the build is
RUN python -m venv /opt/bakehouse \
    && /opt/bakehouse/bin/python -m pip install --quiet --constraint constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim-bookworm

# not root: what a build writes to a mounted folder belongs to the user with this number (1000 is a machine's first user)
RUN useradd --create-home --uid 1000 baker && mkdir /models && chown baker /models
COPY --from=environment /opt/bakehouse /opt/bakehouse
ENV PATH=/opt/bakehouse/bin:$PATH PYTHONUNBUFFERED=1
USER 1000
WORKDIR /models
ENTRYPOINT ["bakehouse"]
CMD ["--help"]
