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
let primaryStore = Target.Dependency.product(name: "PrimaryStore", package: "LXCHypervisor")

let package = Package(
    name: "Examples",
    products: [
        .executable(name: "embedding", targets: ["Embedding"]),
        .executable(name: "quickstart", targets: ["Quickstart"]),
    ],
    dependencies: [.package(name: "LXCHypervisor", path: "..")],
    targets: [
        .executableTarget(name: "Embedding", dependencies: [hypervisor], swiftSettings: settings),
        .executableTarget(name: "Quickstart", dependencies: [hypervisor], swiftSettings: settings),
        // A primary store of one's own, checked by the package's conformance suite.
        .target(name: "AuditedStore", dependencies: [primaryStore], swiftSettings: settings),
        .testTarget(
            name: "AuditedStoreTests",
            dependencies: ["AuditedStore", primaryStore, .product(name: "LXCTesting", package: "LXCHypervisor")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
