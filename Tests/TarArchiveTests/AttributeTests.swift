// SPDX-License-Identifier: Apache-2.0

import FileTree
import LXCCore
import TarArchive
import TestSupport
import Testing

@Suite(.limited)
struct AttributeTests {
    private static let access = "system.posix_acl_access"
    private static let standard = "system.posix_acl_default"

    private func read(
        _ records: KeyValuePairs<String, String>, type: Character = "0", mode: Int = 0o644
    ) throws -> (entry: ReadEntry, losses: TreeLosses) {
        var tar = TarBuilder()
        tar.addPax(records)
        tar.add("x", type: type, mode: mode, link: type == "2" ? "target" : "")
        let result = try readAll(tar.finished())
        return (try #require(result.entries.first), result.losses)
    }

    @Test func extendedAttributesKeepTheirBytes() throws {
        let value: [UInt8] = [1, 0, 0, 2, 0, 0xff, 0x0a, 0x3d] + [UInt8](repeating: 0, count: 12)
        var tar = TarBuilder()
        tar.addPax([
            ("SCHILY.xattr.security.capability", value),
            ("SCHILY.xattr.user.empty", []),
            ("LIBARCHIVE.xattr.user.both", Array("dHdv".utf8)),
            ("SCHILY.xattr.user.both", Array("two".utf8)),
        ])
        tar.add("x")
        let result = try readAll(tar.finished())
        #expect(
            result.entries.first?.attributes == [
                "security.capability": value, "user.empty": [], "user.both": Array("two".utf8),
            ])
        #expect(result.losses.isEmpty)
    }

    @Test func accessControlListBecomesTheKernelsAttribute() throws {
        let (file, losses) = try read(
            ["SCHILY.acl.access": "user::rw-,group::r--,group:7:r-x,user:70000:rwx,user:5:---,mask::rw-,other::---"],
            mode: 0o2660)
        let expected: [UInt8] = [
            2, 0, 0, 0,
            1, 0, 6, 0, 255, 255, 255, 255,
            2, 0, 0, 0, 5, 0, 0, 0,
            2, 0, 7, 0, 0x70, 0x11, 1, 0,
            4, 0, 4, 0, 255, 255, 255, 255,
            8, 0, 5, 0, 7, 0, 0, 0,
            16, 0, 6, 0, 255, 255, 255, 255,
            32, 0, 0, 0, 255, 255, 255, 255,
        ]
        #expect(file.attributes == [Self.access: expected])
        #expect(file.entry.mode == 0o2660)
        #expect(losses.isEmpty)
    }

    @Test func defaultListIsKeptOnDirectoriesOnly() throws {
        let records: KeyValuePairs = ["SCHILY.acl.default": "user::rwx,group::r-x,other::---"]
        let directory = try read(records, type: "5", mode: 0o755)
        #expect(directory.entry.attributes.keys.sorted() == [Self.standard])
        #expect(directory.entry.attributes[Self.standard]?.count == 28)
        #expect(directory.losses.isEmpty)
        let file = try read(records)
        #expect(file.entry.attributes.isEmpty)
        #expect(file.losses.kinds["acl"]?.count == 1)
    }

    @Test func listOfASymbolicLinkIsALoss() throws {
        let (link, losses) = try read(["SCHILY.acl.access": "user::rw-,group::r--,other::r--"], type: "2")
        #expect(link.attributes.isEmpty)
        #expect(losses.kinds["acl"]?.count == 1)
    }

    @Test func attributeItselfHasPrecedenceOverText() throws {
        let list = AccessControlList([
            .init(tag: .owner, permissions: 6), .init(tag: .owningGroup, permissions: 4),
            .init(tag: .mask, permissions: 4),
            .init(tag: .user, permissions: 2, id: 7), .init(tag: .other, permissions: 0),
        ])
        var tar = TarBuilder()
        tar.addPax([
            ("SCHILY.acl.access", Array("user::rw-,user:1:r--,group::r--,mask::rwx,other::r--".utf8)),
            ("SCHILY.xattr.system.posix_acl_access", list.value),
        ])
        tar.add("x")
        let result = try readAll(tar.finished())
        #expect(result.entries.first?.attributes == [Self.access: list.value])
        // The reader leaves the mode to the copy.
        #expect(result.entries.first?.entry.mode == 0o644)
        #expect(result.losses.isEmpty)
    }

    @Test func aListTheKernelWouldRefuseIsALoss() throws {
        let (file, losses) = try read(["SCHILY.xattr.system.posix_acl_access": "raw"])
        #expect(file.attributes.isEmpty)
        #expect(losses.kinds["acl"]?.paths == ["x"])
    }

    @Test func aListWithoutEntriesIsNoList() throws {
        var tar = TarBuilder()
        tar.addPax([("SCHILY.xattr.\(Self.standard)", [2, 0, 0, 0])])
        tar.add("d/", type: "5")
        tar.addPax([("SCHILY.xattr.\(Self.access)", [2, 0, 0, 0]), ("SCHILY.xattr.\(Self.standard)", [2, 0, 0, 0])])
        tar.add("f")
        let result = try readAll(tar.finished())
        let counts = result.entries.map(\.attributes.count)
        #expect(counts == [0, 0])
        #expect(result.losses.isEmpty)
    }

