"""Search for secrets in what a proxy under test sends, logs and stores."""

from pathlib import Path

import pytest

from proxy.cli.leak_check.search import Canary, CanarySearch, Leak, stored_data
from proxy.credentials.redaction import Redactor
from tests.server.conftest import (
    KEY,
    TOKEN,
    Proxy,
)


def shown_in(data: bytes, *secrets: str) -> list[Leak]:
    """Where the secrets, in any spelling and also compressed, are in the data."""
    search = CanarySearch(Canary(f"{secret[:4]}…", secret) for secret in secrets)
    search.search("data", "the data", data)
    return list(search.leaks)


def kept(directory: Path) -> list[bytes]:
    """Every file name, file and database value below a directory."""
    return [data for _, data in stored_data(directory)]


async def nothing_stays(proxy: Proxy, caplog: pytest.LogCaptureFixture, *secrets: str) -> None:
    """Stop the proxy, and search its metrics, log and disk."""
    metrics = await proxy.get("/metrics")
    assert shown_in(metrics.raw, *secrets) == []
    assert kept(proxy.directory)
    for data in kept(proxy.directory):
        assert shown_in(data, *secrets) == []
    await proxy.stop()
    for data in (*kept(proxy.directory), proxy.log, caplog.text.encode()):
        assert shown_in(data, *secrets) == []
    assert "unexpected" not in proxy.log.decode()
    assert caplog.records == []


def shows(raw: bytes) -> bool:
    """Whether the stored credential is in the bytes, in a spelling that is redacted."""
    return Redactor((KEY, TOKEN)).contains_secret(raw)
