import LXCCore
import NFSClient
import Testing

@Suite struct NFSURLTests {
    @Test(arguments: [
        ("nfs://filer/export", "filer", "/export"),
        ("nfs://10.0.0.1/export/lxc/primary", "10.0.0.1", "/export/lxc/primary"),
        ("nfs://filer/export/?nfsport=12049&mountport=12050", "filer", "/export/"),
    ])
    func readsServerAndPath(_ text: String, _ server: String, _ path: String) throws {
        let url = try NFSURL(parsing: text)
        #expect(url.server == server)
        #expect(url.path == path)
        #expect(url.description == text)
    }

    @Test(arguments: ["", "nfs://", "nfs:///export", "nfs://filer", "nfs://filer/", "/export", "http://filer/export"])
    func refusesWhatNamesNoDirectory(_ text: String) {
        let error = #expect(throws: LXCError.self) { try NFSURL(parsing: text) }
        #expect(error?.code == .invalidArgument)
    }
}
