# One binary that carries the page. It needs no volume, no root and no writable file system:
#   docker run --read-only --cap-drop ALL -p 8080:8080/tcp -p 8080:8080/udp sotto
FROM rust:1.95-slim-bookworm AS build
WORKDIR /sotto
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY static static
# Tests and benches are not shipped, and cargo wants their files only when it builds them.
RUN cargo build --release --locked --bin sotto

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /sotto/target/release/sotto /sotto
EXPOSE 8080/tcp 8080/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["/sotto", "healthcheck"]
ENTRYPOINT ["/sotto"]
