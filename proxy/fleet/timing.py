"""Timing of the fleet: seconds of CLOCK_BOOTTIME, the same constants in every node.

No two clocks are compared. A duration that one node measures and another relies on is corrected
for clocks that run up to MAX_DRIFT too fast or too slow. Pure.
"""

HEARTBEAT_S = 0.4
"""Between two renewals of the lease, and between two pings of a follower."""
LEASE_S = 1.5
"""A lease that was not renewed for so long may be taken by another node."""
SEND_MARGIN_S = 0.2
"""The leader stops acting so long before: between its last check and what it then sends."""
PROMISE_S = 3.0
"""A node that promises not to run for leader keeps that for so long."""
TRUST_S = 3.0
"""A follower uses its near cache for so long after a ping that the leader replied to."""
ACKNOWLEDGE_S = 1.0
"""A follower that acknowledges nothing for so long is trusted no longer than it was."""
MAX_DRIFT = 0.01

TIMEOUT_S = 0.4
"""For one command of the lease, one connection to a node, one status."""
SESSION_TIMEOUT_S = 1.0
"""A session without a pong for so long has ended."""
GIVEN_TIMEOUT_S = 6.0
"""The same of workers, whose parent no other process replaces: one that is busy or stopped for a
while loses no request. Its end closes the session."""
LOOK_S = 0.1
"""Between two looks at the lease while seeking a leader: so soon after a take-over it is joined."""
RETRY_S = 0.25
"""The same while Redis does not respond."""
DIRECT_S = 2.0
"""Between two attempts to reach the leader without another node in between."""
APART_AFTER_S = 5.0
"""A node that has sought a leader for so long serves reads by itself."""
FORGET_MEMBER_S = 60.0
"""The leader, while it has the lease, forgets a member without a session after so long."""
WITNESS_S = 30.0
"""For so long a follower vouches for what it last received; well below FORGET_MEMBER_S."""


def at_least(duration_s: float) -> float:
    """What to wait by this node's clock so that `duration_s` has passed by any other's."""
    return duration_s * (1 + 2 * MAX_DRIFT)


def at_most(duration_s: float) -> float:
    """What passes by this node's clock before `duration_s` has passed by any other's."""
    return duration_s * (1 - 2 * MAX_DRIFT)
