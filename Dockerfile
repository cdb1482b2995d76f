# Images of the agent and of the server: each is one static program, the licences of what is in it, and nothing else.
# `make docker` builds the programs, and then these two, which takes no registry and no other image.

# A volume takes its owner from the directory of the image that it first covers.
FROM scratch AS agent
COPY --chown=10001:10001 docker/empty /state
COPY dist/cloudtalker-x86_64 /cloudtalker
COPY dist/cloudtalker-x86_64.licenses.txt /licenses.txt
USER 10001:10001
ENTRYPOINT ["/cloudtalker"]

FROM scratch AS server
COPY --chown=10001:10001 docker/empty /data
COPY --chown=10001:10001 docker/empty /certificates
COPY dist/cloudtalker-server-x86_64 /cloudtalker-server
COPY dist/cloudtalker-server-x86_64.licenses.txt /licenses.txt
USER 10001:10001
ENTRYPOINT ["/cloudtalker-server"]
