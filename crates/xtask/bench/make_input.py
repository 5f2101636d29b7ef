"""Makes the bench's input: a 10-page PDF and a P-256 key with its certificate as PKCS#12 (password `bench`).

python make_input.py OUTPUT.pdf KEY.p12
"""

import datetime
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

pdf, key_file = sys.argv[1:]
canvas = Canvas(pdf, pagesize=A4, invariant=1)
for page in range(1, 11):
    for line in range(50):
        canvas.drawString(60, 780 - 14 * line, f"{page}.{line + 1} The parties agree that this line is part of the agreement.")
    canvas.showPage()
canvas.save()

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Countersign bench")])
start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
certificate = (
    x509.CertificateBuilder()
    .subject_name(name)
    .issuer_name(name)
    .public_key(key.public_key())
    .serial_number(1)
    .not_valid_before(start)
    .not_valid_after(start + datetime.timedelta(days=3650))
    .add_extension(x509.KeyUsage(True, True, *[False] * 7), critical=True)
    .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    .sign(key, hashes.SHA256())
)
protection = (
    serialization.PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(1000)
    .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    .hmac_hash(hashes.SHA256())
    .build(b"bench")
)
with open(key_file, "wb") as out:
    out.write(pkcs12.serialize_key_and_certificates(b"bench", key, certificate, None, protection))
