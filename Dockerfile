# SPDX-License-Identifier: Apache-2.0
# jetd with the nats-server to embed, as a user without rights, on a root that may be read-only.
# Its steps are two scripts; `deploy/image/check` runs the same ones without Docker.
#
#   docker build -t jetd .
#   docker run --read-only --network host -v jetd:/var/lib/jetd jetd
FROM debian:13-slim AS build
ENV JETD_CACHE=/cache
WORKDIR /src
# The packages first, so that a change of the sources does not fetch them again.
COPY tools tools
RUN tools/setup build
COPY . .
RUN deploy/image/build /out

FROM debian:13-slim
RUN --mount=type=bind,from=build,source=/out,target=/out /out/install
USER 10001:10001
VOLUME /var/lib/jetd
# TMPDIR for jetctl, which has no /tmp to write in.
ENV JETD_DATA_DIR=/var/lib/jetd JETD_NATS_SERVER=/usr/local/bin/nats-server TMPDIR=/var/lib/jetd
EXPOSE 2379
ENTRYPOINT ["/usr/local/bin/jetd"]
