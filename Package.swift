// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

/// One list for every Swift target, so that no target is checked less strictly than its neighbours.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// gzip by Intel's ISA-L, twice as fast as zlib. Without the trait zlib does all of it and libisal is not needed.
let isal = Target.Dependency.target(name: "CISAL", condition: .when(traits: ["ISAL"]))

/// NFS by libnfs, without mounts. Without the trait every nfs:// location is refused and libnfs is not needed.
let libnfs = Target.Dependency.target(name: "CLibNFS", condition: .when(traits: ["NFS"]))

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")

/// A library target; the dependencies name only floors below it (Documentation/Architecture.md).
func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: settings)
}

let package = Package(
    name: "LXCHypervisor",
    products: [
        .library(name: "LXCHypervisor", targets: ["LXCHypervisor"]),
        .library(name: "CloudStack", targets: ["CloudStack"]),
        // The rest carry the modules whose types are in their signatures.
        .library(name: "HypervisorDriver", targets: ["HypervisorDriver", "LibvirtXML", "LXCCore"]),
        .library(name: "PrimaryStore", targets: ["FileTree", "LXCCore", "PrimaryStore", "StoreFiles"]),
        .library(name: "TemplateStore", targets: ["FileTree", "LXCCore", "StoreFiles", "TemplateStore"]),
        .library(name: "VifDriver", targets: ["LibvirtXML", "LXCCore", "VifDriver"]),
        .library(name: "FileTree", targets: ["FileTree", "LXCCore", "TarArchive"]),
        .library(name: "StoreFiles", targets: ["FileTree", "LXCCore", "StoreFiles"]),
        .library(name: "NFSClient", targets: ["FileTree", "LXCCore", "NFSClient"]),
        .library(name: "LXCTesting", targets: ["LXCTesting"]),
        .library(name: "_LXCTestServers", targets: ["_LXCTestServers"]),
    ],
    traits: [
        .trait(name: "ISAL", description: "Undo gzip with Intel's ISA-L (libisal), about twice as fast as zlib"),
        .trait(name: "NFS", description: "Stores on NFS servers without mounts (libnfs)"),
        .default(enabledTraits: ["ISAL", "NFS"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        // The ground: C.
        .systemLibrary(name: "CLibvirt", pkgConfig: "libvirt", providers: [.apt(["libvirt-dev"])]),
        .systemLibrary(name: "CLibXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
        .systemLibrary(name: "CLibArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CISAL", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CLZMA", pkgConfig: "liblzma", providers: [.apt(["liblzma-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLibNFS", pkgConfig: "libnfs", providers: [.apt(["libnfs-dev"])]),
        .target(name: "CLinux"),

        // Floor 1: the shared vocabulary.
        library("LXCCore", []),

        // Floor 2: the kernel and OpenSSL.
        library("LinuxSystem", ["CLinux", "LXCCore"]),
        library("OpenSSL", ["COpenSSL"]),

        // Floor 2: trees and documents.
        library("FileTree", ["CLinux", "LinuxSystem", "LXCCore", "OpenSSL"]),
        library("LibvirtXML", ["CLibXML2", "LinuxSystem", "LXCCore"]),

        // What stores need of the place they are in, and directories of this host as such a place.
        library("StoreFiles", ["CLinux", "FileTree", "LinuxSystem", "LXCCore", "OpenSSL"]),

        // Floor 3: the other C libraries.
        library(
            "TarArchive",
            ["CLibArchive", "CLZMA", "CZlib", "CZstd", "FileTree", "LinuxSystem", "LXCCore", "StoreFiles", isal]),
        library("NFSClient", ["CLinux", "FileTree", "LinuxSystem", "LXCCore", libnfs]),
        library("Libvirt", ["CLibvirt", "LXCCore", logging]),

        // Directories of NFS servers as places of stores.
        library("NFSStoreFiles", ["FileTree", "LinuxSystem", "LXCCore", "NFSClient", "StoreFiles"]),

        // Floor 4: the four driver families. They never import each other.
        library(
            "PrimaryStore",
            [
                "CLinux", "FileTree", "LinuxSystem", "LXCCore", "NFSClient", "NFSStoreFiles", "StoreFiles",
                "TarArchive", logging,
            ]),
        library(
            "TemplateStore",
            [
                "CCurl", "FileTree", "LinuxSystem", "LXCCore", "NFSClient", "NFSStoreFiles", "OpenSSL", "StoreFiles",
                "TarArchive", logging,
            ]),
        library("VifDriver", ["CLinux", "LibvirtXML", "LinuxSystem", "LXCCore", "OpenSSL"]),
        library(
            "HypervisorDriver",
            ["CLinux", "LibvirtXML", "Libvirt", "LinuxSystem", "LXCCore", logging]),

        // Floor 5: the facade, the only place where the families meet.
        library(
            "LXCHypervisor",
            [
                "LibvirtXML", "FileTree", "HypervisorDriver", "LinuxSystem", "LXCCore", "NFSClient", "OpenSSL",
                "PrimaryStore", "TemplateStore", "VifDriver", lifecycle, logging, metrics, tracing,
            ]),

        // CloudStack's conventions: agent.properties, service offerings, the power report.
        library(
            "CloudStack",
            ["HypervisorDriver", "LibvirtXML", "LXCCore", "LXCHypervisor", "VifDriver", logging]),

        // In-memory drivers and conformance suites for driver authors.
        library(
            "LXCTesting",
            [
                "LibvirtXML", "FileTree", "HypervisorDriver", "LinuxSystem", "LXCCore", "PrimaryStore", "TemplateStore",
                "VifDriver",
            ]),

        // Servers for tests: HTTP, NFS, and a faulty proxy.
        library("_LXCTestServers", []),

        // Tells the thread sanitizer of Swift's Mutex; empty otherwise (Scripts/sanitize).
        .target(name: "MutexUnderstood", path: "Tests/MutexUnderstood"),

        // Tests, one target per module; HostTests needs root, libvirtd and bridges.
        library("TestSupport", ["CLibXML2", "FileTree", "LXCCore", "_LXCTestServers", "MutexUnderstood"]).inTests,
        tests("LXCCoreTests", ["LinuxSystem", "LXCCore"]),
        tests("LinuxSystemTests", ["CLinux", "LinuxSystem", "LXCCore"]),
        .testTarget(name: "OpenSSLTests", dependencies: ["OpenSSL"], swiftSettings: settings),
        tests("FileTreeTests", ["CLinux", "FileTree", "LinuxSystem", "LXCCore", "TarArchive", "TreeProbe"]),
        tests("StoreFilesTests", ["FileTree", "LXCCore", "StoreFiles"]),
        tests("TarArchiveTests", ["CLZMA", "FileTree", "LinuxSystem", "LXCCore", "TarArchive", "TreeProbe"]),
        tests("LibvirtXMLTests", ["LibvirtXML", "LXCCore"]),
        tests("LibvirtTests", ["Libvirt", "LXCCore", logging]),
        tests(
            "NFSClientTests",
            ["FileTree", "LinuxSystem", "LXCCore", "NFSClient", "NFSStoreFiles", "StoreFiles", "TarArchive"]),
        tests(
            "PrimaryStoreTests",
            [
                "FileTree", "LinuxSystem", "LXCCore", "LXCTesting", "NFSClient", "NFSStoreFiles", "PrimaryStore",
                "StoreFiles", "StoreWriter", logging,
            ]),
        tests(
            "TemplateStoreTests",
            [
                "FileTree", "LinuxSystem", "LXCCore", "LXCTesting", "NFSClient", "PrimaryStore", "StoreFiles",
                "TarArchive", "TemplateStore", logging,
            ]),
        tests("VifDriverTests", ["LibvirtXML", "LXCCore", "LXCTesting", "VifDriver"]),
        tests(
            "HypervisorDriverTests",
            ["LibvirtXML", "HypervisorDriver", "LXCCore", "LXCTesting"]),
        tests(
            "LXCHypervisorTests",
            [
                "FileTree", "HypervisorDriver", "LibvirtXML", "LinuxSystem", "LXCCore", "LXCHypervisor", "LXCTesting",
                "PrimaryStore", "StoreFiles", logging,
            ]),
        tests("CloudStackTests", ["CloudStack", "LibvirtXML", "LXCCore", "LXCHypervisor", "LXCTesting"]),
        tests(
            "HostTests",
            [
                "CloudStack", "FileTree", "HypervisorDriver", "Libvirt", "LibvirtXML", "LinuxSystem", "LXCCore",
                "LXCHypervisor", "LXCTesting", "PrivateLibvirtdOwner", "VifPlugger", logging,
            ]),
        // A process that copies a tree, for the tests of how much memory that takes.
        .executableTarget(
            name: "TreeProbe", dependencies: ["FileTree", "LXCCore", "TarArchive"], path: "Tests/TreeProbe",
            swiftSettings: settings),
        // A process that owns a private libvirtd, for the tests that kill it.
        .executableTarget(
            name: "PrivateLibvirtdOwner", dependencies: ["HypervisorDriver", "Libvirt", logging],
            path: "Tests/PrivateLibvirtdOwner", swiftSettings: settings),
        // A process that installs a template without end, for the tests that kill it.
        .executableTarget(
            name: "StoreWriter", dependencies: ["FileTree", "LXCCore", "LXCTesting", "NFSClient", "PrimaryStore"],
            path: "Tests/StoreWriter", swiftSettings: settings),
        // A process that plugs and unplugs NICs, for the tests of several at once.
        .executableTarget(
            name: "VifPlugger", dependencies: ["LibvirtXML", "LXCCore", "VifDriver"], path: "Tests/VifPlugger",
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)

extension Target {
    /// A helper library for the tests alone: it lives beside them and is in no product.
    var inTests: Target {
        path = "Tests/\(name)"
        return self
    }
}
