// swift-tools-version: 6.2
import PackageDescription

// The tree engine, archives and their tests, built apart from the rest for Scripts/sanitize: a package's tests
// are built all together, and what a sanitizer needs is built anew for it. Scripts/sanitize links the directories of
// sources and tests beside this file.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let isal = Target.Dependency.target(name: "CISAL", condition: .when(traits: ["ISAL"]))

func library(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil) -> Target {
    .target(name: name, dependencies: dependencies, path: path, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["TestSupport"], path: name, swiftSettings: settings)
}

let package = Package(
    name: "Sanitized",
    traits: [.trait(name: "ISAL"), .default(enabledTraits: ["ISAL"])],
    targets: [
        .systemLibrary(name: "CLibXML2", pkgConfig: "libxml-2.0"),
        .systemLibrary(name: "CLibArchive", pkgConfig: "libarchive"),
        .systemLibrary(name: "CISAL", pkgConfig: "libisal"),
        .systemLibrary(name: "CLZMA", pkgConfig: "liblzma"),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib"),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto"),
        .target(name: "CLinux"),
        library("LXCCore", []),
        library("LinuxSystem", ["CLinux", "LXCCore"]),
        library("OpenSSL", ["COpenSSL"]),
        library("FileTree", ["CLinux", "LinuxSystem", "LXCCore", "OpenSSL"]),
        library("StoreFiles", ["CLinux", "FileTree", "LinuxSystem", "LXCCore", "OpenSSL"]),
        library(
            "TarArchive",
            ["CLibArchive", "CLZMA", "CZlib", "CZstd", "FileTree", "LinuxSystem", "LXCCore", "StoreFiles", isal]),
        .target(name: "MutexUnderstood", path: "MutexUnderstood"),
        library("LXCTestServers", []),
        library(
            "TestSupport", ["CLibXML2", "CLinux", "FileTree", "LXCCore", "LXCTestServers", "MutexUnderstood"],
            path: "TestSupport"),
        tests("LXCCoreTests", ["LinuxSystem", "LXCCore"]),
        tests("FileTreeTests", ["CLinux", "FileTree", "LinuxSystem", "LXCCore", "TarArchive"]),
        tests(
            "TarArchiveTests",
            ["CLibArchive", "CLZMA", "CLinux", "FileTree", "LinuxSystem", "LXCCore", "TarArchive"]),
    ],
    swiftLanguageModes: [.v6]
)
