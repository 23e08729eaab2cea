"""The account of a provider's operator, whoever may have it: keystead-admin with every right that there is."""

import os

from product import PROVIDER, Leaf


def operator(wired, backend="backend"):
    return Leaf(os.path.join(wired.pki_at(backend).folder, "provider", "operator", "ops"), f"spiffe://{PROVIDER}/operator/ops")


def administer(wired, *words, leaf=None, check=True):
    """One run of keystead-admin at the backend."""
    backend = wired.hops["backend"]
    return wired.stack.run("keystead-admin", *words, "--backend", backend.address, "--backend-id", f"spiffe://{PROVIDER}/service/*",
                           *(leaf or operator(wired)).options(backend.roots), check=check, patience=60)
