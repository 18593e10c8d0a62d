"""Content credentials as facts: files signed with the library's own signer and a certificate that lives for a test."""

import datetime
import http.server
import importlib.util
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from clips import encode

from dfd_train.predict import credentials
from dfd_train.predict.credential_facts import NAME, facts_of_credentials
from dfd_train.predict.credentials import Credentials, credentials_of

c2pa = pytest.importorskip("c2pa")
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MANIFEST = {
    "claim_generator_info": [{"name": "a test's camera", "version": "7"}],
    "title": "a title that is nobody's business",
    "assertions": [
        {
            "label": "c2pa.actions",
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE}]},
        }
    ],
}


@pytest.fixture(scope="module")
def sign() -> Callable[..., Path]:
    signer = _signer()

    def signed(path: Path, kind: str, remote: str = "") -> Path:
        target = path.with_name(f"signed-{path.name}")
        builder = c2pa.Builder.from_json(json.dumps(MANIFEST))
        if remote:
            builder.set_remote_url(remote)
            builder.set_no_embed()
        with path.open("rb") as source, target.open("w+b") as out:
            builder.sign(signer, kind, source, out)
        return target

    return signed


@pytest.fixture
def photograph(tmp_path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    PIL.Image.fromarray(noise).save(tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


@pytest.fixture
def film(tmp_path) -> Path:
    return encode(tmp_path / "a.mp4", list(np.zeros((3, 32, 32, 3), np.uint8)))


def test_what_a_signed_file_says(sign, photograph, film) -> None:
    for path, kind in ((photograph, "image/jpeg"), (film, "video/mp4")):
        assert credentials_of(path).state == "none"
        found = credentials_of(sign(path, kind))
        assert (found.state, found.failures) == ("intact", ())
        assert found.signer == "A newsroom, Its signer" and found.generator == "a test's camera 7"
        assert found.actions == ("c2pa.created (trainedAlgorithmicMedia)",)
        assert "business" not in str(found) and found.reader.startswith("c2pa-python ")
    rows = dict(facts_of_credentials(found))
    assert "the signature and fingerprints in them fit this file" in rows[NAME]
    assert rows["What they say was done"] == "created: made by generative AI (trainedAlgorithmicMedia)"
    assert rows["Signed by"] == found.signer and rows["Signed at"] == "no time stamp"


def test_what_was_changed_after_it_was_signed(sign, film, photograph) -> None:
    signed = sign(film, "video/mp4")
    content = bytearray(signed.read_bytes())
    content[content.rindex(b"mdat") + 8] ^= 1
    signed.write_bytes(content)
    found = credentials_of(signed)
    assert found.state == "broken" and found.failures == ("assertion.bmffHash.mismatch",)
    assert "don't fit this file" in facts_of_credentials(found)[0][1]
    assert "(in C2PA's words: assertion.bmffHash.mismatch)" in facts_of_credentials(found)[0][1]
    signed = sign(photograph, "image/jpeg")
    signed.write_bytes(signed.read_bytes().replace(b"Its signer", b"Not signer"))
    assert credentials_of(signed).failures == ("claimSignature.mismatch",)


def test_nothing_is_fetched(sign, photograph) -> None:
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = credentials_of(
            sign(photograph, "image/jpeg", f"http://127.0.0.1:{server.server_port}/m.c2pa")
        )
        server.shutdown()
    assert (found.state, found.reason) == (
        "unreadable",
        "the manifest is kept elsewhere, and was not fetched",
    )
    assert not asked


@pytest.mark.parametrize("size", [0, 1, 40, 400])
def test_what_is_cut_off_is_an_answer(sign, photograph, size) -> None:
    signed = sign(photograph, "image/jpeg")
    signed.write_bytes(signed.read_bytes()[:size])
    assert credentials_of(signed).state in ("none", "not_looked_for", "unreadable")


def test_without_the_extra_it_is_said_and_how_to_add_it_only_on_the_console(monkeypatch, photograph) -> None:
    assert credentials.advice() == ""
    find = importlib.util.find_spec
    monkeypatch.setattr(credentials, "find_spec", lambda name: None if name == "c2pa" else find(name))
    assert credentials_of(photograph) == Credentials("not_looked_for", "c2pa-python is not installed here")
    assert "pip install 'packages/dfd-train[c2pa]'" in credentials.advice()


def _signer():
    """Of a certificate by an authority that nobody knows."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now, pem = datetime.datetime.now(datetime.UTC), serialization.Encoding.PEM

    def name(common: str) -> x509.Name:
        organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A newsroom")
        return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common)])

    def certificate(common: str, key, authority_key, ca: bool) -> bytes:
        uses = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        uses |= {"encipher_only": False, "decipher_only": False}
        usage = x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **uses)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name("An authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(authority, False)
        )
        if not ca:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, True)
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(pem)

    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = certificate("Its signer", own, authority, False) + certificate(
        "An authority", authority, authority, True
    )
    key = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain, key, None))
