"""Fleet page (`/-/fleet`): this node's role, the leader, and the members that it knows."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from markupsafe import Markup

from proxy.pages.layout import page, table

_TITLE = "Fleet"
_LEAD = "One node leads; the others relay to it."
_COLUMNS = ("Address", "Role", "Version", "Settings", "Last ping", "Trust", "Lag", "Near cache")
_PAGE = Markup("""<h1 id="title">{title}</h1>
<p class="lead">{lead}</p>
<section class="panel"><p>{summary}</p>
{table}</section>""")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One member."""

    address: str
    role: str = ""
    """`leader`, `follower`, or empty: not known here."""
    version: str = ""
    settings: str = ""
    """Digest of the settings that all nodes must share."""
    heard_s: float | None = None
    """Seconds since its last ping; only the leader knows."""
    trusted_s: float | None = None
    """Seconds for which it may use its near cache without another ping; None: not known here."""
    lag: int | None = None
    """Invalidations that it has not acknowledged; only the leader knows."""
    kept: int | None = None
    """Responses in its near cache; None: not known here, or it has none."""
    through: str = ""
    """Address of the follower that passes on what it sends to the leader; empty: none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """The fleet as one node knows it."""

    address: str
    """Of this node."""
    role: str
    leader: str
    """Address; empty: none."""
    term: int
    members: Sequence[MemberRow]


def fleet_page(state: FleetState) -> bytes:
    """The state as HTML."""
    members = table(_COLUMNS, map(_cells, state.members))
    summary = _summary(state)
    return page(_TITLE, _PAGE.format(title=_TITLE, lead=_LEAD, summary=summary, table=members))


def fleet_json(state: FleetState) -> bytes:
    """The state as JSON."""
    return json.dumps(asdict(state)).encode() + b"\n"


def fleet_text(state: FleetState) -> bytes:
    """The state as plain text, one line for each member."""
    lines = ["  ".join(each or "-" for each in _cells(member)) for member in state.members]
    return "\n".join([_summary(state), *lines]).encode() + b"\n"


def _summary(state: FleetState) -> str:
    leader = f"leader {state.leader}" if state.leader else "no leader"
    return f"This node, {state.address}, is {state.role}; {leader}, term {state.term}."


def _cells(member: MemberRow) -> tuple[str, ...]:
    heard = "" if member.heard_s is None else f"{member.heard_s:.1f} s ago"
    role = f"{member.role} through {member.through}" if member.through else member.role
    trust = "" if member.trusted_s is None else f"{member.trusted_s * 1000:.0f} ms"
    lag = "" if member.lag is None else f"{member.lag} invalidations"
    kept = "" if member.kept is None else f"{member.kept} responses"
    return member.address, role, member.version, member.settings, heard, trust, lag, kept
