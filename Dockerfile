# SPDX-License-Identifier: Apache-2.0
# jetd with its embedded nats-server, as a user without rights.
#
#   docker build -t jetd .
#   docker run --network host -v jetd:/var/lib/jetd jetd
FROM debian:12-slim AS build
ENV JETD_CACHE=/cache
WORKDIR /src
# The packages first, so that a change of the sources does not fetch them again.
COPY tools tools
RUN tools/setup build
COPY . .
RUN cmake --preset release \
    && cmake --build --preset release --target jetd \
    && mkdir /out \
    && install --strip build/release/etcdapi/jetd /out/jetd \
    && install "$(tools/prefix nats-server)" /out/nats-server \
    && tools/runtime-packages /out/jetd >/out/packages

FROM debian:12-slim
COPY --from=build /out/packages /packages
RUN apt-get update \
    && xargs apt-get install -y --no-install-recommends </packages \
    && rm -rf /var/lib/apt/lists/* /packages \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin jetd \
    && install -d -o jetd -g jetd -m 0700 /var/lib/jetd
COPY --from=build /out/jetd /out/nats-server /usr/local/bin/
USER 10001
VOLUME /var/lib/jetd
ENV JETD_DATA_DIR=/var/lib/jetd JETD_NATS_SERVER=/usr/local/bin/nats-server
EXPOSE 2379
ENTRYPOINT ["/usr/local/bin/jetd"]
