# The gate and nothing else: no shell, no package manager, no root.
#
# It copies what was built before, so that it needs no network and no base image:
#   tests/build-static --release        lays out target/dist: the static binary and the certificates of this machine
#   docker build -t sealgate target/dist
#   docker build -t sealgate:program --target program target/dist       the program alone, for images of CI jobs:
#                                                                       COPY --from=sealgate:program /sealgate /usr/local/bin/
# Dockerfile.build compiles from source instead.
FROM scratch AS program
COPY sealgate /sealgate

FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY sealgate /usr/bin/sealgate
# A new named volume takes over the owner of the folder that it covers.
COPY --chown=65532:65532 data /data
ENV SEALGATE_LISTEN=0.0.0.0:5000 \
    SEALGATE_ADMIN_LISTEN=0.0.0.0:5001 \
    SEALGATE_DATA=/data
# sealgate.yaml is read from here if it is there.
WORKDIR /etc/sealgate
USER 65532:65532
EXPOSE 5000 5001
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s --retries=3 CMD ["/usr/bin/sealgate", "healthcheck"]
ENTRYPOINT ["/usr/bin/sealgate"]
CMD ["serve"]
