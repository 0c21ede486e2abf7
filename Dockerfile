# The command `harness` in a slim image, for a root file system that is read-only:
#   docker build -t labelharness .
#   docker run --rm --read-only --tmpfs /tmp --user "$(id -u):$(id -g)" -v "$PWD:/data" labelharness run my_rows.yaml
# --build-arg TORCH_INDEX=INDEX takes torch from INDEX, such as PyTorch's index of CPU builds, which are several GB smaller.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/labelharness
COPY LICENSE README.md constraints.txt pyproject.toml ./
COPY harness ./harness
COPY labelharness ./labelharness
COPY plugins ./plugins
COPY suites/quickstart.yaml ./suites/quickstart.yaml

ARG TORCH_INDEX=""
RUN if [ -n "$TORCH_INDEX" ]; then \
        python -m pip install --no-cache-dir --index-url "$TORCH_INDEX" torch==2.13.0; \
    fi \
    && python -m pip install --no-cache-dir -c constraints.txt . \
    && useradd --uid 10001 --no-create-home harness

# Nothing is written outside of /data and /tmp.
ENV HOME=/tmp TMPDIR=/tmp MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /data
ENTRYPOINT ["harness"]
CMD ["--help"]
