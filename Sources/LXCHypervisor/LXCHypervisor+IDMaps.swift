import DomainXML
import Foundation
import HypervisorDriver
import LXCCore
import PrimaryStore

extension LXCHypervisor {
    /// Runs `body`, which makes a volume, with the specification's id map chosen.
    ///
    /// What is taken is what the containers' documents and the store's records say; there is no other book. While `body`
    /// runs, a lock named by the range keeps other programs of the host off it. It ends with this process, however that
    /// ends: then either the volume is there, and its record says whose the range is, or the range is free.
    func withIDMap<Value>(
        of specification: ContainerSpecification, _ body: (ContainerSpecification) async throws -> Value
    ) async throws -> Value {
        guard specification.privilege == .isolated else { return try await body(specification) }
        var specification = specification
        if policy.mode == .cloudStack {
            specification.privilege = .privileged
            return try await body(specification)
        }
        let available = try policy.idMaps.available()
        let directory = policy.idMaps.lockDirectory
        try await BlockingPool.shared.run { _ in
            try FileManager.default.createDirectory(
                atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        }
        var taken = try await takenIDs()
        while let range = policy.idMaps.first(in: available, avoiding: taken) {
            specification.privilege = .unprivileged(try IDMap(host: range.lowerBound, count: policy.idMaps.count))
            let chosen = specification
            let result: Value?? = try await FileLock.tryHold("\(directory)/\(range.lowerBound)", pool: .shared) {
                // Who had the lock before may have made its volume meanwhile.
                taken = try await takenIDs()
                return taken.contains { $0.overlaps(range) } ? nil : try await body(chosen)
            }
            switch result {
            case .some(.some(let value)): return value
            case .some(.none): continue
            case .none: taken.append(range)
            }
        }
        throw LXCError(
            .limitExceeded,
            "there are no \(policy.idMaps.count) host ids left for container \(specification.name); give root more in "
                + "/etc/subuid and /etc/subgid")
    }

    /// The host ids of all containers and volumes there are.
    private func takenIDs() async throws -> [Range<UInt32>] {
        var maps = try await primary.contents().volumes.compactMap(\.idMap)
        for guest in try await driver.guests() {
            do {
                if let map = try await driver.definition(of: guest.name).idMap { maps.append(map) }
            } catch let error as LXCError where error.code == .notFound {
                // It was forgotten meanwhile; its volume is in the store.
            }
        }
        return maps.flatMap(\.hostRanges)
    }
}
