SUMMARY = "A Raspberry Pi with a camera and a cloud"
DESCRIPTION = "Boots to the agent, and records with rpicam-vid when the cloud asks for a capture."
SECTION = "images"
CVE_PRODUCT = ""
LICENSE = "MIT"

inherit core-image

IMAGE_FEATURES += "ssh-server-dropbear"

CORE_IMAGE_EXTRA_INSTALL += "\
    cloudtalker \
    cloudtalker-rpicam \
    kernel-modules \
    libcamera-apps \
"

COMPATIBLE_MACHINE = "^rpi$"
