# syntax=docker/dockerfile:1.7
ARG RUST_VERSION=1.95
ARG DEBIAN_RELEASE=bookworm

FROM rust:${RUST_VERSION}-slim-${DEBIAN_RELEASE} AS build
# librdkafka is compiled from source, against the OpenSSL of the same Debian release that the final image has.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ libssl-dev make pkg-config zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The caches keep crates and compiled dependencies between builds, whatever changed in the sources. They are no part of a
# layer, so the binary is copied out of them.
RUN --mount=type=cache,id=prunella-cargo,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=prunella-target,target=/src/target,sharing=locked \
    cargo build --release --locked --package prunella \
 && install -D --mode=0755 target/release/prunella /out/prunella

FROM debian:${DEBIAN_RELEASE}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Prunella" \
      org.opencontainers.image.description="Self-healing integration pipeline on Kafka" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/prunella/prunella" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libssl3 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 10001 prunella \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/prunella --shell /usr/sbin/nologin prunella \
 # A new volume takes over the owner of the directory that it is mounted on.
 && install --directory --owner=10001 --group=10001 /var/lib/prunella /var/lib/prunella/claims /var/lib/prunella/data
COPY --from=build /out/prunella /usr/local/bin/prunella
COPY LICENSE /usr/share/doc/prunella/LICENSE
# Everything else comes from the configuration file: what the environment says would win over it.
ENV PRUNELLA_DATA_DIR=/var/lib/prunella/data
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /var/lib/prunella
EXPOSE 8787 9464
# SIGTERM is handled by the binary, which starts no children: no init process is needed.
ENTRYPOINT ["prunella"]
CMD ["--help"]
