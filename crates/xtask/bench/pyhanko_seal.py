"""Peer of the bench: pyHanko certifies the same PDF with one attachment and prints its CPU milliseconds per file.

python pyhanko_seal.py INPUT.pdf KEY.p12 TRAIL.json COUNT
"""

import io
import json
import sys
import time

from pyhanko.pdf_utils import embed
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter

source, key, trail, count = sys.argv[1:]
original = open(source, "rb").read()
attachment = open(trail, "rb").read()
signer = signers.SimpleSigner.load_pkcs12(key, passphrase=b"bench")
metadata = signers.PdfSignatureMetadata(
    field_name="Seal", certify=True, docmdp_permissions=MDPPerm.NO_CHANGES, subfilter=SigSeedSubFilter.PADES,
    md_algorithm="sha256", reason="bench",
)


def seal():
    writer = IncrementalPdfFileWriter(io.BytesIO(original))
    file = embed.EmbeddedFileObject.from_file_data(writer, attachment, mime_type="application/json")
    embed.embed_file(writer, embed.FileSpec("countersign-trail.json", embedded_data=file))
    return signers.sign_pdf(writer, metadata, signer=signer).getvalue()


for _ in range(3):
    seal()
before = time.process_time()
for _ in range(int(count)):
    size = len(seal())
print(json.dumps({"cpu_ms_per_file": (time.process_time() - before) * 1000 / int(count), "size_bytes": size}))
