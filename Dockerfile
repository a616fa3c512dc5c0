# One binary that carries the page. It needs no volume, no root and no writable file system:
#   docker run --read-only --cap-drop ALL -p 8080:8080/tcp -p 8080:8080/udp sotto
FROM rust:1.95-slim-bookworm AS build
WORKDIR /sotto
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY static static
# Tests and benches are not shipped, and cargo wants their files only when it builds them.
RUN cargo build --release --locked --bin sotto
# A volume takes its owner from here: for SOTTO_ACME_CACHE=/certificates.
RUN mkdir /certificates

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /sotto/target/release/sotto /sotto
COPY --from=build --chown=nonroot:nonroot /certificates /certificates
EXPOSE 8080/tcp 8080/udp 443/tcp 443/udp 80/tcp
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/sotto", "healthcheck"]
ENTRYPOINT ["/sotto"]
