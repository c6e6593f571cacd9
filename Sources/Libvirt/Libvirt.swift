import CLibvirt
import Foundation

/// What libvirt needs once in a process: its library set up, its errors kept off stderr, and a thread that runs its
/// event loop.
///
/// Keepalive, events and streams all depend on the loop, and libvirt wants it registered before the first connection
/// is opened. Where the program has registered an event loop of its own before, libvirt keeps that one.
enum LibvirtLibrary {
    /// Sets the library up at the first call; every later call returns at once.
    static func start() { _ = once }

    private static let once: Void = {
        virInitialize()
        virSetErrorFunc(nil) { _, _ in }
        virEventRegisterDefaultImpl()
        let thread = Thread {
            while true {
                if virEventRunDefaultImpl() < 0 {
                    // poll(2) fails only when the kernel is out of memory: give it time instead of spinning.
                    Thread.sleep(forTimeInterval: 0.1)
                }
            }
        }
        thread.name = "libvirt-events"
        thread.start()
    }()
}
