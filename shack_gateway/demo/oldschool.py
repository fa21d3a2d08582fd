"""Demo server `oldschool`: units and clock offsets.  Speaks the handshake era only (2024-11-05 to 2025-11-25)."""
from __future__ import annotations

import datetime
from typing import Any

from .asking import Ask, Trouble
from .serving import Server
from .shapes import LOOKS, choice, number, shape, text

# How much of the quantity's first unit each unit is; temperatures also need a zero point.
UNITS: dict[str, dict[str, float]] = {
    "length": {"m": 1.0, "km": 1000.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048, "mi": 1609.344},
    "mass": {"kg": 1.0, "g": 0.001, "t": 1000.0, "lb": 0.45359237, "oz": 0.028349523125},
    "time": {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "wk": 604800.0},
    "volume": {"l": 1.0, "ml": 0.001, "gal": 3.785411784, "cup": 0.2365882365},
    "temperature": {"K": 1.0, "C": 1.0, "F": 5 / 9},
}
ZEROS = {"C": 273.15, "F": 459.67 * 5 / 9}
QUANTITY = {unit: quantity for quantity, units in UNITS.items() for unit in units}
TABLE = "units:///table"

server = Server("oldschool", eras=("handshake",), instructions="Converts units and times.")


@server.tool({"value": number("The number to convert."), "unit": text("Its unit."), "into": text("The unit wanted.")},
             LOOKS, output=shape({"value": number("The converted number."), "unit": text("Its unit.")}))
def convert_units(ask: Ask, value: float, unit: str, into: str) -> Any:
    """Convert a number from one unit into another one of the same quantity."""
    if _quantity(unit) != _quantity(into):
        raise Trouble(f"`{unit}` is a unit of {QUANTITY[unit]}, `{into}` of {QUANTITY[into]}")
    units = UNITS[QUANTITY[unit]]
    base = value * units[unit] + ZEROS.get(unit, 0.0)
    return {"value": round((base - ZEROS.get(into, 0.0)) / units[into], 9), "unit": into}


@server.tool({"quantity?": choice("Only the units of this quantity.", *UNITS)}, LOOKS)
def list_units(ask: Ask, quantity: str | None = None) -> Any:
    """List the units that can be converted."""
    return {name: list(units) for name, units in UNITS.items() if quantity in (None, name)}


@server.tool({"offset?": text("Offset from UTC, such as +02:00.")}, LOOKS)
def current_time(ask: Ask, offset: str = "+00:00") -> str:
    """Tell the time at an offset from UTC."""
    return datetime.datetime.now(_zone(offset)).isoformat(timespec="seconds")


@server.tool({"time": text("Such as 2026-07-28T09:30:00+02:00."), "offset": text("Such as -05:00.")},
             LOOKS)
def convert_time(ask: Ask, time: str, offset: str) -> str:
    """Tell what the clocks at another offset show at a given time."""
    try:
        moment = datetime.datetime.fromisoformat(time)
    except ValueError:
        raise Trouble(f"`{time}` is no time of the form 2026-07-28T09:30:00+02:00") from None
    if moment.tzinfo is None:
        raise Trouble(f"`{time}` does not say its offset")
    return moment.astimezone(_zone(offset)).isoformat()


@server.prompt({"unit": "The unit to explain."}, {"unit": tuple(QUANTITY)})
def explain_unit(unit: str) -> str:
    """Ask for an explanation of a unit."""
    return f"Explain the unit `{unit}` ({QUANTITY.get(unit, 'of what?')}) to a child, with one everyday example."


def _read(uri: str) -> str | None:
    quantity = uri.rpartition("/")[2]
    if uri == TABLE:
        return "\n\n".join(_table(name) for name in UNITS)
    return _table(quantity) if uri == f"units:///{quantity}" and quantity in UNITS else None


server.list_resources = lambda: [{"uri": TABLE, "name": "table", "description": "All units.", "mimeType": "text/plain"}]
server.read_resource = _read
server.templates.append({"uriTemplate": "units:///{quantity}", "name": "units", "description": "One quantity."})


def _table(quantity: str) -> str:
    first = next(iter(UNITS[quantity]))
    sizes = (f"  1 {unit} = {size:g} {first}" + (f" + {ZEROS[unit]:g}" if unit in ZEROS else "")
             for unit, size in UNITS[quantity].items())
    return "\n".join([quantity, *sizes])


def _quantity(unit: str) -> str:
    if unit not in QUANTITY:
        raise Trouble(f"`{unit}` is not a unit known here; list_units lists them")
    return QUANTITY[unit]


def _zone(offset: str) -> datetime.timezone:
    try:
        return datetime.timezone(datetime.datetime.strptime(offset, "%z").utcoffset() or datetime.timedelta())
    except ValueError:
        raise Trouble(f"`{offset}` is no offset of the form +02:00") from None


if __name__ == "__main__":
    server.run()
