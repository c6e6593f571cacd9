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

let hypervisor = Target.Dependency.product(name: "LXCHypervisor", package: "LXCHypervisor")
let primaryStore = Target.Dependency.product(name: "PrimaryStore", package: "LXCHypervisor")
let vifDriver = Target.Dependency.product(name: "VifDriver", package: "LXCHypervisor")

/// A program that needs the library alone.
func example(_ name: String) -> Target {
    .executableTarget(name: name, dependencies: [hypervisor], swiftSettings: settings)
}

let package = Package(
    name: "Examples",
    products: [
        .executable(name: "embedding", targets: ["Embedding"]),
        .executable(name: "own-names", targets: ["OwnNames"]),
        .executable(name: "quickstart", targets: ["Quickstart"]),
        .executable(name: "exec", targets: ["Exec"]),
        .executable(name: "files", targets: ["Files"]),
        .executable(name: "networks", targets: ["Networks"]),
        .executable(name: "events", targets: ["Events"]),
        .executable(name: "ci-runner", targets: ["CIRunner"]),
    ],
    dependencies: [
        .package(name: "LXCHypervisor", path: ".."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        example("Embedding"),
        example("Quickstart"),
        // An embedder with types named like the library's, in the language mode's defaults.
        .executableTarget(name: "OwnNames", dependencies: [hypervisor]),
        example("Exec"),
        example("Files"),
        example("Networks"),
        example("CIRunner"),
        .executableTarget(
            name: "Events",
            dependencies: [
                hypervisor,
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Metrics", package: "swift-metrics"),
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: settings),
        // A VIF driver of one's own, checked by the package's conformance suite.
        .target(name: "CustomVifDriver", dependencies: [vifDriver], swiftSettings: settings),
        .testTarget(
            name: "CustomVifDriverTests",
            dependencies: ["CustomVifDriver", vifDriver, .product(name: "LXCTesting", package: "LXCHypervisor")],
            swiftSettings: settings),
        // A primary store of one's own, likewise.
        .target(name: "AuditedStore", dependencies: [primaryStore], swiftSettings: settings),
        .testTarget(
            name: "AuditedStoreTests",
            dependencies: ["AuditedStore", primaryStore, .product(name: "LXCTesting", package: "LXCHypervisor")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
