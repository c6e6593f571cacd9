// SPDX-License-Identifier: Apache-2.0

/// What the guests of a hypervisor driver are.
enum GuestKind: CustomStringConvertible {
    case container
    case systemVM

    /// What messages call one.
    var description: String {
        switch self {
        case .container: "container"
        case .systemVM: "system VM"
        }
    }

    /// What the names of the service's operations on one begin with.
    var operations: String {
        switch self {
        case .container: "container"
        case .systemVM: "vm"
        }
    }
}
