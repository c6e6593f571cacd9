// SPDX-License-Identifier: Apache-2.0

public import Testing

extension Trait where Self == TimeLimitTrait {
    /// The time limit of a suite's tests: far more than they take on a busy host, so that only a test that hangs meets it.
    public static var limited: Self { .timeLimit(.minutes(15)) }
}

extension Tag {
    /// Needs something of the host: root, libvirtd, loop devices, ….
    @Tag public static var host: Self
    /// Needs an NFS server.
    @Tag public static var nfs: Self
    /// Takes minutes.
    @Tag public static var slow: Self
}
