// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "Benchmarks",
    dependencies: [
        .package(name: "LXCHypervisor", path: ".."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // libnfs's calls by path, which `bench nfs` compares with.
        .systemLibrary(name: "CNFSPaths", pkgConfig: "libnfs", providers: [.apt(["libnfs-dev"])]),
        .executableTarget(
            name: "bench",
            dependencies: [
                "CNFSPaths", .product(name: "LXCHypervisor", package: "LXCHypervisor"),
                .product(name: "FileTree", package: "LXCHypervisor"),
                .product(name: "HypervisorDriver", package: "LXCHypervisor"),
                .product(name: "NFSClient", package: "LXCHypervisor"),
                .product(name: "_LXCTestServers", package: "LXCHypervisor"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
