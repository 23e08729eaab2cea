"""What a certificate says of itself, as openssl reads it."""

import subprocess


def serial_of(chain):
    """The serial number of a chain's first certificate, in lower-case hexadecimal."""
    text = subprocess.run(["openssl", "x509", "-in", chain, "-noout", "-serial"], check=True, capture_output=True, text=True, timeout=20).stdout
    return text.strip().partition("=")[2].lower()


def named_in(chain):
    """The name in a certificate."""
    text = subprocess.run(["openssl", "x509", "-in", chain, "-noout", "-ext", "subjectAltName"], capture_output=True, text=True, check=True).stdout
    return next(part.strip().removeprefix("URI:") for part in text.replace("\n", ",").split(",") if part.strip().startswith("URI:"))
