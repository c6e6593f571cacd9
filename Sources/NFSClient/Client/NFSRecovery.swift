// SPDX-License-Identifier: Apache-2.0

import Dispatch
import LXCCore

/// The handling of a reply that is not the answer yet: a call the server executed before, whose first reply was lost,
/// or a creation without the new object's attributes in the reply.
struct NFSRecovery {
    /// Sends a further call.
    typealias Submit =
        @Sendable (NFSCall, @escaping @Sendable (Result<NFSReply, NFSFailure>) -> Void) -> Void
    typealias Completion = @Sendable (Result<NFSReply, NFSFailure>) -> Void

    /// The number of ownership checks, and the seconds between them.
    private static let proofs = 25
    private static let pause = 0.02

    private enum Need {
        /// The object that has the name must be looked up.
        case handle
        /// The object that has the name may be ours.
        case proof(NFSFailure)
        /// Nothing is there any more, which is what was wanted.
        case nothing
        /// The new name is there if the rename was done.
        case renamed(NFSFailure)
        /// The name's object shows whether the call was executed; if not, it is made again.
        case look
    }

    private let call: NFSCall
    private let need: Need

    /// Judges a reply; nil when it is the answer.
    init?(_ call: NFSCall, _ outcome: NFSOutcome) {
        self.call = call
        switch (call, outcome.result) {
        case (_, .failure(.unanswered)): need = .look
        case (.create, .success(.object(nil, _))), (.makeDirectory, .success(.object(nil, _))),
            (.makeSymbolicLink, .success(.object(nil, _))), (.makeNode, .success(.object(nil, _))):
            need = .handle
        case (.create(_, _, .unchecked), _), (.create(_, _, .exclusive), _):
            // These may be repeated: the server recognizes our own file by the verifier.
            return nil
        case (.create, .failure(let failure)), (.makeDirectory, .failure(let failure)),
            (.makeSymbolicLink, .failure(let failure)), (.makeNode, .failure(let failure)),
            (.link, .failure(let failure)):
            guard outcome.wasRepeated, failure.status == .exists else { return nil }
            need = .proof(failure)
        case (.remove, .failure(let failure)), (.removeDirectory, .failure(let failure)):
            guard outcome.wasRepeated, failure.status == .noEntry else { return nil }
            need = .nothing
        case (.rename, .failure(let failure)):
            guard outcome.wasRepeated, failure.status == .noEntry else { return nil }
            need = .renamed(failure)
        default: return nil
        }
    }

    /// Finds out, and completes the call.
    func run(_ submit: @escaping Submit, _ completion: @escaping Completion) {
        switch need {
        case .nothing: completion(.success(.done(nil)))
        case .handle: find(submit, completion)
        case .renamed(let failure):
            guard case .rename(_, _, let name, let directory, _) = call else { return completion(.failure(failure)) }
            submit(.lookUp(name, in: directory)) { result in
                if case .success = result { completion(.success(.done(nil))) } else { completion(.failure(failure)) }
            }
        case .proof(let failure): prove(failure, attempts: Self.proofs, submit, completion)
        case .look: look(submit, completion)
        }
    }

    /// Repeats a call that removes a name, if the name still leads to the intended object.
    private func look(_ submit: @escaping Submit, _ completion: @escaping Completion) {
        let (name, directory, object): ([UInt8], NFSHandle, NFSHandle)
        switch call {
        case .remove(let old, let above, .some(let known)), .removeDirectory(let old, let above, .some(let known)):
            (name, directory, object) = (old, above, known)
        case .rename(let old, let above, _, _, .some(let known)):
            (name, directory, object) = (old, above, known.handle)
        default: return completion(.failure(.failed(NFSClient.senseless(call.procedure))))
        }
        submit(.lookUp(name, in: directory)) { result in
            switch result {
            case .success(.object(let bytes?, _)) where bytes == object.bytes:
                submit(call) { again in
                    // The server may still have been at the first.
                    guard case .failure(let failure) = again, failure.isAbsence else { return completion(again) }
                    taken(submit, completion)
                }
            case .success: taken(submit, completion)
            case .failure(let failure):
                if failure.isAbsence { taken(submit, completion) } else { completion(result) }
            }
        }
    }

