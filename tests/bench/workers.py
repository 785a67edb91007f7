"""What a hit costs with workers: two of them and their parent, beside a single process.

Run as `python -m tests.bench.workers [--quick]`. CPU time per hit is that of all processes
together. With three cores or more, one for the load, rates are compared too; with two they say
nothing of workers, which then share a core with each other and with what asks.
"""

import argparse
import os
from statistics import median

from tests.bench.figures import Ratio, verdict
from tests.bench.hits import interpreter, warm
from tests.bench.load import Slice, Targets, run
from tests.bench.servers import Bench, Server

BOARDS, SIZES, CONNECTIONS = 50, (1_000, 20_000), 16
ROUNDS = {"full": 9, "quick": 3, "smoke": 1}
SLICE_S = {"full": 1.0, "quick": 1.0, "smoke": 0.1}
WORKERS = 2


def main(arguments: list[str] | None = None) -> None:
    """Measure and print; nothing is left running."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workers")
    parser.add_argument("--quick", action="store_const", const="quick", dest="plan")
    parser.add_argument("--smoke", action="store_const", const="smoke", dest="plan")
    plan = parser.parse_args(arguments).plan or "full"
    cores = len(os.sched_getaffinity(0))
    print(interpreter())
    with Bench() as bench:
        upstream = bench.upstream()
        one, several = bench.proxy(upstream), bench.proxy(upstream, workers=WORKERS)
        for size in SIZES[: 1 if plan == "smoke" else None]:
            _measure({"one": one, "workers": several}, size, plan, cores)


def _measure(servers: dict[str, Server], size: int, plan: str, cores: int) -> None:
    targets, slice_s = Targets("0123456789ab", BOARDS, size), SLICE_S[plan]
    slices: dict[str, list[Slice]] = {name: [] for name in servers}
    for server in servers.values():
        warm(server, targets)
        run(server, targets, CONNECTIONS, slice_s)  # each worker fills its near cache
    for _ in range(ROUNDS[plan]):
        for name, server in servers.items():
            slices[name].append(run(server, targets, CONNECTIONS, slice_s))
    print(f"\n{size // 1000} kB, {CONNECTIONS} connections, {ROUNDS[plan]} slices each")
    for name, each in slices.items():
        cpu, rate = (median(getattr(s, what) for s in each) for what in _FIGURES)
        print(f"  {name:8} {rate:8,.0f} hits/s {cpu * 1e6:7.1f} µs CPU")
    cpus = ([s.cpu_per_request_s for s in slices[name]] for name in ("workers", "one"))
    print(verdict("a hit's CPU time to one process's", Ratio(*cpus).median, most=1.05))
    if cores <= WORKERS:
        print(f"  On {cores} cores their rates are not comparable.")
        return
    rates = ([s.per_second for s in slices[name]] for name in ("workers", "one"))
    print(verdict("hits/s to one process's", Ratio(*rates).median, least=1.8))


_FIGURES = ("cpu_per_request_s", "per_second")

if __name__ == "__main__":
    main()
