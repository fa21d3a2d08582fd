"""Demo server `tickets`: a tracker with a few dozen tools, as the servers of real trackers have them.  Both eras."""
from __future__ import annotations

import datetime
import json
from typing import Any

from .asking import Ask, Trouble
from .serving import Server
from .shapes import ADDS, LOOKS, REMOVES, SETS, choice, flag, number, objects, shape, text, texts, whole
from .tracker import KINDS, LINKS, MOVES, PRIORITIES, STATUSES, Ticket, Tracker, row

TICKET = text("Key of the ticket, such as SHOP-3.")
OTHER = text("Key of the other ticket.")
PROJECT = text("Key of the project, such as SHOP.")
USER = text("Short name of the user, such as ada.")
SPRINT = text("Name of the sprint, such as spring-1.")
LABEL = text("One label, such as mobile.")
STATUS = choice("Status of the ticket.", *STATUSES)
PRIORITY = choice("How soon it matters.", *PRIORITIES)
KIND = choice("What the ticket is.", *KINDS)
ROWS = shape({"tickets": objects("What was found.", {"type": "object"}), "count": whole("How many were found in all.")})
WHOLE = {"type": "object", "required": ["ticket", "project", "title", "status"], "properties": {
    "ticket": TICKET, "project": PROJECT, "title": text("What it is about."), "status": STATUS, "priority": PRIORITY}}

# Twenty tools a page: whoever lists them has to follow the cursor, as with many real servers.
server = Server("tickets", instructions="A small ticket tracker. Keys look like SHOP-3.", page=20, logs=True)
book = Tracker()


def _rows(found: list[Ticket], limit: int) -> dict[str, Any]:
    return {"tickets": [row(ticket) for ticket in found[:limit]], "count": len(found)}


# -- finding ---------------------------------------------------------------------------------------------------------

@server.tool({"query": text("Words that must all occur."), "status?": STATUS, "project?": PROJECT,
              "limit?": whole("How many to show.", minimum=1, maximum=50)}, LOOKS, output=ROWS)
def search_tickets(ask: Ask, query: str, status: str | None = None, project: str | None = None, limit: int = 10) -> Any:
    """Search tickets by words in title, description, labels and comments."""
    return _rows(book.find(query, status=status, project=project), limit)


@server.tool({"project?": PROJECT, "status?": STATUS, "assignee?": USER, "sprint?": SPRINT}, LOOKS, output=ROWS)
def list_tickets(
    ask: Ask, project: str | None = None, status: str | None = None, assignee: str | None = None,
    sprint: str | None = None,
) -> Any:
    """List tickets, optionally of one project, status, assignee or sprint."""
    return _rows(book.find(project=project, status=status, assignee=assignee, sprint=sprint), 1000)


@server.tool({"ticket": TICKET}, LOOKS, output=WHOLE)
def get_ticket(ask: Ask, ticket: str) -> Any:
    """Show everything about one ticket."""
    return book.get(ticket)


@server.tool({"ticket": TICKET}, LOOKS)
def ticket_history(ask: Ask, ticket: str) -> str:
    """Show what was changed on a ticket, oldest first."""
    return "\n".join(book.get(ticket)["history"])


@server.tool({}, LOOKS)
def list_projects(ask: Ask) -> Any:
    """List the projects with their keys."""
    return book.projects


@server.tool({}, LOOKS)
def list_users(ask: Ask) -> Any:
    """List the users who can be assigned to tickets."""
    return book.people


@server.tool({}, LOOKS)
def list_sprints(ask: Ask) -> Any:
    """List the sprints and whether they are still open."""
    return list(book.sprints.values())


@server.tool({"project?": PROJECT}, LOOKS)
def list_labels(ask: Ask, project: str | None = None) -> Any:
    """List the labels in use, with how many tickets carry each."""
    counts: dict[str, int] = {}
    for ticket in book.find(project=project):
        for label in ticket["labels"]:
            counts[label] = counts.get(label, 0) + 1
    return dict(sorted(counts.items()))


@server.tool({"project": PROJECT}, LOOKS, output=shape({
    "project": PROJECT, "tickets": whole("How many."), "by_status": {"type": "object"},
    "by_assignee": {"type": "object"}, "hours_logged": number("Work logged in all.")}))
