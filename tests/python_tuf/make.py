#!/usr/bin/env python3
"""Makes the repository beside this file with python-tuf 7.0.1 and securesystemslib 1.6.0 (PyPI), so that what the client reads was not
written by its own authors. Keys of three kinds; the root rotates once. Run it in an empty folder."""

import pathlib
from datetime import datetime, timezone

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp

FAR = datetime(2099, 1, 1, tzinfo=timezone.utc)
TARGET = b'{"made by": "python-tuf", "\xc3\xa9": "\\n"}\n'

root_signers = [CryptoSigner.generate_ecdsa(), CryptoSigner.generate_rsa(), CryptoSigner.generate_ed25519()]
online, offline = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ecdsa()

root = Root(version=1, expires=FAR, consistent_snapshot=True)
root.roles["root"] = Role([], 2)
for signer in root_signers:
    root.add_key(signer.public_key, "root")
root.add_key(offline.public_key, "targets")
for role in ("timestamp", "snapshot"):
    root.add_key(online.public_key, role)
root.unrecognized_fields["x-unknown"] = {"b": [1, True, None], "a": 'quote " backslash \\ newline \n é'}


def write(name, metadata, signers):
    for signer in signers:
        metadata.sign(signer, append=True)
    metadata.to_file(name)


write("1.root.json", Metadata(root), root_signers)
newcomer = CryptoSigner.generate_rsa()
second = Metadata(root)
root.version = 2
root.revoke_key(root_signers[0].public_key.keyid, "root")
root.add_key(newcomer.public_key, "root")
# Signed by an RSA and an Ed25519 key of the old root, and by the new one's RSA keys.
write("2.root.json", second, [root_signers[1], root_signers[2], newcomer])

target = TargetFile.from_data("trusted_root.json", TARGET, ["sha256", "sha512"])
target.unrecognized_fields["custom"] = {"sigstore": {"status": "Active", "usage": "unknown"}}
targets = Targets(version=1, expires=FAR, targets={"trusted_root.json": target})
write("1.targets.json", Metadata(targets), [offline])
pathlib.Path("targets").mkdir(exist_ok=True)
pathlib.Path(f"targets/{target.hashes['sha256']}.trusted_root.json").write_bytes(TARGET)

pin = MetaFile.from_data(1, pathlib.Path("1.targets.json").read_bytes(), ["sha256", "sha512"])
write("1.snapshot.json", Metadata(Snapshot(version=1, expires=FAR, meta={"targets.json": pin})), [online])
pin = MetaFile.from_data(1, pathlib.Path("1.snapshot.json").read_bytes(), ["sha256"])
write("timestamp.json", Metadata(Timestamp(version=1, expires=FAR, snapshot_meta=pin)), [online])
