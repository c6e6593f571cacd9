// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let hypervisor = Target.Dependency.product(name: "LXCHypervisor", package: "LXCHypervisor")

let package = Package(
    name: "Examples",
    products: [
        .executable(name: "embedding", targets: ["Embedding"]),
        .executable(name: "quickstart", targets: ["Quickstart"]),
        .executable(name: "lxcctl", targets: ["lxcctl"]),
    ],
    dependencies: [
        .package(name: "LXCHypervisor", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .executableTarget(name: "Embedding", dependencies: [hypervisor], swiftSettings: settings),
        .executableTarget(name: "Quickstart", dependencies: [hypervisor], swiftSettings: settings),
        .executableTarget(
            name: "lxcctl",
            dependencies: [
                hypervisor, .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: settings),
        // Runs the built lxcctl as an operator would; it links nothing of it.
        .testTarget(
            name: "LxcctlTests", dependencies: ["lxcctl", .product(name: "LXCTestServers", package: "LXCHypervisor")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
