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
        .executable(name: "own-names", targets: ["OwnNames"]),
        .executable(name: "quickstart", targets: ["Quickstart"]),
    ],
    dependencies: [.package(name: "LXCHypervisor", path: "..")],
    targets: [
        .executableTarget(name: "Embedding", dependencies: [hypervisor], swiftSettings: settings),
        // An embedder with types named like the library's, in the language mode's defaults.
        .executableTarget(name: "OwnNames", dependencies: [hypervisor]),
        .executableTarget(name: "Quickstart", dependencies: [hypervisor], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
