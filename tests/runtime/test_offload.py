"""Work over many bytes is done in a thread, and over few at once."""

import threading

import pytest

from proxy.runtime.tasks import CLIENT_INLINE_BYTES, OFFLOAD_BYTES, run_for_client, run_if_large


@pytest.mark.parametrize(
    ("run", "limit"), [(run_if_large, OFFLOAD_BYTES), (run_for_client, CLIENT_INLINE_BYTES)]
)
async def test_long_work_leaves_the_event_loop(run: object, limit: int) -> None:
    assert callable(run)
    here = threading.get_ident()
    assert await run(limit, threading.get_ident) == here
    assert await run(limit + 1, threading.get_ident) != here


async def test_all_work_for_clients_is_done_in_one_thread() -> None:
    threads = {await run_for_client(10**6, threading.get_ident) for _ in range(5)}
    assert len(threads) == 1


async def test_arguments_and_exceptions_pass_through() -> None:
    assert await run_if_large(0, int, "11", base=2) == 3
    with pytest.raises(ValueError, match="invalid literal"):
        await run_for_client(10**6, int, "x")
