// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The string with control characters, quotes and backslashes escaped, and cut at 200 scalars: what came from
    /// outside may be shown in a log line or an error without forging a second one.
    public var escapedForDisplay: String { Self.escaping(unicodeScalars) }

    /// The same, truncated at another number of scalars: the end of another program's error output is the most
    /// informative part.
    package func escapedForDisplay(atMost limit: Int) -> String { Self.escaping(unicodeScalars, limit) }

    /// Creates text to show for bytes: control characters are escaped as above, invalid UTF-8 becomes U+FFFD.
    public init(escapingForDisplay bytes: some Sequence<UInt8>) {
        self = Self.escaping(String(decoding: Array(bytes), as: UTF8.self).unicodeScalars)
    }

    /// The string with nothing but what could break a line, or act on a terminal, escaped.
    var onOneLine: String {
        unicodeScalars.map { Self.isHarmful($0) ? Self.number($0) : String($0) }.joined()
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }

    private static func number(_ scalar: Unicode.Scalar) -> String { "\\u{\(String(scalar.value, radix: 16))}" }

    private static func escaping(_ scalars: some Collection<Unicode.Scalar>, _ limit: Int = 200) -> String {
        var result = ""
        for scalar in scalars.prefix(limit) {
            if isHarmful(scalar) {
                result += number(scalar)
            } else {
                result += scalar == "\\" || scalar == "\"" ? "\\\(scalar)" : String(scalar)
            }
        }
        return scalars.count > limit ? result + "…" : result
    }
}