    /// The kernel would see a NUL as the end, and so another name than the one that was judged.
    @Test(arguments: ["user.a", "security.capability", "security.selinux", "system.posix_acl_access"])
    func aNameWithANULIsALoss(name: String) throws {
        let (raw, rawLosses) = try read(["SCHILY.xattr.\(name)\0x": "value"])
        #expect(raw.attributes.isEmpty)
        #expect(rawLosses.kinds.count == 1)
        let (encoded, encodedLosses) = try read(["LIBARCHIVE.xattr.\(name)%00x": "dHdv"])
        #expect(encoded.attributes.isEmpty)
        #expect(encodedLosses.kinds.count == 1)
    }

    @Test(arguments: [
        "nonsense", "com.apple.provenance", "user.", "security.", "trusted.", "system.nfs4_acl",
        "system.posix_acl_other",
        "trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT",
        "security.selinux", "security.ima", "security.evm", "security.apparmor", "security.SMACK64",
        "security.SMACK64EXEC",
        "security.bpf.x", "btrfs.compression", "user." + String(repeating: "x", count: 251),
    ])
    func aNameNoTreeCanCarryIsALoss(name: String) throws {
        let (file, losses) = try read(["SCHILY.xattr.\(name)": "value"])
        #expect(file.attributes.isEmpty)
        let counts = losses.kinds.values.map(\.count)
        #expect(counts == [1])
        #expect(AttributeName(name) == nil)
    }

    @Test(arguments: [
        "user.x", "user.\u{e9} =%", "trusted.md5sum", "security.capability", "security.NTACL",
        "system.posix_acl_access", "user." + String(repeating: "x", count: 250),
    ])
    func aNameATreeCanCarryIsTaken(name: String) { #expect(AttributeName(name)?.bytes == Array(name.utf8)) }

    @Test(arguments: ["2", "3", "4", "6"]) func whatIsNoFileHasNoAttributesOfUsers(type: String) throws {
        let type = try #require(type.first)
        let (entry, losses) = try read(["SCHILY.xattr.user.a": "v", "SCHILY.xattr.trusted.a": "v"], type: type)
        #expect(entry.attributes.keys.sorted() == ["trusted.a"])
        #expect(losses.kinds["xattr:user.a"]?.count == 1)
    }

    @Test func aNameThatIsCodedWronglyIsALoss() throws {
        let (file, losses) = try read(["LIBARCHIVE.xattr.user.a%zz": "dHdv"])
        #expect(file.attributes.isEmpty)
        #expect(losses.kinds["xattr:user.a%zz"]?.count == 1)
    }

    @Test(arguments: [
        "user::rw-,user:somebody:rwx,group::r--,mask::rwx,other::r--",
        "user::rw-,user:5:rwx,group::r--,other::r--",
        "user::rw-,user:5:qqq,group::r--,mask::rwx,other::r--",
        "user::rw-,user:99999999999:rwx,group::r--,mask::rwx,other::r--",
        "nonsense",
        "user::rw-,user:5:rwx,user:5:r--,group::r--,mask::rwx,other::r--",
        "user::rw-,group::r--",
    ])
    func listThatIsIncompleteOrNamesSomeoneByNameIsALoss(list: String) throws {
        let (file, losses) = try read(["SCHILY.acl.access": list])
        #expect(file.attributes.isEmpty)
        #expect(losses.kinds["acl"]?.paths == ["x"])
    }

    /// As star writes lists: names with the number after the permissions; in Solaris' form `mask` and `other` have one colon.
    @Test(arguments: [
        "user::rw-,user:lisa:r-x:502,group::r--,group:toolies:rwx:102,mask::rwx,other::r--",
        "user::rw-,user:lisa:r-x:502,group::r--,group:toolies:rwx:102,mask:rwx,other:r--",
        "user::rw-, user:lisa:r-x:502, group::r--, group:toolies:rwx:102, mask:rwx, other:r--",
        "user::rw-\nuser:502:r-x\t#effective:r-x\ngroup::r--\ngroup:102:rwx\nmask::rwx\nother::r--\n",
        "default:user::rw-,default:user:502:r-x,default:group::r--,default:group:102:rwx,default:mask::rwx,default:other::r--",
        "defaultuser::rw-,defaultuser:502:r-x,defaultgroup::r--,defaultgroup:102:rwx,defaultmask:rwx,defaultother:r--",
    ])
    func listsOfOtherProgramsAreRead(list: String) throws {
        let plain = "user::rw-,user:502:r-x,group::r--,group:102:rwx,mask::rwx,other::r--"
        let expected = try read(["SCHILY.acl.access": plain]).entry.attributes
        let (file, losses) = try read(["SCHILY.acl.access": list])
        #expect(file.attributes == expected && expected.count == 1)
        #expect(losses.isEmpty)
    }

    @Test func listOfNFSv4IsALoss() throws {
        let (file, losses) = try read(["SCHILY.acl.ace": "owner@:rw-p--aARWcCos:-------:allow"])
        #expect(file.attributes.isEmpty)
        #expect(losses.kinds["acl"]?.paths == ["x"])
    }
}
