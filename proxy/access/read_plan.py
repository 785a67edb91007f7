"""Read plan: what is requested for a client with a scope, so that it can be filtered. Pure.

A list over all boards is requested whole and cut afterwards, for its first ten items may be of
boards that are not visible. Objects are requested with the field that names their board. A search
is requested for the visible boards only.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote

from proxy.access.attribution import STATIONARY, Attribution, Form, Shows, attribution_of
from proxy.access.visible import Visible
from proxy.errors import OutsideScope
from proxy.http_semantics.parameters import Parameter, read_form
from proxy.http_semantics.target import canonical_query
from proxy.trello.resource_schema import FIELDS
from proxy.trello.routes import Match
from proxy.trello.tags import ROOTS

MAX_ITEMS = 1_000
"""Trello's longest list: one of this length may have been cut."""
MAX_BOARDS = 200
"""In a search; more would not fit its target."""
_DEFAULT_LIMIT = 50
_NAMES_WORDS = """
    actions attachments badges before board boardBackgrounds boardStars boards boardsInvited card
    cards
    checkItemStates checkItems checklists count customFieldItems customFields display entities
    fields filter format labels limit list lists member memberCreator members membersInvited
    membersVoted memberships modelTypes myPrefs notifications organization organizations
    organizationsInvited page partial pluginData query reactions read_filter returnUrl since sort
    sortBy sortOrder stickers tags locale spritesheets idBoards idModels _
    """
_NAMES = frozenset(_NAMES_WORDS.split())
_NESTED = re.compile(
    r"(?:actions?|attachments?|boards?|boardsInvited|cards?|checkItem|checklists?|labels?|lists?"
    r"|members?|memberCreator|memberVoted|notifications?|organizations|organizationsInvited"
    r"|stickers?|customFieldItems?)_[A-Za-z]+(?:_[A-Za-z]+)?|(?:board_)?organization_fields"
)
_FIELDS = {
    **FIELDS,
    "action": frozenset({"data", "date", "id", "idMemberCreator", "type"}),
    "customField": frozenset({"display", "fieldGroup", "id", "idModel", "name", "pos", "type"}),
    "notification": frozenset({"data", "date", "id", "idMemberCreator", "type", "unread"}),
}
"""By kind, the fields that may be read one by one."""
_SEARCHED = frozenset({"actions", "boards", "cards"})
_CUT = re.compile("format|limit|page")
_CUT_OF_PERSONS = re.compile(
    "format|limit|page|actions|notifications|(?:actions|boards|cards|notifications|organizations)_"
    "(?:format|limit|page)"
)
"""Parameters that cut a list or count it; actions and notifications are always cut."""
_NOTHING = frozenset({"", "false", "none"})
_PAGED = frozenset({Shows.ACTION, Shows.NOTIFICATION})
_Parameters = list[Parameter]


