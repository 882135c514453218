"""What the reference says of a package is derived from the package: a new module, or a new class in one, is in it.

A page asks for it by a comment in a line of its own: ``<!-- members of airflow_mlops.operators -->`` gives a section
for each module of a folder, ``<!-- rooms of airflow_mlops.steps -->`` one for each stage, with the modules of its room.
"""

import importlib
import pkgutil
import re

from airflow_mlops.core.flow import MONITORING, SCORING, TRAINING
from airflow_mlops.core.step import STAGES

_ASKED = re.compile(r"^<!-- (members|rooms) of ([\w.]+) -->$", re.MULTILINE)
_ORDER = [step.operator for step in (*TRAINING, *MONITORING, *SCORING)]


def setup(app):
    """Register what is done while the pages are made."""
    app.connect("source-read", expand_page)
    return {"parallel_read_safe": True}


def expand_page(app, name, source):  # noqa: ARG001  # Sphinx's interface
    """Replace the comments in a page that Sphinx has read."""
    source[0] = expand(source[0])


def expand(page):
    """Return a page with what its comments ask for."""
    return _ASKED.sub(lambda asked: {"members": _members, "rooms": _rooms}[asked[1]](asked[2]), page)


def _members(package):
    sections = []
    for module in sorted(_modules(package), key=_place):
        entries = [_entry(package, module, name) for name in module.__all__]
        sections.append(_section(module.__doc__.splitlines()[0].rstrip("."), [entry for entry in entries if entry]))
    return "\n\n".join(section for section in sections if section)


def _rooms(package):
    rooms = {path.name for path in pkgutil.iter_modules(importlib.import_module(package).__path__) if path.ispkg}
    ordered = [*(stage for stage in STAGES if stage in rooms), *sorted(rooms - {*STAGES})]
    sections = {room.capitalize(): _modules(f"{package}.{room}") for room in ordered} | {"Shared": _modules(package)}
    return "\n\n".join(
        _section(title, [f".. automodule:: {module.__name__}\n   :members:" for module in modules])
        for title, modules in sections.items()
    )


def _modules(package):
    """Return the public modules of a folder, without those of the folders in it."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    names = [module.name for module in found if not module.ispkg and not module.name.startswith("_")]
    return [importlib.import_module(f"{package}.{name}") for name in names]


def _place(module):
    """Sort by where the flow needs it first; what the flow does not need comes last."""
    return min((_ORDER.index(name) for name in module.__all__ if name in _ORDER), default=len(_ORDER))


def _entry(package, module, name):
    public, it = getattr(importlib.import_module(package), "__all__", None), getattr(module, name)
    if public is not None and name not in public:
        return ""
    path = f"{module.__name__}.{name}" if public is None else f"{package}.{name}"
    if isinstance(it, type):
        return f".. autoclass:: {path}"
    return f".. autofunction:: {path}" if callable(it) else ""


def _section(title, entries):
    if not entries:
        return ""
    directives = "\n\n".join(entries)
    return f"## {title}\n\n```{{eval-rst}}\n{directives}\n```"
