/// What the guests of a host's driver are, as operations and messages call them.
enum GuestKind: CustomStringConvertible {
    case container
    case systemVM

    var description: String {
        switch self {
        case .container: "container"
        case .systemVM: "system VM"
        }
    }

    /// The name of an operation: what is `container.start` of a container is `vm.start` of a system VM.
    func operation(_ name: String) -> String {
        switch self {
        case .container: name
        case .systemVM: name.replacing(/^container/, with: "vm")
        }
    }
}