    /// The name does not lead to the object any more. Of a rename the new one must.
    private func taken(_ submit: Submit, _ completion: @escaping Completion) {
        guard case .rename(_, _, let name, let directory, .some(let object)) = call else {
            return completion(.success(.done(nil)))
        }
        submit(.lookUp(name, in: directory)) { result in
            switch result {
            case .success(.object(let bytes?, let attributes))
            where NFSObject(NFSHandle(bytes: bytes), attributes).isSame(as: object):
                completion(.success(.done(nil)))
            case .failure(let failure) where !failure.isAbsence: completion(.failure(failure))
            default: completion(.failure(.refused(NFSError(call.procedure, .noEntry))))
            }
        }
    }

    /// Checks whether the object that has the name is ours, and repeats that for a while: the server may still be
    /// executing the first call, and set owner and mode after making the name.
    private func prove(
        _ failure: NFSFailure, attempts: Int, _ submit: @escaping Submit, _ completion: @escaping Completion
    ) {
        find(submit) { result in
            guard case .success(.object(let handle?, let attributes?)) = result else {
                return completion(.failure(failure))
            }
            compare(NFSHandle(bytes: handle), attributes, submit) { isOurs in
                if isOurs { return completion(.success(reply(handle, attributes))) }
                guard attempts > 1 else { return completion(.failure(failure)) }
                DispatchQueue.global().asyncAfter(deadline: .now() + Self.pause) {
                    prove(failure, attempts: attempts - 1, submit, completion)
                }
            }
        }
    }

    /// Looks up what has the name.
    private func find(_ submit: Submit, _ completion: @escaping Completion) {
        let (name, directory): ([UInt8], NFSHandle)
        switch call {
        case .create(let new, let above, _): (name, directory) = (new, above)
        case .makeDirectory(let new, let above, _): (name, directory) = (new, above)
        case .makeSymbolicLink(let new, let above, _, _): (name, directory) = (new, above)
        case .makeNode(let new, let above, _, _): (name, directory) = (new, above)
        case .link(_, let new, let above): (name, directory) = (new, above)
        default: return completion(.failure(.failed(NFSClient.senseless(call.procedure))))
        }
        submit(.lookUp(name, in: directory), completion)
    }

    private func reply(_ handle: [UInt8], _ attributes: NFSAttributes) -> NFSReply {
        if case .link = call { return .done(attributes) }
        return .object(handle, attributes)
    }

    /// Whether the object is what the call makes. An identical object made by another client counts as ours.
    private func compare(
        _ found: NFSHandle, _ attributes: NFSAttributes, _ submit: Submit,
        _ completion: @escaping @Sendable (Bool) -> Void
    ) {
        switch call {
        case .create(_, _, .guarded(let wanted)):
            completion(attributes.type == .file && attributes.size == wanted.size ?? 0 && attributes.agree(wanted))
        case .makeDirectory(_, _, let wanted):
            completion(attributes.type == .directory && attributes.links <= 2 && attributes.agree(wanted))
        case .makeNode(_, _, let node, let wanted):
            completion(attributes.isNode(node) && attributes.agree(wanted))
        case .makeSymbolicLink(_, _, let target, _):
            guard attributes.type == .symbolicLink else { return completion(false) }
            submit(.readLink(found)) { result in
                guard case .success(.target(target)) = result else { return completion(false) }
                completion(true)
            }
        case .link(let file, _, _):
            submit(.getAttributes(file)) { result in
                guard case .success(.done(let original?)) = result else { return completion(false) }
                completion(
                    original.fileID == attributes.fileID && original.fileSystem == attributes.fileSystem)
            }
        default: completion(false)
        }
    }
}

extension NFSAttributes {
    /// Whether owner and mode are what was asked for, as far as they were.
    fileprivate func agree(_ wanted: NFSNewAttributes) -> Bool {
        // A directory may get the setgid bit of the one above.
        (wanted.mode ?? mode) & 0o777 == mode & 0o777 && (wanted.user ?? user) == user
            && (wanted.group ?? group) == group
    }

    fileprivate func isNode(_ node: NFSNode) -> Bool {
        switch node {
        case .fifo: type == .fifo
        case .characterDevice(let major, let minor): type == .characterDevice && device == (major, minor)
        case .blockDevice(let major, let minor): type == .blockDevice && device == (major, minor)
        }
    }
}

extension NFSFailure {
    /// Whether there is nothing of that name, or of that handle.
    fileprivate var isAbsence: Bool { status == .noEntry || status == .stale }
}
