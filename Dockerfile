# From one build: `runtime`, which holds the programs that run and nothing else, and `setup`, for what runs once. `prometheus` is
# Debian's, by itself; it stands last, since the classic builder makes all that stands before what it is asked for.
# Works with BuildKit and with the classic builder. Where apt needs the host's network: docker build --network=host.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
ARG PRESET=release
WORKDIR /source
COPY . .
RUN scripts/setup --programs ${PRESET} && docker/stage build/${PRESET}/bin /staged

FROM scratch AS runtime
COPY --from=build /staged/runtime/ /
COPY --from=build --chown=10001:10001 /staged/runtime-mounts/ /
USER 10001:10001

FROM ${BASE} AS setup
COPY --from=build /staged/setup/ /
COPY --from=build --chown=10001:10001 /staged/setup-mounts/ /
USER 10001:10001

FROM ${BASE} AS prometheus-files
RUN apt-get update && apt-get install -y --no-install-recommends binutils prometheus
COPY docker /source/docker
COPY docs/prometheus /source/docs/prometheus
RUN /source/docker/stage --prometheus /staged

FROM scratch AS prometheus
COPY --from=prometheus-files /staged/prometheus/ /
COPY --from=prometheus-files --chown=10001:10001 /staged/prometheus-mounts/ /
USER 10001:10001
