# The images, one stage each: slim → aws, gcp, azure, all_extras. docker-bake.hcl builds them under their tags;
# images/README.md says what is in each one, and how large it is.
ARG PYTHON_VERSION=3.13
ARG BASE_IMAGE=python:${PYTHON_VERSION}-slim
ARG VERSION=unknown
ARG REVISION=unknown
ARG REPOSITORY=org/runner

# build: whatever needs tools. Of all this only tini and the folder /opt/runner go on.
# hadolint ignore=DL3006 # the tag is in PYTHON_VERSION
FROM ${BASE_IMAGE} AS build
# hadolint ignore=DL3008 # the release of the base image decides which tini it has
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/*
# In a virtual environment pip may install, also where Debian guards its own Python (PEP 668). It sees the packages of
# the base, so pip is there and need not be carried twice (14 MB).
RUN python3 -m venv --without-pip --system-site-packages /opt/build \
 && python3 -m venv --without-pip --system-site-packages /opt/runner
RUN --mount=type=bind,source=images,target=/images --mount=type=cache,target=/root/.cache/pip \
    /opt/build/bin/python -m pip install --require-hashes --requirement /images/build.txt \
 && /opt/runner/bin/python -m pip install --require-hashes --requirement /images/slim.txt
COPY pyproject.toml README.md LICENSE /src/
COPY runner /src/runner
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels /src \
 && /opt/runner/bin/python -m pip install --no-deps --no-index /wheels/*.whl
COPY --chmod=755 images/pip /opt/runner/bin/pip
RUN ln -s pip /opt/runner/bin/pip3

# slim: runner, which by itself reaches a folder, S3 and Azure.
# hadolint ignore=DL3006 # the tag is in PYTHON_VERSION
FROM ${BASE_IMAGE} AS slim
COPY --from=build /usr/bin/tini /usr/bin/tini
COPY --from=build /opt/runner /opt/runner
# The home can be written to by any uid, as /tmp can, and need not be.
RUN echo "runner:x:65532:65532::/home/runner:/usr/sbin/nologin" >> /etc/passwd \
 && echo "runner:x:65532:" >> /etc/group \
 && install --directory --mode=1777 /home/runner
ENV PATH=/opt/runner/bin:$PATH \
    VIRTUAL_ENV=/opt/runner \
    HOME=/home/runner \
    LANG=C.UTF-8 \
    PYTHONNOUSERSITE=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /home/runner
ARG PYTHON_VERSION
# Runs a flow, which also leaves the bytecode of all that a start imports from the standard library: the official Python
# images ship none, and who may not write there would compile those modules at each start.
RUN --mount=type=bind,source=images/smoke.sh,target=/smoke.sh sh /smoke.sh
ARG VERSION REVISION REPOSITORY BASE_IMAGE
ENV RUNNER_IMAGE=${REPOSITORY}:slim-py${PYTHON_VERSION} \
    RUNNER_REVISION=${REVISION}
# What is in it, for whoever must know: each image has a list of its own.
RUN --mount=type=bind,source=images/sbom.py,target=/sbom.py python /sbom.py "$RUNNER_IMAGE" > /opt/runner/sbom.json
LABEL org.opencontainers.image.title=runner \
      org.opencontainers.image.description="Run a Python flow from a bucket in a container." \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=${VERSION} \
      org.opencontainers.image.revision=${REVISION} \
      org.opencontainers.image.base.name=${BASE_IMAGE} \
      runner.python=${PYTHON_VERSION} \
      runner.image=${REPOSITORY}:slim-py${PYTHON_VERSION}
# With -P no runner.py, and no json.py, of the working directory is run, with -s no usercustomize and no .pth file below
# HOME, whatever the variables say. -I would also be deaf to PYTHONPATH and its kind, which are the caller's. tini gets no -g: runner passes signals on; with -s
# it reaps also where it is not process 1 (--init, a pod's shared process namespace).
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "/opt/runner/bin/python", "-s", "-P", "-m", "runner"]
USER 65532:65532

# aws: boto3, for flows that use it and for whatever credentials only it finds.
FROM slim AS aws
ARG PYTHON_VERSION REPOSITORY
ENV RUNNER_IMAGE=${REPOSITORY}:aws-py${PYTHON_VERSION}
LABEL runner.image=${REPOSITORY}:aws-py${PYTHON_VERSION}
USER 0:0
RUN --mount=type=bind,source=images/aws.txt,target=/lock.txt \
    --mount=type=bind,source=images/sbom.py,target=/sbom.py --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --require-hashes --requirement /lock.txt \
 && python -c "import boto3; boto3.client('s3', region_name='us-east-1')" \
 && python /sbom.py "$RUNNER_IMAGE" > /opt/runner/sbom.json
USER 65532:65532

# gcp: google-cloud-storage, without which no bucket of Google's is reached.
FROM slim AS gcp
ARG PYTHON_VERSION REPOSITORY
ENV RUNNER_IMAGE=${REPOSITORY}:gcp-py${PYTHON_VERSION}
LABEL runner.image=${REPOSITORY}:gcp-py${PYTHON_VERSION}
USER 0:0
RUN --mount=type=bind,source=images/gcp.txt,target=/lock.txt \
    --mount=type=bind,source=images/sbom.py,target=/sbom.py --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --require-hashes --requirement /lock.txt \
 && python -c "import google.cloud.storage" \
 && python /sbom.py "$RUNNER_IMAGE" > /opt/runner/sbom.json
USER 65532:65532

# azure: azure-storage-blob and azure-identity, for flows that use them and for whatever credentials only they find.
FROM slim AS azure
ARG PYTHON_VERSION REPOSITORY
ENV RUNNER_IMAGE=${REPOSITORY}:azure-py${PYTHON_VERSION}
LABEL runner.image=${REPOSITORY}:azure-py${PYTHON_VERSION}
USER 0:0
RUN --mount=type=bind,source=images/azure.txt,target=/lock.txt \
    --mount=type=bind,source=images/sbom.py,target=/sbom.py --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --require-hashes --requirement /lock.txt \
 && python -c "import azure.identity, azure.storage.blob" \
 && python /sbom.py "$RUNNER_IMAGE" > /opt/runner/sbom.json
USER 65532:65532

# all_extras: all of these, and the clients of what starts containers.
FROM slim AS all_extras
ARG PYTHON_VERSION REPOSITORY
ENV RUNNER_IMAGE=${REPOSITORY}:all_extras-py${PYTHON_VERSION}
LABEL runner.image=${REPOSITORY}:all_extras-py${PYTHON_VERSION}
USER 0:0
RUN --mount=type=bind,source=images/all_extras.txt,target=/lock.txt \
    --mount=type=bind,source=images/sbom.py,target=/sbom.py --mount=type=cache,target=/root/.cache/pip \
    pip install --cache-dir /root/.cache/pip --require-hashes --requirement /lock.txt \
 && python -c "import boto3, google.cloud.storage, azure.identity, azure.storage.blob, docker, lightkube" \
 && python /sbom.py "$RUNNER_IMAGE" > /opt/runner/sbom.json
USER 65532:65532
