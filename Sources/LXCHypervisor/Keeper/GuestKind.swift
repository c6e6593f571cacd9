// SPDX-License-Identifier: Apache-2.0

/// The kind of guests a hypervisor driver runs.
enum GuestKind: CustomStringConvertible {
    case container
    case systemVM

    /// The name of this kind in messages.
    var description: String {
        switch self {
        case .container: "container"
        case .systemVM: "system VM"
        }
    }

    /// The prefix of the names of the service's operations on this kind.
    var operations: String {
        switch self {
        case .container: "container"
        case .systemVM: "vm"
        }
    }
}
