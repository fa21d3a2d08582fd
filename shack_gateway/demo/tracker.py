"""The book behind the tickets server: projects, people, sprints and tickets, kept in memory.  Pure."""
from __future__ import annotations

from typing import Any

from .asking import Trouble

Ticket = dict[str, Any]

STATUSES = ("open", "in progress", "review", "done")
PRIORITIES = ("low", "normal", "high", "urgent")
KINDS = ("bug", "task", "story")
LINKS = ("blocks", "relates to", "duplicates")
MOVES = {
    "open": ("in progress",),
    "in progress": ("open", "review"),
    "review": ("in progress", "done"),
    "done": ("open",),
}

_PEOPLE = {"ada": "Ada Ferro", "bilal": "Bilal Osei", "chen": "Chen Wei", "dora": "Dora Lind"}
_PROJECTS = {"SHOP": "Web shop", "OPS": "Operations"}
_FIRST = (
    # project, title, kind, priority, status, assignee, labels
    ("SHOP", "Checkout button does nothing on small screens", "bug", "high", "open", "ada", ["checkout", "mobile"]),
    ("SHOP", "Let customers save more than one address", "story", "normal", "open", None, ["account"]),
    ("SHOP", "Prices show three decimals in the basket", "bug", "urgent", "in progress", "chen", ["basket"]),
    ("SHOP", "Write the release notes for spring", "task", "low", "review", "dora", ["docs"]),
    ("SHOP", "Search ignores umlauts", "bug", "normal", "open", None, ["search"]),
    ("SHOP", "Newsletter sign-up sends two mails", "bug", "normal", "done", "bilal", ["mail"]),
    ("OPS", "Renew the certificate of the mail relay", "task", "urgent", "open", "bilal", ["mail", "security"]),
    ("OPS", "Backups of the order database take too long", "bug", "high", "in progress", "dora", ["backup"]),
    ("OPS", "Move the staging machines to the new network", "task", "normal", "open", None, ["network"]),
    ("OPS", "Alert when the disk of a web server is nearly full", "story", "high", "review", "ada", ["alerts"]),
)


class Tracker:
    """Every ticket in one table; whatever is not there is `Trouble` in words that name what is."""

    def __init__(self) -> None:
        self.people = dict(_PEOPLE)
        self.projects = dict(_PROJECTS)
        self.sprints: dict[str, dict[str, Any]] = {"spring-1": {"sprint": "spring-1", "open": True}}
        self._tickets: dict[str, Ticket] = {}
        self._numbers: dict[str, int] = {}
        for project, title, kind, priority, status, assignee, labels in _FIRST:
            ticket = self.create(project, title, kind=kind, priority=priority, labels=list(labels))
            ticket.update(status=status, assignee=assignee)

    def create(self, project: str, title: str, **more: Any) -> Ticket:
        self.project(project)
        if not title.strip():
            raise Trouble("a ticket needs a title")
        number = self._numbers[project] = self._numbers.get(project, 0) + 1
        ticket: Ticket = {
            "ticket": f"{project}-{number}", "project": project, "title": title.strip(), "description": "",
            "kind": "task", "status": "open", "priority": "normal", "assignee": None, "labels": [], "due": None,
            "estimate_hours": None, "sprint": None, "watchers": [], "links": [], "comments": [], "work": [],
            "history": ["created"], **more,
        }
        self._tickets[ticket["ticket"]] = ticket
        return ticket

    def delete(self, id: str) -> None:
        gone = self.get(id)["ticket"]
        del self._tickets[gone]
        for other in self._tickets.values():
            other["links"] = [link for link in other["links"] if link["ticket"] != gone]

    def get(self, id: str) -> Ticket:
        try:
            return self._tickets[id.upper()]
        except KeyError:
            raise Trouble(f"there is no ticket `{id}`; search_tickets finds tickets by their words") from None

    def change(self, id: str, field: str, value: Any) -> Ticket:
        """Set one field and note it in the ticket's history."""
        ticket = self.get(id)
        if ticket[field] != value:
            ticket["history"].append(f"{field}: {_shown(ticket[field])} -> {_shown(value)}")
            ticket[field] = value
        return ticket

    def may_move(self, id: str, status: str) -> None:
        """`Trouble` when a ticket cannot go to `status` from where it is."""
        now = self.get(id)["status"]
        if status != now and status not in MOVES[now]:
            raise Trouble(f"a ticket that is `{now}` can only become {' or '.join(f'`{s}`' for s in MOVES[now])}")

    def find(self, words: str = "", **wanted: Any) -> list[Ticket]:
        """Tickets that hold every word in title, description, labels or comments, and have the wanted fields."""
        return [ticket for ticket in self._tickets.values()
                if all(value is None or ticket[field] == value for field, value in wanted.items())
                and all(word in _words_of(ticket) for word in words.lower().split())]

    def project(self, key: str) -> str:
        if key not in self.projects:
            raise Trouble(f"there is no project `{key}`; there are {', '.join(self.projects)}")
        return key

    def person(self, name: str) -> str:
        if name not in self.people:
            raise Trouble(f"there is no user `{name}`; there are {', '.join(self.people)}")
        return name

    def sprint(self, name: str) -> dict[str, Any]:
        if name not in self.sprints:
            raise Trouble(f"there is no sprint `{name}`; there are {', '.join(self.sprints)}")
        return self.sprints[name]


def row(ticket: Ticket) -> dict[str, Any]:
    """A ticket as lists show it."""
    return {key: ticket[key] for key in ("ticket", "title", "status", "priority", "assignee", "labels")}


def _words_of(ticket: Ticket) -> str:
    said = " ".join(comment["text"] for comment in ticket["comments"])
    return " ".join([ticket["title"], ticket["description"], *ticket["labels"], said]).lower()


def _shown(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, list) else str(value or "none")
