# One image for every role: the binary, Envoy, CA roots, and nothing else. No shell, no package manager, no user but 65532.
#
#   docker buildx build --sbom=true --provenance=mode=max -t ghcr.io/portcullis-gateway/portcullis:0.1.0 .
#
# The three images it is made from are arguments. Give them with digests where builds must be the same for ever:
#   --build-arg ENVOY=docker.io/envoyproxy/envoy:distroless-v1.40.0@sha256:…
ARG RUST=docker.io/library/rust:1.95-bookworm
ARG ENVOY=docker.io/envoyproxy/envoy:distroless-v1.40.0
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM ${ENVOY} AS envoy

FROM ${RUST} AS build
# Writes the list of crates into the binary, where Syft, Trivy and `cargo audit bin` find it: a scanner of the image sees what it is made
# of.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo install --locked --version 0.7.7 cargo-auditable
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo auditable build --locked --release -p portcullis \
 && install -D --mode=0755 target/release/portcullis /out/portcullis

FROM ${RUNTIME}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="portcullis" \
      org.opencontainers.image.description="Egress gateway for AI coding agents: gateway, scanner, certificates, probe, pki" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/portcullis-gateway/portcullis" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# What is free is given back at once, as `portcullis up` has it (docs/configuration.md).
ENV MIMALLOC_PURGE_DELAY=0
COPY --from=envoy --chown=0:0 --chmod=0755 /usr/local/bin/envoy /usr/local/bin/envoy
COPY --from=build --chown=0:0 --chmod=0755 /out/portcullis /usr/local/bin/portcullis
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/portcullis"]
CMD ["--help"]
