// SPDX-License-Identifier: Apache-2.0

#if NFS
import Dispatch
import FoundationEssentials
import LXCCore
import Synchronization

/// NFSv4.0 over one connection: every call is one COMPOUND, except for the creation of a regular file, which takes a
/// registration of this client with the server, an OPEN and a CLOSE.
final class V4Transport: NFSTransport {
    private typealias Completion = @Sendable (NFSOutcome) -> Void

    /// The creation of a file, from call to call.
    private struct Creation: Sendable {
        let name: [UInt8]
        let directory: NFSHandle
        let how: NFSCreation
        let cancellation: Cancellation?
        let completion: Completion
        /// Whether the server may have made the file before.
        var wasRepeated = false
        var triesLeft = 4
        let deadline: ContinuousClock.Instant
    }

    private enum Client {
        case unknown
        case introducing
        case known(UInt64)
    }

    private struct State {
        var client = Client.unknown
        /// Creations that wait for the registration of this client.
        var waiting: [Creation] = []
        /// Owners that have nothing open, of the client that is known.
        var owners: [V4Owner] = []
        var lastOwner: UInt64 = 0
    }

    private let connection: NFSConnection
    private let giveUp: Duration
    private let name = Array("lxc-hypervisor \(UUID())".utf8)
    private let state = Mutex(State())

    /// The pause in seconds for a server that asks for a delay.
    private static let pause = 0.2

    /// NFSv4 has one port, and no service to ask for it (RFC 7530, section 3.1).
    static let port: UInt16 = 2_049

    init(_ endpoint: NFSEndpoint, _ options: NFSClientOptions, _ counting: NFSCounting) throws {
        var endpoint = endpoint
        endpoint.port = endpoint.port ?? Self.port
        giveUp = options.giveUp
        connection = try NFSConnection(endpoint, V4Wire(), options, counting)
    }

    func close() { connection.close() }

    func submit(
        _ call: NFSCall, cancellation: Cancellation?, completion: @escaping @Sendable (NFSOutcome) -> Void
    ) {
        switch call {
        case .create(let name, let directory, let how):
            create(
                Creation(
                    name: name, directory: directory, how: how, cancellation: cancellation, completion: completion,
                    deadline: .now + giveUp))
        case .setAttributes(_, _, .some):
            let refusal = LXCError(
                .unsupported, "NFSv4 sets no attributes on a condition in one step; use version 3 for that")
            // Never on the caller's thread, which may hold a lock that the completion takes.
            DispatchQueue.global().async {
                completion(NFSOutcome(result: .failure(.failed(refusal)), wasRepeated: false))
            }
        default: connection.submit(call, cancellation: cancellation, completion: completion)
        }
    }

    // MARK: Creating a file

    private func create(_ creation: Creation) {
        let (opening, introduces) = state.withLock { state -> ((UInt64, V4Owner)?, Bool) in
            guard case .known(let client) = state.client else {
                state.waiting.append(creation)
                guard case .unknown = state.client else { return (nil, false) }
                state.client = .introducing
                return (nil, true)
            }
            if let owner = state.owners.popLast() { return ((client, owner), false) }
            state.lastOwner += 1
            return ((client, V4Owner(number: state.lastOwner)), false)
        }
        if introduces { introduce() }
        if let (client, owner) = opening { open(creation, client, owner) }
    }

