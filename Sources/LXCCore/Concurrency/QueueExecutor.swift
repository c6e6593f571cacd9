import Dispatch

/// Runs an actor on a thread of its own, for an actor whose methods make blocking C calls.
///
/// Give it to the actor as `unownedExecutor`. (Dispatch's own serial-queue executor does not exist on Linux.)
public final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    /// Makes an executor; `label` shows in debuggers.
    public init(label: String) { queue = DispatchQueue(label: label) }

    /// Runs a job of the actor.
    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    /// Traps when not called on this executor.
    public func checkIsolated() { dispatchPrecondition(condition: .onQueue(queue)) }
}
