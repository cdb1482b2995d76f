SUMMARY = "A Raspberry Pi with a camera and a cloud"
DESCRIPTION = "Boots to the agent, and records with rpicam-vid when the cloud asks for a capture."
SECTION = "images"
CVE_PRODUCT = ""
LICENSE = "MIT"

inherit core-image

# The public key of whoever looks after the board, as in authorized_keys: root has no password, so without it nobody gets in.
CLOUDTALKER_ROOT_KEY ??= ""
IMAGE_FEATURES += "ssh-server-dropbear ${@'allow-root-login' if d.getVar('CLOUDTALKER_ROOT_KEY') else ''}"

install_root_key[doc] = "Lets whoever has the key of CLOUDTALKER_ROOT_KEY in as root"
install_root_key() {
    if [ -n "${CLOUDTALKER_ROOT_KEY}" ]; then
        install -d -m 0700 ${IMAGE_ROOTFS}${ROOT_HOME}/.ssh
        echo "${CLOUDTALKER_ROOT_KEY}" >${IMAGE_ROOTFS}${ROOT_HOME}/.ssh/authorized_keys
        chmod 0600 ${IMAGE_ROOTFS}${ROOT_HOME}/.ssh/authorized_keys
    fi
}
ROOTFS_POSTPROCESS_COMMAND += "install_root_key"

CORE_IMAGE_EXTRA_INSTALL += "\
    cloudtalker \
    cloudtalker-rpicam \
    kernel-modules \
    libcamera-apps \
"

COMPATIBLE_MACHINE = "^rpi$"