    private func open(_ creation: Creation, _ client: UInt64, _ owner: V4Owner) {
        let call = V4StateCall.open(creation.name, in: creation.directory, creation.how, client: client, owner)
        connection.submit(.state(call), cancellation: creation.cancellation) { [self] outcome in
            let wasRepeated = creation.wasRepeated || outcome.wasRepeated
            switch outcome.result {
            case .success(.state(.opened(let handle, let attributes, let open, let needsConfirmation))):
                var owner = owner
                owner.sequence += 1
                let file = NFSHandle(bytes: handle)
                let finish: @Sendable (V4StateID, V4Owner) -> Void = { [self] open, owner in
                    close(file, open, client, owner) {
                        creation.completion(
                            NFSOutcome(result: .success(.object(handle, attributes)), wasRepeated: wasRepeated))
                    }
                }
                if needsConfirmation { confirm(file, open, owner, finish) } else { finish(open, owner) }
            case .failure(let failure)
            where (failure.status == .staleClient || failure.status == .expired) && creation.triesLeft > 0:
                var next = creation
                next.wasRepeated = wasRepeated
                next.triesLeft -= 1
                forget(client)
                create(next)
            case .failure(let failure) where failure.status == .tryLater && ContinuousClock.now < creation.deadline:
                // With another owner: the same number would get the same answer.
                DispatchQueue.global().asyncAfter(deadline: .now() + Self.pause) { [self] in
                    if creation.cancellation?.isCancelled == true {
                        creation.completion(NFSOutcome(result: .failure(.cancelled), wasRepeated: wasRepeated))
                    } else {
                        create(creation)
                    }
                }
            case .success:
                creation.completion(
                    NFSOutcome(result: .failure(.failed(NFSClient.senseless("OPEN"))), wasRepeated: false))
            case .failure:
                // The owner is dropped: servers differ on which failures count in its sequence.
                creation.completion(NFSOutcome(result: outcome.result, wasRepeated: wasRepeated))
            }
        }
    }

    /// An unconfirmed file cannot be closed either; the server drops both with the client's lease.
    private func confirm(
        _ file: NFSHandle, _ open: V4StateID, _ owner: V4Owner,
        _ completion: @escaping @Sendable (V4StateID, V4Owner) -> Void
    ) {
        let call = V4StateCall.confirmOwner(file, open, sequence: owner.sequence)
        connection.submit(.state(call), cancellation: nil) { outcome in
            guard case .success(.state(.confirmed(let confirmed))) = outcome.result else {
                return completion(open, owner)
            }
            completion(confirmed, V4Owner(number: owner.number, sequence: owner.sequence + 1))
        }
    }

    /// The file is made by now, so that closing it can end in any way; a server that was restarted knows nothing of it.
    private func close(
        _ file: NFSHandle, _ open: V4StateID, _ client: UInt64, _ owner: V4Owner,
        _ completion: @escaping @Sendable () -> Void
    ) {
        let call = V4StateCall.close(file, open, sequence: owner.sequence)
        connection.submit(.state(call), cancellation: nil) { [self] outcome in
            if case .success = outcome.result {
                state.withLock { state in
                    guard case .known(client) = state.client else { return }
                    state.owners.append(V4Owner(number: owner.number, sequence: owner.sequence + 1))
                }
            }
            completion()
        }
    }

    // MARK: The client

    /// The server does not know this client any more, nor its owners.
    private func forget(_ client: UInt64) {
        state.withLock { state in
            guard case .known(client) = state.client else { return }
            state.client = .unknown
            state.owners = []
        }
    }

    private func introduce() {
        let call = V4StateCall.introduce(name: name, start: .random(in: .min ... .max))
        connection.submit(.state(call), cancellation: nil) { [self] outcome in
            guard case .success(.state(.client(let client, let confirmation))) = outcome.result else {
                return introduced(nil, outcome)
            }
            connection.submit(.state(.confirmClient(client, confirmation)), cancellation: nil) { [self] outcome in
                if case .success = outcome.result { introduced(client, outcome) } else { introduced(nil, outcome) }
            }
        }
    }

    private func introduced(_ client: UInt64?, _ outcome: NFSOutcome) {
        let waiting = state.withLock { state in
            state.client = client.map { .known($0) } ?? .unknown
            defer { state.waiting = [] }
            return state.waiting
        }
        for creation in waiting {
            if client != nil {
                create(creation)
            } else {
                creation.completion(NFSOutcome(result: outcome.result, wasRepeated: creation.wasRepeated))
            }
        }
    }
}
#endif
