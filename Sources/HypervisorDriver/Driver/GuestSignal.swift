// SPDX-License-Identifier: Apache-2.0

import LXCCore

/// A signal to a guest's process 1 or to a command inside, by its Linux number (signal(7), x86 numbers for the classic
/// ones).
public struct GuestSignal: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: Int32

    /// Creates a guest signal from a number; `nil` if it is not a signal.
    public init?(rawValue: Int32) {
        guard (1...64).contains(rawValue) else { return nil }
        self.rawValue = rawValue
    }

    private init(_ number: Int32) { rawValue = number }

    /// SIGHUP.
    public static let hangup = Self(1)
    /// SIGINT, treated as Ctrl-Alt-Del by most init systems.
    public static let interrupt = Self(2)
    /// SIGKILL, which no process can ignore.
    public static let kill = Self(9)
    /// SIGUSR1.
    public static let user1 = Self(10)
    /// SIGUSR2: BusyBox's init powers off.
    public static let user2 = Self(12)
    /// SIGTERM: the usual request to terminate.
    public static let terminate = Self(15)
    /// SIGPWR, a power failure: what LXC sends to SysV init and Upstart.
    public static let powerFailure = Self(30)
    /// SIGRTMIN+3 of the C library: systemd halts (systemd(1)).
    public static let systemdHalt = Self(firstRealTime + 3)

    /// The C library reserves two real-time signals.
    private static let firstRealTime: Int32 = 34

    private static let names: [String: Int32] = [
        "HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "ALRM": 14, "TERM": 15,
        "CONT": 18, "STOP": 19, "WINCH": 28, "PWR": 30,
    ]

    /// Reads `SIGTERM`, `TERM`, `SIGRTMIN+3` or a number.
    ///
    /// - Throws: `LXCError` `invalidArgument`.
    public init(parsing text: String) throws {
        let name = text.hasPrefix("SIG") ? text.dropFirst(3) : text[...]
        let number: Int32?
        if name.hasPrefix("RTMIN+") {
            number = Int32(name.dropFirst(6)).flatMap { (0...30).contains($0) ? Self.firstRealTime + $0 : nil }
        } else {
            number = Self.names[String(name)] ?? (name == "RTMIN" ? Self.firstRealTime : Int32(text))
        }
        guard let number, let signal = Self(rawValue: number) else {
            throw LXCError(
                .invalidArgument,
                "\"\(text.escapedForDisplay)\" is not a signal; expected a name such as SIGTERM or SIGRTMIN+3, or 1 to 64"
            )
        }
        self = signal
    }

    /// The name, such as `SIGRTMIN+3`; the number if it has no name.
    public var description: String {
        if rawValue >= Self.firstRealTime { return "SIGRTMIN+\(rawValue - Self.firstRealTime)" }
        return Self.names.first { $0.value == rawValue }.map { "SIG\($0.key)" } ?? "\(rawValue)"
    }
}

extension GuestSignal: Codable {
    /// Reads the name.
    public init(from decoder: any Decoder) throws { try self.init(parsing: String(from: decoder)) }

    /// Writes the name.
    public func encode(to encoder: any Encoder) throws { try description.encode(to: encoder) }
}