@dataclass(frozen=True, slots=True)
class Page:
    """The items of a list that a client requested."""

    start: int
    count: int


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What is requested of Trello, and how its response is cut."""

    attribution: Attribution
    query: str
    field: str = ""
    """A field to be removed from what is shown: it was requested to see the board."""
    page: Page | None = None
    """Of a list over all boards, after it was filtered."""
    member: str = ""
    """The field whose value alone is shown."""
    names_board: bool = False
    """Whether the response names its board, or is of an object that never leaves it."""


def plan_read(match: Match, query: str, visible: Visible) -> ReadPlan:
    """The plan; OutsideScope for a parameter that is not known, or cannot be attributed."""
    attribution = attribution_of("GET", match)
    parameters = read_form(query)
    for name, _ in parameters:
        if name not in _NAMES and not _NESTED.fullmatch(name):
            raise OutsideScope("It has a parameter of which it is not known what it shows.")
    if len(dict(parameters)) < len(parameters):
        raise OutsideScope("It has a parameter twice.")
    is_stationary = attribution.form is Form.BOARD or _kind_of(match) in STATIONARY
    names_board = is_stationary or attribution.shows is not Shows.ANYTHING
    plan = ReadPlan(attribution, query, names_board=names_board)
    if match.route.template.endswith("/{field}"):
        plan = replace(plan, member=_field_of(match))
    if attribution.form is Form.SEARCH:
        return replace(plan, query=_search(parameters, visible))
    if attribution.form in (Form.SPANNING, Form.WORKSPACE):
        if attribution.shows in _PAGED:
            parameters, page = _whole(parameters)
            plan = replace(plan, query=_query(parameters), page=page)
        else:
            _check_uncut(attribution.shows, parameters)
    return _with_field(plan, parameters)


def _check_uncut(shows: Shows, parameters: _Parameters) -> None:
    """OutsideScope for what Trello would cut or count before it is filtered.

    The items of other boards would take part: how many there are, and since when, would show.
    """
    cut = _CUT_OF_PERSONS if shows is Shows.PERSON else _CUT
    if any(cut.fullmatch(name) for name, value in parameters if value not in _NOTHING):
        raise OutsideScope(
            "Ask for the list by itself, without a limit, a page or a count: what is not visible "
            "must not be counted."
        )


def _kind_of(match: Match) -> str:
    return ROOTS.get(match.segments[0], "")


def _field_of(match: Match) -> str:
    """The field that a path names; OutsideScope for one that is not known."""
    kind, field = ROOTS[match.segments[0]], match.segments[-1]
    if field not in _FIELDS[kind]:
        raise OutsideScope("It is not known what this field shows.")
    return field


def _with_field(plan: ReadPlan, parameters: _Parameters) -> ReadPlan:
    """The plan with the field that names the board, where `fields` leaves it out."""
    field, chosen = plan.attribution.shows.board_field, dict(parameters).get("fields")
    if not field or chosen is None or {"all", field}.intersection(chosen.split(",")):
        return plan
    names = f"{chosen},{field}" if chosen else field
    wider = [(name, names if name == "fields" else value) for name, value in parameters]
    return replace(plan, query=_query(wider), field=field)


def _whole(parameters: _Parameters) -> tuple[_Parameters, Page]:
    """The parameters of the longest list, and what the client wants of it."""
    given = dict(parameters)
    if given.get("format", "list") != "list":
        raise OutsideScope("Leave `format` out: what is not visible must not be counted.")
    limit, number = (_number(given.get(name, default)) for name, default in _PAGING)
    kept = [(name, value) for name, value in parameters if name not in dict(_PAGING)]
    return [*kept, ("limit", str(MAX_ITEMS))], Page(limit * number, limit)


_PAGING = (("limit", str(_DEFAULT_LIMIT)), ("page", "0"))


def _number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", text):
        raise OutsideScope("Write `limit` and `page` as numbers.")
    return min(int(text), MAX_ITEMS)


def _search(parameters: _Parameters, visible: Visible) -> str:
    """The query of a search on the visible boards."""
    given = dict(parameters)
    kinds = set(given.get("modelTypes", "all").split(","))
    if not kinds <= _SEARCHED:
        raise OutsideScope("Write modelTypes=cards, boards or actions: no other can be limited.")
    for name in ("card_fields", "action_fields"):
        if not {"all", "idBoard", "data"}.intersection(given.get(name, "all").split(",")):
            raise OutsideScope(f"Add idBoard, or data for actions, to {name}.")
    names = given.get("idBoards", "mine").split(",")
    boards = visible.boards if names == ["mine"] else {visible.board_names.get(n) for n in names}
    if None in boards or not 0 < len(boards) <= MAX_BOARDS:
        raise OutsideScope(f"Name up to {MAX_BOARDS} boards that you may see in idBoards.")
    kept = [(name, value) for name, value in parameters if name != "idBoards"]
    return _query([*kept, ("idBoards", ",".join(sorted(filter(None, boards))))])


def _query(parameters: _Parameters) -> str:
    return canonical_query("&".join(f"{quote(n, safe='')}={quote(v, safe='')}"
                                    for n, v in parameters))  # fmt: skip
