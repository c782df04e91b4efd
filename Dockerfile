# The operator's image: a virtual environment on the distribution's Python, and nothing else of ours.
#
#   buildah bud -t localhost/modelrollout:dev .
#
# BASE_IMAGE may be given by digest. Where it already has python3 (with venv) and CA certificates, no package is
# installed; otherwise Debian's are.
# Two build secrets are looked for and stay out of every layer; a build without them is the ordinary case:
#   --secret id=ca,src=bundle.pem        certificate authorities for reaching the package index
#   --secret id=pip,src=pip.conf         where the package index is
ARG BASE_IMAGE=docker.io/library/debian:bookworm-slim

FROM ${BASE_IMAGE} AS python
RUN python3 -c 'import ssl; assert ssl.create_default_context().cert_store_stats()["x509_ca"]' 2>/dev/null \
    || { apt-get update \
         && apt-get install -y --no-install-recommends python3 ca-certificates \
         && rm -rf /var/lib/apt/lists/*; }

FROM python AS builder
RUN python3 -c 'import venv, ensurepip' 2>/dev/null \
    || { apt-get update \
         && apt-get install -y --no-install-recommends python3-venv \
         && rm -rf /var/lib/apt/lists/*; }
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# pip and the build backend live in a venv of their own: the one that is shipped holds neither.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/modelrollout
WORKDIR /src
COPY requirements-build.lock requirements.lock ./
# Wheels only: installing runs nobody's setup script. Dependencies come before the source, for the layer cache.
RUN --mount=type=secret,id=ca,target=/run/secrets/ca --mount=type=secret,id=pip,target=/run/secrets/pip \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && if [ -s /run/secrets/pip ]; then export PIP_CONFIG_FILE=/run/secrets/pip; fi \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock \
    && /opt/build/bin/pip --python /opt/modelrollout/bin/python3 install --no-compile --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator ./operator
RUN /opt/build/bin/pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/modelrollout/bin/python3 install --no-compile --no-deps --no-index /wheels/*.whl
# By hash and never checked: a build that sets file times (for reproducible layers) would make ordinary bytecode stale,
# and a read-only root could not write it anew.
RUN /opt/modelrollout/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/modelrollout/lib

FROM python
LABEL org.opencontainers.image.title="modelrollout" \
      org.opencontainers.image.description="Rolls out machine-learning models on Kubernetes and takes a bad version back" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /opt/modelrollout /opt/modelrollout
# PYTHONSAFEPATH: the working directory is never searched for modules (the source folder is called `operator`).
# MALLOC_ARENA_MAX: threads of the Prometheus adapter would otherwise each keep an arena.
ENV PATH=/opt/modelrollout/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2
WORKDIR /
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["modelrollout", "run"]