def project_statistics(ask: Ask, project: str) -> Any:
    """Count a project's tickets by status and assignee, and the hours logged."""
    found = book.find(project=book.project(project))
    statuses, people = [t["status"] for t in found], [t["assignee"] or "nobody" for t in found]
    return {"project": project, "tickets": len(found),
            "by_status": {status: statuses.count(status) for status in STATUSES},
            "by_assignee": {person: people.count(person) for person in sorted(set(people))},
            "hours_logged": sum(work["hours"] for t in found for work in t["work"])}


@server.tool({"project": PROJECT, "pace?": number("Seconds per ticket.", minimum=0, maximum=60)}, LOOKS, slow=True)
def export_project(ask: Ask, project: str, pace: float = 0.1) -> str:
    """Export all tickets of a project as JSON Lines. Takes its time and reports progress per ticket."""
    found, lines = book.find(project=book.project(project)), []
    ask.log("info", server.name, f"exporting {len(found)} tickets of {project}")
    for done, ticket in enumerate(found, start=1):
        ask.wait(pace)
        lines.append(json.dumps(row(ticket), ensure_ascii=False))
        ask.progress(done, len(found), f"exported {ticket['ticket']}")
    return "\n".join(lines)


# -- writing ---------------------------------------------------------------------------------------------------------

@server.tool({"project": PROJECT, "title": text("What it is about."), "description?": text("All the rest."),
              "kind?": KIND, "priority?": PRIORITY, "labels?": texts("Labels to put on it.")}, ADDS, output=WHOLE)
def create_ticket(
    ask: Ask, project: str, title: str, description: str = "", kind: str = "task", priority: str = "normal",
    labels: list[str] | None = None,
) -> Any:
    """Create a ticket in a project."""
    return book.create(project, title, description=description, kind=kind, priority=priority, labels=labels or [])


@server.tool({"ticket": TICKET, "title?": text("New title."), "description?": text("New text."), "kind?": KIND}, SETS)
def update_ticket(ask: Ask, ticket: str, **fields: str) -> Any:
    """Change title, description or kind of a ticket."""
    for field, value in fields.items():
        book.change(ticket, field, value)
    return row(book.get(ticket))


@server.tool({"ticket": TICKET, "project?": PROJECT}, ADDS)
def copy_ticket(ask: Ask, ticket: str, project: str | None = None) -> Any:
    """Copy a ticket, into another project if one is named."""
    source = book.get(ticket)
    kept = {key: source[key] for key in ("description", "kind", "priority")}
    return row(book.create(project or source["project"], source["title"], labels=list(source["labels"]), **kept))


@server.tool({"ticket": TICKET, "into": OTHER}, REMOVES)
def merge_tickets(ask: Ask, ticket: str, into: str) -> Any:
    """Move comments, work and labels of a ticket into another one, then delete it."""
    source, target = book.get(ticket), book.get(into)
    if source is target:
        raise Trouble("a ticket cannot be merged into itself")
    target["labels"] += [label for label in source["labels"] if label not in target["labels"]]
    for field in ("comments", "work"):
        target[field] += source[field]
    book.delete(source["ticket"])
    return row(target)


@server.tool({"ticket": TICKET}, REMOVES)
def delete_ticket(ask: Ask, ticket: str) -> str:
    """Delete a ticket for good."""
    book.delete(ticket)
    return f"{ticket} is deleted"


@server.tool({"ticket": TICKET, "user": USER}, SETS)
def assign_ticket(ask: Ask, ticket: str, user: str) -> Any:
    """Give a ticket to a user."""
    return row(book.change(ticket, "assignee", book.person(user)))


@server.tool({"ticket": TICKET}, SETS)
def unassign_ticket(ask: Ask, ticket: str) -> Any:
    """Take a ticket from whoever has it."""
    return row(book.change(ticket, "assignee", None))


@server.tool({"ticket": TICKET}, LOOKS)
def list_transitions(ask: Ask, ticket: str) -> Any:
    """List the statuses that a ticket can be moved to from where it is."""
    return list(MOVES[book.get(ticket)["status"]])


