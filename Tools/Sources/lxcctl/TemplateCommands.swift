// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import FoundationEssentials
import LXCHypervisor
import OperatorSupport
import TemplateStore

struct TemplateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "template", abstract: "Templates on secondary storage.",
        subcommands: [
            RegisterTemplate.self, ListTemplates.self, ShowTemplate.self, VerifyTemplate.self, DeleteTemplate.self,
            InstallTemplate.self,
        ])
}

private func printFacts(of template: Template) {
    Output.facts([
        ("template", template.key.description), ("name", template.name.escapedForDisplay),
        ("description", template.summary.escapedForDisplay), ("format", template.format.rawValue),
        ("file", template.fileName.escapedForDisplay),
        ("size", template.size.description), ("public", "\(template.isPublic)"),
        ("digest", template.digest?.description),
    ])
}

struct RegisterTemplate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "register",
        abstract: "Stores an archive as a template, checked and unpacked to a plain tar or disk image.",
        discussion: "An interrupted download is resumed by the next registration of the same URL as the same template.")

    @Argument(
        help: ArgumentHelp(
            "A tar archive or a qcow2 image, plain, compressed or alone in a zip file: a path, or a URL of file, nfs, http or "
                + "https."))
    var source: String
    @OptionGroup var secondary: SecondaryOptions
    @Option(help: ArgumentHelp("The account's number.", valueName: "n"))
    var account: UInt64
    @Option(help: ArgumentHelp("The template's number.", valueName: "n"))
    var id: UInt64
    @Option(help: "The template's unique name.")
    var name: String
    @Option(help: ArgumentHelp("A line for people.", valueName: "text"))
    var description = ""
    @Option(
        help: ArgumentHelp(
            "The archive's checksum: {SHA-256}hex, {SHA-512}hex and so on, or bare hex digits for MD5.",
            valueName: "checksum"))
    var checksum: String?
    @Option(
        help: ArgumentHelp("How large the archive and the plain tar may be, as 20GiB.", valueName: "size"),
        transform: { try ByteCount(parsing: $0) })
    var maxSize = ByteCount.gibibytes(50)
    @OptionGroup var download: DownloadArguments
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let store = try secondary.open(common)
        var registration = TemplateRegistration(
            key: TemplateKey(account: account, id: id), name: name, summary: description, source: source,
            checksum: try checksum.map { try Checksum(parsing: $0) }, maximumSize: maxSize)
        registration.download = download.options
        let template = try await withProgress("registering") { try await store.register(registration, progress: $0) }
        for warning in template.warnings {
            StandardError.write("lxcctl: warning: \(warning)\n")
        }
        if common.json { try Output.json(template) } else { printFacts(of: template) }
    }
}

/// Options for archives from a web server.
struct DownloadArguments: ParsableArguments {
    @Flag(help: "Take the archive also from an address of this host or its own networks.")
    var allowPrivateAddresses = false
    @Option(
        help: ArgumentHelp(
            "How often a download that failed is taken up again without having come further.", valueName: "n"))
    var retries = DownloadOptions().retries
    @Option(help: ArgumentHelp("How long a download may take, all tries together.", valueName: "seconds"))
    var timeLimit = Int(DownloadOptions().timeLimit / .seconds(1))
    @Option(help: ArgumentHelp("The certificates (PEM) an https server is accepted by.", valueName: "file"))
    var caCertificates: String?

    func validate() throws {
        guard (0...1000).contains(retries) else { throw ValidationError("--retries takes a number from 0 to 1000.") }
        guard timeLimit > 0 else { throw ValidationError("--time-limit takes a number above 0.") }
    }

    var options: DownloadOptions {
        var options = DownloadOptions()
        options.allowsPrivateAddresses = allowPrivateAddresses
        options.retries = retries
        options.timeLimit = .seconds(timeLimit)
        options.certificateAuthorities = caCertificates
        return options
    }
}

struct ListTemplates: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the templates.")

    @OptionGroup var secondary: SecondaryOptions
    @OptionGroup var common: CommonOptions

    func run() async throws {
        let listing = try await secondary.open(common).list()
        if common.json { return try Output.json(listing) }
        Output.table(
            ["TEMPLATE", "NAME", "SIZE", "DIGEST"],
            listing.templates.map {
                [
                    $0.key.description, $0.name.escapedForDisplay, $0.size.description,
                    $0.digest.map { String($0.description.prefix(12)) } ?? "-",
                ]
            })
        for broken in listing.broken { print("broken: \(broken.reason)") }
    }
}

/// Names one template on secondary storage.
struct TemplateArgument: ParsableArguments {
    @Argument(help: "ACCOUNT/ID, as 1/10.")
    var template: String
    @OptionGroup var secondary: SecondaryOptions
    @OptionGroup var common: CommonOptions

    func key() throws -> TemplateKey { try TemplateKey(parsing: template) }
}

struct ShowTemplate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Shows one template.")

    @OptionGroup var argument: TemplateArgument

    func run() async throws {
        let template = try await argument.secondary.open(argument.common).template(argument.key())
        if argument.common.json { try Output.json(template) } else { printFacts(of: template) }
    }
}

struct VerifyTemplate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify", abstract: "Reads a template to its end and compares it with what was registered.")

    @OptionGroup var argument: TemplateArgument

    func run() async throws {
        let store = try argument.secondary.open(argument.common)
        let key = try argument.key()
        try await withProgress("verifying") { try await store.verify(key, progress: $0) }
        if argument.common.json { try Output.json(["verified": key.description]) } else { print("\(key) is whole") }
    }
}

struct DeleteTemplate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Deletes a template.")

    @OptionGroup var argument: TemplateArgument

    func run() async throws {
        let key = try argument.key()
        try await argument.secondary.open(argument.common).delete(key)
        if argument.common.json { try Output.json(["deleted": key.description]) }
    }
}

/// An object on primary storage from which volumes or disks are made.
private protocol Installed: Encodable {
    var id: TemplateID { get }
}

extension StoredTemplate: Installed {}
extension StoredImage: Installed {}

struct InstallTemplate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Unpacks a template on primary storage, or copies a disk image there, once.")

    @OptionGroup var argument: TemplateArgument
    @OptionGroup var primary: PrimaryOptions
    @Option(help: "Its name on primary storage; by default the UUID its archive is named by.")
    var uuid: String?

    func run() async throws {
        let key = try argument.key()
        let id = try uuid.map { try TemplateID(parsing: $0) }
        let templates = try argument.secondary.open(argument.common)
        let format = try await templates.template(key).format
        // The first template starts a store.
        let (store, isNew) = try await primary.openOrCreate(argument.common)
        let host = LXCHypervisor(
            driver: LibvirtContainers(), primary: store, templates: templates, hostName: "",
            logger: argument.common.logger())
        switch format {
        case .tar: try await report { try await host.installTemplate(key, as: id, progress: $0) }
        case .qcow2: try await report { try await host.installSystemTemplate(key, as: id, progress: $0) }
        }
        if isNew { Output.note("made the pool \(store.id) in \(try await primary.location(argument.common))") }
    }

    private func report(_ install: (ProgressHandler?) async throws -> some Installed) async throws {
        let installed = try await withProgress("installing") { try await install($0) }
        if argument.common.json { try Output.json(installed) } else { print(installed.id) }
    }
}
