"""The modules of a source tree in, its public objects out, each under its shortest public path.

Public is what a user may import: the names in a public module's `__all__`, or those it defines and, of a package's
`__init__.py`, those it takes from its own package; without a leading underscore in any part. So `Frame`, defined in
`lib/_frame.py` and imported in `lib/__init__.py`, is `lib.Frame`. A class has what its private bases define. A property
that returns a namespace class is followed: what users write is `Frame.str.upper`.
"""

from collections.abc import Iterator, Mapping

from index.sources.docstrings import PublicObject
from index.sources.module import Defined, Module

Modules = Mapping[str, Module]


def public_things(modules: Modules) -> list[PublicObject]:
    """Everything public that has a docstring, by symbol."""
    found: dict[str, PublicObject] = {}
    seen: set[int] = set()
    reachable = [pair for module in modules.values() if public(module.name) for pair in exported(modules, module)]
    for symbol, thing in sorted(reachable, key=lambda pair: (pair[0].count("."), pair[0])):
        if id(thing) not in seen:
            seen.add(id(thing))
            found.setdefault(symbol, PublicObject(symbol, thing.signature, thing.docstring, thing.place))
    for module in modules.values():
        if public(module.name):
            found.setdefault(module.name, PublicObject(module.name, "", module.docstring, module.place))
    return [found[symbol] for symbol in sorted(found) if found[symbol].docstring.strip()]


def public(name: str) -> bool:
    """Whether no part of a dotted name begins with an underscore."""
    return not any(part.startswith("_") for part in name.split("."))


def exported(modules: Modules, module: Module) -> Iterator[tuple[str, Defined]]:
    """(symbol, definition) of a module's public names and of all that is below them."""
    for name in sorted(public_names(modules, module, frozenset())):
        if thing := resolved(modules, module.name, name, frozenset()):
            yield from below(modules, f"{module.name}.{name}", thing, frozenset())


def public_names(modules: Modules, module: Module, seen: frozenset[str]) -> set[str]:
    """The names that a module offers; those of star imports with them, each module once."""
    if module.listed:
        return {name for name in module.listed if public(name)}
    names = {name for name in module.defined if public(name)}
    if module.is_package:
        own = [i for i in module.imported if i.module.partition(".")[0] == module.name.partition(".")[0]]
        names |= {imported.name for imported in own if imported.name != "*" and public(imported.name)}
        stars = {i.module for i in own if i.name == "*" and i.module in modules and i.module not in seen}
        for star in stars:
            names |= public_names(modules, modules[star], seen | stars | {module.name})
    return names


def resolved(modules: Modules, module: str, name: str, seen: frozenset[tuple[str, str]]) -> Defined | None:
    """The definition that a name stands for, through any number of imports; None outside the tree."""
    if module not in modules or (module, name) in seen:
        return None
    if name in modules[module].defined:
        return modules[module].defined[name]
    seen |= {(module, name)}
    for imported in modules[module].imported:
        if imported.name in (name, "*"):
            original = name if imported.name == "*" else imported.original
            if thing := resolved(modules, imported.module, original, seen):
                return thing
    return None


def below(modules: Modules, symbol: str, thing: Defined, seen: frozenset[int]) -> Iterator[tuple[str, Defined]]:
    """A definition, or the class that a namespace property returns; of a class also its public members."""
    space = resolved(modules, thing.module, thing.namespace, frozenset()) if thing.namespace else None
    owner = space or thing
    yield symbol, owner
    if id(owner) in seen:
        return
    for member in members(modules, owner, frozenset()).values():
        if public(member.name):
            yield from below(modules, f"{symbol}.{member.name}", member, seen | {id(owner)})


def members(modules: Modules, thing: Defined, seen: frozenset[int]) -> dict[str, Defined]:
    """What a class defines, by name; after it what its private bases do."""
    found = {member.name: member for member in thing.members}
    for base in thing.bases:
        parent = resolved(modules, thing.module, base, frozenset()) if base.startswith("_") else None
        if parent and id(parent) not in seen:
            for name, member in members(modules, parent, seen | {id(thing), id(parent)}).items():
                found.setdefault(name, member)
    return found
