// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization

/// An HTTP server on a port of its own at 127.0.0.1, for one test. It gives scripted answers, also wrong ones, one
/// request per connection, and records the requests.
public final class WebServer: Sendable {
    /// A client's request.
    public struct Request: Hashable, Sendable {
        /// The method, such as `GET`.
        public var method: String
        /// The path with its query.
        public var path: String
        /// The fields; names are in lower case.
        public var fields: [String: String]

        /// The value of a field.
        public subscript(name: String) -> String? { fields[name] }
    }

    /// The server's answer.
    public struct Answer: Sendable {
        /// The status.
        public var status: Int
        /// The fields beside `Content-Length` and `Connection`.
        public var fields: [String: String]
        /// The body.
        public var body: [UInt8]
        /// The number of bytes of the body after which the connection ends; nil for all.
        public var cutAfter: Int?
        /// The wait after each 64 KiB of the body.
        public var pause: Duration = .zero
        /// The wait before the answer.
        public var delay: Duration = .zero
        /// Whether the body's length is sent.
        public var tellsLength = true

        /// Creates an answer.
        public init(_ status: Int, fields: [String: String] = [:], body: [UInt8] = [], cutAfter: Int? = nil) {
            (self.status, self.fields, self.body, self.cutAfter) = (status, fields, body, cutAfter)
        }
    }

    /// A file that is served as RFC 9110 has it, with ranges and conditions.
    public struct File: Sendable {
        /// The contents.
        public var contents: [UInt8]
        /// The entity tag with its quotes; nil for none.
        public var entityTag: String?
        /// The value of `Last-Modified`; nil for none.
        public var lastModified: String?
        /// Whether parts can be asked for.
        public var servesRanges = true

        /// Creates a file; the entity tag and the date tell its copies apart.
        public init(_ contents: [UInt8], entityTag: String? = "\"one\"", lastModified: String? = nil) {
            (self.contents, self.entityTag, self.lastModified) = (contents, entityTag, lastModified)
        }

        /// The answer to a request.
        public func answer(_ request: Request) -> Answer {
            var fields: [String: String] = [:]
            fields["ETag"] = entityTag
            fields["Last-Modified"] = lastModified
            fields["Accept-Ranges"] = servesRanges ? "bytes" : "none"
            let isSame = request["if-range"].map { $0 == entityTag || $0 == lastModified } ?? true
            guard servesRanges, isSame, let range = request["range"], range.hasPrefix("bytes="),
                let start = Int(range.dropFirst(6).prefix { $0 != "-" })
            else { return Answer(200, fields: fields, body: contents) }
            guard start < contents.count else {
                fields["Content-Range"] = "bytes */\(contents.count)"
                return Answer(416, fields: fields)
            }
            fields["Content-Range"] = "bytes \(start)-\(contents.count - 1)/\(contents.count)"
            return Answer(206, fields: fields, body: Array(contents[start...]))
        }
    }

    /// The state shared by the threads.
    private final class State: Sendable {
        let answer: @Sendable (Request, Int) -> Answer
        let requests = Mutex<[Request]>([])
        let isStopped = Atomic(false)
        init(_ answer: @escaping @Sendable (Request, Int) -> Answer) { self.answer = answer }
    }

    /// The server's port.
    public let port: UInt16
    private let listener: Int32
    private let state: State

    /// Starts a server; `answer` is given each request and its number, the first being 0.
    public init(_ answer: @escaping @Sendable (Request, Int) -> Answer) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        port = UInt16(bigEndian: address.sin_port)
        state = State(answer)
        let state = state
        Thread.detachNewThread { Self.accept(listener, state) }
    }

    /// Starts a server of one file at every path.
    public convenience init(_ file: File) throws { try self.init { request, _ in file.answer(request) } }

    deinit { stop() }

    /// The requests so far.
    public var requests: [Request] { state.requests.withLock { $0 } }

    /// The URL of a path.
    public func url(_ path: String = "/root.tar") -> String { "http://127.0.0.1:\(port)\(path)" }

    /// Ends the server and its connections. What connects later is refused.
    public func stop() {
        guard !state.isStopped.exchange(true, ordering: .relaxed) else { return }
        // Closing alone would not wake the thread that accepts; it closes the socket.
        shutdown(listener, Int32(SHUT_RDWR))
    }

    // MARK: Connections

    private static func accept(_ listener: Int32, _ state: State) {
        while true {
            let connection = Glibc.accept(listener, nil, nil)
            guard connection >= 0, !state.isStopped.load(ordering: .relaxed) else {
                if connection >= 0 { close(connection) }
                if connection < 0, errno == EINTR || errno == ECONNABORTED { continue }
                close(listener)
                return
            }
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            Thread.detachNewThread {
                serve(connection, state)
                close(connection)
            }
        }
    }

    private static func serve(_ connection: Int32, _ state: State) {
        guard let request = read(connection) else { return }
        let number = state.requests.withLock {
            $0.append(request)
            return $0.count - 1
        }
        let answer = state.answer(request, number)
        wait(answer.delay, state)
        var head = "HTTP/1.1 \(answer.status) Status\r\nConnection: close\r\n"
        if answer.tellsLength { head += "Content-Length: \(answer.body.count)\r\n" }
        for (name, value) in answer.fields { head += "\(name): \(value)\r\n" }
        guard send(Array((head + "\r\n").utf8)[...], to: connection) else { return }
        var rest = answer.body.prefix(answer.cutAfter ?? answer.body.count)
        while !rest.isEmpty, !state.isStopped.load(ordering: .relaxed) {
            guard send(rest.prefix(64 << 10), to: connection) else { return }
            rest = rest.dropFirst(64 << 10)
            wait(answer.pause, state)
        }
    }

    private static func wait(_ duration: Duration, _ state: State) {
        let end = ContinuousClock.now + duration
        while ContinuousClock.now < end, !state.isStopped.load(ordering: .relaxed) {
            let left = min(end - ContinuousClock.now, .milliseconds(20))
            usleep(UInt32(max(1, left.components.attoseconds / 1_000_000_000_000)))
        }
    }

    private static func send(_ bytes: ArraySlice<UInt8>, to connection: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private static func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        let end = Array("\r\n\r\n".utf8)
        while !bytes.suffix(4).elementsEqual(end) {
            let count = recv(connection, &buffer, buffer.count, 0)
            guard count > 0, bytes.count < 1 << 16 else { return nil }
            bytes += buffer[..<count]
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count == 3 else { return nil }
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        return Request(method: String(words[0]), path: String(words[1]), fields: fields)
    }
}
