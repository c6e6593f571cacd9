// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport

/// A tiny system on a disk that boots by itself: Debian's kernel, busybox and QEMU's guest agent.
///
/// It takes its boot arguments from its kernel's command line or its agent, and the address they name; it says on its
/// serial console what is on its disk and what its arguments are when it is asked, and powers off when its button is
/// pressed.
struct GuestDisk {
    /// The disk in qcow2 format.
    let image: String
    /// What the disk has in one of its sectors, and this one alone.
    let marker = "marker-\(UInt32.random(in: 0 ... .max))"
    /// The kernel, and the RAM disk that has the rest.
    let kernel: String
    let initialRAMDisk: String

    /// Sectors of 512 bytes near the end of a disk of 64 MiB, where its file system has nothing.
    private static let markerSector = 122_880
    private static let bootsSector = 124_928
    private static let modules = [
        "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk",
        "failover",
        "net_failover", "virtio_net", "virtio_console", "evdev", "button",
    ]

    private static let initializer = """
        #!/bin/busybox sh
        export PATH=/bin
        /bin/busybox --install -s /bin
        mount -t proc proc /proc
        mount -t sysfs sysfs /sys
        mount -t devtmpfs devtmpfs /dev
        for module in \(modules.joined(separator: " ")); do insmod /modules/$module.ko; done
        exec </dev/ttyS0 >/dev/ttyS0 2>&1
        sector() { dd if=/dev/vda bs=512 skip=$1 count=1 2>/dev/null | tr -d '\\0'; }
        boots=$(sector \(bootsSector)); boots=$((${boots:-0} + 1))
        echo $boots | dd of=/dev/vda bs=512 seek=\(bootsSector) conv=fsync 2>/dev/null
        obey() {
            arguments=$(cat /proc/cmdline)
            case "$arguments" in *eth0ip=*) ;; *)
                for port in /sys/class/virtio-ports/*; do
                    [ "$(cat $port/name)" = org.qemu.guest_agent.0 ] || continue
                    /usr/sbin/qemu-ga -m virtio-serial -p /dev/${port##*/} -t /run &
                done
                while ! grep -q . /var/cache/cloud/cmdline 2>/dev/null; do sleep 0.2; done
                arguments=$(cat /var/cache/cloud/cmdline)
            esac
            address=${arguments##*eth0ip=}
            ip link set eth0 up
            ip address add ${address%% *}/24 dev eth0
            echo "$arguments" >/run/arguments
        }
        obey &
        for input in /sys/class/input/event*; do
            [ "$(cat $input/device/name)" = "Power Button" ] && button=/dev/input/${input##*/}
        done
        (dd if=$button of=/dev/null bs=24 count=1 2>/dev/null; poweroff -f) &
        while true; do
            read line || continue
            [ "$line" = tell ] || continue
            echo "template: $(sector \(markerSector)), boots: $boots, arguments: $(cat /run/arguments), told"
        done

        """

    /// Makes the disk in a directory that the machine's user can enter.
    init(in directory: String) throws {
        let place = "\(directory)/guest"
        (image, kernel, initialRAMDisk) = ("\(place)/disk.qcow2", "\(place)/vmlinuz", "\(place)/initrd")
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: "\(GuestKernel.directory)/vmlinuz", toPath: kernel)
        try Self.makeTree("\(place)/tree")
        try Command.run(
            "/bin/sh", "-c",
            "cd '\(place)/tree' && find . | /bin/busybox cpio -o -H newc 2>/dev/null | gzip -1 > '\(initialRAMDisk)'")
        let raw = "\(place)/raw"
        try Command.run("/usr/sbin/mkfs.vfat", "-C", raw, "65536")
        let configuration =
            "SERIAL 0 115200\nDEFAULT linux\nLABEL linux\nKERNEL vmlinuz\nINITRD initrd\n"
            + "APPEND console=ttyS0 quiet panic=-1\n"
        try configuration.write(toFile: "\(place)/syslinux.cfg", atomically: true, encoding: .utf8)
        for name in ["vmlinuz", "initrd", "syslinux.cfg"] {
            try Command.run("/usr/bin/mcopy", "-i", raw, "\(place)/\(name)", "::\(name)")
        }
        try Command.run("/usr/bin/syslinux", "--install", raw)
        let disk = try FileHandle(forUpdating: URL(filePath: raw))
        try disk.seek(toOffset: UInt64(Self.markerSector * 512))
        try disk.write(contentsOf: Data(marker.utf8))
        try disk.close()
        try Command.run("/usr/bin/qemu-img", "convert", "-O", "qcow2", raw, image)
    }

    private static func makeTree(_ tree: String) throws {
        let files = FileManager.default
        for folder in ["bin", "dev", "proc", "sys", "run", "modules", "usr/sbin", "var/cache/cloud", "var/log"] {
            try files.createDirectory(atPath: "\(tree)/\(folder)", withIntermediateDirectories: true)
        }
        try files.copyItem(atPath: "/bin/busybox", toPath: "\(tree)/bin/busybox")
        for module in modules {
            try files.copyItem(
                atPath: "\(GuestKernel.directory)/modules/\(module).ko", toPath: "\(tree)/modules/\(module).ko")
        }
        let agent = "/usr/sbin/qemu-ga"
        let libraries = try Command.run("/usr/bin/ldd", agent).split(whereSeparator: \.isWhitespace)
            .filter { $0.hasPrefix("/") }.map(String.init)
        for file in [agent] + libraries {
            let target = URL(filePath: tree + file)
            try files.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Command.run("/bin/cp", "-L", file, target.path)
        }
        try initializer.write(toFile: "\(tree)/init", atomically: true, encoding: .utf8)
        try Command.run("/bin/chmod", "755", "\(tree)/init")
    }
}
