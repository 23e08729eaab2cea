"""The account of a provider's operator, whoever may have it: keystead-admin with every right that there is."""

import os

from product import Leaf
from scenario import provider_domain


def provider_of(wired, backend):
    return provider_domain(wired.scenario.processes[backend])


def operator(wired, backend="backend"):
    return Leaf(os.path.join(wired.pki_at(backend).folder, "provider", "operator", "ops"), f"spiffe://{provider_of(wired, backend)}/operator/ops")


def administer(wired, *words, leaf=None, check=True, backend="backend"):
    """One run of keystead-admin at this backend."""
    hop = wired.hops[backend]
    return wired.stack.run("keystead-admin", *words, "--backend", hop.address, "--backend-id", f"spiffe://{provider_of(wired, backend)}/service/*",
                           *(leaf or operator(wired, backend)).options(hop.roots), check=check, patience=60)