@server.tool({"ticket": TICKET, "status": STATUS}, SETS)
def transition_ticket(ask: Ask, ticket: str, status: str) -> Any:
    """Move a ticket to another status."""
    book.may_move(ticket, status)
    return row(book.change(ticket, "status", status))


@server.tool({"tickets": texts("Keys of the tickets."), "status": STATUS, "dry_run?": flag("Change nothing.")}, SETS)
def bulk_transition(ask: Ask, tickets: list[str], status: str, dry_run: bool = False) -> Any:
    """Move several tickets to a status; those that cannot be moved are named with the reason."""
    done: dict[str, str] = {}
    for key in tickets:
        try:
            book.may_move(key, status)
            if not dry_run:
                book.change(key, "status", status)
            done[key] = f"would be {status}" if dry_run else status
        except Trouble as trouble:
            done[key] = f"not moved: {trouble}"
    return done


@server.tool({"ticket": TICKET, "priority": PRIORITY}, SETS)
def set_priority(ask: Ask, ticket: str, priority: str) -> Any:
    """Set the priority of a ticket."""
    return row(book.change(ticket, "priority", priority))


@server.tool({"ticket": TICKET, "due": text("The day, as 2026-12-31.", format="date")}, SETS)
def set_due_date(ask: Ask, ticket: str, due: str) -> str:
    """Set the day by which a ticket must be done."""
    try:
        day = datetime.date.fromisoformat(due).isoformat()
    except ValueError:
        raise Trouble(f"`{due}` is no day of the form 2026-12-31") from None
    book.change(ticket, "due", day)
    return f"{ticket} is due on {day}"


@server.tool({"ticket": TICKET}, SETS)
def clear_due_date(ask: Ask, ticket: str) -> str:
    """Remove the due date of a ticket."""
    book.change(ticket, "due", None)
    return f"{ticket} has no due date"


@server.tool({"ticket": TICKET, "hours": number("Hours it will take.", minimum=0)}, SETS)
def set_estimate(ask: Ask, ticket: str, hours: float) -> str:
    """Set how many hours a ticket is expected to take."""
    book.change(ticket, "estimate_hours", hours)
    return f"{ticket} is estimated at {hours:g} h"


# -- around a ticket -------------------------------------------------------------------------------------------------

@server.tool({"ticket": TICKET, "label": LABEL}, SETS)
def add_label(ask: Ask, ticket: str, label: str) -> Any:
    """Put a label on a ticket."""
    labels = book.get(ticket)["labels"]
    return row(book.change(ticket, "labels", labels if label in labels else [*labels, label]))


@server.tool({"ticket": TICKET, "label": LABEL}, SETS)
def remove_label(ask: Ask, ticket: str, label: str) -> Any:
    """Take a label off a ticket."""
    return row(book.change(ticket, "labels", [kept for kept in book.get(ticket)["labels"] if kept != label]))


@server.tool({"ticket": TICKET, "message": text("What to say."), "author?": USER}, ADDS)
def add_comment(ask: Ask, ticket: str, message: str, author: str = "ada") -> Any:
    """Add a comment to a ticket."""
    comments = book.get(ticket)["comments"]
    comments.append({"comment": max((c["comment"] for c in comments), default=0) + 1,
                     "author": book.person(author), "text": message})
    return comments[-1]


@server.tool({"ticket": TICKET, "comment": whole("Number of the comment."), "message": text("Its new text.")}, SETS)
def edit_comment(ask: Ask, ticket: str, comment: int, message: str) -> Any:
    """Change the text of a comment."""
    found = _comment(ticket, comment)
    found["text"] = message
    return found


@server.tool({"ticket": TICKET, "comment": whole("Number of the comment.")}, REMOVES)
def delete_comment(ask: Ask, ticket: str, comment: int) -> str:
    """Delete a comment."""
    book.get(ticket)["comments"].remove(_comment(ticket, comment))
    return f"comment {comment} of {ticket} is deleted"


@server.tool({"ticket": TICKET}, LOOKS)
def list_comments(ask: Ask, ticket: str) -> Any:
    """List the comments of a ticket, oldest first."""
    return book.get(ticket)["comments"]


