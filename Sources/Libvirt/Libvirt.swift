// SPDX-License-Identifier: Apache-2.0

import CLibvirt
import Glibc
import LXCCore

/// libvirt's set-up, once per process: the library itself, its errors kept off stderr, and a thread that runs its event
/// loop.
///
/// Keepalive, events and streams all depend on the loop, and libvirt requires its registration before the first
/// connection. If the program has registered an event loop of its own before, libvirt keeps that one.
enum LibvirtLibrary {
    /// Sets the library up at the first call; every later call returns immediately.
    static func start() { _ = once }

    private static let once: Void = {
        ignoreBrokenPipes()
        virInitialize()
        virSetErrorFunc(nil) { _, _ in }
        virEventRegisterDefaultImpl()
        SystemThread.detach("libvirt-events") {
            while true {
                if virEventRunDefaultImpl() < 0 {
                    // poll(2) fails only when the kernel is out of memory: give it time instead of spinning.
                    SystemThread.sleep(.milliseconds(100))
                }
            }
        }
    }()

    /// libvirt's client writes to its socket without guarding against SIGPIPE: a daemon that ends at the wrong moment
    /// would end the whole program, where the call should fail. A handler set by the program stays in place.
    private static func ignoreBrokenPipes() {
        var present = sigaction()
        guard sigaction(SIGPIPE, nil, &present) == 0, present.__sigaction_handler.sa_handler == nil else { return }
        signal(SIGPIPE, SIG_IGN)
    }
}
