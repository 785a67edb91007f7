"""Readings of the components, taken when /metrics is scraped."""

from proxy.app.components import Components, Environment
from proxy.observability.metrics import Readings
from proxy.status.readings import (
    availability_readings,
    cache_readings,
    poller_readings,
    rate_limit_readings,
    verification_readings,
)


def component_readings(components: Components, environment: Environment) -> Readings:
    """What the components of a proxy, or of a fleet's leader, know; not those of its files."""
    upstream, stores = components.upstream, components.stores
    return {
        **rate_limit_readings(upstream.limiter, upstream.stored),
        **availability_readings(upstream.availability, components.credential_manager),
        **cache_readings(stores.responses, environment.config, stores.redis),
        **poller_readings(components.changes.poller),
        **verification_readings(components.services.verifier),
    }
