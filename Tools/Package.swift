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

let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let cloudStack = Target.Dependency.product(name: "CloudStack", package: "LXCHypervisor")
let hypervisor = Target.Dependency.product(name: "LXCHypervisor", package: "LXCHypervisor")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

/// A product of the library.
func module(_ product: String) -> Target.Dependency { .product(name: product, package: "LXCHypervisor") }

let package = Package(
    name: "Tools",
    products: [
        .executable(name: "host-agent", targets: ["HostAgent"]),
        .executable(name: "lxcctl", targets: ["lxcctl"]),
    ],
    dependencies: [
        .package(name: "LXCHypervisor", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "lxcctl",
            dependencies: [
                cloudStack, hypervisor, module("FileTree"), module("HypervisorDriver"), module("NFSClient"),
                module("PrimaryStore"), module("TemplateStore"), arguments, logging, "OperatorSupport",
            ], swiftSettings: settings),
        // What programs for operators have in common: the configuration file, JSON files.
        .target(
            name: "OperatorSupport", dependencies: [cloudStack, hypervisor, module("FileTree")], swiftSettings: settings
        ),
        .executableTarget(
            name: "HostAgent",
            dependencies: [
                cloudStack, hypervisor, module("FileTree"), arguments, logging, "HostAgentPlan", "OperatorSupport",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: settings),
        // What host-agent decides, apart from what it does.
        .target(
            name: "HostAgentPlan", dependencies: [hypervisor, module("HypervisorDriver")], swiftSettings: settings),
        .testTarget(
            name: "HostAgentTests", dependencies: [hypervisor, "HostAgentPlan", "OperatorSupport"],
            swiftSettings: settings),
        // Runs the built lxcctl and host-agent as an operator would; it links nothing of them.
        .testTarget(
            name: "LxcctlTests",
            dependencies: ["lxcctl", "HostAgent", .product(name: "_LXCTestServers", package: "LXCHypervisor")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
