SUMMARY = "Gives a Linux camera board a cloud"
DESCRIPTION = "Keeps a camera's captures safe through power cuts and outages, \
               uploads each exactly once, and carries arm, disarm and capture \
               commands back. It needs a camera program beside it."
SECTION = "multimedia"
CVE_PRODUCT = "cloudtalker"
LICENSE = "MIT | Apache-2.0"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=4473a3cf03d7c4643dcdb450ef8fbc70 \
    file://LICENSE-APACHE;md5=1836efb2eb779966696f473ee8540542 \
"

require ${BPN}-crates.inc

# A release's tarball, or what `make source` makes of the checkout that this layer lies in.
# nooelint: oelint.vars.fileextrapaths, oelint.vars.outofcontext - it is no part of the layer
FILESEXTRAPATHS:prepend := "${THISDIR}/../../../../dist:"
SRC_URI += "file://cloudtalker-${PV}-vendored.tar.gz"

inherit cargo systemd update-rc.d useradd

# As small as it gets, as released programs are, or else as fast. Cargo's features are for the project itself: there is none
# to choose for a board.
PACKAGECONFIG ??= "size"
PACKAGECONFIG[size] = ""
export CARGO_PROFILE_RELEASE_OPT_LEVEL = "${@bb.utils.contains('PACKAGECONFIG', 'size', 'z', '3', d)}"

# Stripping is for package.bbclass, which keeps the symbols in the package -dbg.
export CARGO_PROFILE_RELEASE_STRIP = "false"

PACKAGES =+ "${PN}-rpicam"

SYSTEMD_PACKAGES = "${PN} ${PN}-rpicam"
SYSTEMD_SERVICE:${PN} = "cloudtalker.service cloudtalker.socket"
SYSTEMD_SERVICE:${PN}-rpicam = "cloudtalker-listen.service"

INITSCRIPT_PACKAGES = "${PN} ${PN}-rpicam"
INITSCRIPT_NAME:${PN} = "cloudtalker"
INITSCRIPT_PARAMS:${PN} = "defaults 92 8"
INITSCRIPT_NAME:${PN}-rpicam = "cloudtalker-listen"
INITSCRIPT_PARAMS:${PN}-rpicam = "defaults 93 7"

# In the group `video` for the camera, and so that the spool may link the recordings of others in it.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system cloudtalker"
USERADD_PARAM:${PN} = "\
    --system --gid cloudtalker --groups video \
    --home-dir ${localstatedir}/lib/cloudtalker --no-create-home --shell /sbin/nologin \
    cloudtalker \
"

do_install() {
    package=${S}/buildroot/package/cloudtalker

    install -D -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/cloudtalker ${D}${bindir}/cloudtalker
    install -D -m 0644 ${S}/examples/cloudtalker.conf ${D}${datadir}/cloudtalker/cloudtalker.conf
    install -d -m 0750 ${D}${sysconfdir}/cloudtalker
    chgrp cloudtalker ${D}${sysconfdir}/cloudtalker

    install -D -m 0755 ${S}/examples/rpicam-vid.sh ${D}${libexecdir}/cloudtalker/rpicam-vid.sh
    ln -s rpicam-vid.sh ${D}${libexecdir}/cloudtalker/on-command
    install -D -m 0644 $package/cloudtalker-listen.default ${D}${sysconfdir}/default/cloudtalker-listen

    if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
        units=${D}${systemd_system_unitdir}
        install -D -m 0644 -t $units ${S}/dist/systemd/cloudtalker.service ${S}/dist/systemd/cloudtalker.socket \
            ${S}/dist/systemd/cloudtalker-listen.service
        install -D -m 0644 -t $units/cloudtalker.service.d ${S}/dist/systemd/cloudtalker.service.d/notify-reload.conf
        install -D -m 0644 ${S}/dist/systemd/cloudtalker.tmpfiles ${D}${nonarch_libdir}/tmpfiles.d/cloudtalker.conf
    fi
    if ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'true', 'false', d)}; then
        install -D -m 0755 $package/S92cloudtalker ${D}${sysconfdir}/init.d/cloudtalker
        install -D -m 0755 $package/S93cloudtalker-listen ${D}${sysconfdir}/init.d/cloudtalker-listen
        install -D -m 0644 $package/cloudtalker.default ${D}${sysconfdir}/default/cloudtalker
    fi
}

FILES:${PN}-rpicam += "\
    ${libexecdir}/cloudtalker \
    ${sysconfdir}/default/cloudtalker-listen \
    ${sysconfdir}/init.d/cloudtalker-listen \
    ${systemd_system_unitdir}/cloudtalker-listen.service \
"
FILES:${PN} += "\
    ${nonarch_libdir}/tmpfiles.d \
    ${systemd_system_unitdir}/cloudtalker.service.d \
"

# rpicam-vid itself is the image's to bring: this recipe is for boards without a Raspberry Pi's camera, too.
RDEPENDS:${PN}-rpicam = "${PN}"

# The first is brought by a .bbappend, or written on the board.
CONFFILES:${PN} = "\
    ${sysconfdir}/cloudtalker.conf \
    ${sysconfdir}/default/cloudtalker \
"
CONFFILES:${PN}-rpicam += "${sysconfdir}/default/cloudtalker-listen"
