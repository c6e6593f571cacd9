// swift-tools-version: 6.2
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
    dependencies: [.package(name: "LXCHypervisor", path: "..")],
    targets: [
        .executableTarget(
            name: "bench", dependencies: [.product(name: "LXCHypervisor", package: "LXCHypervisor")],
            swiftSettings: settings)
    ],
    swiftLanguageModes: [.v6]
)
