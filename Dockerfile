# syntax=docker/dockerfile:1
#
# The router (target `router`, the last one and so the default), its offline tools (target `tools`) and the emulator of
# Azure OpenAI (target `emulator`):
#
#   docker build --tag model-router .
#   docker build --tag model-router-tools --target tools .
#   docker build --tag azure-emulator --target emulator .
#
# Dependencies are built in a layer of their own, from what cargo-chef reads out of the manifests: a change of the sources
# alone does not build them again. The images hold one program each over distroless: no shell, no package manager, no root.

ARG RUST_VERSION=1.95
ARG DEBIAN=bookworm

FROM rust:${RUST_VERSION}-slim-${DEBIAN} AS chef
ARG CARGO_CHEF_VERSION=0.1.78
RUN cargo install cargo-chef --locked --version "${CARGO_CHEF_VERSION}"
WORKDIR /build

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
# Features of router-server besides serving, separated by commas. The demo and the tools for training, simulation and reports
# are in the image `tools`: production does not need them.
ARG FEATURES="redis,otel"
COPY --from=plan /build/recipe.json recipe.json
RUN cargo chef cook --profile dist --locked --recipe-path recipe.json \
        --package router-server --no-default-features --features "${FEATURES}" \
    && cargo chef cook --profile dist --locked --recipe-path recipe.json --package azure-emulator
COPY . .
RUN cargo build --profile dist --locked --package router-server --no-default-features --features "${FEATURES}" \
    && cargo build --profile dist --locked --package azure-emulator \
    && mkdir /out \
    && cp target/dist/router-server target/dist/azure-emulator /out/

# Every command: the default features, and spans.
FROM build AS build-tools
RUN cargo build --profile dist --locked --package router-server --features otel \
    && cp target/dist/router-server /out/router-server-tools

# Debian 12 as above, so that the C library is the one that was linked against; it has the public certificate authorities.
FROM gcr.io/distroless/cc-debian12:nonroot AS base
# By number, for a cluster that demands `runAsNonRoot` cannot look a name up.
USER 65532:65532

FROM base AS emulator
COPY --from=build /out/azure-emulator /usr/local/bin/azure-emulator
EXPOSE 8900
# It ends at Ctrl-C.
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/azure-emulator"]
CMD ["serve", "--listen", "0.0.0.0:8900"]

# Without the router's ROUTER__SERVER__LISTEN: `explain` and `simulate` read configurations that have no keys yet. A folder
# mounted at /work is where relative paths begin.
FROM base AS tools
LABEL org.opencontainers.image.title="model-router-tools" \
    org.opencontainers.image.description="Setup, simulation, sizing, reports and training for model-router" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build-tools /out/router-server-tools /usr/local/bin/router-server
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/router-server"]
CMD ["--help"]

FROM base AS router
LABEL org.opencontainers.image.title="model-router" \
    org.opencontainers.image.description="Routes requests to OpenAI models on Azure by task, cost and latency" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/router-server /usr/local/bin/router-server
# A container's own loopback reaches nobody. Who may call is for `[keys]`, or for `server.allow_anonymous`, to say.
ENV ROUTER__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["/usr/local/bin/router-server", "probe"]
ENTRYPOINT ["/usr/local/bin/router-server"]
# Mount the configuration there; of secrets, mount files and name them in it.
CMD ["serve", "--config", "/etc/model-router/router.toml"]
