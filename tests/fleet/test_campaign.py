"""A campaign of a few faults; the command runs a thousand: `python -m tests.fleet.campaign`."""

import pytest

from tests.fleet.campaign.__main__ import run
from tests.redis_server import needs_redis

pytestmark = [pytest.mark.slow, needs_redis]


async def test_a_few_faults_of_real_processes_show_no_client_anything_wrong() -> None:
    findings = await run(faults=2, seed=7)
    assert findings.compared > 20
    assert (findings.wrong, findings.two_leaders, findings.unhealed) == ([], [], [])