@server.tool({"ticket": TICKET, "link": choice("How they belong together.", *LINKS), "other": OTHER}, SETS)
def link_tickets(ask: Ask, ticket: str, link: str, other: str) -> Any:
    """Link a ticket to another one."""
    links, wanted = book.get(ticket)["links"], {"link": link, "ticket": book.get(other)["ticket"]}
    if wanted not in links:
        links.append(wanted)
    return links


@server.tool({"ticket": TICKET, "other": OTHER}, SETS)
def unlink_tickets(ask: Ask, ticket: str, other: str) -> Any:
    """Remove every link from a ticket to another one."""
    found, gone = book.get(ticket), book.get(other)["ticket"]
    found["links"] = [link for link in found["links"] if link["ticket"] != gone]
    return found["links"]


@server.tool({"ticket": TICKET, "user": USER}, SETS)
def add_watcher(ask: Ask, ticket: str, user: str) -> Any:
    """Let a user know of every change of a ticket."""
    watchers = book.get(ticket)["watchers"]
    if book.person(user) not in watchers:
        watchers.append(user)
    return watchers


@server.tool({"ticket": TICKET, "user": USER}, SETS)
def remove_watcher(ask: Ask, ticket: str, user: str) -> Any:
    """No longer tell a user of the changes of a ticket."""
    found = book.get(ticket)
    found["watchers"] = [kept for kept in found["watchers"] if kept != user]
    return found["watchers"]


@server.tool({"ticket": TICKET, "hours": number("How many.", minimum=0), "user": USER, "note?": text("Why.")}, ADDS)
def log_work(ask: Ask, ticket: str, hours: float, user: str, note: str = "") -> str:
    """Log hours that a user worked on a ticket."""
    work = book.get(ticket)["work"]
    work.append({"user": book.person(user), "hours": hours, "note": note})
    return f"{sum(entry['hours'] for entry in work):g} h logged on {ticket}"


@server.tool({"ticket": TICKET}, LOOKS)
def list_work(ask: Ask, ticket: str) -> Any:
    """List the hours logged on a ticket."""
    return book.get(ticket)["work"]


# -- projects and sprints --------------------------------------------------------------------------------------------

@server.tool({"project": text("A new key in capitals.", pattern="^[A-Z]+$"), "name": text("Its name.")}, ADDS)
def create_project(ask: Ask, project: str, name: str) -> Any:
    """Create a project."""
    if project in book.projects or not (project.isalpha() and project.isupper()):
        raise Trouble(f"`{project}` is taken, or is no key in capitals")
    book.projects[project] = name
    return book.projects


@server.tool({"sprint": SPRINT}, ADDS)
def create_sprint(ask: Ask, sprint: str) -> Any:
    """Create a sprint."""
    return book.sprints.setdefault(sprint, {"sprint": sprint, "open": True})


@server.tool({"sprint": SPRINT}, SETS)
def close_sprint(ask: Ask, sprint: str) -> Any:
    """Close a sprint; tickets in it that are not done leave it."""
    book.sprint(sprint)["open"] = False
    left = [ticket for ticket in book.find(sprint=sprint) if ticket["status"] != "done"]
    for ticket in left:
        book.change(ticket["ticket"], "sprint", None)
    return {"sprint": sprint, "moved_out": [ticket["ticket"] for ticket in left]}


@server.tool({"ticket": TICKET, "sprint": SPRINT}, SETS)
def add_to_sprint(ask: Ask, ticket: str, sprint: str) -> Any:
    """Plan a ticket for a sprint."""
    if not book.sprint(sprint)["open"]:
        raise Trouble(f"the sprint `{sprint}` is closed")
    return {**row(book.change(ticket, "sprint", sprint)), "sprint": sprint}


@server.tool({"ticket": TICKET}, SETS)
def remove_from_sprint(ask: Ask, ticket: str) -> Any:
    """Take a ticket out of its sprint."""
    return row(book.change(ticket, "sprint", None))


def _comment(ticket: str, number: int) -> dict[str, Any]:
    comments: list[dict[str, Any]] = book.get(ticket)["comments"]
    found = next((comment for comment in comments if comment["comment"] == number), None)
    if found is None:
        raise Trouble(f"{ticket} has no comment {number}")
    return found


if __name__ == "__main__":
    server.run()
