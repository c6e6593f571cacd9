// SPDX-License-Identifier: Apache-2.0

/// A directory with one of everything a root filesystem can hold.
public enum TreeFixture {
    /// Makes the directory `name`. Everything below is made by the system's own tools.
    public static func make(_ name: String, in scratch: ScratchDirectory) throws {
        try scratch.shell(
            """
            mkdir -m 0750 \(name); cd \(name)
            printf hello > plain; chmod 0640 plain; chown 1000:1001 plain; touch -d '2001-02-03 04:05:06.123456789' plain
            : > empty; chmod 4755 empty
            printf x > setgid; chown 7:8 setgid; chmod 2711 setgid
            mkdir -m 1777 sticky; printf 'dot' > .hidden; mkdir readonly; printf in > readonly/inside; chmod 0555 readonly
            printf shared > linked; ln linked second; mkdir zdir; ln linked zdir/third
            ln -s /etc/passwd absolute; ln -s ../../up relative; ln -s gone dangling; chown -h 33:44 dangling
            touch -h -d '1999-12-31 23:59:59.5' dangling
            mknod char c 1 3; chmod 0666 char; mknod block b 7 200; mkfifo -m 0600 fifo; chown 9:9 fifo
            truncate -s 5M sparse; printf middle | dd of=sparse bs=1 seek=2000000 conv=notrunc status=none
            truncate -s 1M holes; dd if=/dev/urandom of=random bs=1000 count=333 status=none
            printf n > "$(printf 'new\\nline')"; printf n > "$(printf 'bad\\377byte')"; printf n > ' -rf *'
            printf n > "$(printf 'u\\314\\210nfc')"
            mkdir -p deep/er/est; printf d > deep/er/est/file; touch -d '1970-01-01 00:00:01.000000002 UTC' deep/er
            printf a > attributes; setfattr -n user.note -v 'a value' attributes; setfattr -n user.empty attributes
            setfattr -n trusted.t -v 0x00ff00 attributes; setfattr -n trusted.dir -v dir deep
            setfattr -h -n trusted.link -v link relative
            printf acl > acl; setfacl -m u:5:r,g:6:rw,m::rw acl; setfacl -d -m u:5:rwx zdir
            cp /bin/true capable; setcap cap_net_raw+ep capable
            touch -d '2020-01-01 00:00:00.000000001' .
            """)
    }

    /// What the system's tools say of a tree: every name with everything stat(1) knows, contents, and attributes.
    public static func describe(_ name: String, in scratch: ScratchDirectory) throws -> String {
        try scratch.shell(
            """
            cd \(name); export LC_ALL=C
            find . -printf '%P %y %m %U %G %T@ %l ' \\( -type d -printf '-\\n' -o -printf '%s %n\\n' \\) | sort
            find . \\( -type c -o -type b \\) -exec stat -c '%n %t %T' {} + | sort
            find . -type f -exec sha256sum {} + | sort
            find . -print0 | sort -z | xargs -0 getfattr -h -d -m - -e hex --
            find . -samefile linked | sort
            stat -c '%b' sparse holes
            """)
    }
}
