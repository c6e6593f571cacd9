// SPDX-License-Identifier: Apache-2.0

/// A Java properties file, as `java.util.Properties` reads and writes it: `agent.properties` and
/// `template.properties`.
///
/// Keys keep the order in which they first appear. A key that appears twice has its last value.
public struct JavaProperties: Hashable, Sendable {
    /// The keys in order of appearance.
    public private(set) var keys: [String] = []
    private var values: [String: String] = [:]

    /// No properties.
    public init() {}

    /// The value of a key; setting nil removes the key.
    public subscript(key: String) -> String? {
        get { values[key] }
        set {
            if let newValue {
                if values.updateValue(newValue, forKey: key) == nil { keys.append(key) }
            } else if values.removeValue(forKey: key) != nil {
                keys.removeAll { $0 == key }
            }
        }
    }
}
