// SPDX-License-Identifier: Apache-2.0

import CCurl
import Glibc
import LXCCore

/// Receives a response while it arrives, on the thread that performs the request.
protocol ResponseReceiver: AnyObject {
    /// Receives the status and the fields; `false` when the body is not wanted.
    func begin(_ head: ResponseHead) throws -> Bool
    /// Receives the next bytes of the body.
    func take(_ bytes: UnsafeRawBufferPointer) throws
}

/// A request that failed in a way that may pass.
struct Interruption: Error {
    /// The reason, for a message.
    let reason: String
    /// The wait requested by the server.
    var wait: Duration?
}

/// One GET request and its response, by libcurl. It follows no redirects and uses no proxy: only then is the connected
/// address the one that was checked.
///
/// Used by one thread, which it blocks.
final class WebRequest {
    private let address: WebAddress
    private let options: DownloadOptions
    private let receiver: any ResponseReceiver
    private let handle: CurlHandle
    private var head = ResponseHead()
    /// The error thrown by a callback.
    private var failure: (any Error)?
    private var isDeclined = false
    /// Addresses that were refused, with the reason.
    private var refused: String?

    /// Creates a request for an address, with the fields to send and the receiver of the response.
    init(
        _ address: WebAddress, fields: [String], options: DownloadOptions, receiver: any ResponseReceiver
    ) throws {
        self.address = address
        self.options = options
        self.receiver = receiver
        handle = try CurlHandle(fields: fields)
        try configure()
    }

    /// Performs the request to its end.
    ///
    /// - Throws: ``Interruption``, `LXCError` `unsafe` for a refused address or certificate, `unavailable`;
    ///   `CancellationError`; the receiver's errors.
    func perform(until deadline: ContinuousClock.Instant, _ cancellation: Cancellation) throws -> ResponseHead {
        let code = try withExtendedLifetime(self) { try handle.run(until: deadline, cancellation) }
        if let failure { throw failure }
        if isDeclined { return head }
        guard let code else { throw Interruption(reason: "the time is over") }
        guard code == CURLE_OK else { throw error(code) }
        guard head.isComplete else { throw Interruption(reason: "the answer has no end of its header") }
        return head
    }

    private func configure() throws {
        let seconds = Int(max(1, options.patience.components.seconds))
        for (option, value) in [
            (CURLOPT_NOSIGNAL, 1), (CURLOPT_CONNECTTIMEOUT, seconds), (CURLOPT_LOW_SPEED_LIMIT, 1),
            (CURLOPT_LOW_SPEED_TIME, seconds), (CURLOPT_BUFFERSIZE, 512 << 10), (CURLOPT_TCP_KEEPALIVE, 1),
            // A download that is given up does not wait for a name server.
            (CURLOPT_QUICK_EXIT, 1),
        ] { try handle.set(option, value) }
        var texts = [
            (CURLOPT_URL, address.text), (CURLOPT_PROTOCOLS_STR, "http,https"), (CURLOPT_PROXY, ""),
            (CURLOPT_USERAGENT, "LXCHypervisor"),
        ]
        if let credentials = address.credentials {
            texts += [(CURLOPT_USERNAME, credentials.user), (CURLOPT_PASSWORD, credentials.password)]
        }
        if let file = options.certificateAuthorities { texts.append((CURLOPT_CAINFO, file)) }
        for (option, value) in texts { try handle.set(option, value) }
        try setCallbacks()
    }

    /// The callbacks get this object, which outlives them: ``perform(_:)`` holds it.
    private func setCallbacks() throws {
        let context = Unmanaged.passUnretained(self).toOpaque()
        for option in [CURLOPT_HEADERDATA, CURLOPT_WRITEDATA, CURLOPT_OPENSOCKETDATA] {
            try handle.set(option, pointer: context)
        }
        try handle.set(CURLOPT_HEADERFUNCTION) { bytes, _, count, context in
            WebRequest.of(context).takeHeader(UnsafeRawBufferPointer(start: bytes, count: count)) ? count : 0
        }
        try handle.set(CURLOPT_WRITEFUNCTION) { bytes, _, count, context in
            WebRequest.of(context).takeBody(UnsafeRawBufferPointer(start: bytes, count: count)) ? count : 0
        }
        try handle.setOpener { context, _, address in
            guard let address else { return -1 }
            return WebRequest.of(context).open(address)
        }
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> WebRequest {
        guard let context else { preconditionFailure("libcurl lost its context") }
        return Unmanaged<WebRequest>.fromOpaque(context).takeUnretainedValue()
    }

    // MARK: Callbacks; false ends the transfer

    private func takeHeader(_ line: UnsafeRawBufferPointer) -> Bool {
        // Fields after the body (trailers) are of no use here.
        guard !head.isComplete else { return true }
        return trying {
            guard head.take(line) else { throw LXCError(.unavailable, "\(address.shown): the answer has no end") }
            guard head.isComplete else { return true }
            isDeclined = try !receiver.begin(head)
            return !isDeclined
        }
    }

    private func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        trying {
            try receiver.take(bytes)
            return true
        }
    }

    private func trying(_ body: () throws -> Bool) -> Bool {
        do { return try body() } catch {
            failure = error
            return false
        }
    }

    /// Makes the socket for a resolved address, unless the address is refused: libcurl connects to exactly this one
    /// next, so that the name cannot lead elsewhere in between.
    private func open(_ address: UnsafeMutablePointer<curl_sockaddr>) -> CInt {
        let bytes = UnsafeRawBufferPointer(start: ccurl_address_bytes(address), count: Int(address.pointee.addrlen))
        if !options.allowsPrivateAddresses {
            let numbers = AddressRules.address(family: address.pointee.family, bytes)
            if let reason = AddressRules.refusal(of: numbers ?? []) {
                refused = reason
                return -1
            }
        }
        let type = address.pointee.socktype | CInt(SOCK_CLOEXEC.rawValue)
        return socket(address.pointee.family, type, address.pointee.protocol)
    }

    // MARK: Errors

    private func error(_ code: CURLcode) -> any Error {
        if let refused, code == CURLE_COULDNT_CONNECT {
            return LXCError(
                .unsafe,
                "\(address.shown) leads to a \(refused) address; allow private addresses if that is meant")
        }
        let reason = handle.message(code)
        switch code {
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
            CURLE_SSL_INVALIDCERTSTATUS:
            return LXCError(.unsafe, "\(address.shown): the server's certificate is not trusted: \(reason)")
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_PARTIAL_FILE, CURLE_OPERATION_TIMEDOUT,
            CURLE_SSL_CONNECT_ERROR, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_HTTP2,
            CURLE_HTTP2_STREAM, CURLE_WEIRD_SERVER_REPLY:
            return Interruption(reason: reason)
        default:
            return LXCError(.unavailable, "cannot get \(address.shown): \(reason)")
        }
    }
}
