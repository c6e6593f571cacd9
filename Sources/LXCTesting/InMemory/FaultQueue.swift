// SPDX-License-Identifier: Apache-2.0

/// Errors that an in-memory driver throws instead of performing an operation.
struct FaultQueue {
    private var faults: [any Error] = []

    mutating func add(_ error: any Error) { faults.append(error) }

    /// Throws the oldest error that is still due.
    mutating func check() throws {
        if !faults.isEmpty { throw faults.removeFirst() }
    }
}

/// Lets one task at a time work on the object of a name, in the order in which they came.
///
/// Owned by an actor, whose isolation guards it.
struct Turns<Name: Hashable> {
    private var waiting: [Name: [CheckedContinuation<Void, Never>]] = [:]

    /// Whether the turn was free and is now the caller's.
    mutating func take(_ name: Name) -> Bool {
        guard waiting[name] == nil else { return false }
        waiting[name] = []
        return true
    }

    /// Resumes `continuation` when it is its turn.
    mutating func wait(_ name: Name, _ continuation: CheckedContinuation<Void, Never>) {
        waiting[name, default: []].append(continuation)
    }

    /// Ends the caller's turn and starts the next one's.
    mutating func end(_ name: Name) {
        guard var queue = waiting[name], !queue.isEmpty else {
            waiting[name] = nil
            return
        }
        let next = queue.removeFirst()
        waiting[name] = queue
        next.resume()
    }
}
