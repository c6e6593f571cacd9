// SPDX-License-Identifier: Apache-2.0

import CCurl
import LXCCore

/// A libcurl transfer and its resources, freed together.
final class CurlHandle {
    /// The longest time until a cancellation is noticed, in milliseconds.
    private static let pollInterval: CInt = 50
    /// Has to come before everything else, once.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    private let easy: UnsafeMutableRawPointer
    private let multi: UnsafeMutableRawPointer
    private let fields: UnsafeMutablePointer<curl_slist>?
    private let messageBuffer: UnsafeMutablePointer<CChar>

    /// Sets up a transfer that sends `fields`, each `Name: value`.
    init(fields: [String]) throws {
        guard Self.isReady, let easy = curl_easy_init() else { throw LXCError(.io, "libcurl cannot be set up") }
        guard let multi = curl_multi_init() else {
            curl_easy_cleanup(easy)
            throw LXCError(.io, "libcurl cannot be set up")
        }
        (self.easy, self.multi) = (easy, multi)
        self.fields = fields.reduce(nil) { curl_slist_append($0, $1) }
        messageBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        messageBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        ccurl_set_pointer(easy, CURLOPT_ERRORBUFFER, messageBuffer)
        ccurl_set_list(easy, CURLOPT_HTTPHEADER, self.fields)
    }

    deinit {
        curl_multi_cleanup(multi)
        curl_easy_cleanup(easy)
        curl_slist_free_all(fields)
        messageBuffer.deallocate()
    }

    /// Sets a number.
    func set(_ option: CURLoption, _ value: Int) throws { try check(ccurl_set_number(easy, option, value)) }

    /// Sets a text, which libcurl copies.
    func set(_ option: CURLoption, _ value: String) throws {
        guard !value.utf8.contains(0) else {
            // The text may be a password.
            throw LXCError(.invalidArgument, "a URL, a credential or a file of authorities contains a NUL character")
        }
        try check(ccurl_set_text(easy, option, value))
    }

    /// Sets what callbacks get.
    func set(_ option: CURLoption, pointer: UnsafeMutableRawPointer) throws {
        try check(ccurl_set_pointer(easy, option, pointer))
    }

    /// Sets the receiver of the header or the body.
    func set(_ option: CURLoption, _ callback: curl_write_callback) throws {
        try check(ccurl_set_receiver(easy, option, callback))
    }

    /// Sets what makes sockets.
    func setOpener(_ callback: curl_opensocket_callback) throws { try check(ccurl_set_opener(easy, callback)) }

    private func check(_ code: CURLcode) throws {
        guard code == CURLE_OK else {
            throw LXCError(.unsupported, "the host's libcurl: \(String(cString: curl_easy_strerror(code)))")
        }
    }

    /// Runs the transfer to its end. The multi interface allows it to be cancelled at any time.
    ///
    /// - Returns: the result; nil if the deadline passed first.
    /// - Throws: `CancellationError`; `LXCError` `io` when libcurl itself fails.
    func run(until deadline: ContinuousClock.Instant, _ cancellation: Cancellation) throws -> CURLcode? {
        try check(multi: curl_multi_add_handle(multi, easy))
        defer { curl_multi_remove_handle(multi, easy) }
        while true {
            try cancellation.check()
            var running: CInt = 0
            try check(multi: curl_multi_perform(multi, &running))
            if let code = finished() { return code }
            guard ContinuousClock.now < deadline else { return nil }
            try check(multi: curl_multi_poll(multi, nil, 0, Self.pollInterval, nil))
        }
    }

    private func finished() -> CURLcode? {
        var left: CInt = 0
        while let message = curl_multi_info_read(multi, &left) {
            if message.pointee.msg == CURLMSG_DONE { return message.pointee.data.result }
        }
        return nil
    }

    private func check(multi code: CURLMcode) throws {
        guard code == CURLM_OK else {
            throw LXCError(.io, "libcurl cannot go on: \(String(cString: curl_multi_strerror(code)))")
        }
    }

    /// libcurl's description of the failure.
    func message(_ code: CURLcode) -> String {
        let detail = String(cString: messageBuffer)
        return (detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail).escapedForDisplay
    }
}
