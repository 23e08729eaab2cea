"""The provider's Prometheus in its container (profile metrics): that it reaches the backend, and what it knows of the tenants."""

import compose_page
import harness
from harness import Failure
from product import ACME, GLOBEX
from prometheus import Api

RATES = "sum by (tenant) (rate(keystead_tenant_records_total[1m]))"


def metrics(demo):
    if "prometheus" not in demo.project.services():
        demo.screen.say("no Prometheus runs (docker compose --profile metrics up -d): what it would tell the provider is not shown here")
        return
    demo.screen.stage("The provider's numbers", "Prometheus stands beside the backend in a network that nobody else has. It is told how much each tenant "
                      "stores, and never what.")
    api = Api(demo.project.container("prometheus").published(compose_page.PROMETHEUS_PORT))
    seen = {}

    def both():
        seen.update({labels["tenant"]: rate for labels, rate in api.query(RATES)})
        return all(seen.get(tenant, 0) > 0 for tenant in (ACME, GLOBEX))
    try:
        harness.wait_until(lambda: api.number('up{job="backend"}') == 1 and both(), "numbers of both tenants", 60)
    except (Failure, OSError) as error:
        demo.screen.say(demo.screen.bad(str(error)))
    demo.checks.check("metrics.tenants", both() and api.number('up{job="backend"}') == 1,
                      "the backend is up, and records of both tenants come in: " + ", ".join(f"{tenant} {rate:.1f}/s" for tenant, rate in sorted(seen.items())))
    rules = [rule for group in api.api("rules")["groups"] for rule in group["rules"]]
    demo.checks.check("metrics.alarms", rules and all(rule["health"] == "ok" for rule in rules), f"{len(rules)} alarms are watched over")
