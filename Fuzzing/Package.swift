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
    name: "Fuzzing",
    dependencies: [.package(name: "LXCHypervisor", path: "..")],
    targets: [
        .target(name: "CFuzzing"),
        // libFuzzer brings main: the build needs `--sanitize fuzzer`, as Scripts/fuzz gives it.
        .executableTarget(
            name: "TarFuzzer", dependencies: ["CFuzzing", .product(name: "FileTree", package: "LXCHypervisor")],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
